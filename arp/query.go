package arp

import (
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
)

// Lookup is the answer of Engine.Resolve.
type Lookup uint8

// Answers of Engine.Resolve.
const (
	Hit     Lookup = iota + 1 // the MAC address is known
	Pending                   // an ActResolved or ActFailed for the address will follow
	Refused                   // the error says why; nothing will follow
)

// Resolve looks addr up on behalf of somebody on this host and asks for it when
// it is unknown.
func (e *Engine) Resolve(now time.Time, addr netip.Addr) (ethernet.Addr, Lookup, error) {
	n := e.entries[addr]
	if n == nil {
		return e.query(now, addr)
	}
	e.gather(n, now)
	n.used = now
	switch n.settle(now) {
	case StateIncomplete:
		return ethernet.Addr{}, Pending, nil
	case StateFailed:
		e.stats.Misses++
		return ethernet.Addr{}, Refused, ErrNoAnswer
	case StateStale: // RFC 4861 §7.3.2: the first use starts the delay
		n.asked, n.state, n.next = true, StateDelay, now.Add(e.cfg.DelayTime)
		e.reschedule(n)
	}
	e.stats.Hits++
	n.asked = true
	e.classify(n)
	e.publish(n)
	return n.mac, Hit, nil
}

// leastRecent is how many evicted entries a small cache, too, may have asked for
// within RetransTimer before it asks for no more.
const leastRecent = 1024

// query begins to ask for an address of which nothing is known.
func (e *Engine) query(now time.Time, addr netip.Addr) (ethernet.Addr, Lookup, error) {
	if e.owned(addr) != nil {
		return e.mac, Hit, nil
	}
	e.stats.Misses++
	if !addr.Is4() || addr.IsUnspecified() || addr.IsMulticast() || addr.As4() == [4]byte{255, 255, 255, 255} {
		return ethernet.Addr{}, Refused, ErrNotNeighbor
	}
	if e.asks.prune(now, e.cfg.RetransTimer) >= max(e.cfg.Capacity, leastRecent) || !e.room(now, true) {
		e.stats.Dropped[DropFull]++
		return ethernet.Addr{}, Refused, ErrTableFull
	}
	n := e.add(addr)
	n.state, n.asked, n.used = StateIncomplete, true, now
	e.classify(n)
	e.stats.Queries++
	e.begin(n, WorkQuery, now)
	if n.next = e.mayAsk(n, now); !now.Before(n.next) {
		e.ask(n, now, ethernet.Broadcast)
		n.next = now.Add(e.cfg.RetransTimer)
	}
	e.reschedule(n)
	return ethernet.Addr{}, Pending, nil
}

// ask sends a request for n's address to dst. The caller keeps the rate. What comes
// from a link-local address is broadcast, whoever is meant (RFC 3927 §2.5).
func (e *Engine) ask(n *entry, now time.Time, dst ethernet.Addr) {
	n.tries++
	n.lastAsk, n.outstanding, n.broadcast = now, true, dst.IsBroadcast()
	e.stats.RequestsSent++
	src := e.source(n.addr)
	if src.IsLinkLocalUnicast() {
		dst = ethernet.Broadcast
	}
	e.send(dst, Packet{Op: OpRequest, SenderIP: src, TargetIP: n.addr})
}

// mayAsk returns when n's address may be asked for again: at most one request a
// second for one address (RFC 1122 §2.3.2.1).
func (e *Engine) mayAsk(n *entry, now time.Time) time.Time {
	if t := n.lastAsk.Add(e.cfg.RetransTimer); !n.lastAsk.IsZero() && now.Before(t) {
		return t
	}
	return now
}

// retry asks again for an unknown address, or gives up.
func (e *Engine) retry(n *entry, now time.Time) {
	if n.tries < e.cfg.MaxAsks {
		e.ask(n, now, ethernet.Broadcast)
		n.next = now.Add(e.cfg.RetransTimer)
		return
	}
	e.stats.TimedOut++
	e.change(ActRecord, Change{Op: OpQueryFailed, Key: e.key(n.addr), Rule: "no answer", Work: n.work.ID}, now)
	e.finish(n, OutcomeFailed)
	e.fail(n, now)
	e.out = append(e.out, Action{Kind: ActFailed, Addr: n.addr, Err: ErrNoAnswer})
}

// fail remembers that n's address does not answer.
func (e *Engine) fail(n *entry, now time.Time) {
	e.dismiss(n)
	n.state, n.mac = StateFailed, ethernet.Addr{}
	n.outstanding, n.expiring, n.tries = false, false, 0
	n.next = now.Add(e.cfg.FailedTime)
	e.classify(n)
	e.reschedule(n)
}

// probe begins to ask a bound neighbour whether it is still there: after a
// delay in use, or because its deadline is near.
func (e *Engine) probe(n *entry, now time.Time, expiring bool) {
	e.begin(n, WorkExpiry, now)
	n.state, n.expiring, n.tries = StateProbe, expiring, 0
	if expiring && e.cfg.QuietExpiry {
		e.expire(n, now, "deadline")
		return
	}
	n.next = e.mayAsk(n, now)
	if !now.Before(n.next) {
		e.reprobe(n, now)
	}
}

// reprobe asks again, the last time by broadcast, or lets the binding expire.
func (e *Engine) reprobe(n *entry, now time.Time) {
	switch {
	case n.tries < e.cfg.MaxProbes:
		dst := n.mac
		if n.tries == e.cfg.MaxProbes-1 {
			dst = ethernet.Broadcast
		}
		e.ask(n, now, dst)
		n.next = now.Add(e.cfg.RetransTimer)
	case n.expiring:
		e.expire(n, now, "deadline")
	default:
		e.expire(n, now, "no answer to the last probe")
	}
}

// expire ends the binding of n.
func (e *Engine) expire(n *entry, now time.Time, rule string) {
	e.stats.Expired++
	e.change(ActExpire, Change{Op: OpExpired, Key: e.key(n.addr), Old: n.mac, LastSeen: n.seen, Rule: rule, Work: n.work.ID}, now)
	e.finish(n, OutcomeFailed)
	if n.expiring { // nobody needs it: no reason to remember the failure
		e.drop(n)
		return
	}
	e.fail(n, now)
}

// Confirm notes that a transport has just heard from addr (RFC 4861 §7.3.1). It
// allocates nothing.
func (e *Engine) Confirm(now time.Time, addr netip.Addr) {
	n := e.entries[addr]
	if n == nil || !n.bound() || n.state == StatePermanent {
		return
	}
	e.reachable(n, now)
}

// reachable makes n's binding one that has just been confirmed.
func (e *Engine) reachable(n *entry, now time.Time) {
	if n.claim != nil {
		e.refuse(n, n.claim.mac, &n.claim.ev, "verify: the owner is still there", now)
		n.claim = nil
	}
	e.finish(n, OutcomeAnswered)
	was := n.state
	n.state, n.heard, n.confirmed, n.seen = StateReachable, later(n.heard, now), later(n.confirmed, now), later(n.seen, now)
	n.outstanding, n.expiring, n.tries = false, false, 0
	if now.Add(e.cfg.ReachableTime / 2).After(n.reachUntil) {
		// RFC 4861 §6.3.2: uniformly between 0.5 and 1.5 times the base. While
		// half the base is left nothing is drawn, which keeps Confirm cheap.
		f := 0.5 + e.cfg.Rand.Float64()
		n.reachUntil = now.Add(time.Duration(f * float64(e.cfg.ReachableTime)))
	}
	if was != StateReachable || n.index < 0 {
		e.reschedule(n)
	} else {
		e.publish(n)
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
