package tcp

import (
	"testing"
	"time"
)

// Text is ECN-capable only where both sides have agreed (RFC 3168 §6.1.1).
//
//rfc:3168 agreed
func TestRFC3168NoMarksWithoutAgreement(t *testing.T) {
	p, syn := asked(t)
	p.recv(SYN|ACK, 0, 1, 0, func(s *Segment) { s.Options = syn })
	p.write(1000)
	if m := p.last().Mark; m != NotECT || len(p.last().Payload) != 1000 {
		t.Errorf("marked %d towards a peer that does not know it", m)
	}
}

// An acknowledgment that echoes a mark does not make the window grow, in slow
// start, in congestion avoidance or in recovery from a timeout.
//
//rfc:3168 no-growth
func TestRFC3168EchoDoesNotGrow(t *testing.T) { // §6.1.2
	for _, ssthresh := range []int{100_000, 1000} {
		p := inECN(t)
		p.c.win.Cwnd, p.c.win.Ssthresh, p.gso = 10_000, ssthresh, 20_000
		p.write(60_000)
		p.recv(ACK|ECE, 1, 1001, 0)
		was := p.c.win.Cwnd
		for ack := 2001; ack <= 10_001; ack += 1000 {
			p.recv(ACK|ECE, 1, ack, 0)
		}
		if p.c.win.Cwnd != was {
			t.Errorf("threshold %d: the window grew from %d to %d", ssthresh, was, p.c.win.Cwnd)
		}
	}
}

// With a window of two segments and less the reductions go on, to one; then one
// segment goes per retransmission timeout.
//
//rfc:3168 one-segment
//rfc:9438 ecn-below-two ecn-below-one
func TestRFC3168BelowOneSegment(t *testing.T) { // §6.1.2, RFC 9438 §4.6
	for _, cc := range []func() CongestionControl{
		func() CongestionControl { return new(Reno) },
		func() CongestionControl { return new(Cubic) },
	} {
		p := inECN(t, config(func(c *Config) { c.CongestionControl = cc() }))
		p.c.sampleRTT(20 * time.Millisecond)
		p.c.win.Cwnd, p.c.win.Ssthresh = 2000, 2000
		p.write(20_000)
		p.recv(ACK|ECE, 1, 2001, 0)
		if i := p.c.Info(); i.Cwnd != 1000 || i.Ssthresh != 2000 {
			t.Fatalf("%s: %+v", i.CongestionControl, i)
		}
		p.out = nil
		p.now = p.now.Add(20 * time.Millisecond)
		p.recv(ACK|ECE, 1, 3001, 0)
		p.expect()
		rto := p.c.rto()
		p.after(rto - time.Millisecond)
		p.expect()
		p.after(time.Millisecond)
		p.expect("[.W] 3001+1000 ack 1")
		if n := &p.c.pool.Counters; n.Timeouts != 0 || p.c.loss != lossNone {
			t.Errorf("taken for a timeout: %+v", n)
		}
		p.out = nil
		p.recv(ACK, 1, 4001, 0) // no mark: as ever
		if len(p.out) == 0 {
			t.Error("nothing goes although the path is free again")
		}
	}
}

// A user who closes while new text is kept back loses nothing, and a flight that
// is lost meanwhile times out.
func TestRFC3168KeptBackText(t *testing.T) {
	p := inECN(t)
	p.c.win.Cwnd, p.c.win.Ssthresh = 1000, 2000
	p.write(2000)
	p.recv(ACK|ECE, 1, 1001, 0)
	p.c.CloseWrite(p.now)
	p.out = nil
	p.flush()
	p.expect()
	p.after(p.c.rto())
	p.expect("[FP.W] 1001+1000 ack 1")
	p.recv(ACK, 1, 2002, 0)
	p.state(FinWait2)

	q := inECN(t)
	q.c.win.Cwnd, q.c.win.Ssthresh = 3000, 2000
	q.write(3000)
	q.c.win.Cwnd = 1000 // something else has reduced it
	q.out = nil
	q.recv(ACK|ECE, 1, 1001, 0)
	q.expect()
	q.after(q.c.rto())
	q.expect("[.] 1001+1000 ack 1")
	if q.c.loss != lossTimeout || q.c.ecnHold {
		t.Errorf("%v, %+v", q.c.loss, q.c.ecn)
	}
}

// The mark of a window probe counts: its number is exact.
//
//rfc:3168 probe-marked
func TestRFC3168MarkedWindowProbe(t *testing.T) { // §6.1.6
	p := inECN(t, config(func(c *Config) { c.RcvBuf = 2000 }))
	p.recv(ACK, 1, 1, 2000)
	p.expect("[.] 1 ack 2001")
	if w := p.last().Window; w != 0 {
		t.Fatalf("a window of %d", w)
	}
	p.recv(ACK, 2001, 1, 1, marked)
	p.expect("[.E] 1 ack 2001")
}
