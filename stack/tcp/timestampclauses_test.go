package tcp

import (
	"testing"
	"time"
)

func scaled(n uint8) func(*Segment) {
	return func(s *Segment) { s.Options.HasWindowScale, s.Options.WindowScale = true, n }
}

// Who is asked for scaled windows answers, whatever his own scale is.
//
//rfc:7323 scale-answer
func TestRFC7323ScaleInTheAnswer(t *testing.T) { // §2.3
	p := inSynReceived(t, withScale(7))
	if o := p.last().Options; !o.HasWindowScale || o.WindowScale != 0 {
		t.Errorf("%+v", o)
	}
}

// A scale outside of the handshake is none.
//
//rfc:7323 scale-ignored
func TestRFC7323ScaleAfterTheHandshakeIsIgnored(t *testing.T) { // §2.2
	p := inEstablished(t, withScale(3))
	p.recv(ACK, 1, 1, 1, scaled(9), window(100))
	if w := p.c.Info().SndWnd; w != 800 {
		t.Errorf("window %d", w)
	}
}

// What was promised stays promised when the units of the scale would take some
// octets of it back.
//
//rfc:7323 honor
func TestRFC7323PromisedWindowIsHonored(t *testing.T) { // §2.4
	p := inEstablished(t, withScale(3), config(func(c *Config) { c.RcvBuf = 1 << 20 }))
	p.recv(ACK, 1, 1, 1000) // unread: the window closes, by a multiple of 32 octets
	edge := p.c.rcvAdv
	for seq := 1001; seq < 1100; seq++ {
		p.recv(ACK, seq, 1, 1)
		p.after(time.Second)
		if p.c.rcvAdv.Before(edge) {
			t.Fatalf("the edge went from %d to %d", edge.Sub(peerISS), p.c.rcvAdv.Sub(peerISS))
		}
	}
	n := p.c.pool.Counters.OutOfWindow
	p.recv(ACK, edge.Sub(peerISS)-8, 1, 8)
	if p.c.pool.Counters.OutOfWindow != n {
		t.Error("text in the promised window was refused")
	}
}

// The echo in a segment that acknowledges nothing says nothing.
//
//rfc:7323 echo-ignored
func TestRFC7323EchoWithoutAckIsIgnored(t *testing.T) { // §3.2
	p, syn := inSynSent(t, withTimestamps)
	ours := p.last().Options.TSVal
	p.now = p.now.Add(100 * time.Millisecond)
	p.recv(SYN, 0, 0, 0, func(s *Segment) { s.Options, s.Options.TSEcr = syn, ours })
	if p.state(SynReceived); p.c.srtt != 0 {
		t.Errorf("SRTT %v", p.c.srtt)
	}
}

// Timestamps that nobody has agreed on do not matter.
//
//rfc:7323 unagreed
func TestRFC7323TimestampsThatWereNotAgreedOn(t *testing.T) { // §3.2
	p := inEstablished(t)
	for i, ts := range []uint32{900, 1, 0x8000_0000} {
		p.recv(ACK, 1+10*i, 1, 10, func(s *Segment) { s.Options.HasTimestamps, s.Options.TSVal = true, ts })
		p.read(1+10*i, 10)
	}
}

// A reset does not touch what is known of the peer's clock.
//
//rfc:7323 reset-no-update
func TestRFC7323ResetsDoNotUpdate(t *testing.T) { // §5.2
	p := inEstablished(t, withTimestamps)
	p.recv(RST, 0, 0, 0, tsval(900))
	p.recv(RST, 5, 0, 0, tsval(900))
	if p.c.tsRecent != 100 {
		t.Errorf("TS.Recent %d", p.c.tsRecent)
	}
}

// The age of a segment is judged before its place, and once: text that waits
// behind a gap is delivered although what fills the gap is younger.
//
//rfc:7323 paws-first once-checked
func TestRFC7323AgeIsJudgedFirstAndOnce(t *testing.T) { // §5.3
	p := inEstablished(t, withTimestamps)
	p.recv(ACK, 1001, 1, 1000, tsval(150))
	p.recv(ACK, 1, 1, 1000, tsval(900))
	p.read(1, 2000)
	p.recv(ACK, 1, 1, 10, tsval(899)) // old in both ways
	if n := &p.c.pool.Counters; n.OldTimestamps != 1 || n.OutOfWindow != 0 {
		t.Errorf("%d old, %d out of window", n.OldTimestamps, n.OutOfWindow)
	}
}
