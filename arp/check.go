package arp

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
)

// Check probes for an address as RFC 5227 §2.1.1 says, without taking it: an
// ActFree or an ActConflict will follow, after at most ProbeWait, ProbeNum times
// ProbeMax and AnnounceWait, later when there were many conflicts. It reports
// false, and nothing follows, for what no single station can have and for our
// own addresses.
func (e *Engine) Check(now time.Time, a netip.Addr) bool {
	if !a.Is4() || a.IsUnspecified() || a.IsMulticast() || e.broadcastIP(a) {
		return false
	}
	for _, o := range e.own {
		if o.prefix.Addr() == a {
			return o.check
		}
	}
	o := &ownAddr{prefix: netip.PrefixFrom(a, 32), check: true}
	e.own = append(e.own, o)
	e.attempt(o, now)
	return true
}

// attempt begins to probe for o: at once but for the random delay, or, after
// MaxConflicts conflicts, RateLimitInterval after the last attempt.
func (e *Engine) attempt(o *ownAddr, now time.Time) {
	start := now
	if e.conflicts >= e.cfg.MaxConflicts {
		start = later(now, e.attempted.Add(e.cfg.RateLimitInterval))
	}
	e.attempted = start
	o.next = start.Add(e.random(0, e.pace(o).wait))
}

// pace is when to probe: before the first probe, between probes, after the last.
type pace struct{ wait, least, most, after time.Duration }

// linkLocalPace are the constants of RFC 3927 §9.
var linkLocalPace = pace{time.Second, time.Second, 2 * time.Second, 2 * time.Second}

// pace returns the times for o's address. No configuration makes those of a
// link-local one shorter, which nobody but these probes has checked.
func (e *Engine) pace(o *ownAddr) pace {
	c := &e.cfg
	p := pace{c.ProbeWait, c.ProbeMin, c.ProbeMax, c.AnnounceWait}
	if o.prefix.Addr().IsLinkLocalUnicast() {
		l := linkLocalPace
		p = pace{max(p.wait, l.wait), max(p.least, l.least), max(p.most, l.most), max(p.after, l.after)}
	}
	return p
}

// InUse probes for an address that is not ours yet and reports whether another
// station has it: the question that a DHCP client asks before it uses what it
// was offered (RFC 2131 §2.2 and §4.4.1). It takes four to seven seconds when
// nobody answers. It is false when ctx ends first, or the Service is closed.
func (s *Service) InUse(ctx context.Context, a netip.Addr) bool {
	mac, err := s.Check(ctx, a)
	return err == nil && !mac.IsZero()
}

// Check probes for an address that is not ours yet and returns which station has
// it, the zero address for none (RFC 5227 §2.1.1). It takes as long as Engine.Check
// says when nobody answers. The error is ErrNotNeighbor for what no single station
// can have and for our own addresses, ErrClosed, or that of ctx.
func (s *Service) Check(ctx context.Context, a netip.Addr) (ethernet.Addr, error) {
	answer := make(chan ethernet.Addr, 1)
	err := ErrClosed
	s.command(func(e *Engine, now time.Time) {
		if err = nil; !e.Check(now, a) {
			err = ErrNotNeighbor
			return
		}
		s.checks[a] = append(s.checks[a], answer)
	})
	if err != nil {
		return ethernet.Addr{}, err
	}
	select {
	case mac := <-answer:
		return mac, nil
	case <-s.stop:
		return ethernet.Addr{}, ErrClosed
	case <-ctx.Done():
		return ethernet.Addr{}, ctx.Err()
	}
}

// checked tells those who wait for a check; mu is held. It reports whether there
// were any.
func (s *Service) checked(a netip.Addr, mac ethernet.Addr) bool {
	waiting := s.checks[a]
	delete(s.checks, a)
	for _, c := range waiting {
		c <- mac // has room
	}
	return len(waiting) > 0
}

// linkLocal is the network of RFC 3927. Its first and last 256 addresses are
// reserved (§2.1).
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

// LinkLocal returns an address of 169.254/16 that nobody uses, with its network,
// for the caller to add to the interface (RFC 3927 §2.1 and §2.2). Candidates
// come from the MAC address, so that a station tends to have the same one
// again. The error is that of ctx, or ErrClosed.
func (s *Service) LinkLocal(ctx context.Context) (netip.Prefix, error) {
	var mac ethernet.Addr
	s.command(func(e *Engine, _ time.Time) { mac = e.mac })
	r := linkLocalSource(mac)
	for {
		a := linkLocalPick(r)
		owner, err := s.Check(ctx, a)
		switch {
		case err != nil && !errors.Is(err, ErrNotNeighbor):
			return netip.Prefix{}, err
		case err == nil && owner.IsZero():
			return netip.PrefixFrom(a, linkLocal.Bits()), nil
		}
	}
}

// linkLocalSource returns the random numbers that a MAC address stands for.
func linkLocalSource(mac ethernet.Addr) *rand.Rand {
	var seed [8]byte
	copy(seed[2:], mac[:])
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:]), 3927))
}

// linkLocalPick draws an address from 169.254.1.0 to 169.254.254.255.
func linkLocalPick(r *rand.Rand) netip.Addr {
	v := 256 + r.IntN(1<<16-512)
	return netip.AddrFrom4([4]byte{169, 254, byte(v >> 8), byte(v)})
}
