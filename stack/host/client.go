package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
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
	Request  netip.Addr // an address to ask for; the server decides
	// Previous is the lease of a run that ended without giving it back, as after a
	// power cut. Unless it has ended, it is asked for at once (INIT-REBOOT of RFC
	// 2131), and a server that knows better says so; else it is as Request.
	Previous Lease

	// InUse is asked before a new address is used, for up to a few seconds;
	// true gives it back to the server (RFC 2131 §4.4.1). Nil trusts the server.
	InUse func(ctx context.Context, addr netip.Addr) bool
	// LinkLocal, when not nil, finds an address of 169.254/16 that nobody uses
	// (RFC 3927), and is called when nobody has answered for some 12 s; the
	// interface has that address then until a lease comes, which is still asked
	// for. It may take as long as it likes, in a goroutine of its own and one call at
	// a time; ctx ends when a server makes an offer, or Run ends, which waits for its
	// return. After an error it is not called for a minute. (*arp.Service).LinkLocal
	// is one.
	LinkLocal func(ctx context.Context) (netip.Prefix, error)
	// Changed is called, one call at a time, after the interface has been
	// changed: with the old and the new lease, either of which may be zero.
	// A renewal that changes nothing but times is Renewed's. The client waits
	// for its return.
	Changed func(old, new Lease)
	// Renewed is called, as Changed is, for a renewal that changes nothing but
	// times; nil hears nothing of it.
	Renewed func(Lease)
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
	look   nudge

	// The link-local address while there is no lease, the search for it, and when
	// the next one may begin; owned by Run.
	local     netip.Prefix
	search    *localSearch
	localNext time.Time

	mu      sync.Mutex
	running bool
	lease   Lease
	refused map[string]uint64
	lost    []netip.Addr  // claimed by other stations, for settle
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
	if cfg.Interface != nil {
		c.engine.longest = cfg.Interface.MTU()
	}
	if p := cfg.Previous; !p.IsZero() && !p.LinkLocal() && isHost(p.Addr.Addr()) {
		if c.engine.wish = p.Addr.Addr(); p.Expiry.IsZero() || time.Now().Before(p.Expiry) {
			c.engine.reboot = p.Addr.Addr()
		}
	}
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

	err = run(ctx, conn, c.engine, &c.look, c.settle)
	c.endSearch()
	if c.cfg.KeepOnClose {
		return err
	}
	c.engine.release(time.Now())
	flush(conn, c.engine)
	return errors.Join(err, c.apply(Lease{}))
}

// publish makes the state visible to Lease, Acquire and Refused.
func (c *DHCPClient) publish(l Lease, err error, end bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.refused, c.engine.refused)
	l = l.clone()
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

// Lease returns the lease in force, which may be a link-local address; ok is false
// when there is none. It may be called at any time.
func (c *DHCPClient) Lease() (l Lease, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lease, !c.lease.IsZero()
}

// Acquire waits until there is a lease, or a link-local address, while Run runs in another goroutine. It
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
