package arptest

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Resolver is what the suite judges: the methods that package stack calls.
type Resolver interface {
	AttachLink(name string, addr ethernet.Addr, vlan ethernet.VLAN, mtu int,
		send func(dst ethernet.Addr, t ethernet.EtherType, payload []byte) error)
	Resolve(addr netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool)
	EtherTypes() []ethernet.EtherType
	HandleFrame(h ethernet.Header, payload []byte, at time.Time)
	AddressAdded(p netip.Prefix, conflict func(netip.Addr, ethernet.Addr))
	AddressRemoved(a netip.Addr)
	Close() error
}

// Hub is a wire: every frame reaches every other port that it is addressed to.
type Hub struct {
	mu    sync.Mutex
	ports []*Port
}

// Port is a place on a Hub, with a resolver behind it or only the test.
type Port struct {
	hub  *Hub
	MAC  ethernet.Addr
	r    Resolver
	mu   sync.Mutex
	sent []Frame // by the resolver
	got  []Frame // for a port without resolver: what arrived
}

// Frame is an ARP frame on the wire.
type Frame struct {
	Dst, Src ethernet.Addr
	Packet   arp.Packet
	At       time.Time
}

// Join plugs a resolver with its MAC address in; a nil resolver makes a port
// that only the test speaks through.
func (h *Hub) Join(r Resolver, mac ethernet.Addr) *Port {
	p := &Port{hub: h, MAC: mac, r: r}
	h.mu.Lock()
	h.ports = append(h.ports, p)
	h.mu.Unlock()
	if r != nil {
		r.AttachLink("eth0", mac, ethernet.VLAN{}, 1500, p.send)
	}
	return p
}

func (p *Port) send(dst ethernet.Addr, t ethernet.EtherType, payload []byte) error {
	hdr := ethernet.Header{Dst: dst, Src: p.MAC, Type: t}
	frame := append(hdr.AppendTo(nil), payload...)
	for len(frame) < 60 { // as a wire pads it
		frame = append(frame, 0)
	}
	pkt, err := arp.Parse(payload)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.sent = append(p.sent, Frame{dst, p.MAC, pkt, time.Now()})
	p.mu.Unlock()
	p.hub.carry(p, frame)
	return nil
}

// Say sends a packet in a frame from the port's MAC address.
func (p *Port) Say(dst ethernet.Addr, pkt arp.Packet) {
	hdr := ethernet.Header{Dst: dst, Src: p.MAC, Type: ethernet.TypeARP}
	p.Raw(pkt.AppendTo(hdr.AppendTo(nil)))
}

// Raw sends any octets as a frame.
func (p *Port) Raw(frame []byte) { p.hub.carry(p, frame) }

// carry delivers a frame: as a network card does, only to whom it is addressed,
// and by EtherType.
func (h *Hub) carry(from *Port, frame []byte) {
	hdr, payload, err := ethernet.Parse(frame)
	if err != nil {
		return
	}
	h.mu.Lock()
	ports := append([]*Port(nil), h.ports...)
	h.mu.Unlock()
	for _, p := range ports {
		switch {
		case p == from:
		case p.r == nil:
			if pkt, err := arp.Parse(payload); err == nil {
				p.mu.Lock()
				p.got = append(p.got, Frame{hdr.Dst, hdr.Src, pkt, time.Now()})
				p.mu.Unlock()
			}
		case hdr.Dst == p.MAC || hdr.Dst.IsMulticast():
			for _, t := range p.r.EtherTypes() {
				if t == hdr.Type {
					p.r.HandleFrame(hdr, payload, time.Now())
				}
			}
		}
	}
}

// Sent returns, and forgets, what the port's resolver has sent.
func (p *Port) Sent() []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.sent
	p.sent = nil
	return out
}

// Got returns, and forgets, what arrived at a port without resolver.
func (p *Port) Got() []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.got
	p.got = nil
	return out
}

// Query is a resolution under way.
type Query struct {
	t    *testing.T
	addr netip.Addr
	mu   sync.Mutex
	n    int
	mac  ethernet.Addr
	err  error
	at   time.Time
}

// Ask resolves addr at the port's resolver. A hit counts as an answer too.
func (p *Port) Ask(t *testing.T, addr netip.Addr) *Query {
	t.Helper()
	q := &Query{t: t, addr: addr}
	if mac, ok := p.r.Resolve(addr, q.done); ok {
		q.done(addr, mac, nil)
	}
	return q
}

func (q *Query) done(a netip.Addr, mac ethernet.Addr, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a != q.addr {
		q.t.Errorf("asked for %v, called back for %v", q.addr, a)
	}
	if q.n++; q.n > 1 {
		q.t.Errorf("called back %d times for %v", q.n, a)
	}
	q.mac, q.err, q.at = mac, err, time.Now()
}

// Answered reports whether the resolution is over, and how.
func (q *Query) Answered() (mac ethernet.Addr, err error, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mac, q.err, q.n > 0
}
