package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
)

// DHCPClientConfig configures a DHCPClient. Stack and Interface are required in
// service; a test may give MAC and Conn instead.
type DHCPClientConfig struct {
	// Stack and Interface are what gets the address and, when the server names
	// a router, a default route. They stay the caller's.
	Stack     *stack.Stack
	Interface *stack.Interface
	// MAC of the client; the zero value means Interface's.
	MAC ethernet.Addr
	// Conn carries the messages and is closed by Run; nil means UDP port 68
	// of Interface.
	Conn PacketConn

	Hostname string     // sent to the server, which may register it; at most 255 octets
	ClientID string     // option 61, octets; empty means the MAC address with its type
	Request  netip.Addr // an address to ask for, such as the one before a reboot

	// InUse is asked before a new address is used, for up to a few seconds;
	// true gives it back to the server (RFC 2131 §4.4.1). Nil trusts the server.
	InUse func(ctx context.Context, addr netip.Addr) bool
	// Changed is called, one call at a time, after the interface has been
	// changed: with the old and the new lease, either of which may be zero.
	// A renewal that changes nothing but times is not reported. The client
	// waits for its return.
	Changed func(old, new Lease)
	// KeepOnClose leaves address and lease alone when Run ends.
	KeepOnClose bool

	Rand   *rand.Rand   // transaction ids and jitter; nil means seeded from the system
	Logger *slog.Logger // hears of leases that come and go; nil discards
}

// DHCPClient keeps an interface's address by DHCP.
type DHCPClient struct {
	cfg    DHCPClientConfig
	log    *slog.Logger
	engine *clientEngine // owned by Run

	mu      sync.Mutex
	running bool
	lease   Lease
	refused map[string]uint64
	err     error         // why Run ended
	change  chan struct{} // closed and replaced when lease or err changes
}

// Errors of Acquire and Run.
var (
	ErrRunning = errors.New("host: the DHCP client runs already")
	ErrStopped = errors.New("host: the DHCP client has stopped")
)

// NewDHCPClient returns a client that does nothing until Run.
func NewDHCPClient(cfg DHCPClientConfig) (*DHCPClient, error) {
	if cfg.Conn == nil && (cfg.Stack == nil || cfg.Interface == nil) {
		return nil, errors.New("host: a DHCP client needs a Stack and one of its Interfaces, or a Conn")
	}
	if cfg.MAC.IsZero() && cfg.Interface != nil {
		cfg.MAC = cfg.Interface.Addr()
	}
	if !cfg.MAC.IsStation() {
		return nil, fmt.Errorf("host: a DHCP client needs a station's MAC address, not %v", cfg.MAC)
	}
	if len(cfg.Hostname) > 255 || len(cfg.ClientID) > 255 {
		return nil, errors.New("host: a DHCP host name or client id has at most 255 octets")
	}
	if cfg.Request.IsValid() && !isHost(cfg.Request) {
		return nil, fmt.Errorf("host: %v is not an IPv4 address that a host can ask for", cfg.Request)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	c := &DHCPClient{cfg: cfg, log: cfg.Logger, change: make(chan struct{}), refused: make(map[string]uint64)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.engine = newClientEngine(cfg.MAC, cfg.ClientID, cfg.Hostname, cfg.Request, cfg.Rand)
	return c, nil
}

// Run acquires a lease and keeps it until ctx ends; then it gives the lease back,
// takes the address off the interface and returns nil. Any other end is an error
// of the connection or of the interface. It runs once.
func (c *DHCPClient) Run(ctx context.Context) (err error) {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return ErrRunning
	}
	c.running = true
	c.mu.Unlock()
	defer func() { c.publish(Lease{}, err, true) }()

	conn := c.cfg.Conn
	if conn == nil {
		if conn, err = bind(c.cfg.Stack, c.cfg.Interface, clientPort); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	err = run(ctx, conn, c.engine, c.settle)
	if c.cfg.KeepOnClose {
		return err
	}
	c.engine.release(time.Now())
	flush(conn, c.engine)
	return errors.Join(err, c.apply(Lease{}))
}

// settle brings interface and readers to what the engine knows. A lease that
// cannot be used goes back to the server.
func (c *DHCPClient) settle(ctx context.Context) {
	e := c.engine
	if e.fresh {
		e.fresh = false
		if a := e.lease.Addr.Addr(); c.cfg.InUse != nil && c.cfg.InUse(ctx, a) && ctx.Err() == nil {
			c.log.Warn("another station uses the address that the DHCP server offered; declined", "address", a, "server", e.lease.Server)
			e.refused["in use"]++
			e.reject(time.Now())
		}
	}
	if err := c.apply(e.lease); err != nil {
		c.log.Warn("the address that the DHCP server offered cannot be used; declined", "err", err)
		e.refused["not usable"]++
		e.reject(time.Now())
		_ = c.apply(Lease{}) // what the error left over; the interface is gone when this fails too
	}
}

// apply moves the interface from the lease it has to l.
func (c *DHCPClient) apply(l Lease) error {
	old, _ := c.Lease()
	if i := c.cfg.Interface; i != nil && !old.same(l) {
		if err := c.configure(i, old, l); err != nil {
			return fmt.Errorf("host: DHCP lease on %s: %w", i.Name(), err)
		}
	}
	c.publish(l, nil, false)
	if old.same(l) {
		return nil
	}
	if l.IsZero() {
		c.log.Info("DHCP lease lost", "address", old.Addr)
	} else {
		c.log.Info("DHCP lease", "address", l.Addr, "router", l.Router, "server", l.Server, "expiry", l.Expiry)
	}
	if c.cfg.Changed != nil {
		c.cfg.Changed(old, l)
	}
	return nil
}

// configure replaces old by l on the interface; what both have stays untouched,
// and with it the connections.
func (c *DHCPClient) configure(i *stack.Interface, old, l Lease) error {
	route := func(r netip.Addr) stack.Route {
		return stack.Route{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Interface: i, NextHop: r}
	}
	if old.Router.IsValid() && old.Router != l.Router {
		if err := c.cfg.Stack.RemoveRoute(route(old.Router)); err != nil && !errors.Is(err, stack.ErrNoRoute) {
			return err
		}
	}
	if old.Addr != l.Addr {
		if !old.IsZero() {
			if err := i.RemoveAddress(old.Addr.Addr()); err != nil && !errors.Is(err, stack.ErrNoAddress) {
				return err
			}
		}
		if !l.IsZero() {
			if err := i.AddAddress(l.Addr); err != nil {
				return err
			}
		}
	}
	if l.Router.IsValid() && old.Router != l.Router {
		if err := c.cfg.Stack.AddRoute(route(l.Router)); err != nil {
			return errors.Join(err, i.RemoveAddress(l.Addr.Addr()))
		}
	}
	return nil
}

// publish makes the state visible to Lease, Acquire and Refused.
func (c *DHCPClient) publish(l Lease, err error, end bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.refused, c.engine.refused)
	l.DNS, l.NTP = slices.Clone(l.DNS), slices.Clone(l.NTP)
	changed := end || !c.lease.same(l)
	if end && c.cfg.KeepOnClose {
		l = c.lease
	}
	c.lease = l
	if end {
		if c.err = ErrStopped; err != nil {
			c.err = err
		}
	}
	if changed {
		close(c.change)
		c.change = make(chan struct{})
	}
}

// Lease returns the lease in force; ok is false when there is none. It may be
// called at any time.
func (c *DHCPClient) Lease() (l Lease, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lease, !c.lease.IsZero()
}

// Acquire waits until there is a lease, while Run runs in another goroutine. It
// returns ctx's error, Run's, or ErrStopped.
func (c *DHCPClient) Acquire(ctx context.Context) (Lease, error) {
	for {
		c.mu.Lock()
		l, err, change := c.lease, c.err, c.change
		c.mu.Unlock()
		if err != nil {
			return Lease{}, err
		}
		if !l.IsZero() {
			return l, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return Lease{}, fmt.Errorf("host: no DHCP server has answered: %w", context.Cause(ctx))
		}
	}
}

// Refused returns how many messages were not used, by reason.
func (c *DHCPClient) Refused() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.refused)
}
