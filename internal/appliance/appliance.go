// Package appliance is the main job put together, the same on a host's TAP and
// in a virtual machine: a card, our stack on it, the ARP cache in a repository,
// a site served over our own TCP, and, where asked for, a management address
// with the live page, metrics and the history for `git clone`.
package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/internal/node"
	"arpeggio/internal/recording"
	"arpeggio/internal/socketagent"
	"arpeggio/site"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
	"arpeggio/vcs"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
)

// Recording hears what frames lead to: a recording.Notes, or a recording.Reporter for
// somebody else's.
type Recording interface {
	TCP(stack.TCPEvent)
	Commit(vcs.ID, *arp.Change)
	Stats() recording.Stats
}

// Config describes the appliance. Device is required; every other zero value
// works.
type Config struct {
	Device link.Device
	// Recording hears of states and commits, to comment the frames of Device; nil
	// when nobody records.
	Recording Recording
	// DeviceStats returns what the card could not move; nil when it does not say.
	DeviceStats func() tuntap.Stats

	Card    string        // name of the interface; the device's own when empty
	MAC     ethernet.Addr // the device's own when zero
	Address netip.Prefix  // by DHCP when invalid
	// Probing says how it is found out whether another station has Address, before
	// it is used.
	Probing Probing
	// Gateways are next hops of default routes, the preferred one first.
	Gateways []netip.Addr
	DNS      []netip.Addr // name servers; those of the DHCP lease when empty

	// LeaseFile keeps the DHCP lease for the next run, should this one end without
	// giving it back; none when empty.
	LeaseFile string

	// SetClock moves the machine's clock by what time servers say; nil leaves the
	// clock alone and asks nobody. NTP are the servers, by address or name; those
	// of the DHCP lease when empty.
	SetClock func(offset time.Duration) error
	NTP      []string

	// Ports is the range from which local ports are drawn where a program names
	// none; those in Reserved never are, nor the appliance's own.
	Ports    stack.PortRange
	Reserved []stack.PortRange

	Site fs.FS  // the built-in one when nil
	Port uint16 // of the site; 80 when 0
	// MaxConns bounds the TCP connections; 0 is the stack's default, or what
	// fits where the process has a memory limit, as in the machine.
	MaxConns int
	Sink     string // a path that takes any POST and throws it away, for measurements; off when empty

	Inetd bool // the test services of host.Inetd; never but in a test
	// SocketAgent is the path of a Unix socket over which test suites make
	// socket calls on the stack; none when empty.
	SocketAgent string

	// Manage is the port of the management address; 0 is off, since the page
	// tells strangers who is on the network.
	Manage uint16
	// Push lets clients write the history there, and so change the live table;
	// nil lets nobody. Its Writer is the appliance's own.
	Push *gitserve.PushConfig

	Backend vcs.Backend // memory when nil; closed with the appliance
	// IndexDir is where the index of the record is kept, that of the store; none
	// when empty. It is brought up to date every ten seconds and saved with the
	// snapshots, so that questions about the store find it.
	IndexDir string
	// Retention bounds the history; the zero value does not.
	Retention vcs.Retention
	Node      string            // author of the commits; "arpeggio" when empty
	Wording   versioned.Wording // of the commits
	Noise     versioned.Noise   // how much of a flood is recorded
	Expire    time.Duration
	// SnapshotDir receives the history as a bare Git directory every
	// SnapshotEvery (10 min when 0) and at the end; none when empty.
	SnapshotDir   string
	SnapshotEvery time.Duration

	Logger *slog.Logger
}

// drainLimit is how long requests may take once the appliance stops.
const drainLimit = 10 * time.Second

// capacity bounds the ARP cache, in dynamic entries.
const capacity = 4096

// Appliance is a running appliance.
type Appliance struct {
	cfg     Config
	log     *slog.Logger
	store   *vcs.Store
	table   *versioned.Table
	node    *node.Node
	dhcp    atomic.Pointer[lease] // nil with a fixed address
	names   *host.Resolver
	clock   *host.SNTPClient   // nil when the clock is not ours to set
	inetd   *host.Inetd        // nil unless asked for
	agent   *socketagent.Agent // nil unless asked for
	servers []*http.Server
	started time.Time

	failures failures

	index         *recordIndex // nil when there is none
	snapshotEpoch int          // of the last snapshot; 0 before the first one

	life    context.Context // ends when Close stops what runs in the background
	stop    context.CancelFunc
	work    sync.WaitGroup
	failed  chan error // the first part that ends by itself
	closing sync.Once
	err     error // of Close
}

// Start opens the store, brings the card up, waits for an address and serves.
// The appliance owns the device and the backend from now on, also when Start
// fails. The context bounds the start only.
func Start(ctx context.Context, cfg Config) (*Appliance, error) {
	if cfg.Node == "" {
		cfg.Node = "arpeggio"
	}
	if cfg.Port == 0 {
		cfg.Port = 80
	}
	if cfg.Backend == nil {
		cfg.Backend = mem.New()
	}
	if cfg.SnapshotEvery == 0 {
		cfg.SnapshotEvery = 10 * time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Appliance{cfg: cfg, log: cfg.Logger, started: time.Now(), failed: make(chan error, 1)}
	a.life, a.stop = context.WithCancel(context.Background())
	if err := a.start(ctx); err != nil {
		a.Close(ctx)
		return nil, err
	}
	return a, nil
}

func (a *Appliance) start(ctx context.Context) error {
	if err := a.openStore(ctx); err != nil {
		a.cfg.Device.Close()
		return err
	}
	dev := &watched{a.cfg.Device, func(err error) { a.ended("network card", err) }}
	states, _ := a.witnesses()
	n, err := node.Start(node.Config{
		TraceTCP: states,
		Device:   dev, Name: a.cfg.Card, Addr: a.cfg.MAC, MaxConns: a.cfg.MaxConns, Conflict: a.conflict,
		Ports: a.cfg.Ports, Reserved: a.reserved(),
		ARP: a.probing(arp.Config{Table: a.table, ExpireAfter: a.cfg.Expire, Capacity: capacity}), Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.node = n
	if a.cfg.Address.IsValid() {
		if err := a.claim(ctx); err != nil {
			return err
		}
	}
	for metric, g := range a.cfg.Gateways {
		if !a.cfg.Address.Contains(g) {
			return fmt.Errorf("%w: %v", stack.ErrGateway, g)
		}
		r := stack.Route{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Interface: n.Interface, NextHop: g, Metric: metric}
		if err := n.Stack.AddRoute(r); err != nil {
			return err
		}
	}
	if err := a.prepareAsking(); err != nil {
		return err
	}
	if !a.cfg.Address.IsValid() {
		if err := a.acquire(ctx); err != nil {
			return err
		}
	}
	if a.clock != nil {
		a.work.Go(func() { a.clock.Run(a.life) })
	}
	if err := a.serve(); err != nil {
		return err
	}
	if a.cfg.Inetd {
		if a.inetd, err = host.StartInetd(host.InetdConfig{Stack: n.Stack, Logger: a.log}); err != nil {
			return err
		}
	}
	if a.cfg.SocketAgent != "" {
		if err := a.serveAgent(); err != nil {
			return err
		}
	}
	if a.cfg.SnapshotDir != "" {
		a.work.Go(func() { a.snapshots(a.life) })
	}
	if a.cfg.IndexDir != "" {
		a.index = &recordIndex{file: versioned.OpenRecordIndex(versioned.RecordIndexPath(a.cfg.IndexDir, ""))}
		a.work.Go(func() { a.keepIndex(a.life) })
	}
	return nil
}

// witnesses returns who hears of TCP's states and of commits; nil, which costs
// nothing, when nobody records.
func (a *Appliance) witnesses() (states func(stack.TCPEvent), commits func(vcs.ID, *arp.Change)) {
	if r := a.cfg.Recording; r != nil {
		return r.TCP, r.Commit
	}
	return nil, nil
}

// openStore opens the repository and the table in it. After an error close or
// the store itself has closed the backend.
func (a *Appliance) openStore(ctx context.Context) error {
	store, err := vcs.OpenStore(ctx, a.cfg.Backend, vcs.StoreConfig{Logger: a.log, Retention: a.cfg.Retention})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	a.store = store
	// A machine must come up whatever somebody has pushed or a disk has done:
	// files that are no entries are skipped, with a warning, and stay.
	_, committed := a.witnesses()
	a.table, err = versioned.Open(ctx, store, versioned.Config{Node: a.cfg.Node, Committed: committed, Wording: a.cfg.Wording, Noise: a.cfg.Noise, SkipDamaged: true, Logger: a.log})
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	return nil
}

// serve opens the listeners on our own stack.
func (a *Appliance) serve() error {
	pages, err := site.New(site.Config{FS: a.cfg.Site, Logger: a.log})
	if err != nil {
		return err
	}
	// The management pages know their own limits: a push may take its time.
	srv := &http.Server{Handler: a.withSink(pages), ReadTimeout: stallLimit}
	if err := a.listen(a.cfg.Port, srv); err != nil || a.cfg.Manage == 0 {
		return err
	}
	live := a.newLive()
	srv = &http.Server{Handler: live}
	srv.RegisterOnShutdown(live.Close)
	return a.listen(a.cfg.Manage, srv)
}

// serveAgent lets test suites make socket calls on the stack.
func (a *Appliance) serveAgent() error {
	ln, err := net.Listen("unix", a.cfg.SocketAgent)
	if err != nil {
		return fmt.Errorf("socket agent: %w", err)
	}
	if err := os.Chmod(a.cfg.SocketAgent, 0o600); err != nil {
		ln.Close()
		return fmt.Errorf("socket agent: %w", err)
	}
	a.agent = socketagent.New(socketagent.Config{Stack: a.node.Stack, Logger: a.log})
	a.work.Go(func() {
		if err := a.agent.Serve(ln); err != nil {
			a.ended("socket agent", err)
		}
	})
	return nil
}

// listen serves on a port of every own address.
func (a *Appliance) listen(port uint16, srv *http.Server) error {
	ln, err := a.node.Stack.ListenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	if err != nil {
		return err
	}
	srv.ReadHeaderTimeout, srv.IdleTimeout = 10*time.Second, time.Minute
	srv.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)
	a.servers = append(a.servers, srv)
	a.work.Go(func() {
		if err := srv.Serve(impatient{ln}); !errors.Is(err, http.ErrServerClosed) {
			a.ended(fmt.Sprintf("serve port %d", port), err)
		}
	})
	return nil
}

// ended notes that a part has stopped working.
func (a *Appliance) ended(what string, err error) {
	if a.life.Err() != nil { // it was told to
		a.log.Debug("stopped", "part", what, "error", err)
		return
	}
	select {
	case a.failed <- fmt.Errorf("%s: %w", what, err):
	default: // not the first
	}
}

// Failed delivers an error when the appliance can no longer serve: its card is
// gone, say. It is then still to be closed.
func (a *Appliance) Failed() <-chan error { return a.failed }

// Addresses returns the own addresses with their prefixes.
func (a *Appliance) Addresses() []netip.Prefix { return a.node.Interface.Addresses() }

// URLs returns where the appliance answers, by purpose: site, management, git.
func (a *Appliance) URLs() map[string]string {
	addrs := a.Addresses()
	if len(addrs) == 0 {
		return nil // the lease has just ended
	}
	urls := map[string]string{"site": "http://" + hostPort(addrs[0].Addr(), a.cfg.Port) + "/"}
	if a.cfg.Manage != 0 {
		urls["management"] = "http://" + hostPort(addrs[0].Addr(), a.cfg.Manage) + "/"
		urls["git"] = urls["management"] + "arp.git"
	}
	return urls
}

// hostPort leaves out the port that a browser assumes.
func hostPort(a netip.Addr, port uint16) string {
	if port == 80 {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

// Store returns the repository, for exports.
func (a *Appliance) Store() *vcs.Store { return a.store }

// Sync returns when everything learnt so far is committed and durable.
func (a *Appliance) Sync(ctx context.Context) error { return a.table.Sync(ctx) }

// Close stops in order: accept no more, let requests finish for a while, tell
// the network nothing more, commit what is known, write the last snapshot,
// close the store. It is idempotent; ctx cuts the waiting short, not the saving.
func (a *Appliance) Close(ctx context.Context) error {
	a.closing.Do(func() { a.err = a.close(ctx) })
	return a.err
}

func (a *Appliance) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	var errs []error
	var drain sync.WaitGroup
	for _, srv := range a.servers {
		drain.Go(func() {
			if srv.Shutdown(ctx) != nil {
				srv.Close()
			}
		})
	}
	drain.Wait()
	if a.inetd != nil {
		_ = a.inetd.Close() // never fails
	}
	if a.agent != nil {
		_ = a.agent.Close() // never fails
	}
	a.stop()
	a.dhcp.Load().close()
	a.work.Wait()
	if a.node != nil {
		errs = append(errs, a.node.Close())
	}
	if a.table != nil {
		errs = append(errs, a.table.Close())
		if a.cfg.SnapshotDir != "" {
			errs = append(errs, a.snapshot())
		}
		a.index.close(a)
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}
