package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"arpeggio/internal/instance"
	"arpeggio/internal/keep"
	"arpeggio/qemu"
	"arpeggio/vmimage"
)

type vmCmds struct {
	Run vmRunCmd `cmd:"" help:"Boot the appliance and publish its pages on this host."`
}

type vmRunCmd struct {
	Image      string        `default:"build/image" placeholder:"DIR" help:"What image build wrote (${default})."`
	Disk       string        `default:"" placeholder:"FILE" help:"Data disk; made when it does not exist. Without one, history ends with the machine."`
	DiskSize   int64         `default:"256" placeholder:"MIB" help:"Size of a new data disk (${default})."`
	Net        string        `enum:"lan,user,tap" default:"lan" help:"The wire: lan (a software LAN in this process), user (QEMU's own gateway), tap (a TAP of this host, needs root). Default ${default}."`
	Tap        string        `default:"arpeggio0" placeholder:"NAME" help:"Name of the TAP for --net tap (${default})."`
	IP         netip.Prefix  `placeholder:"ADDR/LEN" help:"The guest's address. Default: by DHCP; 10.9.0.2/24 for --net tap."`
	DNS        []netip.Addr  `name:"dns" placeholder:"ADDR" help:"The guest's name servers. Default: those that DHCP names."`
	NTP        []string      `name:"ntp" placeholder:"SERVER" help:"Time servers (addresses or names) by which the guest sets its clock. Default: those that DHCP names, else the clock that it boots with."`
	HTTP       string        `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Where this host publishes the site (${default}); off for nowhere."`
	Manage     string        `default:"off" placeholder:"ADDR" help:"Where this host publishes live page, metrics and history; they tell who is on the network. Off by default."`
	WriteToken string        `placeholder:"FILE" type:"path" help:"Take pushes to the history at --manage from who knows a token of this file; they change the live table. Default: read only."`
	Memory     int           `default:"256" placeholder:"MIB" help:"The guest's memory (${default})."`
	Accel      string        `enum:"auto,kvm,tcg" default:"auto" help:"How to run guest code: auto probes (${default}), kvm, tcg."`
	Node       string        `default:"arpeggio" placeholder:"NAME" help:"Author of the commits (${default})."`
	Expire     time.Duration `default:"20m" help:"Life of an unconfirmed binding (${default})."`
	Seed       uint64        `default:"2015" help:"Seed of the stations' lives for --net lan (${default})."`
	Stations   int           `default:"12" help:"Stations on the LAN for --net lan (${default})."`
	Console    string        `placeholder:"FILE" help:"Where the guest's serial console goes. Default: beside the data disk, or the image when there is none."`
	Install    bool          `help:"Install QEMU through the package manager when it is missing and no password is needed for that."`
	Verbose    bool          `short:"v" help:"Show what the guest and the stations do."`

	Keep        keep.Size `placeholder:"SIZE" help:"Keep this much history, at 30 to 60 octets a commit. Default: a sixteenth of the disk, at most an eighth of the memory."`
	KeepFor     keep.Age  `placeholder:"AGE" help:"Keep no history older than this, such as 90d."`
	KeepCommits int       `placeholder:"N" help:"Keep no more commits than this."`
	ArchiveMax  keep.Size `placeholder:"SIZE" help:"Bound of the archive on the data disk; its oldest parts go first. Default: a quarter of the disk."`

	recordFlags
	pcapFlags

	tokens string // what is in WriteToken
}

// Boot limits by accelerator: what a slow, busy machine needs, and then some.
const (
	bootLimitTCG = 3 * time.Minute
	bootLimitKVM = 30 * time.Second
	helloLimit   = 10 * time.Second // for the first sign of life under KVM
	stopLimit    = 45 * time.Second
)

func (c *vmRunCmd) Run(ctx context.Context) error {
	if err := cmp.Or(c.check(), c.recordFlags.check(), c.pcapFlags.check()); err != nil {
		return err
	}
	surviveClosedOutput()
	im, err := loadImage(c.Image)
	if err != nil {
		return err
	}
	if c.WriteToken != "" {
		if c.tokens, err = tokenText(c.WriteToken); err != nil {
			return err
		}
	}
	if err := c.findQEMU(ctx); err != nil {
		return err
	}
	if c.Console == "" {
		c.Console = filepath.Join(c.Image, "console.log")
		if c.Disk != "" { // a second machine on this image has another disk
			c.Console = strings.TrimSuffix(c.Disk, ".img") + ".console.log"
		}
	}
	log := c.logger()
	w, err := c.openWire(ctx, log)
	if err != nil {
		return err
	}
	defer w.close()
	if err := c.prepareDisk(); err != nil {
		return err
	}
	accel, err := c.accelerator(ctx)
	if err != nil {
		return err
	}
	m, err := c.boot(ctx, im, w, accel, log)
	if errors.Is(err, qemu.ErrAccelerator) && accel.Kind == qemu.KVM && ctx.Err() == nil {
		note("KVM gave up on the guest; starting again with TCG")
		m, err = c.boot(ctx, im, w, qemu.Accelerator{Kind: qemu.TCG}, log)
	}
	if errors.Is(err, qemu.ErrGuestDied) && c.Disk != "" {
		err = withHint(err, "if it dies with this disk only, the store on it is damaged: take its last snapshot off with %s snapshot --disk %s --out DIR, keep it, and boot from another one", os.Args[0], c.Disk)
	}
	if err != nil {
		return err
	}
	defer m.close()
	w.ready(m.ready)
	if stop, err := instance.Serve("vm", m.insight(w.notes())); err != nil {
		log.Warn("arpeggio ss cannot ask this machine", "err", err)
	} else {
		defer stop()
	}
	c.announce(m, w)

	select {
	case <-ctx.Done():
		note("stopping: no new connections, drain, flush, snapshot, sync, power off (a second Ctrl-C kills it)")
		return c.stop(m)
	case <-m.qemu.Ended():
		if err := m.qemu.Wait(); err != nil {
			if c.Disk != "" {
				err = withHint(err, keptHint)
			}
			return err
		}
		note("the guest powered off")
		return nil
	}
}

// check refuses what cannot work on any wire.
func (c *vmRunCmd) check() error {
	switch {
	case c.IP.IsValid() && !c.IP.Addr().Is4():
		return usagef("--ip %v: the stack speaks IPv4 only", c.IP)
	case c.Expire <= 0:
		return usagef("--expire %v: want a positive time such as 20m", c.Expire)
	case c.Disk == "" && c.ArchiveMax > 0:
		return usagef("--archive-max bounds the archive on the data disk: name one with --disk")
	case c.WriteToken != "" && c.Manage == "off":
		return usagef("--write-token goes with --manage, where the history is served")
	case c.Stations < 0:
		return usagef("--stations %d: want 0 for none, or more", c.Stations)
	case c.Net != "lan" && c.Pcap != "":
		return usagef("--pcap records the software LAN: it needs --net lan (on a TAP, run tcpdump -i %s)", c.Tap)
	}
	if err := (keep.Policy{Bytes: c.Keep, Commits: c.KeepCommits}).Check(); err != nil {
		return usagef("how much to keep: %v", err)
	}
	return checkServers(c.DNS, c.NTP)
}

// findQEMU sees that QEMU is there, installing it where it may.
func (c *vmRunCmd) findQEMU(ctx context.Context) error {
	_, err := qemu.FindBinary()
	if err == nil || !c.Install {
		return err
	}
	how := qemu.InstallCommand()
	if how == "" {
		return err
	}
	note("QEMU is not installed; trying: %s", how)
	if err := qemu.Install(ctx, os.Stderr); err != nil {
		return err
	}
	_, err = qemu.FindBinary()
	return err
}

func (c *vmRunCmd) logger() *slog.Logger {
	if !c.Verbose {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// accelerator decides how guest code runs and says so in one line.
func (c *vmRunCmd) accelerator(ctx context.Context) (qemu.Accelerator, error) {
	switch c.Accel {
	case "tcg":
		return qemu.Accelerator{Kind: qemu.TCG, Reason: "as asked"}, nil
	case "kvm":
		a := qemu.Probe(ctx)
		if a.Kind != qemu.KVM {
			return a, withHint(errors.New(a.Reason), "leave --accel away, or say --accel tcg")
		}
		return a, nil
	}
	a := qemu.Probe(ctx)
	note("accelerator %s: %s", a.Kind, a.Reason)
	return a, nil
}

// prepareDisk makes the data disk when it does not exist and refuses a file
// that is something else.
func (c *vmRunCmd) prepareDisk() error {
	if c.Disk == "" {
		return nil
	}
	if _, err := os.Stat(c.Disk); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(c.Disk), 0o755); err != nil {
			return err
		}
		if err := vmimage.CreateDisk(c.Disk, c.DiskSize<<20); err != nil {
			return err
		}
		note("new data disk %s of %d MiB (sparse)", c.Disk, c.DiskSize)
		return nil
	}
	if err := vmimage.InspectDisk(c.Disk); err != nil {
		return err
	}
	lock, err := qemu.LockDisk(c.Disk) // QEMU's start takes it for good
	if errors.Is(err, qemu.ErrDiskInUse) {
		return withHint(err, "give each machine a disk of its own with --disk FILE (make run: DISK=FILE)")
	}
	if err != nil {
		return err
	}
	return lock.Close()
}

// keptHint consoles whoever lost a machine without an orderly stop.
const keptHint = "what was committed up to about 10 ms before is on the data disk all the same; the next run goes on from there"

// announce prints what a person wants to know about the running machine.
func (c *vmRunCmd) announce(m *machine, w wire) {
	fmt.Printf("ready after %.1f s (%s)\n", m.boot.Seconds(), m.ready.Data)
	if c.HTTP != "off" {
		fmt.Printf("  site     http://%s/\n", w.published("--http"))
	}
	if c.Manage != "off" {
		fmt.Printf("  live     http://%s/\n", w.published("--manage"))
		fmt.Printf("  history  git clone http://%s/arp.git\n", w.published("--manage"))
		if c.WriteToken != "" {
			fmt.Printf("  push     git push with a token of %s as the password\n", c.WriteToken)
		}
	}
	fmt.Printf("  stop     Ctrl-C, or kill -TERM %d\n", os.Getpid())
}

// stop shuts the guest down in order.
func (c *vmRunCmd) stop(m *machine) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	ctx, again := onSecondInterrupt(ctx)
	defer again()
	err := m.qemu.Stop(ctx, func(ctx context.Context) error { return m.host.Stop(ctx, "the operator asked for it") })
	if err != nil {
		return withHint(err, keptHint)
	}
	if c.Disk == "" {
		note("powered off")
		return nil
	}
	note("powered off; the history is on %s", c.Disk)
	image := ""
	if c.Image != "build/image" { // the default of snapshot, too
		image = " --image " + c.Image
	}
	fmt.Printf("browse it: %s snapshot --disk %s%s --out arp.git && git -C arp.git log --all --graph --oneline\n", os.Args[0], c.Disk, image)
	return nil
}

// listen opens a port of this host or says which flag chooses another.
func listen(flag, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if bad := new(net.AddrError); errors.As(err, &bad) {
		return nil, usagef("%s %s: want an address and a port such as 127.0.0.1:8080", flag, addr)
	}
	if err == nil {
		return ln, nil
	}
	why := "that address does not work here"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "something else uses that port"
	case errors.Is(err, fs.ErrPermission):
		why = "ports below 1024 are root's"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this host has no such address"
	}
	variable := map[string]string{"--http": "HTTP", "--manage": "MANAGE"}[flag]
	return nil, withHint(fmt.Errorf("cannot publish on %s: %w", addr, err), "%s: choose another with %s ADDR:PORT (make run: %s=ADDR:PORT)", why, flag, variable)
}
