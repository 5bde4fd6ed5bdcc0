package tcp

import (
	"testing"
	"time"
)

// download has end 1 send without end to end 0 over a path of 100 Mbit/s and
// 100 ms, and returns the octets that arrive in each of n round trips.
func download(s *sim, n int) []int {
	s.both(func(e *simEnd) { e.imp.delay, e.imp.rate = 50*time.Millisecond, 100e6/8 })
	s.ends[1].want = make([]byte, 64<<20)
	s.start()
	var rounds []int
	for before := 0; len(rounds) < n; before = len(s.ends[0].got) {
		end := Instant(1).Add(time.Duration(len(rounds)+1) * 100 * time.Millisecond)
		s.push(end, 0, nil)
		s.run(time.Minute, func() bool { return s.now >= end })
		rounds = append(rounds, len(s.ends[0].got)-before)
	}
	return rounds
}

// Buffers that nobody has set grow with a long fat path, and a round trip
// carries what the path carries (1.25 MB) after no more of them than slow start
// takes; a buffer that was set stays as it is.
func TestAutotuneFillsThePath(t *testing.T) {
	const full = 1_250_000 * 1448 / 1500 * 97 / 100
	for _, tc := range []struct {
		name  string
		edit  func(s *sim)
		fills bool
		late  int // round trips that the handshake takes longer
	}{
		{"both grow", func(s *sim) {}, true, 0},
		{"no timestamps", func(s *sim) { s.ends[0].cfg.NoTimestamps = true }, true, 0},
		{"the SYN is lost", func(s *sim) {
			s.ends[0].imp.dropNth = func(n int, _ *Segment) bool { return n == 1 }
		}, true, 14},
		{"receive buffer set", func(s *sim) { s.ends[0].cfg.RcvBuf = DefaultBuffer }, false, 0},
		{"send buffer set", func(s *sim) { s.ends[1].cfg.SndBuf = DefaultBuffer }, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSim(t, 1)
			tc.edit(s)
			rounds := download(s, 11+tc.late)[tc.late:]
			a, b := s.ends[0].info(), s.ends[1].info()
			t.Logf("octets a round trip: %v; receive buffer %d, send buffer %d", rounds, a.RcvBuf, b.SndBuf)
			if last := rounds[10]; (last >= full) != tc.fills {
				t.Errorf("%d octets in a round trip, the path carries %d", last, full)
			}
			if tc.fills && rounds[9] < full {
				t.Errorf("%d octets in the tenth round trip", rounds[9])
			}
			if !tc.fills && max(rounds[9], rounds[10]) > DefaultBuffer+64<<10 {
				t.Errorf("more than the buffer that was set: %v", rounds)
			}
		})
	}
}

// A connection that carries little, or whose reader is slow, keeps the buffer
// that it began with.
func TestAutotuneKeepsWhatIsEnough(t *testing.T) {
	s := newSim(t, 1)
	s.ends[0].readCap, s.ends[0].readGap = 10_000, 100*time.Millisecond // 100 kB/s
	s.ends[1].want = make([]byte, 3<<20)
	s.start()
	s.run(time.Minute, func() bool { return len(s.ends[0].got) > 2<<20 })
	if i := s.ends[0].info(); i.RcvBuf != DefaultBuffer {
		t.Errorf("receive buffer %d for 100 kB/s", i.RcvBuf)
	}
}

// The scale of the SYN is that of the largest window which the budget allows.
func TestRFC7323ScaleForTheBudget(t *testing.T) {
	for _, tc := range []struct {
		limit, rcvBuf int
		want          uint8
	}{
		{0, 0, 8}, {64 << 20, 0, 8}, {32 << 20, 0, 7}, {1 << 20, 0, 3}, {1 << 40, 0, 14},
		{64 << 20, 60_000, 0}, {64 << 20, 1 << 20, 5},
	} {
		c := NewActive(Config{Local: addrA, Remote: addrB, RcvBuf: tc.rcvBuf, Pool: &Pool{Limit: tc.limit}}, 1)
		if c.rcvScale != tc.want {
			t.Errorf("limit %d, buffer %d: scale %d, want %d", tc.limit, tc.rcvBuf, c.rcvScale, tc.want)
		}
	}
}

// A buffer does not grow beyond what memory allows, and that is counted. It
// grows when there is memory again.
func TestAutotuneUnderPressure(t *testing.T) {
	pool := &Pool{Limit: 16 << 20}
	var greedy sendQueue
	greedy.write(pool, make([]byte, 14<<20))
	s := newSim(t, 1)
	s.ends[0].cfg.Pool = pool
	rounds := download(s, 11)
	if i := s.ends[0].info(); i.RcvBuf > 2<<20/shareOfFree+DefaultBuffer || pool.Counters.BuffersDenied == 0 {
		t.Errorf("receive buffer %d with 2 MiB free, denied %d times", i.RcvBuf, pool.Counters.BuffersDenied)
	}
	if rounds[10] < minShare {
		t.Errorf("%d octets in a round trip: it does not go on", rounds[10])
	}
	greedy.drop(pool)
	end := s.now.Add(time.Second)
	s.run(time.Minute, func() bool { return s.now > end })
	if i := s.ends[0].info(); i.RcvBuf < 1<<20 {
		t.Errorf("receive buffer %d when memory is free again", i.RcvBuf)
	}
}

// Where memory is short, text out of order gives way to text in order: the
// farthest first, as little as is needed.
func TestEarlyTextGivesWay(t *testing.T) {
	pool := &Pool{Limit: 512 << 10}
	p := inEstablished(t, withSACK, config(func(c *Config) { c.Pool, c.RcvBuf = pool, 60_000 }))
	for seq := 20_001; seq < 50_000; seq += 1000 {
		p.recv(ACK, seq, 1, 1000)
	}
	before := p.c.rcvq.early.octets
	var greedy sendQueue
	greedy.write(pool, make([]byte, 420<<10)) // each may have 7 KiB now
	for seq := 1; seq < 20_001; seq += 1000 {
		p.recv(ACK, seq, 1, 1000)
	}
	if pool.Counters.EarlyPruned == 0 || p.c.rcvq.early.octets >= before {
		t.Fatalf("pruned %d times, %d octets of %d are left", pool.Counters.EarlyPruned, p.c.rcvq.early.octets, before)
	}
	if n := p.c.Buffered(); n < minShare {
		t.Errorf("%d octets in order", n)
	}
	// What was given up is not reported any more, and comes again.
	told := p.last().Options
	for _, b := range told.SACK[:told.NSACK] {
		if b.Start.Before(b.End) && p.c.rcvq.early.covered(b.Start, b.End) < b.End.Sub(b.Start) {
			t.Errorf("%v is reported", b)
		}
	}
	greedy.drop(pool)
	seq := p.c.Buffered() + 1
	p.read(1, seq-1)
	for ; seq < 50_000; seq = p.c.rcvNxt.Sub(peerISS) {
		n := min(1000, 50_001-seq)
		p.recv(ACK, seq, 1, n)
		p.read(seq, p.c.Buffered())
	}
	if pool.Lent() != 0 {
		t.Errorf("%d octets are lent to nobody", pool.Lent())
	}
}
