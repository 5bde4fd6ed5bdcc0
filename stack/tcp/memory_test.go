package tcp

import (
	"testing"
	"time"
)

// pooled returns n open connections that share pool.
func pooled(t *testing.T, pool *Pool, n int) []*script {
	t.Helper()
	all := make([]*script, n)
	for i := range all {
		all[i] = inEstablished(t, config(func(c *Config) { c.Pool, c.RcvBuf, c.SndBuf = pool, 60_000, 60_000 }))
	}
	return all
}

// Peers that acknowledge nothing, however many, take no more than the limit and
// the little that everybody may have; each of them still gets that much.
func TestSendQueuesShareThePool(t *testing.T) {
	pool := &Pool{Limit: 1 << 20}
	all := pooled(t, pool, 600)
	for i, p := range all {
		p.recv(ACK, 1, 1, 0, window(0))
		n, err := p.c.Write(make([]byte, 60_000))
		if err != nil || n < minShare {
			t.Fatalf("connection %d: Write: %d, %v", i, n, err)
		}
		if i == 0 && n != 60_000 {
			t.Fatalf("alone, a connection queues %d octets, want its whole buffer", n)
		}
		if most := pool.Limit + i*(minShare+chunkSize); pool.Lent() > most {
			t.Fatalf("%d connections hold %d octets, want at most %d", i+1, pool.Lent(), most)
		}
		if _, err := p.c.Write([]byte("x")); n < 60_000 && err != ErrWouldBlock {
			t.Fatalf("connection %d: Write beyond its share: %v", i, err)
		}
	}
	first, last := all[0], all[len(all)-1]
	for _, p := range all[1 : len(all)-1] {
		p.c.Abort(p.now)
	}
	if n, err := last.c.Write(make([]byte, 60_000)); err != nil || n+minShare < 50_000 {
		t.Errorf("when the others have gone: Write: %d, %v", n, err)
	}
	first.c.Abort(first.now)
	last.c.Abort(last.now)
	if pool.Lent() != 0 {
		t.Errorf("%d octets are lent to nobody", pool.Lent())
	}
}

// Peers that fill the windows they were promised while nobody reads end at the
// limit, too. A connection whose user reads goes on.
func TestReceiveQueuesShareThePool(t *testing.T) {
	const limit = 256 << 10
	pool := &Pool{Limit: limit}
	all := pooled(t, pool, 60)
	greedy, honest := all[1:], all[0]
	for seq := 1; seq < 50_000; seq += 1000 {
		for _, p := range greedy {
			p.recv(ACK, seq, 1, 1000)
		}
	}
	if most := limit + len(greedy)*(minShare+2*chunkSize); pool.Lent() > most {
		t.Fatalf("%d octets are held, want at most %d", pool.Lent(), most)
	}
	if pool.Counters.TextRefused == 0 {
		t.Fatal("nothing was refused")
	}
	for _, p := range greedy {
		if w := p.last().Window; w > 60_000 || p.c.Buffered() < minShare-1000 {
			t.Fatalf("%d octets taken, window %d", p.c.Buffered(), w)
		}
	}
	for seq := 1; seq < 100_000; seq += 1000 {
		honest.recv(ACK, seq, 1, 1000)
		honest.read(seq, 1000)
	}
	// What was refused comes again, and is taken once there is room.
	p := greedy[0]
	n := p.c.Buffered()
	p.recv(ACK, 1+n, 1, 1000)
	if p.c.Buffered() != n {
		t.Fatalf("%d octets, then %d", n, p.c.Buffered())
	}
	p.read(1, n)
	p.recv(ACK, 1+n, 1, 1000)
	p.read(1+n, 1000)
	for _, p := range all {
		p.c.Abort(p.now)
		for p.c.rcvq.n > 0 {
			_, _ = p.c.Read(make([]byte, 4096))
		}
		if p.c.rcvq.lent != 0 {
			t.Fatalf("an empty queue holds %d chunks", p.c.rcvq.lent)
		}
	}
	if pool.Lent() != 0 {
		t.Errorf("%d octets are lent to nobody", pool.Lent())
	}
}

// Text behind a gap does not keep out the text that fills it, and a segment
// larger than the room is taken in part.
func TestShortMemoryLetsTheGapFill(t *testing.T) {
	pool := &Pool{Limit: chunkSize}
	p := pooled(t, pool, 1)[0]
	for seq := 1001; seq < 40_000; seq += 1000 {
		p.recv(ACK, seq, 1, 1000)
	}
	if pool.Counters.TextRefused == 0 || p.c.Buffered() != 0 {
		t.Fatalf("%d refused, %d in order", pool.Counters.TextRefused, p.c.Buffered())
	}
	early := p.c.rcvq.early.max().Sub(peerISS) // behind the last octet that was kept
	p.recv(ACK, 1, 1, 1000)
	p.read(1, early-1)
	p.recv(ACK, early, 1, 20_000)
	if n := p.c.Buffered(); n < minShare/2 || n > minShare {
		t.Errorf("of 20000 octets at once %d were taken", n)
	}
	p.read(early, p.c.Buffered())
}

// A window that was small because memory was short opens again when the user
// reads, also for a peer whose segments are larger than the least share.
func TestWindowOpensUnderShortMemory(t *testing.T) {
	pool := &Pool{Limit: chunkSize}
	p := inEstablished(t, withMSS(9000), config(func(c *Config) { c.Pool, c.MSS, c.RcvBuf = pool, 9000, 60_000 }))
	seq := 1
	for range 40 {
		n := min(9000, p.c.rcvAdv.Sub(p.c.rcvNxt))
		if n == 0 {
			t.Fatalf("the window is closed at %d although all was read", seq)
		}
		p.recv(ACK, seq, 1, n)
		took := p.c.Buffered()
		p.read(seq, took)
		seq += took
		p.after(time.Second)
	}
	if seq < 40*minShare/2 {
		t.Errorf("only %d octets in 40 rounds", seq)
	}
}
