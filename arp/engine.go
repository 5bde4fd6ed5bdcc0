package arp

import (
	"container/heap"
	"errors"
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
)

// Errors that a resolution ends with.
var (
	// ErrNoAnswer: nobody answered for the address, now or a moment ago.
	ErrNoAnswer = errors.New("arp: no answer")
	// ErrNotNeighbor: no single IPv4 station can have the address.
	ErrNotNeighbor = errors.New("arp: not the IPv4 address of a station")
	// ErrTableFull: too many addresses are being asked for at once.
	ErrTableFull = errors.New("arp: too many unanswered requests")
	// ErrAbandoned: the resolution was abandoned because the address became
	// our own or the cache was flushed.
	ErrAbandoned = errors.New("arp: resolution abandoned")
	// ErrClosed: the Service was closed.
	ErrClosed = errors.New("arp: closed")
	// ErrOwnAddress: the address is one of this interface's own.
	ErrOwnAddress = errors.New("arp: the address is our own")
	// ErrBadMAC: not the MAC address of one station.
	ErrBadMAC = errors.New("arp: not the MAC address of a station")
)

// Engine is the ARP of one interface as a pure state machine: calls bring the
// time and what happened, Drain hands out what must be done, Deadline says when
// to call Poll. Given the same Config.Rand and the same calls it does the same.
// It is not safe for concurrent use.
type Engine struct {
	cfg   Config
	name  string
	mac   ethernet.Addr
	vlan  ethernet.VLAN
	own   []*ownAddr
	works uint64
	out   []Action
	stats Stats

	conflicts int       // over own addresses and those probed for, ever: RFC 5227 §2.1.1
	attempted time.Time // when an address was last probed for
	proxied   map[netip.Addr]struct{}

	shelf *shelf // nil for an Engine without a Service
	asks  recent
	spare *entry // of the last drop, to be used again
	cache
}

// NewEngine returns an Engine for the interface of that name, MAC address and
// VLAN.
func NewEngine(cfg Config, name string, mac ethernet.Addr, vlan ethernet.VLAN) *Engine {
	return newEngine(cfg.withDefaults(), name, mac, vlan)
}

// newEngine is NewEngine for a complete cfg: the defaults are for what was left open,
// and of what was switched off they must not be filled in again.
func newEngine(cfg Config, name string, mac ethernet.Addr, vlan ethernet.VLAN) *Engine {
	return &Engine{
		cfg: cfg, name: name, mac: mac, vlan: vlan,
		cache: cache{entries: make(map[netip.Addr]*entry)},
	}
}

// Drain appends the actions that are due to dst in order, forgets them, and
// returns the extended slice.
func (e *Engine) Drain(dst []Action) []Action {
	dst = append(dst, e.out...)
	clear(e.out)
	e.out = e.out[:0]
	return dst
}

// Deadline returns when Poll must be called next; the zero time is never.
func (e *Engine) Deadline() time.Time {
	var t time.Time
	if len(e.timers) > 0 {
		t = e.timers[0].due
	}
	for _, o := range e.own {
		t = earlier(t, o.next)
	}
	return t
}

// earlier returns the earlier of two times where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Poll does what is due at now.
func (e *Engine) Poll(now time.Time) {
	for i := 0; i < len(e.own); i++ {
		if o := e.own[i]; !o.next.IsZero() && !now.Before(o.next) {
			e.pollOwn(o, now)
		}
	}
	for len(e.timers) > 0 && !now.Before(e.timers[0].due) {
		n := heap.Pop(&e.timers).(*entry)
		e.fire(n, now)
	}
}

// fire does what is due for n. The heap may have held an earlier time than the
// true one (confirmations only move that), so nothing may be due yet.
func (e *Engine) fire(n *entry, now time.Time) {
	e.gather(n, now)
	if c := n.claim; c != nil && !now.Before(c.next) {
		e.verify(n, now)
	}
	switch n.settle(now) {
	case StateIncomplete:
		if !now.Before(n.next) {
			e.retry(n, now)
		}
	case StateDelay:
		if n.claim == nil && !now.Before(earlier(n.next, e.refreshAt(n))) {
			e.probe(n, now, !now.Before(e.expiresAt(n)))
		}
	case StateProbe:
		switch {
		case e.cfg.QuietExpiry && !now.Before(e.expiresAt(n)):
			e.expire(n, now, "deadline")
		case !now.Before(n.next):
			e.reprobe(n, now)
		}
	case StateFailed:
		if !now.Before(n.next) {
			e.drop(n)
			return
		}
	case StateReachable, StateStale:
		if n.claim == nil && !now.Before(e.refreshAt(n)) {
			e.probe(n, now, true)
		}
	}
	e.reschedule(n)
}

// reschedule puts n into the heap at the earliest time that it needs.
func (e *Engine) reschedule(n *entry) {
	if e.entries[n.addr] != n {
		return
	}
	e.publish(n)
	var t time.Time
	switch n.state {
	case StateIncomplete, StateFailed:
		t = n.next
	case StateDelay:
		t = earlier(n.next, e.refreshAt(n))
	case StateProbe:
		if t = n.next; e.cfg.QuietExpiry {
			t = earlier(t, e.expiresAt(n))
		}
	case StateReachable: // its end must be seen even when nobody holds the lock
		t = earlier(n.reachUntil, e.refreshAt(n))
	case StateStale:
		t = e.refreshAt(n)
	}
	if n.claim != nil {
		t = n.claim.next // it decides first, whatever the state
	}
	e.schedule(n, t)
}

// expiresAt is when the binding ends unless something confirms it.
func (e *Engine) expiresAt(n *entry) time.Time { return n.heard.Add(e.cfg.ExpireAfter) }

// refreshAt is when the last probing before that must begin.
func (e *Engine) refreshAt(n *entry) time.Time {
	t := e.expiresAt(n)
	if !e.cfg.QuietExpiry {
		t = t.Add(-time.Duration(e.cfg.MaxProbes) * e.cfg.RetransTimer)
		if least := n.heard.Add(e.cfg.RetransTimer); t.Before(least) {
			t = least
		}
	}
	return t
}

func (e *Engine) key(a netip.Addr) Key { return Key{Domain: e.cfg.Domain, VLAN: e.vlan, Addr: a} }

// Knows reports whether the cache says anything about addr, or it is our own.
func (e *Engine) Knows(addr netip.Addr) bool {
	return e.entries[addr] != nil || e.owned(addr) != nil
}

// Neighbors appends the entries of the cache to dst in no particular order and
// returns the extended slice.
func (e *Engine) Neighbors(now time.Time, dst []Neighbor) []Neighbor {
	for _, n := range e.entries {
		e.gather(n, now)
		dst = append(dst, Neighbor{Addr: n.addr, MAC: n.mac, State: n.settle(now), Interface: e.name, VLAN: e.vlan,
			Updated: n.updated, Confirmed: n.confirmed, Heard: n.heard, Used: n.used})
	}
	return dst
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Entries, s.Pending = len(e.entries), e.pending()
	return s
}
