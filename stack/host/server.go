package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
)

// MaxPool is the largest number of addresses that a DHCPServer hands out.
const MaxPool = 1 << 16

// DHCPServerConfig configures a DHCPServer for one broadcast domain.
type DHCPServerConfig struct {
	// Stack and Interface are where it listens; they stay the caller's.
	Stack     *stack.Stack
	Interface *stack.Interface
	// Conn carries the messages and is closed by Run; nil means UDP port 67
	// of Interface.
	Conn PacketConn

	// Addr is the server's own address with its network; the zero value means
	// Interface's first.
	Addr netip.Prefix
	// First and Last bound the pool, both included; the zero values mean the
	// whole network. Network, broadcast, Router, Addr and reserved addresses
	// are never given from it.
	First, Last netip.Addr
	Router      netip.Addr // default route of the clients; the zero Addr tells none
	DNS         []netip.Addr
	NTP         []netip.Addr // time servers
	Domain      string
	// Lease is how long an address is granted; zero means one hour. The
	// shortest is 10 s.
	Lease time.Duration
	// Reserved gives stations an address of their own, in or out of the pool,
	// by MAC address.
	Reserved map[ethernet.Addr]netip.Addr

	Logger *slog.Logger // nil discards
}

// Binding is an address that a DHCPServer has granted.
type Binding struct {
	Addr   netip.Addr
	MAC    ethernet.Addr
	Expiry time.Time
}

// DHCPServer hands out the addresses of a network. A client keeps its address as
// long as the pool allows, and a pool that starts empty gives the same client the
// same address again, as long as no two collide. It remembers nothing beyond Run.
type DHCPServer struct {
	cfg DHCPServerConfig

	mu      sync.Mutex
	running bool
	engine  *serverEngine
}

// NewDHCPServer checks cfg and returns a server that does nothing until Run.
func NewDHCPServer(cfg DHCPServerConfig) (*DHCPServer, error) {
	if cfg.Conn == nil && (cfg.Stack == nil || cfg.Interface == nil) {
		return nil, errors.New("host: a DHCP server needs a Stack and one of its Interfaces, or a Conn")
	}
	if !cfg.Addr.IsValid() && cfg.Interface != nil {
		if as := cfg.Interface.Addresses(); len(as) > 0 {
			cfg.Addr = as[0]
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	e, err := newServerEngine(cfg)
	if err != nil {
		return nil, err
	}
	return &DHCPServer{cfg: cfg, engine: e}, nil
}

// newServerEngine lays out the pool.
func newServerEngine(cfg DHCPServerConfig) (*serverEngine, error) {
	if !isHost(cfg.Addr.Addr()) || cfg.Addr.Bits() < 8 || cfg.Addr.Bits() > 30 {
		return nil, fmt.Errorf("host: a DHCP server needs an IPv4 address in a network of /8 to /30, not %v: give the interface one first", cfg.Addr)
	}
	network, last := cfg.Addr.Masked().Addr(), lastOf(cfg.Addr)
	if !cfg.First.IsValid() {
		cfg.First = network.Next()
	}
	if !cfg.Last.IsValid() {
		cfg.Last = last.Prev()
		if end := number(cfg.First) + MaxPool - 1; number(cfg.Last) > end {
			cfg.Last = address(end)
		}
	}
	if !cfg.Addr.Contains(cfg.First) || !cfg.Addr.Contains(cfg.Last) || cfg.Last.Less(cfg.First) {
		return nil, fmt.Errorf("host: the DHCP pool %v to %v does not lie in %v", cfg.First, cfg.Last, cfg.Addr.Masked())
	}
	size := number(cfg.Last) - number(cfg.First) + 1
	if size > MaxPool {
		return nil, fmt.Errorf("host: a DHCP pool has at most %d addresses, not %d: set First and Last", MaxPool, size)
	}
	if cfg.Router.IsValid() && !cfg.Addr.Contains(cfg.Router) {
		return nil, fmt.Errorf("host: the router %v is not on %v", cfg.Router, cfg.Addr.Masked())
	}
	cfg.Lease = cmp.Or(cfg.Lease, time.Hour)
	if cfg.Lease < minLease {
		return nil, fmt.Errorf("host: a DHCP lease lasts %v at least, not %v", minLease, cfg.Lease)
	}
	e := &serverEngine{
		id: cfg.Addr.Addr(), prefix: cfg.Addr.Masked(), first: cfg.First, size: size, router: cfg.Router, dns: slices.Clone(cfg.DNS), ntp: slices.Clone(cfg.NTP),
		domain: cfg.Domain, lease: min(cfg.Lease, infinite), reserved: maps.Clone(cfg.Reserved),
		taken: map[netip.Addr]bool{network: true, last: true, cfg.Addr.Addr(): true, cfg.Router: true},
		byKey: make(map[string]*binding), byAddr: make(map[netip.Addr]*binding), refused: make(map[string]uint64),
	}
	for mac, a := range cfg.Reserved {
		if !mac.IsStation() || !cfg.Addr.Contains(a) || e.taken[a] {
			return nil, fmt.Errorf("host: %v cannot be reserved for %v: want a free address of %v for each station", a, mac, e.prefix)
		}
		e.taken[a] = true
	}
	return e, nil
}

// Run serves until ctx ends (nil) or the connection fails. It runs once.
func (s *DHCPServer) Run(ctx context.Context) (err error) {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return errors.New("host: the DHCP server runs already")
	}
	s.running = true
	s.mu.Unlock()
	conn := s.cfg.Conn
	if conn == nil {
		if conn, err = bind(s.cfg.Stack, s.cfg.Interface, serverPort); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	s.cfg.Logger.Info("DHCP server", "network", s.engine.prefix, "first", s.engine.first, "addresses", s.engine.size)
	return run(ctx, conn, lockedEngine{s}, new(nudge), func(context.Context) {})
}

// lockedEngine is the server's engine under the server's lock.
type lockedEngine struct{ *DHCPServer }

func (l lockedEngine) input(now time.Time, msg []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine.input(now, msg)
}

func (l lockedEngine) tick(now time.Time)  { l.engine.tick(now) }
func (l lockedEngine) deadline() time.Time { return l.engine.deadline() }
func (l lockedEngine) emit() (outgoing, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine.emit()
}

// Bindings returns the leases that have not ended, by address.
func (s *DHCPServer) Bindings() (bs []Binding) {
	now := time.Now()
	s.mu.Lock()
	for _, b := range s.engine.byAddr {
		if b.bound && now.Before(b.until) {
			bs = append(bs, Binding{b.addr, b.mac, b.until})
		}
	}
	s.mu.Unlock()
	slices.SortFunc(bs, func(a, b Binding) int { return a.Addr.Compare(b.Addr) })
	return bs
}

// Refused returns how many messages were not answered with an address, by reason.
func (s *DHCPServer) Refused() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.engine.refused)
}
