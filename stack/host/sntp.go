package host

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"arpeggio/stack"
)

// SNTPConfig configures an SNTPClient. Stack and Adjust are required.
type SNTPConfig struct {
	Stack *stack.Stack
	// Servers are addresses or names, the preferred one first, all of them such as
	// CheckServer accepts; SetServers changes them. There is no default: time is asked of those only who have agreed
	// (RFC 4330 §10).
	Servers []string
	// Names finds the addresses of servers that are names, anew for each
	// question; nil has addresses only.
	Names stack.NameResolver
	// Adjust moves the clock by offset: forwards above zero, backwards below. It
	// is called, one call at a time, for every answer that is believed.
	Adjust func(offset time.Duration) error
	// Poll is the time between questions once the clock is set; zero means an
	// hour. It is 64 s at least.
	Poll time.Duration

	Logger *slog.Logger // hears of the first answer, and of trouble; nil discards
}

// Times of the client. A server is never asked more often than RFC 4330 §10 allows
// (15 s) and, when it is silent, ever more seldom.
const (
	ntpDefaultPoll = time.Hour
	ntpMinPoll     = 64 * time.Second       // MINPOLL of most implementations of RFC 5905
	ntpMaxPoll     = 36 * time.Hour         // MAXPOLL of RFC 5905 §7.2
	ntpFirstRetry  = 16 * time.Second       // doubled each time
	ntpPatience    = 5 * time.Second        // for an answer
	ntpSurprise    = 500 * time.Millisecond // an offset of a clock that was right: two answers have to agree
)

// SNTPSync is an answer that was believed.
type SNTPSync struct {
	Server  netip.Addr
	Stratum uint8
	Offset  time.Duration // the clock was moved by so much
	Delay   time.Duration // of question and answer on the way
	Time    time.Time     // when, by the clock that was moved then
}

// SNTPClient asks time servers for the time (RFC 4330, RFC 5905 §14): at once, and
// then at long intervals. It believes one server at a time and goes on to the next
// one when that fails, is not set itself or sends a kiss-o'-death. After the first
// answer a surprising one must be confirmed by a second before the clock moves.
type SNTPClient struct {
	cfg SNTPConfig
	log *slog.Logger

	mu      sync.Mutex
	servers []*ntpPeer    // their fields are Run's
	change  chan struct{} // capacity 1: servers were replaced
	last    SNTPSync
}

// ntpPeer is a server and when it may be asked.
type ntpPeer struct {
	name  string
	next  time.Time     // zero is now
	retry time.Duration // after the next failure
	poll  time.Duration // after the next success; a server may have asked for more
	gone  bool          // it wants to hear no more from us
}

// NewSNTPClient returns a client that does nothing until Run.
func NewSNTPClient(cfg SNTPConfig) (*SNTPClient, error) {
	if cfg.Stack == nil || cfg.Adjust == nil {
		return nil, errors.New("host: an SNTP client needs a Stack and a clock to Adjust")
	}
	for _, name := range cfg.Servers {
		if err := CheckServer(name); err != nil {
			return nil, fmt.Errorf("time server: %w", err)
		}
	}
	if cfg.Poll <= 0 {
		cfg.Poll = ntpDefaultPoll
	}
	cfg.Poll = min(max(cfg.Poll, ntpMinPoll), ntpMaxPoll)
	c := &SNTPClient{cfg: cfg, log: cfg.Logger, change: make(chan struct{}, 1)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.SetServers(cfg.Servers)
	return c, nil
}

// SetServers replaces the servers, as when a DHCP lease brings others; those that
// stay keep what is known of them. What CheckServer does not accept is left out. It
// may be called at any time.
func (c *SNTPClient) SetServers(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next []*ntpPeer
	for _, name := range names {
		named := func(p *ntpPeer) bool { return p.name == name }
		switch n := slices.IndexFunc(c.servers, named); {
		case CheckServer(name) != nil || slices.ContainsFunc(next, named):
		case n >= 0:
			next = append(next, c.servers[n])
		default:
			next = append(next, &ntpPeer{name: name, retry: ntpFirstRetry, poll: c.cfg.Poll})
		}
	}
	c.servers = next
	select {
	case c.change <- struct{}{}:
	default:
	}
}

// Last returns the last answer that was believed; ok is false when there was none.
func (c *SNTPClient) Last() (s SNTPSync, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, !c.last.Time.IsZero()
}

// Run asks until ctx ends.
func (c *SNTPClient) Run(ctx context.Context) {
	var suspect time.Duration // an offset that waits for its confirmation; zero is none
	var p *ntpPeer
	for ctx.Err() == nil {
		if p = c.choose(p); !c.wait(ctx, p) {
			continue
		}
		s, err := c.ask(ctx, p.name)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.failed(p, err)
			p = nil
		case c.surprising(s, suspect):
			c.log.Warn("a time server differs from a clock that was right; asking again", "server", p.name, "offset", s.Offset)
			suspect = s.Offset
			p.next = time.Now().Add(ntpFirstRetry)
			p = nil
		default:
			suspect = 0
			c.believe(p, s)
		}
	}
}

// choose returns the server to ask next: p while it is good, else the one that may
// be asked first. It is nil when there is none.
func (c *SNTPClient) choose(p *ntpPeer) *ntpPeer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.servers, p) {
		return p
	}
	p = nil
	for _, q := range c.servers {
		if !q.gone && (p == nil || q.next.Before(p.next)) {
			p = q
		}
	}
	return p
}

// wait returns true when p may be asked, and false when the servers have changed
// or ctx has ended.
func (c *SNTPClient) wait(ctx context.Context, p *ntpPeer) bool {
	var due <-chan time.Time
	if p != nil {
		t := time.NewTimer(time.Until(p.next))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
		return true
	case <-c.change:
		return false
	case <-ctx.Done():
		return false
	}
}

// surprising reports whether an answer of a clock that was right must be confirmed
// first; one near to suspect confirms it.
func (c *SNTPClient) surprising(s SNTPSync, suspect time.Duration) bool {
	if _, ok := c.Last(); !ok || s.Offset.Abs() <= ntpSurprise {
		return false
	}
	return suspect == 0 || (s.Offset-suspect).Abs() > ntpSurprise
}

// believe moves the clock.
func (c *SNTPClient) believe(p *ntpPeer, s SNTPSync) {
	now := time.Now() // its monotonic part goes on, whatever happens to the clock
	p.retry, p.next = ntpFirstRetry, now.Add(jittered(p.poll))
	if err := c.cfg.Adjust(s.Offset); err != nil {
		c.log.Warn("the clock cannot be set", "server", p.name, "offset", s.Offset, "err", err)
		return
	}
	if _, ok := c.Last(); !ok {
		c.log.Info("clock", "server", p.name, "address", s.Server, "stratum", s.Stratum, "offset", s.Offset, "delay", s.Delay)
	}
	s.Time = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = s
}

// failed notes when p may be asked again, if ever.
func (c *SNTPClient) failed(p *ntpPeer, err error) {
	var kiss kissError
	now := time.Now()
	switch errors.As(err, &kiss); kiss {
	case kissDeny, kissRestrict:
		p.gone = true
	case kissRate:
		p.poll = min(2*p.poll, ntpMaxPoll)
		p.next = now.Add(jittered(p.poll))
	default:
		p.next = now.Add(jittered(p.retry))
		p.retry = min(2*p.retry, p.poll)
	}
	c.log.Warn("no time", "server", p.name, "err", err)
}

// jittered is d and up to a tenth more, so that hosts that started together do not
// ask together.
func jittered(d time.Duration) time.Duration { return d + rand.N(d/10) }

// ask puts one question to a server.
func (c *SNTPClient) ask(ctx context.Context, name string) (s SNTPSync, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*ntpPatience) // the name's address first
	defer cancel()
	if s.Server, err = c.address(ctx, name); err != nil {
		return s, err
	}
	u, err := c.cfg.Stack.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(s.Server, ntpPort)) // from a port that nobody can guess
	if err != nil {
		return s, err
	}
	defer u.Close()
	stop := context.AfterFunc(ctx, func() { _ = u.SetReadDeadline(time.Unix(1, 0)) }) // fails when closed
	defer stop()
	var nonce [8]byte
	_, _ = crand.Read(nonce[:]) // never fails
	n := binary.BigEndian.Uint64(nonce[:])

	sent := time.Now()
	if err := u.SetReadDeadline(sent.Add(ntpPatience)); err != nil {
		return s, err
	}
	if err := ctx.Err(); err != nil { // whose end may have set the deadline before us
		return s, err
	}
	if _, err := u.Write(appendNTPRequest(nil, n)); err != nil {
		return s, err
	}
	buf := make([]byte, 512)
	for {
		k, err := u.Read(buf)
		elapsed := time.Since(sent)
		if err != nil {
			return s, err
		}
		r, err := parseNTPReply(buf[:k], n)
		if errors.Is(err, errNTPForeign) {
			continue
		}
		if err == nil {
			s.Stratum = r.stratum
			s.Offset, s.Delay, err = r.offset(sent, elapsed)
		}
		return s, err
	}
}

// address returns the address of a server.
func (c *SNTPClient) address(ctx context.Context, name string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return a, nil
	}
	if c.cfg.Names == nil {
		return netip.Addr{}, fmt.Errorf("host: the time server %s is a name, and nobody is known who resolves it", name)
	}
	addrs, err := c.cfg.Names.LookupNetIP(ctx, "ip4", name)
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("host: the time server %s has no address", name)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	return addrs[0].Unmap(), nil
}
