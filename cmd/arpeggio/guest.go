package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/appliance"
	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/internal/keep"
	"arpeggio/internal/recording"
	"arpeggio/site"
	"arpeggio/stack/ethernet"
	"arpeggio/tuntap"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/packfile"
	"arpeggio/vmimage"
)

// Places in the guest.
const (
	guestSite     = "/site" // in the initramfs
	guestStore    = "store" // on the data disk
	guestSnapshot = "arp.git"
	guestArchive  = "archive.git"
	guestLease    = "lease.json"
)

// managePort is the management address's port in the guest.
const managePort = 8081

// exportBundle is what a host asks the guest for on the export port: the whole
// history as a Git bundle.
const exportBundle = "bundle"

// exportSockets is what arpeggio ss shows: a sockstat.Snapshot.
const exportSockets = "sockets"

// guestConfig is what vm run tells its guest beyond guest.Params.
type guestConfig struct {
	Node   string
	Expire time.Duration
	Manage bool
	Noted  bool // tell the host what frames have led to
	Push   bool // at the management address; who may is given over the control port
	Export bool // no site: open the data disk, export it, stop
	Saved  bool // export the last snapshot and leave the store alone
	DNS    []netip.Addr
	NTP    []string
	// Keep is what the person asked for; the disk and the memory say the rest.
	Keep   keep.Policy
	Record recordFlags
}

// words returns c for the kernel's command line.
func (c guestConfig) words() map[string]string {
	w := map[string]string{"node": c.Node}
	if c.Expire != 0 {
		w["expire"] = c.Expire.String()
	}
	if c.Manage {
		w["manage"] = "1"
	}
	if c.Noted {
		w["noted"] = "1"
	}
	if c.Push {
		w["push"] = "1"
	}
	if c.Export {
		w["export"] = "1"
	}
	if c.Saved {
		w["saved"] = "1"
	}
	if len(c.DNS) > 0 {
		w["dns"] = joinAddrs(c.DNS)
	}
	if len(c.NTP) > 0 {
		w["ntp"] = strings.Join(c.NTP, ",")
	}
	c.keepWords(w)
	c.Record.words(w)
	return w
}

// joinAddrs puts commas between addresses.
func joinAddrs(as []netip.Addr) string {
	words := make([]string, len(as))
	for i, a := range as {
		words[i] = a.String()
	}
	return strings.Join(words, ",")
}

// parseGuestConfig reads what words wrote.
func parseGuestConfig(w map[string]string) (c guestConfig, err error) {
	c = guestConfig{Node: w["node"], Manage: w["manage"] == "1", Noted: w["noted"] == "1", Push: w["push"] == "1", Export: w["export"] == "1", Saved: w["saved"] == "1"}
	if v, ok := w["expire"]; ok {
		if c.Expire, err = time.ParseDuration(v); err != nil || c.Expire <= 0 {
			return c, fmt.Errorf("arpeggio.expire=%s on the kernel's command line is not a positive duration such as 20m", v)
		}
	}
	if v, ok := w["dns"]; ok {
		for s := range strings.SplitSeq(v, ",") {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return c, fmt.Errorf("arpeggio.dns=%s on the kernel's command line: %w", v, err)
			}
			c.DNS = append(c.DNS, a)
		}
	}
	if v, ok := w["ntp"]; ok {
		c.NTP = strings.Split(v, ",")
	}
	if err := c.Record.parse(w); err != nil {
		return c, err
	}
	return c, c.parseKeep(w)
}

// guestMain is the whole program when it is PID 1.
func guestMain() int {
	err := guest.Run(guest.Config{Version: version}, func(ctx context.Context, env guest.Env) error {
		cfg, err := parseGuestConfig(env.Params.Extra)
		if err != nil {
			return err
		}
		if cfg.Export {
			return exportDisk(ctx, env, cfg.Saved)
		}
		return serveGuest(ctx, env, cfg)
	})
	fmt.Fprintln(os.Stderr, "arpeggio:", err)
	return 1
}

// describe says what opening a store found.
func describe(b *badger.Backend) string {
	r := b.Report()
	switch {
	case !r.OK():
		return "history with damage: " + r.String()
	case r.Commits == 0:
		return noHistory
	}
	return "history verified: " + r.String()
}

// noHistory describes a store without commits.
const noHistory = "no history yet"

// storeRefused begins the message of a guest whose store does not open.
const storeRefused = "the store on the data disk does not open"

// openDisk opens the store on the data disk.
func openDisk(ctx context.Context, env guest.Env) (*badger.Backend, error) {
	dir := filepath.Join(env.DataDir, guestStore)
	b, err := badger.Open(ctx, dir, badger.Config{Logger: env.Logger})
	if err != nil {
		return nil, &guest.Fatal{
			Message: fmt.Sprintf("%s: %v", storeRefused, err),
			Remedy:  "take the disk's last snapshot off with arpeggio snapshot --disk FILE --out DIR, keep the disk, and boot from another one",
		}
	}
	return b, nil
}

func serveGuest(ctx context.Context, env guest.Env, cfg guestConfig) error {
	if env.Card.Name == "" {
		return &guest.Fatal{Message: "there is no network card", Remedy: "give the machine a virtio-net card"}
	}
	dev, err := tuntap.OpenPacket(tuntap.PacketConfig{Interface: env.Card.Name})
	if err != nil {
		return err
	}
	dir, err := site.OpenDir(guestSite)
	if err != nil {
		return err
	}
	defer dir.Close()
	ac := appliance.Config{
		Device: dev, DeviceStats: dev.Stats, MAC: ethernet.Addr(env.Card.Addr), Address: env.Params.Address,
		DNS: cfg.DNS, NTP: cfg.NTP, SetClock: guest.AdjustClock,
		Site: dir, Node: cfg.Node, Wording: cfg.Record.wording(), Noise: versioned.Noise(cfg.Record.Noise), Expire: cfg.Expire, Logger: env.Logger,
	}
	if g := env.Params.Gateway; g.IsValid() {
		ac.Gateways = []netip.Addr{g}
	}
	if cfg.Manage {
		ac.Manage = managePort
	}
	if cfg.Push {
		if ac.Push, err = givenPush(ctx, env); err != nil {
			dev.Close()
			return err
		}
	}
	data := "history in memory only: there is no data disk"
	if env.DataDir != "" {
		b, err := openDisk(ctx, env)
		if err != nil {
			dev.Close()
			return err
		}
		ac.Backend, ac.SnapshotDir = b, filepath.Join(env.DataDir, guestSnapshot)
		ac.LeaseFile = filepath.Join(env.DataDir, guestLease)
		data = describe(b)
	}
	if ac.Retention, err = cfg.retention(env); err != nil {
		dev.Close()
		if ac.Backend != nil {
			ac.Backend.Close()
		}
		return err
	}
	if cfg.Noted {
		reporter := recording.NewReporter(env.Control.Send)
		defer reporter.Close()
		ac.Device, ac.Recording = reporter.Wrap(dev), reporter
	}
	a, err := appliance.Start(ctx, ac)
	if taken := new(appliance.TakenError); errors.As(err, &taken) {
		return &guest.Fatal{Message: taken.Error(), Remedy: "give the machine another address with --ip ADDR/LEN, or that station"}
	}
	if err != nil {
		return err
	}
	// From here on the machine stops in order, however it comes to stop.
	defer a.Close(context.Background())
	env.Control.HandleExport(func(what control.Export, w io.Writer) error {
		if what.What == exportSockets {
			return a.WriteSockets(w)
		}
		if err := a.Sync(ctx); err != nil {
			return err
		}
		return export(ctx, what, w, a.Store())
	})
	var addrs []string
	for _, p := range a.Addresses() {
		addrs = append(addrs, p.String())
	}
	if err := env.Ready(addrs, a.URLs(), data); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return a.Close(context.Background())
	case err := <-a.Failed():
		return err
	}
}

// exportDisk serves exports of the data disk's history until the host has had
// enough. It brings no card up and writes nothing but what recovery needs.
func exportDisk(ctx context.Context, env guest.Env, saved bool) error {
	if saved {
		dir, err := gitremote.OpenDir(filepath.Join(env.DataDir, guestSnapshot))
		if err != nil {
			return err
		}
		defer dir.Close()
		return exportFrom(ctx, env, dir, "its last snapshot")
	}
	b, err := openDisk(ctx, env)
	if err != nil {
		return err
	}
	store, err := vcs.OpenStore(ctx, b, vcs.StoreConfig{Logger: env.Logger})
	if err != nil {
		b.Close()
		return err
	}
	defer store.Close()
	return exportFrom(ctx, env, store, describe(b))
}

// exportable is where refs and what they lead to are read.
type exportable interface {
	vcs.ObjectReader
	vcs.RefReader
}

func exportFrom(ctx context.Context, env guest.Env, from exportable, data string) error {
	env.Control.HandleExport(func(what control.Export, w io.Writer) error { return export(ctx, what, w, from) })
	if err := env.Ready(nil, nil, data); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// export writes the whole history as a bundle.
func export(ctx context.Context, what control.Export, w io.Writer, store exportable) error {
	if what.What != exportBundle {
		return fmt.Errorf("this guest exports %q, not %q", exportBundle, what.What)
	}
	refs, err := store.Refs()
	if err != nil {
		return err
	}
	if len(refs) == 0 {
		return errors.New("the store holds no history yet")
	}
	for _, r := range refs {
		if r.Name == store.Head() { // what a clone of the copy is to check out
			refs = append(refs, vcs.Ref{Name: "HEAD", Target: r.Target})
			break
		}
	}
	return packfile.WriteBundle(ctx, w, store, refs, nil)
}

// params returns the words with which the guest checks itself.
func (m image) params() (guest.Params, error) {
	return guest.ParseParams(strings.Join([]string{
		"arpeggio.size=" + strconv.FormatInt(m.InitSize, 10),
		"arpeggio.sha256=" + m.InitSHA256,
		"arpeggio.complete=" + vmimage.CompleteMarker,
		"arpeggio.time=" + strconv.FormatInt(time.Now().Unix(), 10),
	}, " "))
}
