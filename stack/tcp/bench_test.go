package tcp

import (
	"fmt"
	"testing"
	"unsafe"
)

// pair is two established connections joined by a perfect wire, for
// benchmarks: no copies but the machines' own.
type pair struct {
	now  Instant
	a, b *Conn
	gso  int
	view Segment
	segs int
	toA  func(*Segment) bool
	toB  func(*Segment) bool
}

func newPair(gso int) *pair {
	p := &pair{now: 1, gso: gso}
	pool := new(Pool)
	p.a = NewActive(Config{Local: addrA, Remote: addrB, MSS: 1460, Pool: pool, SndBuf: 1 << 20}, p.now)
	var hop [65536]byte
	deliver := func(to **Conn) func(*Segment) bool {
		return func(s *Segment) bool {
			p.view = *s
			p.segs++
			n := 0
			for _, d := range s.Data {
				n += copy(hop[n:], d)
			}
			p.view.Payload, p.view.Data = hop[:n], nil
			if *to == nil {
				*to = NewPassive(Config{Local: addrB, Remote: addrA, MSS: 1460, Pool: new(Pool), SndBuf: 1 << 20}, &p.view, p.now)
			} else {
				(*to).Input(p.now, &p.view)
			}
			return true
		}
	}
	p.toA, p.toB = deliver(&p.a), deliver(&p.b)
	for range 3 {
		p.step()
	}
	return p
}

// step lets both machines emit.
func (p *pair) step() {
	p.now += 1000
	p.a.Output(p.now, p.gso, p.toB)
	if p.b != nil {
		p.b.Output(p.now, p.gso, p.toA)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, gso := range []int{0, 65000} {
		p := newPair(gso)
		req, buf := make([]byte, 20000), make([]byte, 65536)
		round := func() {
			_, _ = p.a.Write(req)
			for range 4 {
				p.step()
				_, _ = p.b.Read(buf)
				_, _ = p.b.Write(req[:300])
				p.step()
				_, _ = p.a.Read(buf)
			}
		}
		for range 20 {
			round()
		}
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("gso %d: %v allocations a round", gso, n)
		}
	}
}

func TestIdleConnectionIsSmall(t *testing.T) {
	p := newPair(0)
	_, _ = p.a.Write(make([]byte, 50000))
	buf := make([]byte, 65536)
	for range 30 {
		p.now = p.now.Add(DefaultDelayedAck)
		p.step()
		_, _ = p.b.Read(buf)
	}
	if p.a.sndq.head != nil || p.b.rcvq.head != nil || p.b.rcvq.early.s != nil || p.a.board.s != nil {
		t.Error("an idle connection holds buffers")
	}
	// The allocator has a class of 896 octets, of which eight are its own, and
	// then one of 1024.
	if n := unsafe.Sizeof(*p.a); n > 888 {
		t.Errorf("a connection takes %d octets", n)
	}
}

func BenchmarkBulk(b *testing.B) {
	for _, gso := range []int{0, 65000} {
		b.Run(fmt.Sprintf("gso=%d", gso), func(b *testing.B) {
			p := newPair(gso)
			data, buf := make([]byte, 64<<10), make([]byte, 256<<10)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			p.segs = 0
			for b.Loop() {
				for rest := data; len(rest) > 0; {
					n, _ := p.a.Write(rest)
					rest = rest[n:]
					p.step()
					_, _ = p.b.Read(buf)
					p.step()
				}
			}
			b.ReportMetric(float64(p.segs)/float64(b.N), "segments/op")
		})
	}
}

func BenchmarkBulkByReference(b *testing.B) {
	p := newPair(65000)
	data, buf := make([]byte, 64<<10), make([]byte, 256<<10)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for {
			if n, _ := p.a.WriteRef(data, nil); n > 0 {
				break
			}
			p.step()
			_, _ = p.b.Read(buf)
		}
		p.step()
		_, _ = p.b.Read(buf)
	}
}

// BenchmarkRequest is a request of 100 octets and a response of 1 KiB: both
// machines' share of an HTTP exchange on a kept connection.
func BenchmarkRequest(b *testing.B) {
	p := newPair(65000)
	data, buf := make([]byte, 1024), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.a.Write(data[:100])
		p.a.Output(p.now, p.gso, p.toB)
		_, _ = p.b.Read(buf)
		_, _ = p.b.Write(data)
		p.b.Output(p.now, p.gso, p.toA)
		_, _ = p.a.Read(buf)
		p.a.Output(p.now, p.gso, p.toB)
		p.now += 100_000
	}
}
