package wiresuite

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long something that has to come is awaited. It says nothing
// about the host, only that the machine may be busy.
const patience = 15 * time.Second

// wire is where the suite's frames go in and the host's come out.
type wire interface {
	send(frame []byte) error
	// receive waits for a frame and says when the device saw it. It fails when
	// the wire is closed.
	receive(buf []byte) (n int, at time.Time, err error)
	close()
}

// lan is the network around the host under test: 10.9.0.0/16 with the stations
// of the cases, and a gateway behind which are all other addresses.
type lan struct {
	wire    wire
	host    ip4
	hostMAC mac
	kernel  bool // the host is the kernel
	// newcomer starts another host of the kind, at a wire of its own, where a
	// station has the address taken if that is one; nil where the kernel is judged.
	newcomer func(p *peer, taken ip4) (n *newcomer, stop func())

	mu        sync.Mutex
	stations  map[mac]*peer
	addresses map[ip4]*peer
	last      int
	malformed []string // what the host must never have sent
	broadcast []*packet
}

var (
	hostIP      = ip4{10, 9, 0, 2}
	gatewayIP   = ip4{10, 9, 0, 1}
	subnetBcast = ip4{10, 9, 255, 255}
	gatewayMAC  = mac{2, 9, 0, 0, 0, 1}
)

// newcomer is a host that has just been started.
type newcomer struct {
	lan *lan
	err func() error // why it has ended, nil while it has not
}

func newLAN(w wire, hostMAC mac) *lan {
	l := &lan{wire: w, host: hostIP, hostMAC: hostMAC, stations: map[mac]*peer{}, addresses: map[ip4]*peer{}, last: 256}
	go l.listen()
	return l
}

// listen hands each frame of the host to the stations that would hear it.
func (l *lan) listen() {
	buf := make([]byte, 1<<16+64)
	for {
		n, at, err := l.wire.receive(buf)
		if err != nil {
			return
		}
		p, err := parse(at, append([]byte(nil), buf[:n]...))
		l.mu.Lock()
		if err != nil && len(l.malformed) < 20 {
			l.malformed = append(l.malformed, err.Error())
		}
		var to *peer
		switch {
		case p.dst[0]&1 == 0:
			if to = l.stations[p.dst]; to != nil && p.arp != nil && p.arp.op == 1 && l.addresses[p.arp.tpa] != to {
				to = nil // a question about an address that has moved
			}
			if p.dst == gatewayMAC && p.ip != nil {
				to = l.addresses[p.ip.dst]
			}
		case p.arp != nil && l.addresses[p.arp.tpa] != nil:
			to = l.addresses[p.arp.tpa]
		default:
			l.broadcast = append(l.broadcast, p)
		}
		l.mu.Unlock()
		if p.arp != nil && p.arp.op == 1 && p.arp.tpa == gatewayIP {
			l.send(ether(p.src, gatewayMAC, typeARP, arp{2, gatewayMAC, p.arp.sha, gatewayIP, p.arp.spa}.bytes()))
		}
		if to != nil {
			to.hear(p)
		}
	}
}

func (l *lan) send(frame []byte) error { return l.wire.send(frame) }

// heard copies what the host has sent to all.
func (l *lan) heard() []*packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*packet(nil), l.broadcast...)
}

// peer is one station with an address.
type peer struct {
	lan  *lan
	mac  mac
	ip   ip4
	mute atomic.Bool // does not answer ARP
	n    uint32      // its number, which its pings carry
	rand *rand.Rand
	ping uint32
	port uint16
	note func(direction, text string) // of any goroutine

	mu    sync.Mutex
	inbox []*packet
	wake  chan struct{}
}

// failure is what a case panics with.
type failure struct{ text string }

func (p *peer) fail(format string, a ...any) { panic(failure{fmt.Sprintf(format, a...)}) }

// station makes a peer on the link. note hears of its frames.
func (l *lan) station(note func(direction, text string)) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	n := l.last
	p := &peer{lan: l, note: note, n: uint32(n), mac: mac{2, 9, 0, 1, byte(n >> 8), byte(n)}, ip: ip4{10, 9, byte(n >> 8), byte(n)},
		rand: rand.New(rand.NewPCG(uint64(n), 7)), wake: make(chan struct{}, 1), port: 20000 + uint16(n%251)*100}
	l.stations[p.mac], l.addresses[p.ip] = p, p
	return p
}

// another is a second station of the same case.
func (p *peer) another() *peer { return p.lan.station(p.note) }

// takeAddress gives the station the address of q, which it loses.
func (p *peer) takeAddress(q *peer) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.ip = q.ip
	p.lan.addresses[p.ip] = p
}

// beyond gives the station a further address, behind the gateway.
func (p *peer) beyond(a ip4) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.lan.addresses[a] = p
}

func (p *peer) hear(k *packet) {
	if k.arp != nil && k.arp.op == 1 && !p.mute.Load() { // listen has found that it is about this one
		p.lan.send(ether(k.src, p.mac, typeARP, arp{2, p.mac, k.arp.sha, k.arp.tpa, k.arp.spa}.bytes()))
	}
	p.note("<", k.String())
	p.mu.Lock()
	p.inbox = append(p.inbox, k)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// frame sends a frame as it is.
func (p *peer) frame(f []byte) {
	k, err := parse(time.Now(), f)
	s := k.String()
	if err != nil {
		s = fmt.Sprintf("%s (%v)", s, err)
	}
	p.note(">", s)
	if err := p.lan.send(f); err != nil {
		p.fail("send: %v", err)
	}
}

// arp sends an ARP packet to the host, or to all.
func (p *peer) arp(to mac, a arp) { p.frame(ether(to, p.mac, typeARP, a.bytes())) }

// send sends an IP packet to the host; source and destination default to the
// station's and the host's address.
func (p *peer) send(h ip) { p.sendTo(p.lan.hostMAC, h) }

func (p *peer) sendTo(to mac, h ip) {
	if h.src == (ip4{}) && !h.from0 {
		h.src = p.ip
	}
	if h.dst == (ip4{}) && !h.to0 {
		h.dst = p.lan.host
	}
	if h.id == 0 {
		h.id = uint16(p.rand.Uint32()) | 1
	}
	p.frame(ether(to, p.mac, typeIP, h.bytes()))
}

// try waits up to d for a packet that matches, and drops those before it.
func (p *peer) try(d time.Duration, match func(*packet) bool) *packet {
	end := time.Now().Add(d)
	for {
		p.mu.Lock()
		for len(p.inbox) > 0 {
			k := p.inbox[0]
			p.inbox = p.inbox[1:]
			if match(k) {
				p.mu.Unlock()
				return k
			}
		}
		p.mu.Unlock()
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		t := time.NewTimer(left)
		select {
		case <-p.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// expect waits for a packet that matches; there has to be one.
func (p *peer) expect(what string, match func(*packet) bool) *packet {
	k := p.try(patience, match)
	if k == nil {
		p.fail("no %s", what)
	}
	return k
}

// fence sends a ping and returns all that came before its answer and a moment
// after it: what the host does at once is among it.
func (p *peer) fence() []*packet {
	p.ping++
	seq := p.n<<16 | 0x8000 | p.ping
	p.send(ip{proto: protoICMP, payload: icmp{typ: 8, rest: seq, data: []byte("fence")}.bytes()})
	var got []*packet
	isEcho := func(k *packet) bool { return k.icmp != nil && k.icmp.typ == 0 && k.icmp.rest == seq }
	if p.try(patience, func(k *packet) bool {
		if isEcho(k) {
			return true
		}
		got = append(got, k)
		return false
	}) == nil {
		p.fail("the host answers no ping any more")
	}
	p.try(40*time.Millisecond, func(k *packet) bool { got = append(got, k); return false })
	return got
}

// none demands that nothing that matches has come when a later ping is answered.
func (p *peer) none(what string, match func(*packet) bool) {
	for _, k := range p.fence() {
		if match(k) {
			p.fail("%s: %v", what, k)
		}
	}
}

// quiet waits d and demands that nothing that matches came.
func (p *peer) quiet(d time.Duration, what string, match func(*packet) bool) {
	if k := p.try(d, match); k != nil {
		p.fail("%s: %v", what, k)
	}
}

// sleep passes time in which the station drops what it hears.
func (p *peer) sleep(d time.Duration) { p.try(d, func(*packet) bool { return false }) }

// Matchers.

func anyIP(k *packet) bool  { return k.ip != nil }
func anyTCP(k *packet) bool { return k.tcp != nil }
func anyError(k *packet) bool {
	return k.icmp != nil && k.icmp.typ >= 3 && k.icmp.typ <= 12 && k.icmp.typ != 8
}

func isICMP(typ, code byte) func(*packet) bool {
	return func(k *packet) bool { return k.icmp != nil && k.icmp.typ == typ && k.icmp.code == code }
}

func isARPReply(k *packet) bool { return k.arp != nil && k.arp.op == 2 }

func arpRequestFor(a ip4) func(*packet) bool {
	return func(k *packet) bool { return k.arp != nil && k.arp.op == 1 && k.arp.tpa == a }
}
