package tcp

import (
	"testing"
	"time"
)

func (p *script) sending(busy, window, buffer time.Duration) {
	p.t.Helper()
	p.c.CountSending(p.now)
	if i := p.c.Info(); i.Busy != busy || i.WindowLimited != window || i.BufferLimited != buffer {
		p.t.Errorf("busy %v, limited by the window %v and the buffer %v; want %v, %v, %v", i.Busy, i.WindowLimited, i.BufferLimited, busy, window, buffer)
	}
}

// A sender is busy from its first write to the last acknowledgment; the time in
// which the peer's window lets it send nothing is counted, too.
func TestSendingWindowLimited(t *testing.T) {
	const ms = time.Millisecond
	p := inEstablished(t)
	p.after(time.Second)
	p.sending(0, 0, 0)
	p.after(time.Second) // nothing to send
	p.win = 0
	p.recv(ACK, 1, 1, 0)
	p.sending(0, 0, 0)
	p.write(1000)
	p.after(100 * ms)
	p.sending(100*ms, 100*ms, 0)
	p.win = 2000
	p.recv(ACK, 1, 1, 0)
	p.after(30 * ms)
	p.sending(130*ms, 100*ms, 0)
	p.win = 10
	p.recv(ACK, 1, 1001, 0)
	p.after(time.Second)
	p.sending(130*ms, 100*ms, 0)
	p.write(1000)
	p.after(100 * ms) // silly window avoidance
	p.sending(230*ms, 200*ms, 0)
	p.win = 2000
	p.recv(ACK, 1, 1001, 0)
	p.after(20 * ms)
	p.recv(ACK, 1, 2001, 0)
	p.after(time.Second)
	p.sending(250*ms, 200*ms, 0)
}

// When all is sent and the user was refused room for more, the buffer is what
// limits.
func TestSendingBufferLimited(t *testing.T) {
	const ms = time.Millisecond
	p := inEstablished(t, config(func(c *Config) { c.SndBuf = 3000 }))
	p.sending(0, 0, 0)
	if n, err := p.c.Write(text(0, 5000)); n != 3000 || err != nil {
		t.Fatal(n, err)
	}
	p.flush()
	p.after(50 * ms)
	p.sending(50*ms, 0, 50*ms)
	p.recv(ACK, 1, 2001, 0)
	p.write(1000)
	p.after(20 * ms)
	p.sending(70*ms, 0, 50*ms)
	p.recv(ACK, 1, 4001, 0)
	p.after(time.Second)
	p.sending(70*ms, 0, 50*ms)
}

// Who has closed wants to write no more, and who writes by reference is refused
// like others.
func TestSendingBufferLimitEnds(t *testing.T) {
	const ms = time.Millisecond
	p := inEstablished(t, config(func(c *Config) { c.SndBuf = 3000 }))
	p.sending(0, 0, 0)
	p.write(3000)
	p.after(10 * ms)
	p.sending(10*ms, 0, 0)
	if n, err := p.c.WriteRef(text(0, 10), nil); err != ErrWouldBlock {
		t.Fatal(n, err)
	}
	p.sending(10*ms, 0, 0)
	p.after(20 * ms)
	p.sending(30*ms, 0, 20*ms)
	p.c.CloseWrite(p.now)
	p.flush()
	p.after(40 * ms)
	p.sending(70*ms, 0, 20*ms)
	p.recv(ACK, 1, 2001, 0)
	p.after(10 * ms)
	p.sending(80*ms, 0, 20*ms)
}

// Each segment that has arrived counts once, reported first or not, and the SYN.
func TestDelivered(t *testing.T) {
	delivered := func(p *script, want uint32) {
		t.Helper()
		p.c.CountSending(p.now)
		if n := p.c.Info().Delivered; n != want {
			t.Errorf("%d segments delivered, want %d", n, want)
		}
	}
	p := inEstablished(t, withSACK)
	p.write(1000)
	p.recv(ACK, 1, 1001, 0)
	delivered(p, 2)
	p.write(3000)
	p.recv(ACK, 1, 1001, 0, func(s *Segment) {
		s.Options.NSACK, s.Options.SACK[0] = 1, SACKBlock{ourISS.Add(2001), ourISS.Add(4001)}
	})
	delivered(p, 4)
	p.recv(ACK, 1, 4001, 0)
	delivered(p, 5)

	// Part of a segment is none, until the rest has come.
	p = inEstablished(t, withSACK)
	delivered(p, 1)
	p.write(4000)
	p.recv(ACK, 1, 1501, 0)
	delivered(p, 2)
	p.recv(ACK, 1, 3501, 0)
	delivered(p, 4)
	p.recv(ACK, 1, 4001, 0)
	delivered(p, 5)

	// Small segments count like large ones, whatever acknowledges them, and what
	// is sent again once.
	p = inEstablished(t, withSACK, config(func(c *Config) { c.NoDelay = true }))
	for range 5 {
		p.write(100)
	}
	delivered(p, 1)
	p.recv(ACK, 1, 201, 0)
	delivered(p, 3)
	p.after(2 * time.Second)
	p.recv(ACK, 1, 501, 0)
	delivered(p, 4) // three were sent again as one

	// Those of a super-segment, and of one that was sent again.
	p = inEstablished(t, withSACK)
	delivered(p, 1)
	p.gso = 20000
	p.write(4000)
	if n := len(p.segs); p.segs[n-1].GSOSize == 0 {
		t.Fatalf("%q", p.out)
	}
	p.recv(ACK, 1, 1001, 0)
	delivered(p, 2)
	p.after(2 * time.Second)
	p.recv(ACK, 1, 4001, 0)
	delivered(p, 5)

	// Counting that begins late knows what was before, and what is under way.
	p = inEstablished(t, withSACK, config(func(c *Config) { c.NoDelay = true }))
	for range 5 {
		p.write(100)
	}
	p.recv(ACK, 1, 201, 0)
	p.recv(ACK, 1, 201, 0, sacking([2]int{301, 401}))
	delivered(p, 4)
	p = inEstablished(t)
	const gib = 1 << 30
	p.c.traffic.bytesAcked, p.c.traffic.bytesOut, p.c.traffic.dataSegsOut = 3*gib, 3*gib, 3*gib/1000
	delivered(p, 3*gib/1000+1)

	// A FIN that was sent again is no text.
	p = inEstablished(t)
	p.c.CloseWrite(p.now)
	p.flush()
	p.after(2 * time.Second)
	delivered(p, 1)

	// The octet of a window probe.
	p = inEstablished(t)
	delivered(p, 1)
	p.win = 0
	p.recv(ACK, 1, 1, 0)
	p.write(10)
	p.after(time.Second)
	p.win = 1000
	p.recv(ACK, 1, 2, 0)
	delivered(p, 2)

	p, syn := inSynSent(t)
	delivered(p, 0)
	p.synAck(1, syn)
	delivered(p, 1)
}
