package arp

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"arpeggio/stack/ethernet"
)

// Service is an Engine with a clock, a lock and a goroutine for its timers: the
// resolver of one interface of a network stack. It has every ability that
// package stack's Resolver may have. All methods are safe for concurrent use.
//
// The lock is held for the engine's own work only: never while a frame is sent,
// while the Table is told or asked, or while a callback runs. A lookup that hits
// and a confirmation of what is reachable take no lock at all. Callbacks run on
// the Service's goroutine, never inside a call of Resolve.
type Service struct {
	cfg   Config
	shelf atomic.Pointer[shelf] // the engine's; nil before AttachLink and after Close

	mu        sync.Mutex
	engine    *Engine // nil until AttachLink
	transmit  func(dst ethernet.Addr, t ethernet.EtherType, payload []byte) error
	free      []*batch
	news      *news     // for the Table
	telling   bool      // somebody is telling the Table
	underway  *news     // of what; read without mu by whoever does, and empty else
	told      sync.Cond // of mu: some of news, or all, has been told
	waiters   map[netip.Addr][]waiter
	callbacks []func()  // for the goroutine to call
	armed     time.Time // the deadline that the goroutine sleeps for
	conflicts map[netip.Addr]func(netip.Addr, ethernet.Addr)
	owned     map[netip.Addr]chan struct{} // closed when the address is in use
	checks    map[netip.Addr][]chan ethernet.Addr
	closed    bool
	unwatch   func()

	wake chan struct{} // capacity 1: look at callbacks and deadline
	stop chan struct{}
	done chan struct{}
}

type waiter func(netip.Addr, ethernet.Addr, error)

// NewService returns a Service that does nothing before AttachLink.
func NewService(cfg Config) *Service {
	s := &Service{
		cfg:       cfg.withDefaults(),
		news:      &news{bound: make(map[netip.Addr]Binding)},
		underway:  &news{bound: make(map[netip.Addr]Binding)},
		waiters:   make(map[netip.Addr][]waiter),
		conflicts: make(map[netip.Addr]func(netip.Addr, ethernet.Addr)),
		owned:     make(map[netip.Addr]chan struct{}),
		checks:    make(map[netip.Addr][]chan ethernet.Addr),
		wake:      make(chan struct{}, 1),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
	}
	s.told.L = &s.mu
	return s
}

// AttachLink gives the Service its interface: the name (for people), the MAC
// address, the broadcast domain, the MTU in octets (an ARP packet fits any),
// and the way to send. It is called once, before any other method. The cache
// is warmed with what the Table holds, if it is a Lister.
func (s *Service) AttachLink(name string, addr ethernet.Addr, vlan ethernet.VLAN, _ int,
	send func(dst ethernet.Addr, t ethernet.EtherType, payload []byte) error) {
	s.mu.Lock()
	s.engine = newEngine(s.cfg, name, addr, vlan)
	s.engine.shelf = newShelf(2*s.cfg.Capacity, rand.Uint32)
	s.shelf.Store(s.engine.shelf)
	s.transmit = send
	s.mu.Unlock()
	if w, ok := s.cfg.Table.(Watcher); ok {
		stop := w.Watch(s.foreign)
		s.mu.Lock()
		s.unwatch = stop
		s.mu.Unlock()
	}
	if l, ok := s.cfg.Table.(Lister); ok {
		s.Warm(l.All())
	}
	go s.loop()
}

// Resolve returns the MAC address of addr if it is known (taking no lock as a
// rule, and allocating nothing), else it asks for it and calls done later, exactly once. The error is
// ErrNoAnswer, ErrNotNeighbor, ErrTableFull, ErrAbandoned or ErrClosed.
func (s *Service) Resolve(addr netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	if sh := s.shelf.Load(); sh != nil {
		if h := sh.find(addr); h != nil {
			h.hits.Add(1)
			return h.mac, true
		}
	}
	return s.resolve(addr, done)
}

// resolve is Resolve for what is not on the shelf.
func (s *Service) resolve(addr netip.Addr, done waiter) (ethernet.Addr, bool) {
	now := time.Now()
	s.mu.Lock()
	open := !s.closed && s.engine != nil
	if open && !s.engine.Knows(addr) {
		open = s.recall(now, addr, ethernet.Addr{})
	}
	if !open {
		s.mu.Unlock()
		go done(addr, ethernet.Addr{}, ErrClosed)
		return ethernet.Addr{}, false
	}
	mac, lookup, err := s.engine.Resolve(now, addr)
	switch lookup {
	case Pending:
		s.waiters[addr] = append(s.waiters[addr], done)
	case Refused:
		s.later(func() { done(addr, ethernet.Addr{}, err) })
	}
	s.run()
	return mac, lookup == Hit
}

// recall asks the Table about an address that the cache does not know and seeds
// it, unless the binding is the one that except claims anyway. mu is held, and
// given up meanwhile; false means that the Service was closed in that time.
func (s *Service) recall(now time.Time, addr netip.Addr, except ethernet.Addr) bool {
	b, ok := s.binding(addr)
	if ok && b.MAC != except && !s.closed && !s.engine.Knows(addr) {
		s.engine.Seed(now, addr, b)
	}
	return !s.closed
}

// EtherTypes names the frames that HandleFrame wants: ARP, and RARP to be
// counted.
func (s *Service) EtherTypes() []ethernet.EtherType {
	return []ethernet.EtherType{ethernet.TypeARP, ethernet.TypeRARP}
}

// HandleFrame takes a frame of one of these types. It sends its answer before
// it returns and does not block; payload is not kept. The frame's own time is
// not used: a device's timestamps follow the wall clock, and a wall clock that
// is set must not make every entry expire.
func (s *Service) HandleFrame(h ethernet.Header, payload []byte, _ time.Time) {
	now := time.Now()
	s.mu.Lock()
	open := !s.closed && s.engine != nil
	// A claim against a binding that was evicted is a claim all the same.
	if p, err := Parse(payload); open && err == nil && !p.SenderIP.IsUnspecified() && !s.engine.Knows(p.SenderIP) {
		open = s.recall(now, p.SenderIP, p.SenderMAC)
	}
	if !open {
		s.mu.Unlock()
		return
	}
	s.engine.Input(now, h, payload)
	s.run()
}

// Confirm notes that a transport has just heard from addr.
func (s *Service) Confirm(addr netip.Addr) {
	if sh := s.shelf.Load(); sh != nil {
		if h := sh.find(addr); h != nil && h.steady.Load() {
			sh.confirm(h)
			return
		}
	}
	now := time.Now()
	s.mu.Lock()
	if s.closed || s.engine == nil {
		s.mu.Unlock()
		return
	}
	s.engine.Confirm(now, addr)
	s.run()
}

// Close ends the goroutine and every resolution under way (with ErrClosed). It
// does not close the Table. It is idempotent, and not to be called from a
// callback.
func (s *Service) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.shelf.Store(nil)
	unwatch, attached := s.unwatch, s.engine != nil
	for a, ws := range s.waiters {
		for _, done := range ws {
			s.callbacks = append(s.callbacks, func() { done(a, ethernet.Addr{}, ErrClosed) })
		}
	}
	clear(s.waiters)
	if attached {
		s.engine.abandonWork()
		s.run()
		s.mu.Lock()
		for s.telling {
			s.told.Wait()
		}
	}
	s.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	close(s.stop)
	if attached {
		<-s.done
	}
	return nil
}
