package tcp_test

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/tracecheck"
	"arpeggio/stack/checksum"
	"arpeggio/stack/tcp"
)

// pair is two machines, each with a clock and a user of its own, over a wire
// that loses, delays, doubles, damages and forges. What each of them sends is
// checked against the specification.
type pair struct {
	t      *testing.T
	seed   uint64
	rng    *rand.Rand
	now    tcp.Instant // of the wire
	events pairEvents
	n      int
	ends   [2]*pairEnd
	log    []string
}

// pairEnd is one host.
type pairEnd struct {
	p     *pair
	i     int
	conn  *tcp.Conn
	cfg   tcp.Config
	pool  *tcp.Pool
	check *tracecheck.Checker
	ahead time.Duration // how far its clock is ahead of the wire's
	wire  pairWire
	gso   int
	user  pairUser
	tick  tcp.Instant
	refs  int
	want  []byte // what was written
	got   []byte
	over  bool
	less  bool // the receive buffer was made smaller than what is advertised
}

// pairWire is what happens to what an end sends.
type pairWire struct {
	delay, jitter           time.Duration
	loss, dup, damage, hide float64
	darkFrom, darkTo        tcp.Instant // nothing gets through
}

type pairEvent struct {
	at  tcp.Instant
	n   int
	to  int
	pkt []byte // nil: a timer
	act func() // of the user
}

type pairEvents []pairEvent

func (h pairEvents) Len() int { return len(h) }
func (h pairEvents) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}
func (h pairEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *pairEvents) Push(x any)   { *h = append(*h, x.(pairEvent)) }
func (h *pairEvents) Pop() any {
	o := *h
	e := o[len(o)-1]
	*h = o[:len(o)-1]
	return e
}

func (p *pair) push(e pairEvent) {
	p.n++
	e.n = p.n
	heap.Push(&p.events, e)
}

// chance is true once in n times.
func (p *pair) chance(n int) bool { return p.rng.IntN(n) == 0 }

// upTo returns a duration below d, short ones more often than long ones.
func (p *pair) upTo(d time.Duration) time.Duration {
	f := p.rng.Float64()
	return time.Duration(f * f * f * float64(d))
}

func (p *pair) fatal(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\nto replay: SEED=%d go test -run '^%s$' ./stack/tcp\n%s", fmt.Sprintf(format, args...), p.seed,
		strings.Split(p.t.Name(), "/")[0], strings.Join(p.log, "\n"))
}

func (p *pair) note(format string, args ...any) {
	if len(p.log) >= 120 {
		p.log = append(p.log[:0], p.log[40:]...)
	}
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// clock returns the host's time.
func (e *pairEnd) clock() tcp.Instant { return e.p.now.Add(e.ahead) }

func (e *pairEnd) allow(err error) {
	e.p.t.Helper()
	if err != nil {
		e.p.fatal("end %d: %v", e.i, err)
	}
}

// send puts one segment on the wire, cut as a device would.
func (e *pairEnd) send(seg *tcp.Segment) bool {
	tcp.CheckSize(e.p.t, seg, int(e.cfg.MSS), e.gso)
	var all []byte
	for _, p := range seg.Data {
		all = append(all, p...)
	}
	size := len(all)
	if seg.GSOSize > 0 {
		size = int(seg.GSOSize)
	}
	for {
		cut := *seg
		n := min(len(all), size)
		cut.GSOSize, cut.Data, cut.Payload = 0, nil, all[:n]
		if all = all[n:]; len(all) > 0 {
			cut.Flags &^= tcp.FIN | tcp.PSH
		}
		e.p.note("%v %d sends %v", time.Duration(e.clock()), e.i, &cut)
		e.allow(e.check.Sent(time.Duration(e.clock()), &cut))
		e.carry(&cut)
		seg.Seq = seg.Seq.Add(n)
		seg.Flags &^= tcp.CWR
		if len(all) == 0 {
			return true
		}
	}
}

// sum fills the checksum in.
func (e *pairEnd) sum(pkt []byte) uint16 {
	return checksum.Checksum(checksum.Sum(pkt, checksum.Pseudo(e.cfg.Local.Addr(), e.cfg.Remote.Addr(), 6, len(pkt))))
}

// carry is the way to the other end.
func (e *pairEnd) carry(seg *tcp.Segment) {
	p, w := e.p, &e.wire
	pkt := append(seg.AppendHeader(nil), seg.Payload...)
	binary.BigEndian.PutUint16(pkt[tcp.ChecksumOffset:], e.sum(pkt))
	pkt = append(pkt, seg.Mark) // stands for the IP header's
	if seg.Mark != 0 && p.rng.Float64() < 0.05 {
		pkt[len(pkt)-1] = tcp.CE
	}
	if p.rng.Float64() < w.loss || p.now >= w.darkFrom && p.now < w.darkTo {
		return
	}
	copies := 1
	if p.rng.Float64() < w.dup {
		copies = 2 + p.rng.IntN(2)
	}
	for range copies {
		at := p.now.Add(w.delay)
		if w.jitter > 0 {
			at = at.Add(p.upTo(w.jitter))
		}
		b := append([]byte(nil), pkt...)
		if p.rng.Float64() < w.damage {
			b[p.rng.IntN(len(b)-1)] ^= byte(1 + p.rng.IntN(255)) // one octet: a sum finds that
		}
		p.push(pairEvent{at: at, to: 1 - e.i, pkt: b})
	}
	if p.rng.Float64() < w.hide {
		p.forge(e, seg)
	}
}

// forge sends what somebody would who does not see the connection: a reset, a
// SYN or an old acknowledgment, with numbers that are only near.
func (p *pair) forge(e *pairEnd, seg *tcp.Segment) {
	f := tcp.Segment{SrcPort: seg.SrcPort, DstPort: seg.DstPort, Seq: seg.Seq, Ack: seg.Ack, Window: seg.Window, Options: seg.Options}
	f.Options.NSACK = 0
	near := func() int { return p.rng.IntN(1<<(4+p.rng.IntN(18))) - p.rng.IntN(1<<16) }
	switch p.rng.IntN(4) {
	case 0:
		f.Flags, f.Seq = tcp.RST, seg.Seq.Add(near())
	case 1:
		f.Flags, f.Seq = tcp.SYN, seg.Seq.Add(near())
	case 2:
		f.Flags, f.Seq = tcp.SYN|tcp.ACK, seg.Seq.Add(near())
	case 3: // acknowledges what was never sent
		f.Flags, f.Ack = tcp.ACK, seg.Ack.Add(1<<30+near())
	}
	pkt := f.AppendHeader(nil)
	binary.BigEndian.PutUint16(pkt[tcp.ChecksumOffset:], e.sum(pkt))
	p.push(pairEvent{at: p.now.Add(p.upTo(2 * e.wire.delay)), to: 1 - e.i, pkt: append(pkt, 0)})
}

// arrive takes a packet, as a stack does: damaged ones are dropped, a SYN makes
// a connection, what belongs to none is answered with a reset.
func (e *pairEnd) arrive(pkt []byte) {
	mark := pkt[len(pkt)-1]
	pkt = pkt[:len(pkt)-1]
	if e.p.ends[1-e.i].sum(pkt) != 0 {
		return
	}
	seg, err := tcp.ParseSegment(pkt)
	if err != nil || seg.SrcPort != e.cfg.Remote.Port() || seg.DstPort != e.cfg.Local.Port() {
		return
	}
	seg.Mark = mark
	e.p.note("%v %d gets %v", time.Duration(e.clock()), e.i, &seg)
	e.allow(e.check.Received(time.Duration(e.clock()), &seg))
	switch {
	case e.conn != nil && !e.conn.Done():
		e.conn.Input(e.clock(), &seg)
	case e.conn == nil && e.user.listens && !e.over && seg.Flags&(tcp.SYN|tcp.ACK|tcp.RST|tcp.FIN) == tcp.SYN:
		e.conn = tcp.NewPassive(e.cfg, &seg, e.clock())
	default:
		if r, ok := tcp.ResetFor(&seg); ok {
			e.send(&r)
		}
	}
}

// serve lets the machine emit, and comes back when it wants to.
func (e *pairEnd) serve() {
	if e.conn == nil {
		return
	}
	if e.conn.Done() {
		e.read(1 << 30)
		e.over = true
		return
	}
	e.user.reads()
	e.conn.Output(e.clock(), e.gso, e.send)
	if !e.less {
		tcp.CheckInvariants(e.p.t, e.conn)
	}
	if e.refs < 0 {
		e.p.fatal("end %d: released twice", e.i)
	}
	if d := e.conn.Deadline(); d != 0 {
		if at := max(d.Add(-e.ahead), e.p.now+1); e.tick <= e.p.now || at < e.tick {
			e.tick = at
			e.p.push(pairEvent{at: at, to: e.i})
		}
	}
	if e.conn.Done() {
		e.read(1 << 30)
		e.over = true
	}
}

// jump puts the host's clock forward.
func (e *pairEnd) jump(d time.Duration) {
	e.p.note("%v %d jumps %v", time.Duration(e.clock()), e.i, d)
	e.ahead += d
	e.check.Jump(d)
}

// buffer changes the receive buffer.
func (e *pairEnd) buffer(n int) {
	e.less = true
	e.conn.SetReceiveBuffer(n)
}

func (e *pairEnd) read(most int) {
	buf := make([]byte, 16<<10)
	for most > 0 {
		n, err := e.conn.Read(buf[:min(most, len(buf))])
		e.got, most = append(e.got, buf[:n]...), most-n
		if n == 0 || err != nil {
			return
		}
	}
}

// run goes on until both ends are over, or nothing is left that could happen.
func (p *pair) run(limit time.Duration) {
	p.t.Helper()
	for len(p.events) > 0 && !(p.ends[0].over && (p.ends[1].over || p.ends[1].conn == nil)) {
		ev := heap.Pop(&p.events).(pairEvent)
		p.now = max(p.now, ev.at)
		if time.Duration(p.now) > limit {
			break
		}
		e := p.ends[ev.to]
		switch {
		case ev.pkt != nil:
			e.arrive(ev.pkt)
		case ev.act != nil:
			ev.act()
		}
		e.serve()
	}
	for _, e := range p.ends {
		switch {
		case e.conn == nil:
		case !e.over:
			p.fatal("end %d is in %v for ever, at %v: %+v", e.i, e.conn.State(), time.Duration(p.now), e.conn.Info())
		case e.pool.Lent() != 0 || e.refs != 0:
			p.fatal("end %d: %d octets of memory and %d references are not given back", e.i, e.pool.Lent(), e.refs)
		case e.conn.Deadline() != 0:
			p.fatal("end %d: closed, and a timer runs", e.i)
		}
	}
}

// newPair makes two hosts with options, buffers and timers at random.
func newPair(t *testing.T, seed uint64) *pair {
	p := &pair{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), now: 1}
	a, b := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")
	for i := range p.ends {
		e := &pairEnd{p: p, i: i, pool: new(tcp.Pool), ahead: p.upTo(1000 * time.Hour)}
		e.user.e = e
		p.ends[i] = e
		c := &e.cfg
		*c = tcp.Config{
			Local: a, Remote: b, Pool: e.pool, MSS: uint16(100 + p.rng.IntN(1361)),
			ISS: tcp.Seq(p.rng.Uint32()), TSOffset: p.rng.Uint32(),
			NoSACK: p.chance(4), NoTimestamps: p.chance(4), NoWindowScale: p.chance(4), NoDelay: p.chance(2),
			ECN: tcp.ECN(p.rng.IntN(3)), QuickAcks: p.rng.IntN(17) * p.rng.IntN(2),
			UserTimeout: 100 * time.Hour, ConnectTimeout: 100 * time.Hour,
			TimeWait: time.Hour, // or a peer that has lost many acknowledgments comes too late
		}
		a, b = b, a
		if p.chance(3) {
			c.CongestionControl = new(tcp.Reno)
		}
		if p.chance(2) {
			c.RcvBuf = 300 + p.rng.IntN(200_000)
		}
		if p.chance(3) {
			c.SndBuf = 300 + p.rng.IntN(200_000)
		}
		if p.chance(3) {
			e.gso = 1 + p.rng.IntN(65_000)
		}
		check := tracecheck.Config{LeastMSS: 48, Allow: func(v *tracecheck.Violation) bool {
			// What is given up in CLOSING or LAST-ACK ends without a reset
			// (RFC 9293 §3.10.5): a trace does not show it.
			return v.Rule == tracecheck.NoRetransmit && e.conn != nil && e.conn.Done() ||
				v.Rule == tracecheck.ProbeInterval && e.user.hurry // nor does it show the user timeout
		}}
		if p.chance(4) {
			c.MinRTO = 50*time.Millisecond + p.upTo(2*time.Second)
			check.MinRTO = c.MinRTO
		}
		if p.chance(6) {
			e.pool.Limit = 40_000 + p.rng.IntN(400_000)
			check.MayDrop = true
		}
		e.check = tracecheck.New(check)
		e.wire = pairWire{delay: time.Millisecond + p.upTo(300*time.Millisecond), jitter: p.upTo(50 * time.Millisecond)}
		if p.chance(2) {
			e.wire.jitter = 0
		}
	}
	return p
}
