package main

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"arpeggio/internal/observer"
	"arpeggio/tuntap"
)

type watchCmd struct {
	Interfaces  []string `arg:"" name:"iface" help:"Interfaces to watch."`
	Promiscuous bool     `short:"p" help:"Ask the cards for frames to other stations, too."`
	User        string   `placeholder:"NAME" help:"Run as this user once everything is open. Default, as root: the owner of --repo, or nobody; root keeps all privileges."`
	Metrics     string   `placeholder:"HOST:PORT" help:"Serve Prometheus metrics at http://HOST:PORT/metrics."`

	observeFlags
}

func (*watchCmd) Help() string {
	return `Watch ARP and IPv6 neighbour discovery on interfaces and write a history of who
had an address when. Nothing is sent. Opening an interface takes root or
CAP_NET_RAW; after that the program runs without privileges. Ctrl-C or SIGTERM
ends it; SIGHUP does nothing.

Examples:

  arpeggio watch --repo /var/lib/arpeggio/lan eth0
  arpeggio watch --json --pcap seen.pcapng eth0 eth1 | jq .`
}

// outlivesHangup marks the command that SIGHUP does not end.
func (*watchCmd) outlivesHangup() {}

func (c *watchCmd) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	surviveClosedOutput()
	who, err := c.findUser()
	if err != nil {
		return err
	}
	live, err := observer.OpenLive(observer.LiveConfig{
		Interfaces: c.Interfaces, Promiscuous: c.Promiscuous, Note: func(s string) { note("%s", s) },
	})
	if errors.Is(err, tuntap.ErrPermission) {
		return withHint(err, "sudo arpeggio watch …, or once: setcap cap_net_raw,cap_net_admin+ep on the binary")
	}
	if err != nil {
		return err
	}
	defer live.Close()
	rec, err := c.record()
	if err != nil {
		return err
	}
	metrics, err := listenMetrics(c.Metrics)
	if err != nil {
		rec.close()
		return err
	}
	defer metrics.close()
	if err := who.drop(&c.observeFlags); err != nil {
		rec.close()
		return err
	}
	o, err := c.start(ctx, rec, true)
	if err != nil {
		return err
	}
	metrics.serve(o)
	if metrics != nil && !c.Quiet {
		note("metrics at http://%v/metrics", metrics.listener.Addr())
	}
	if !c.Quiet {
		note("watching %s%s; Ctrl-C ends, or kill -TERM %d", strings.Join(c.Interfaces, ", "), who.as(), syscall.Getpid())
	}
	err = live.Watch(ctx, o.Observer)
	return o.finish(context.WithoutCancel(ctx), err, live.Lost())
}
