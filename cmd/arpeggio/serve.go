package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/appliance"
	"arpeggio/internal/guest"
	"arpeggio/internal/instance"
	"arpeggio/internal/openrepo"
	"arpeggio/internal/recording"
	"arpeggio/site"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
	"arpeggio/tuntap"
	"arpeggio/vcs/badger"
)

type serveCmd struct {
	TAP         string        `name:"tap" required:"" placeholder:"NAME" help:"TAP device to open; made when it does not exist (needs root or CAP_NET_ADMIN)."`
	IP          netip.Prefix  `name:"ip" placeholder:"ADDR/LEN" help:"Own address, such as 10.9.0.2/24. Default: by DHCP."`
	Probe       string        `enum:"brisk,standard,never" default:"brisk" placeholder:"HOW" help:"Whether to ask, before --ip is used, if another station has it (RFC 5227): brisk takes less than a second, standard the RFC's four to seven; or never."`
	HostIP      netip.Prefix  `name:"host-ip" placeholder:"ADDR/LEN" help:"Give this host's end of the TAP an address, such as 10.9.0.1/24."`
	Gateway     []netip.Addr  `placeholder:"ADDR" help:"Next hop for other networks; of several the next one while one is dead."`
	DNS         []netip.Addr  `name:"dns" placeholder:"ADDR" help:"Name servers, the preferred one first. Default: those that DHCP names."`
	NTP         []string      `name:"ntp" placeholder:"SERVER" help:"Set this host's clock by these time servers (addresses or names), asked over the own stack; needs root or CAP_SYS_TIME. Default: leave it alone."`
	MAC         ethernet.Addr `name:"mac" placeholder:"MAC" help:"Own MAC address. Default: a random local one."`
	Root        string        `placeholder:"DIR" help:"The site. Default: the built-in one."`
	Port        uint16        `default:"80" help:"TCP port of the site (${default})."`
	Manage      uint16        `default:"0" placeholder:"PORT" help:"TCP port of the live page, metrics and history. They tell who is on the network. Default: off."`
	WriteToken  string        `placeholder:"FILE" type:"path" help:"Take pushes to the history at --manage from who knows a token of this file; they change the live table. Default: read only."`
	Repo        string        `placeholder:"DIR" help:"Keep the history in this directory, made when missing. Default: in memory."`
	Snapshot    string        `placeholder:"DIR" help:"Also write the history as a bare Git directory, every ten minutes and at the end."`
	Node        string        `placeholder:"NAME" help:"Author of the commits. Default: this host's name."`
	Expire      time.Duration `default:"20m" help:"Life of an unconfirmed binding (${default})."`
	Ports       portRange     `placeholder:"FIRST-LAST" help:"Draw the local ports of outgoing connections from this range. Default: 1024-65535, as RFC 6056 asks; Linux takes 32768-60999."`
	ReservePort []portRange   `name:"reserve-ports" placeholder:"FIRST-LAST" help:"Ports and ranges that are never drawn: those of programs that will bind them later. The appliance's own never are."`
	Sink        string        `placeholder:"PATH" help:"Accept any POST to this path and throw it away (to measure uploads)."`
	Inetd       bool          `help:"Also run echo, discard, daytime, chargen and the dial command, for tests of the stack from outside. Never on a network of others."`
	SocketAgent string        `placeholder:"PATH" help:"Also execute socket calls that come over the Unix socket PATH, for test suites: who reaches it can do all that the stack can."`
	Offload     *bool         `negatable:"" help:"Leave checksums and segmentation to the device. Default: yes, but not with --inetd, so that what a test sees on the TAP are segments as on a wire."`
	Verbose     bool          `short:"v" help:"Log more."`

	recordFlags
	keepFlags
	pcapFlags
}

func (c *serveCmd) Run(ctx context.Context) error {
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	cfg := appliance.Config{
		Address: c.IP, Gateways: c.Gateway, DNS: c.DNS, MAC: c.MAC, Card: c.TAP, Port: c.Port, Manage: c.Manage, Sink: c.Sink, Inetd: c.Inetd, SocketAgent: c.SocketAgent,
		Node: c.Node, Wording: c.wording(), Noise: versioned.Noise(c.Noise), Expire: c.Expire, SnapshotDir: c.Snapshot, Logger: log,
	}
	cfg.Ports = stack.PortRange(c.Ports)
	for _, r := range c.ReservePort {
		cfg.Reserved = append(cfg.Reserved, stack.PortRange(r))
	}
	if len(c.NTP) > 0 {
		cfg.NTP, cfg.SetClock = c.NTP, guest.AdjustClock
	}
	if err := c.check(&cfg); err != nil {
		return err
	}
	policy, err := c.policy(storeArchive(c.Repo))
	if err != nil {
		return err
	}
	if c.WriteToken != "" {
		if cfg.Push, err = pushConfig(c.WriteToken); err != nil {
			return err
		}
	}
	surviveClosedOutput()
	var tree fs.FS // nil is the built-in site
	if c.Root != "" {
		dir, err := site.OpenDir(c.Root)
		if err != nil {
			return err
		}
		defer dir.Close()
		tree = dir
	}
	cfg.Site = tree

	dev, err := c.openDevice()
	if err != nil {
		return err
	}
	cfg.Device, cfg.DeviceStats = dev, dev.Stats
	if c.Pcap != "" {
		rec, err := record(c.Pcap, c.PcapSize)
		if err != nil {
			dev.Close()
			return err
		}
		rec.notes = recording.Start(rec.File)
		defer rec.close()
		cfg.Device, cfg.Recording = rec.notes.Wrap(dev), rec.notes
	}
	if c.Repo != "" {
		b, err := badger.Open(ctx, c.Repo, badger.Config{Logger: log})
		if err != nil {
			dev.Close()
			return err
		}
		note("%s: %s", c.Repo, describe(b))
		cfg.Backend, cfg.IndexDir = b, c.Repo
	}
	if cfg.Retention, err = retention(policy, cfg.Node, log); err != nil {
		dev.Close()
		if cfg.Backend != nil {
			cfg.Backend.Close()
		}
		return err
	}
	if cfg.Probing == appliance.ProbeStandard {
		note("asking for four to seven seconds whether another station has %v (RFC 5227)", c.IP.Addr())
	}
	if why := dev.Obstacle(); why != "" && c.IP.IsValid() && cfg.Probing != appliance.ProbeNever {
		note("%s %s: a station that has %v may not hear the question and is noticed later only; start again when frames pass", c.TAP, why, c.IP.Addr())
	}
	a, err := appliance.Start(ctx, cfg)
	if stopped(ctx, err) {
		note("stopped before the address was taken into use")
		return nil
	}
	if taken := new(appliance.TakenError); errors.As(err, &taken) {
		return withHint(err, "give the appliance another address with --ip, take this one from that station, or do not ask: --probe never")
	}
	if err != nil {
		return err
	}
	if c.Repo != "" {
		stop, err := openrepo.ServeLive(c.Repo, a.Store())
		if err != nil {
			log.Warn("other programs cannot read the store while this one runs", "err", err)
		} else {
			defer stop()
		}
	}
	if stop, err := instance.Serve(c.TAP, a.Insight()); err != nil {
		log.Warn("arpeggio ss cannot ask this one", "err", err)
	} else {
		defer stop()
	}
	c.announce(a)
	select {
	case <-ctx.Done():
		note("stopping: no new connections, drain, flush")
		sctx, again := onSecondInterrupt(context.Background())
		defer again()
		return a.Close(sctx)
	case err := <-a.Failed():
		a.Close(context.Background())
		return err
	}
}

// stopped reports whether err says no more than that the user has stopped the command.
func stopped(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// check refuses what cannot work and fills in defaults.
func (c *serveCmd) check(cfg *appliance.Config) error {
	if c.IP.IsValid() {
		if !c.IP.Addr().Is4() {
			return usagef("--ip %v: the stack speaks IPv4 only", c.IP)
		}
		if c.HostIP.IsValid() && c.HostIP.Addr() == c.IP.Addr() {
			return usagef("--host-ip and --ip are the same address %v: one is this host's, the other the appliance's", c.IP.Addr())
		}
		for _, g := range c.Gateway {
			if !c.IP.Contains(g) {
				return usagef("--gateway %v is not on the network %v of --ip", g, c.IP.Masked())
			}
			if g == c.IP.Addr() {
				return usagef("--gateway %v is the appliance's own address; give that of a router on %v", g, c.IP.Masked())
			}
			if stack.CheckAddress(netip.PrefixFrom(g, c.IP.Bits())) != nil {
				return usagef("--gateway %v is the network's or the broadcast address of %v; give that of a router on it", g, c.IP.Masked())
			}
		}
	} else if len(c.Gateway) > 0 {
		return usagef("--gateway goes with --ip: without it, DHCP gives both")
	} else if c.Probe != "brisk" {
		return usagef("--probe goes with --ip: an address of DHCP is always asked for")
	}
	switch c.Probe {
	case "standard":
		cfg.Probing = appliance.ProbeStandard
	case "never":
		cfg.Probing = appliance.ProbeNever
	}
	if err := checkServers(c.DNS, c.NTP); err != nil {
		return err
	}
	if c.MAC.IsMulticast() {
		return usagef("--mac %v is a group address; a station's has an even first octet, such as 02:50:00:00:00:02", c.MAC)
	}
	if c.Port == 0 || c.Port == c.Manage {
		return usagef("--port and --manage must be different ports, and --port not 0")
	}
	if c.WriteToken != "" && c.Manage == 0 {
		return usagef("--write-token goes with --manage, where the history is served")
	}
	if taken := []uint16{host.EchoPort, host.DiscardPort, host.DaytimePort, host.ChargenPort}; c.Inetd && (slices.Contains(taken, c.Port) || slices.Contains(taken, c.Manage)) {
		return usagef("--inetd takes the TCP ports 7, 9, 13 and 19: choose another --port or --manage")
	}
	if c.Sink != "" && c.Sink[0] != '/' {
		return usagef("--sink %s: want a path that starts with /", c.Sink)
	}
	if err := cmp.Or(c.recordFlags.check(), c.pcapFlags.check()); err != nil {
		return err
	}
	if c.Expire <= 0 {
		return usagef("--expire %v: want a positive time such as 20m", c.Expire)
	}
	if cfg.Node == "" {
		cfg.Node, _ = os.Hostname()
	}
	return nil
}

// checkServers refuses name and time servers that cannot be asked over the stack.
func checkServers(dns []netip.Addr, ntp []string) error {
	for _, a := range dns {
		if err := host.CheckHost(a); err != nil {
			return usagef("--dns: %v; give the address of a name server on the appliance's network or behind its gateway", err)
		}
	}
	for _, s := range ntp {
		if err := host.CheckServer(s); err != nil {
			return usagef("--ntp: %v; give the address or the name of a time server", err)
		}
	}
	return nil
}

// offload reports whether the device computes checksums and cuts segments. A test
// that looks at the TAP with a packet socket would see frames for which that is
// still to be done: partial checksums and up to 64 KiB in one segment.
func (c *serveCmd) offload() bool {
	if c.Offload != nil {
		return *c.Offload
	}
	return !c.Inetd
}

// openDevice opens the TAP and gives the host's end its address.
func (c *serveCmd) openDevice() (*tuntap.TAP, error) {
	tap, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: c.TAP, Offload: c.offload(), Up: true})
	if err != nil {
		return nil, err
	}
	if c.HostIP.IsValid() {
		if err := tuntap.Configure(tap.Info().Name, c.HostIP); err != nil {
			tap.Close()
			return nil, err
		}
	}
	return tap, nil
}

func (c *serveCmd) announce(a *appliance.Appliance) {
	urls := a.URLs()
	fmt.Printf("ready on %s (%s)\n", c.TAP, strings.Trim(fmt.Sprint(a.Addresses()), "[]"))
	fmt.Printf("  site     %s\n", urls["site"])
	if c.Manage != 0 {
		fmt.Printf("  live     %s\n", urls["management"])
		fmt.Printf("  history  git clone %s\n", urls["git"])
		if c.WriteToken != "" {
			fmt.Printf("  push     git push with a token of %s as the password\n", c.WriteToken)
		}
	}
	if c.Inetd {
		fmt.Printf("  tests    echo 7, discard 9, daytime 13, chargen 19, on UDP echo 7 and dial 4000\n")
	}
	if c.SocketAgent != "" {
		fmt.Printf("  agent    %s\n", c.SocketAgent)
	}
	fmt.Printf("  stop     Ctrl-C, or kill -TERM %d\n", os.Getpid())
}
