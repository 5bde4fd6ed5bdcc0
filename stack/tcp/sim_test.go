package tcp

import (
	"bytes"
	"container/heap"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

var (
	addrA = netip.MustParseAddrPort("10.0.0.1:1000")
	addrB = netip.MustParseAddrPort("10.0.0.2:80")
)

// impairment is what a simulated wire does to segments in one direction.
type impairment struct {
	delay   time.Duration
	jitter  time.Duration // uniform, on top of delay: reorders
	loss    float64
	dup     float64
	rate    int // octets per second; 0 is unlimited
	dropNth func(n int, s *Segment) bool
}

// sim runs two machines over an impaired wire in virtual time.
type sim struct {
	t      *testing.T
	now    Instant
	rng    *rand.Rand
	events simEvents
	ends   [2]*simEnd
	steps  int
	gso    int
	trace  bool
}

// simEnd is one host: a machine, what its user wants to do, what it has read.
type simEnd struct {
	conn    *Conn
	cfg     Config
	imp     impairment
	sent    int
	busy    Instant // when the wire is free again
	want    []byte  // still to be written
	got     []byte
	closeW  bool // close when everything is written
	eof     bool
	err     error
	readCap int           // most octets per read step; 0 is all
	readGap time.Duration // between reads when readCap is set
	nextRd  Instant
	tick    Instant
	listen  bool
}

type simEvent struct {
	at  Instant
	n   int
	to  int
	pkt []byte // nil: a timer
}

type simEvents []simEvent

func (h simEvents) Len() int { return len(h) }
func (h simEvents) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}
func (h simEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *simEvents) Push(x any)   { *h = append(*h, x.(simEvent)) }
func (h *simEvents) Pop() any {
	o := *h
	e := o[len(o)-1]
	*h = o[:len(o)-1]
	return e
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, now: 1, rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range s.ends {
		s.ends[i] = &simEnd{imp: impairment{delay: 10 * time.Millisecond}}
	}
	a, b := s.ends[0], s.ends[1]
	a.cfg = Config{Local: addrA, Remote: addrB, MSS: 1460, ISS: 0xffff_f000}
	b.cfg = Config{Local: addrB, Remote: addrA, MSS: 1460, ISS: 0x7fff_f000}
	b.listen = true
	return s
}

func (s *sim) both(f func(e *simEnd)) {
	for _, e := range s.ends {
		f(e)
	}
}

// push schedules an event.
func (s *sim) push(at Instant, to int, pkt []byte) {
	s.steps++
	heap.Push(&s.events, simEvent{at, s.steps, to, pkt})
}

// send puts one wire segment on the wire of end i.
func (s *sim) send(i int, seg *Segment) {
	e := s.ends[i]
	e.sent++
	pkt := seg.AppendHeader(nil)
	if len(pkt)%4 != 0 || len(pkt) > MaxHeaderLen {
		s.t.Fatalf("header of %d octets", len(pkt))
	}
	for _, p := range seg.Data {
		pkt = append(pkt, p...)
	}
	if s.trace {
		s.t.Logf("%v %d: %v", time.Duration(s.now), i, seg)
	}
	if e.imp.dropNth != nil && e.imp.dropNth(e.sent, seg) || s.rng.Float64() < e.imp.loss {
		return
	}
	copies := 1
	if s.rng.Float64() < e.imp.dup {
		copies = 2
	}
	e.busy = max(e.busy, s.now)
	if e.imp.rate > 0 {
		e.busy = e.busy.Add(time.Duration(len(pkt)+20) * time.Second / time.Duration(e.imp.rate))
	}
	for range copies {
		at := e.busy.Add(e.imp.delay)
		if e.imp.jitter > 0 {
			at = at.Add(time.Duration(s.rng.Int64N(int64(e.imp.jitter))))
		}
		s.push(at, 1-i, pkt)
	}
}

// emit cuts super-segments as a device would.
func (s *sim) emit(i int) func(*Segment) bool {
	return func(seg *Segment) bool {
		checkSize(s.t, seg, 1460, s.gso)
		if seg.GSOSize == 0 {
			s.send(i, seg)
			return true
		}
		var all []byte
		for _, p := range seg.Data {
			all = append(all, p...)
		}
		for len(all) > 0 {
			cut := *seg
			n := min(len(all), int(seg.GSOSize))
			cut.Data = [][]byte{all[:n]}
			all = all[n:]
			if len(all) > 0 {
				cut.Flags &^= FIN | PSH
			}
			s.send(i, &cut)
			seg.Seq = seg.Seq.Add(n)
		}
		return true
	}
}

// serve lets the user of end i read, write and close, and the machine emit.
func (s *sim) serve(i int) {
	e := s.ends[i]
	c := e.conn
	if c == nil {
		return
	}
	buf := make([]byte, 32<<10)
	for e.readCap == 0 || s.now >= e.nextRd {
		if e.readCap > 0 {
			buf = buf[:e.readCap]
		}
		n, err := c.Read(buf)
		e.got = append(e.got, buf[:n]...)
		if e.readCap > 0 && n > 0 {
			e.nextRd = s.now.Add(e.readGap)
			s.push(e.nextRd, i, nil)
		}
		if err == io.EOF {
			e.eof = true
		} else if err != nil && !errors.Is(err, ErrWouldBlock) {
			e.err = err
		}
		if n == 0 || err != nil {
			break
		}
	}
	for len(e.want) > 0 {
		n, err := c.Write(e.want)
		e.want = e.want[n:]
		if err != nil || n == 0 {
			break
		}
	}
	if e.closeW && len(e.want) == 0 {
		c.CloseWrite(s.now)
	}
	c.Output(s.now, s.gso, s.emit(i))
	checkInvariants(s.t, c)
	if d := c.Deadline(); d != 0 && (e.tick == 0 || d < e.tick || e.tick <= s.now) {
		e.tick = max(d, s.now+1)
		s.push(e.tick, i, nil)
	}
}

// start makes the connecting end send its SYN.
func (s *sim) start() {
	a := s.ends[0]
	a.conn = NewActive(a.cfg, s.now)
	s.serve(0)
}

// run advances virtual time until done, or fails at the limit.
func (s *sim) run(limit time.Duration, done func() bool) {
	s.t.Helper()
	for !done() {
		if len(s.events) == 0 {
			s.t.Fatalf("nothing left to happen at %v", time.Duration(s.now))
		}
		ev := heap.Pop(&s.events).(simEvent)
		s.now = max(s.now, ev.at)
		if time.Duration(s.now) > limit {
			s.t.Fatalf("not done after %v of virtual time: a got %d err %v %+v; b got %d err %v %+v", limit,
				len(s.ends[0].got), s.ends[0].err, s.ends[0].info(), len(s.ends[1].got), s.ends[1].err, s.ends[1].info())
		}
		e := s.ends[ev.to]
		if ev.pkt != nil {
			seg, err := ParseSegment(ev.pkt)
			if err != nil {
				s.t.Fatal(err)
			}
			if e.conn == nil && e.listen && seg.Flags == SYN {
				e.conn = NewPassive(e.cfg, &seg, s.now)
			} else if e.conn != nil {
				e.conn.Input(s.now, &seg)
			}
		}
		s.serve(ev.to)
	}
}

func (e *simEnd) info() Info {
	if e.conn == nil {
		return Info{}
	}
	return e.conn.Info()
}

// checkInvariants states what holds between any two calls.
func checkInvariants(t *testing.T, c *Conn) {
	t.Helper()
	switch {
	case c.sndUna.After(c.sndNxt) || c.sndNxt.After(c.sndMax):
		t.Fatalf("SND.UNA %d, SND.NXT %d, max %d out of order", c.sndUna, c.sndNxt, c.sndMax)
	case c.state.Synchronized() && c.rcvq.n > int(c.rcvBuf):
		t.Fatalf("receive queue %d exceeds its bound %d", c.rcvq.n, c.rcvBuf)
	case c.state.Synchronized() && !c.finDone() && c.rcvAdv.Sub(c.rcvq.rd) > int(c.rcvBuf):
		t.Fatalf("advertised %d beyond what is unread, buffer %d", c.rcvAdv.Sub(c.rcvq.rd), c.rcvBuf)
	case c.state.Synchronized() && c.state != TimeWait && c.flight() > 0 && c.rtxAt == 0:
		t.Fatalf("%v: %d octets in flight and no timer", c.state, c.flight())
	case c.pipe() < 0 && c.sack:
		t.Fatalf("pipe %d", c.pipe())
	case len(c.board.s) > maxSpans || len(c.rcvq.early.s) > maxSpans:
		t.Fatal("too many spans")
	case c.win.Cwnd < 0 || c.state.Synchronized() && c.win.Cwnd < c.win.MSS:
		t.Fatalf("cwnd %d", c.win.Cwnd)
	}
	if i := c.Info(); i.TimerAt != c.Deadline() || (i.Timer == TimerNone) != (i.TimerAt == 0) {
		t.Fatalf("timer %v at %d, deadline %d", i.Timer, i.TimerAt, c.Deadline())
	}
	for i, s := range c.rcvq.early.s {
		if !s.start.Before(s.end) || i > 0 && !c.rcvq.early.s[i-1].end.Before(s.start) || !s.start.After(c.rcvq.nxt()) {
			t.Fatalf("early spans %v, nxt %d", c.rcvq.early.s, c.rcvq.nxt())
		}
	}
}

// checkSize states that a segment, or each cut of a super-segment, fits the MSS
// with its options, and that super-segments are made for owners who take them.
func checkSize(t *testing.T, seg *Segment, mss, gso int) {
	t.Helper()
	n := seg.DataLen()
	switch {
	case seg.GSOSize > 0 && (n > gso || n <= int(seg.GSOSize)):
		t.Fatalf("super-segment of %d octets cut every %d, the owner takes %d", n, seg.GSOSize, gso)
	case seg.GSOSize > 0:
		n = int(seg.GSOSize)
	}
	if n > 0 && seg.Flags&SYN == 0 && n+seg.Options.len() > mss {
		t.Fatalf("%d octets with options exceed the MSS: %v", n, seg)
	}
}

// pattern returns n octets that differ at every offset scale.
func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return b
}

// transfer moves n octets from each end to the other and closes both.
func (s *sim) transfer(n int, limit time.Duration) {
	s.t.Helper()
	want := [2][]byte{pattern(n, 1), pattern(n, 2)}
	for i, e := range s.ends {
		e.want, e.closeW = want[i], true
	}
	s.start()
	s.run(limit, func() bool {
		return s.ends[0].eof && s.ends[1].eof && s.ends[0].conn.finAcked() && s.ends[1].conn.finAcked()
	})
	for i, e := range s.ends {
		if !bytes.Equal(e.got, want[1-i]) {
			s.t.Fatalf("end %d got %d octets, not the %d that were sent", i, len(e.got), n)
		}
		if e.err != nil {
			s.t.Fatalf("end %d: %v", i, e.err)
		}
	}
	s.t.Logf("%d octets each way in %v, %d and %d segments; %+v", n, time.Duration(s.now), s.ends[0].sent, s.ends[1].sent, s.ends[0].info())
}

func TestTransferClean(t *testing.T) {
	s := newSim(t, 1)
	s.transfer(1<<20, 20*time.Second)
}

func TestTransferImpaired(t *testing.T) {
	impaired := impairment{delay: 5 * time.Millisecond, jitter: 2 * time.Millisecond, loss: 0.05, dup: 0.05}
	for _, tc := range []struct {
		name string
		edit func(s *sim)
	}{
		{"SACK CUBIC", func(s *sim) {}},
		{"super-segments", func(s *sim) { s.gso = 65000 }},
		{"Reno", func(s *sim) { s.both(func(e *simEnd) { e.cfg.CongestionControl = new(Reno) }) }},
		{"no SACK", func(s *sim) { s.both(func(e *simEnd) { e.cfg.NoSACK = true }) }},
		{"no timestamps", func(s *sim) { s.both(func(e *simEnd) { e.cfg.NoTimestamps = true }) }},
		{"no options", func(s *sim) {
			s.both(func(e *simEnd) { e.cfg.NoTimestamps, e.cfg.NoSACK, e.cfg.NoWindowScale = true, true, true })
		}},
		{"4 KiB buffer", func(s *sim) { s.ends[1].cfg.RcvBuf = 4096 }},
		{"1000-octet buffer", func(s *sim) { s.ends[1].cfg.RcvBuf = 1000 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(3) {
				s := newSim(t, seed)
				s.both(func(e *simEnd) { e.imp = impaired })
				tc.edit(s)
				s.transfer(400_000, 2*time.Minute)
			}
		})
	}
}
