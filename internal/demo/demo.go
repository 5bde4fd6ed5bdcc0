// Package demo is the demonstration of 2015 re-created: ten hosts on one
// software switch in one process, two of them TCP echo servers with two clients
// each, and two pairs that gossip over UDP. Each host has its own stack and its
// own ARP repository; the run is bounded, ends with a verdict, and leaves ten
// Git repositories behind.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/internal/node"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
)

// Backend says where the hosts keep their history while they run.
type Backend string

// Backends.
const (
	Memory Backend = "mem"    // and a snapshot at the end
	Badger Backend = "badger" // on disk, and a snapshot at the end
	Git    Backend = "git"    // the bare Git directory itself
)

// Config describes a run. Out is required.
type Config struct {
	Out      string            // receives a bare Git directory for each host; made when missing
	Backend  Backend           // Memory when empty
	Duration time.Duration     // 15 s when zero, 10 s at least: long enough for an entry to expire
	Seed     uint64            // of the switch
	Wording  versioned.Wording // of the commits
	Logger   *slog.Logger
}

// Times of the run.
const (
	leastDuration = 10 * time.Second
	expireAfter   = 5 * time.Second // life of an unconfirmed binding
	talkEvery     = time.Second     // between a client's lines
	gossipEvery   = 2 * time.Second // between a gossip's datagrams
	leaveAfter    = 3 * time.Second // when the host that leaves does
)

// peer describes one of the ten hosts.
type peer struct {
	name   string
	addr   string
	role   role
	to     string // whom clients and gossips talk to
	leaves bool   // in the middle of the run, without a word
}

type role uint8

const (
	server role = iota
	client
	gossip
	listener
)

// cast is the topology of the original, host by host.
var cast = [...]peer{
	{name: "server1", addr: "192.168.252.1", role: server},
	{name: "server2", addr: "192.168.252.2", role: server},
	{name: "client40", addr: "192.168.252.40", role: client, to: "192.168.252.1"},
	{name: "client41", addr: "192.168.252.41", role: client, to: "192.168.252.1"},
	{name: "client50", addr: "192.168.252.50", role: client, to: "192.168.252.2"},
	{name: "client51", addr: "192.168.252.51", role: client, to: "192.168.252.2", leaves: true},
	{name: "gossip10", addr: "192.168.252.10", role: gossip, to: "192.168.252.20"},
	{name: "gossip11", addr: "192.168.252.11", role: gossip, to: "192.168.252.21"},
	{name: "gossip20", addr: "192.168.252.20", role: listener},
	{name: "gossip21", addr: "192.168.252.21", role: listener},
}

const prefixBits = 24

// host is a running peer.
type host struct {
	peer
	node  *node.Node
	store *vcs.Store
	table *versioned.Table
	dir   string
	live  bool           // dir is the backend itself
	work  sync.WaitGroup // what answers others

	mu             sync.Mutex
	sent, received int
	failures       []error
}

// Result is what became of one host.
type Result struct {
	Name, Addr     string
	Sent, Received int // messages
	Entries        int // addresses in its table at the end
	Commits        uint64
	Merges         uint64
	Dir            string
	Problems       []string // empty: it passed
}

// Run runs the demonstration and returns the result of each host. The error is
// not nil when something kept it from running at all.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	if cfg.Backend == "" {
		cfg.Backend = Memory
	}
	if cfg.Duration == 0 {
		cfg.Duration = 15 * time.Second
	}
	if cfg.Duration < leastDuration {
		return nil, fmt.Errorf("demo: %v are too short to see an entry expire; at least %v", cfg.Duration, leastDuration)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	sw := vnet.New(vnet.Config{Seed: cfg.Seed})
	defer sw.Close()
	var hosts []*host
	defer func() {
		for _, h := range hosts {
			h.close()
		}
	}()
	for i, p := range cast {
		h, err := start(ctx, sw, i, p, cfg)
		if err != nil {
			return nil, fmt.Errorf("demo: %s: %w", p.name, err)
		}
		hosts = append(hosts, h)
	}
	act(ctx, hosts, cfg.Duration)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("demo: interrupted: %w", context.Cause(ctx))
	}
	var results []Result
	for _, h := range hosts {
		results = append(results, h.finish(hosts))
	}
	return results, nil
}

// start brings one host up on the switch.
func start(ctx context.Context, sw *vnet.Switch, i int, p peer, cfg Config) (*host, error) {
	h := &host{peer: p, dir: filepath.Join(cfg.Out, p.name), live: cfg.Backend == Git}
	backend, err := open(ctx, h.dir, cfg)
	if err != nil {
		return nil, err
	}
	if h.store, err = vcs.OpenStore(ctx, backend, vcs.StoreConfig{Logger: cfg.Logger}); err != nil {
		return nil, err
	}
	if h.table, err = versioned.Open(ctx, h.store, versioned.Config{Node: p.name, Domain: "demo", Wording: cfg.Wording, Logger: cfg.Logger}); err != nil {
		h.close()
		return nil, err
	}
	mac := ethernet.Addr{0x02, 0x50, 0xde, 0x40, 0x00, byte(i + 1)}
	port, err := sw.Port(vnet.PortConfig{Name: p.name, Addr: mac})
	if err != nil {
		h.close()
		return nil, err
	}
	h.node, err = node.Start(node.Config{
		Device: port, Addr: mac, Addresses: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(p.addr), prefixBits)},
		ARP: arp.Config{Table: h.table, ExpireAfter: expireAfter}, Logger: cfg.Logger,
	})
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// open makes the backend of a new run. What an earlier run left in the host's
// directory is replaced, if it is ours.
func open(ctx context.Context, dir string, cfg Config) (vcs.Backend, error) {
	if err := clear(dir); err != nil {
		return nil, err
	}
	switch cfg.Backend {
	case Memory:
		return mem.New(), nil
	case Badger:
		return badger.Open(ctx, dir+storeSuffix, badger.Config{Logger: cfg.Logger})
	case Git:
		return gitremote.CreateDir(dir, vcs.BranchRef(versioned.Primary))
	}
	return nil, fmt.Errorf("no backend is called %q; there are %s, %s and %s", cfg.Backend, Memory, Badger, Git)
}

const storeSuffix = ".store" // of the directory of a host's badger store

// clear removes the bare Git directory and the store that an earlier run left,
// and refuses to touch anything else.
func clear(dir string) error {
	for dir, sign := range map[string]string{dir: "HEAD", dir + storeSuffix: "MANIFEST"} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(dir, sign)); err != nil {
			return fmt.Errorf("%s holds something that no demonstration left there; choose another place with --out", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// pull takes the host off the network and waits for what answered there; it is
// idempotent.
func (h *host) pull() {
	if h.node != nil {
		h.node.Close()
	}
	h.work.Wait()
}

// close ends the host; it is idempotent.
func (h *host) close() {
	h.pull()
	if h.table != nil {
		h.table.Close()
	}
	if h.store != nil {
		h.store.Close()
	}
}
