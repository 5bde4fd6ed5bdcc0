package arp

import (
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack/ethernet"
)

// ownPhase is how far an own address has come (RFC 5227 §2).
type ownPhase uint8

const (
	ownProbing    ownPhase = iota // §2.1.1: not ours yet
	ownAnnouncing                 // §2.3
	ownHeld
)

// ownAddr is one of the interface's own addresses.
type ownAddr struct {
	prefix   netip.Prefix // address and network
	phase    ownPhase
	sent     int       // probes or announcements
	next     time.Time // zero: nothing to do
	check    bool      // only probed, on behalf of somebody: see Engine.Check
	defended time.Time // the last defence
	reported time.Time // the last conflict handed to the owner of the address
}

// AddAddress makes p's address an own one: probed first if Config.Probe says
// so, then answered for, announced and defended. Adding it again changes its
// network only.
func (e *Engine) AddAddress(now time.Time, p netip.Prefix) {
	a := p.Addr()
	if !a.Is4() {
		return
	}
	for _, o := range e.own {
		if o.prefix.Addr() == a && !o.check {
			o.prefix = p
			return
		}
	}
	e.RemoveAddress(a) // a check that is overtaken
	if n := e.entries[a]; n != nil {
		e.abandon(n, now)
	}
	o := &ownAddr{prefix: p}
	e.own = append(e.own, o)
	if e.cfg.Probe {
		e.attempt(o, now)
		return
	}
	e.hold(o, now)
	e.pollOwn(o, now)
}

// RemoveAddress gives an own address up. Removing a foreign one does nothing.
func (e *Engine) RemoveAddress(a netip.Addr) {
	for _, o := range e.own {
		if o.prefix.Addr() == a {
			e.remove(o)
			return
		}
	}
}

func (e *Engine) remove(o *ownAddr) {
	if i := slices.Index(e.own, o); i >= 0 {
		e.own = slices.Concat(e.own[:i], e.own[i+1:])
	}
}

// Addresses returns the own addresses that are answered for, oldest first.
func (e *Engine) Addresses() []netip.Prefix {
	var ps []netip.Prefix
	for _, o := range e.own {
		if o.phase != ownProbing {
			ps = append(ps, o.prefix)
		}
	}
	return ps
}

// owned returns the own address a, nil if it is none or still being probed.
func (e *Engine) owned(a netip.Addr) *ownAddr {
	for _, o := range e.own {
		if o.prefix.Addr() == a && o.phase != ownProbing {
			return o
		}
	}
	return nil
}

func (e *Engine) random(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(e.cfg.Rand.Int64N(int64(hi-lo)))
}

// hold begins to use an own address.
func (e *Engine) hold(o *ownAddr, now time.Time) {
	o.phase, o.sent, o.next = ownAnnouncing, 0, now
	e.out = append(e.out, Action{Kind: ActOwned, Addr: o.prefix.Addr()})
}

// pollOwn sends the probe or announcement that is due.
func (e *Engine) pollOwn(o *ownAddr, now time.Time) {
	a := o.prefix.Addr()
	if o.phase == ownProbing {
		if o.sent < e.cfg.ProbeNum {
			o.sent++
			e.stats.ProbesSent++
			e.send(ethernet.Broadcast, Packet{Op: OpRequest, SenderIP: netip.IPv4Unspecified(), TargetIP: a})
			pace := e.pace(o)
			wait := e.random(pace.least, pace.most)
			if o.sent == e.cfg.ProbeNum {
				wait = pace.after
			}
			o.next = now.Add(wait)
			return
		}
		if o.check {
			e.remove(o)
			e.out = append(e.out, Action{Kind: ActFree, Addr: a})
			return
		}
		e.hold(o, now)
	}
	if o.phase == ownAnnouncing && o.sent < e.cfg.AnnounceNum {
		o.sent++
		e.announce(a)
		o.next = now.Add(e.cfg.AnnounceInterval)
	}
	if o.sent >= e.cfg.AnnounceNum {
		o.phase, o.next = ownHeld, time.Time{}
	}
}

// announce tells everybody that a is ours, RFC 5227 §2.3 and §3.
func (e *Engine) announce(a netip.Addr) {
	e.stats.AnnouncementsSent++
	p := Packet{Op: OpRequest, SenderIP: a, TargetIP: a}
	if e.cfg.AnnounceReply {
		p.Op, p.TargetMAC = OpReply, ethernet.Broadcast
	}
	e.send(ethernet.Broadcast, p)
}

// answer replies to a request for an own address. An address from 169.254/16
// is answered for by broadcast (RFC 3927 §2.5).
func (e *Engine) answer(p *Packet) {
	if p.SenderIP == p.TargetIP || e.owned(p.TargetIP) == nil && !e.speaksFor(p) {
		return
	}
	dst := p.SenderMAC
	if p.TargetIP.IsLinkLocalUnicast() {
		dst = ethernet.Broadcast
	}
	e.stats.RepliesSent++
	e.send(dst, Packet{Op: OpReply, SenderIP: p.TargetIP, TargetMAC: p.SenderMAC, TargetIP: p.SenderIP})
}

// conflict handles a packet whose sender uses one of our addresses, or probes
// for one that we are probing for (RFC 5227 §2.1.1 and §2.4), and reports
// whether it was one.
func (e *Engine) conflict(now time.Time, h *ethernet.Header, payload []byte, p *Packet, kind Kind) bool {
	var o *ownAddr
	for _, c := range e.own {
		a := c.prefix.Addr()
		if p.SenderIP == a || c.phase == ownProbing && kind == KindProbe && p.TargetIP == a {
			o = c
			break
		}
	}
	if o == nil {
		return false
	}
	a := o.prefix.Addr()
	e.conflicts++
	if o.check { // it is theirs, and what they say is heard like anybody's
		e.lose(o, p.SenderMAC)
		return false
	}
	e.stats.Conflicts++
	c := Change{Op: OpConflict, Key: e.key(a), MAC: p.SenderMAC, Old: e.mac, Evidence: evidence(h, payload, kind)}
	again := !o.defended.IsZero() && now.Sub(o.defended) < e.cfg.DefendInterval
	switch {
	case o.phase == ownProbing:
		c.Rule = "found while probing"
		e.lose(o, p.SenderMAC)
	case e.cfg.Defend == DefendNever, again && (e.cfg.Defend == DefendOnce || a.IsLinkLocalUnicast()): // RFC 3927 §2.5 knows no (c)
		c.Rule = "given up"
		e.lose(o, p.SenderMAC)
	case again:
		c.Rule = "held"
		if now.Sub(o.reported) >= e.cfg.DefendInterval || o.reported.IsZero() {
			o.reported = now
			e.out = append(e.out, Action{Kind: ActConflict, Addr: a, MAC: p.SenderMAC})
		}
	default:
		c.Rule = "defended"
		o.defended = now
		e.stats.Defended++
		e.announce(a)
	}
	e.change(ActRecord, c, now)
	return true
}

// lose gives an own address up to mac.
func (e *Engine) lose(o *ownAddr, mac ethernet.Addr) {
	e.remove(o)
	e.out = append(e.out, Action{Kind: ActConflict, Addr: o.prefix.Addr(), MAC: mac})
}

// source returns the own address to ask for a with: one of the same network,
// else the oldest, else 0.0.0.0.
func (e *Engine) source(a netip.Addr) netip.Addr {
	src := netip.IPv4Unspecified()
	for _, o := range e.own {
		if o.phase == ownProbing {
			continue
		}
		if o.prefix.Contains(a) {
			return o.prefix.Addr()
		}
		if src.IsUnspecified() {
			src = o.prefix.Addr()
		}
	}
	return src
}

// broadcastIP reports whether a is the limited broadcast address, or that of
// one of our networks.
func (e *Engine) broadcastIP(a netip.Addr) bool {
	w := word(a)
	if w == ^uint32(0) {
		return true
	}
	for _, o := range e.own {
		if bits := o.prefix.Bits(); bits <= 30 && o.prefix.Contains(a) {
			host := ^uint32(0) >> bits
			if w&host == host {
				return true
			}
		}
	}
	return false
}

// offLink reports whether a lies outside the networks of our own addresses, as
// far as those say anything (a /32 does not).
func (e *Engine) offLink(a netip.Addr) bool {
	off := false
	for _, o := range e.own {
		if o.prefix.Contains(a) {
			return false
		}
		off = off || o.prefix.Bits() < 32
	}
	return off
}
