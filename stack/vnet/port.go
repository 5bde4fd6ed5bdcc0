package vnet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// PortConfig configures a port. Only Name is required.
type PortConfig struct {
	// Name is unique within the switch; it names the port in statistics,
	// captures and partitions and takes part in seeding.
	Name string
	// Addr is the station's MAC address; when zero, a locally administered one
	// is derived from the switch's seed and Name. Delivery does not depend on
	// it: like a promiscuous card, a port hands over all that reaches it.
	Addr ethernet.Addr
	// MTU in octets, 68 to 65535 (default 1500). Larger packets for the
	// station are dropped.
	MTU int
	// Ingress impairs what the station sends, Egress what it receives.
	Ingress, Egress Impairment
	// QueueFrames and QueueBytes bound what has arrived and is not read yet
	// (default 1024 frames, 8 MiB).
	QueueFrames, QueueBytes int
	// Offload gives the station a card with checksum and segmentation offload:
	// descriptors travel from offloading port to offloading port as they are,
	// and the switch finishes frames for everybody else.
	Offload bool
}

// Defaults of PortConfig.
const (
	DefaultMTU         = 1500
	DefaultQueueFrames = 1024
	DefaultQueueBytes  = 8 << 20
)

// Direction is one way through a port's cable, seen from the switch.
type Direction uint8

const (
	Ingress Direction = iota // from the station into the switch
	Egress                   // from the switch to the station
)

const offloads = link.CapTxChecksum | link.CapRxChecksum | link.CapTSO4 | link.CapTSO6 | link.CapGRO

func (c *PortConfig) check() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("%w: it has no name", ErrPortConfig)
	case !c.Addr.IsZero() && !c.Addr.IsStation():
		return fmt.Errorf("%w: port %q: %v is a group address", ErrPortConfig, c.Name, c.Addr)
	case c.MTU != 0 && (c.MTU < 68 || c.MTU > 65535):
		return fmt.Errorf("%w: port %q: MTU %d, want 68 to 65535", ErrPortConfig, c.Name, c.MTU)
	case c.QueueFrames < 0 || c.QueueBytes < 0:
		return fmt.Errorf("%w: port %q: negative queue", ErrPortConfig, c.Name)
	}
	if err := c.Ingress.check(); err != nil {
		return fmt.Errorf("%w: port %q: ingress: %w", ErrPortConfig, c.Name, err)
	}
	if err := c.Egress.check(); err != nil {
		return fmt.Errorf("%w: port %q: egress: %w", ErrPortConfig, c.Name, err)
	}
	return nil
}

// Port is the station's side of a switch port, a link.Device.
type Port struct {
	sw    *Switch
	info  link.Info
	takes link.Caps // descriptors that the station can take
	rand  *rand.Rand
	bell  chan struct{} // capacity 1

	// Guarded by sw.mu.
	in, out cable
	down    bool
	group   int
	gone    bool
	tx      Counters
	streams map[*Port]*rand.Rand // for frames from each port

	mu     sync.Mutex
	q      queue
	rx     Counters
	woken  bool
	closed bool

	timer *time.Timer // of Wait's goroutine
}

var _ link.Device = (*Port)(nil)

// Info implements link.Device.
func (p *Port) Info() link.Info { return p.info }

// WriteFrames implements link.Device: the frames enter the switch.
func (p *Port) WriteFrames(fs []link.Frame) (int, error) {
	s := p.sw
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.advance(now)
	for i := range fs {
		if p.gone {
			return i, link.ErrClosed
		}
		if err := p.fits(&fs[i]); err != nil {
			return i, err
		}
		s.enter(p, &fs[i], now)
	}
	return len(fs), nil
}

// fits checks f as a card's driver would.
func (p *Port) fits(f *link.Frame) error {
	var need link.Caps
	switch f.GSO.Type {
	case link.GSOTCP4:
		need = link.CapTSO4
	case link.GSOTCP6:
		need = link.CapTSO6
	default:
		if n := f.Len(); n > p.info.MTU+ethernet.HeaderLen && n > p.info.MTU+headerLen(f.Head) {
			return fmt.Errorf("%w: port %s: %d octets, MTU %d", link.ErrTooBig, p.info.Name, n, p.info.MTU)
		}
		return nil
	}
	if !p.info.Caps.Has(need) {
		return fmt.Errorf("%w: port %s has no segmentation offload", link.ErrTooBig, p.info.Name)
	}
	return nil
}

// ReadFrames implements link.Device.
func (p *Port) ReadFrames(fs []link.Frame) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, link.ErrClosed
	}
	p.q.arrive(time.Now(), &p.rx)
	for n < len(fs) && p.q.pop(&fs[n]) {
		n++
	}
	return n, nil
}

// Wait implements link.Device. It blocks on a channel and a timer only.
func (p *Port) Wait(deadline time.Time) error {
	for {
		now := time.Now()
		until, err := p.idle(now)
		if err != nil || until.IsZero() {
			return err
		}
		if !deadline.IsZero() && deadline.Before(until) {
			until = deadline
		}
		if !until.After(now) {
			return nil
		}
		if !p.sleep(now, until) && until == deadline {
			return nil
		}
	}
}

// never is later than any deadline in use.
var never = time.Unix(1<<40, 0)

// idle returns until when there is nothing to do, never at the latest; zero
// when Wait must return at once.
func (p *Port) idle(now time.Time) (until time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return time.Time{}, link.ErrClosed
	}
	p.q.arrive(now, &p.rx)
	if p.woken || p.q.n > 0 {
		p.woken = false
		return time.Time{}, nil
	}
	if next := p.q.flight.next(); !next.IsZero() {
		return next, nil
	}
	return never, nil
}

// sleep returns true when the bell rang and false when until has passed.
func (p *Port) sleep(now, until time.Time) bool {
	if until == never {
		<-p.bell
		return true
	}
	if p.timer == nil {
		p.timer = time.NewTimer(until.Sub(now))
	} else {
		p.timer.Reset(until.Sub(now))
	}
	select {
	case <-p.bell:
		p.timer.Stop()
		return true
	case <-p.timer.C:
		return false
	}
}

// Wake implements link.Device.
func (p *Port) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.woken = true
	p.ring()
}

// ring makes Wait look again.
func (p *Port) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// Close implements link.Device: the port leaves the switch, and its name may be
// used again.
func (p *Port) Close() error {
	s := p.sw
	s.mu.Lock()
	if !p.gone {
		p.gone = true
		s.ports = slices.DeleteFunc(s.ports, func(o *Port) bool { return o == p })
		s.table.forget(p)
		for _, o := range s.ports {
			delete(o.streams, p)
		}
	}
	s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.q = queue{}
	p.ring()
	return nil
}

// SetImpairment replaces the impairment of one direction. Frames on their way
// keep their arrival; later ones do not overtake them.
func (p *Port) SetImpairment(d Direction, im Impairment) error {
	if err := im.check(); err != nil {
		return fmt.Errorf("port %s: %w", p.info.Name, err)
	}
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	c := &p.in
	if d == Egress {
		c = &p.out
	}
	*c = cable{Impairment: im, last: c.last}
	return nil
}

// SetUp plugs or unplugs the cable. While it is unplugged, frames of both
// directions are dropped and counted; frames that have arrived stay readable.
func (p *Port) SetUp(up bool) {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	p.down = !up
}

// Stats returns a snapshot of the counters.
func (p *Port) Stats() Stats {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.q.arrive(time.Now(), &p.rx)
	return Stats{Tx: p.tx, Rx: p.rx}
}

// count changes the receive counters.
func (p *Port) count(f func(*Counters)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.rx)
}
