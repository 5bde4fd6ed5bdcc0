package main

import (
	"context"
	"errors"
	"os"

	"arpeggio/internal/observer"
)

type readCmd struct {
	Files []string `arg:"" name:"file" help:"Captures, pcap or pcapng, also compressed with gzip; - is standard input."`

	observeFlags
}

func (*readCmd) Help() string {
	return `Read captures and write what they say about ARP and IPv6 neighbour discovery
into a history, as watch does for an interface. What is committed depends on the
frames and their timestamps only: a recording of watch --pcap gives the commits of
that run. Files are read one after the other, in the order given: a file that begins
before what the branch has of its interface is left out. Exit codes: 0 ok, 1 a file
was left out or could not be read to its end, 2 usage.

Examples:

  arpeggio read --repo lan.arp office.pcapng
  tcpdump -i eth0 -w - arp | arpeggio read --json -
  arpeggio read --repo lan.arp --branch what-if --policy strict attack.pcap`
}

func (c *readCmd) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	surviveClosedOutput()
	rec, err := c.record()
	if err != nil {
		return err
	}
	o, err := c.start(ctx, rec, false)
	if err != nil {
		return err
	}
	warn := func(w observer.Warning) { note("%s: %s", w.File, w.Text) }
	err = o.ReadFiles(ctx, warn, os.Stdin, c.Files...)
	if ctx.Err() != nil {
		note("stopped early: what was read is recorded")
		err = nil
	}
	if err = o.finish(context.WithoutCancel(ctx), err, 0); errors.Is(err, observer.ErrOlder) {
		return withHint(err, "read captures in the order of their times (mergecap joins those that overlap), or keep this one apart with --branch NAME or a --repo of its own; a what-if branch begins before it: arpeggio branch NAME TIME")
	}
	return err
}
