package tcp

import (
	"testing"
	"time"
)

// dsack is a report that [from, to) came twice.
func dsack(from, to int) func(*Segment) { return sacking([2]int{from, to}) }

// A flight whose acknowledgment does not come is asked for it with its last
// segment; the D-SACK in the answer says that nothing was lost.
//
//rfc:8985 probe probe-last probe-in-vain
func TestRFC8985ProbeForALostAcknowledgment(t *testing.T) {
	p := sentSegments(t, 4, withSACK)
	cwnd := p.c.Info().Cwnd
	p.after(tailSlack)
	p.expect()
	p.after(time.Millisecond)
	p.expect("[P.] 3001+1000 ack 1")
	p.after(100 * time.Millisecond)
	p.expect() // one probe only
	p.recv(ACK, 1, 4001, 0, dsack(3001, 4001))
	if p.write(1000); p.c.Info().Cwnd < cwnd || p.c.tail.open {
		t.Errorf("cwnd %d after %d, although nothing was lost", p.c.Info().Cwnd, cwnd)
	}
}

// A probe that repairs the loss of the last segment is a sign of congestion
// (RFC 8985 §7.4); a duplicate without text says that it came in vain.
//
//rfc:8985 probe-repaired
func TestRFC8985ProbeThatRepairsALoss(t *testing.T) {
	for _, lost := range []bool{true, false} {
		p := sentSegments(t, 4, withSACK)
		p.recv(ACK, 1, 3001, 0)
		p.write(1000) // two in flight again
		cwnd := p.c.Info().Cwnd
		p.out = nil
		p.after(5 * time.Millisecond)
		p.expect("[P.] 4001+1000 ack 1")
		p.recv(ACK, 1, 5001, 0)
		if !lost {
			p.recv(ACK, 1, 5001, 0)
		}
		p.write(1000)
		p.recv(ACK, 1, 6001, 0)
		if got := p.c.Info().Cwnd; (got < cwnd) != lost || p.c.tail.open {
			t.Errorf("lost %v: cwnd %d, then %d", lost, cwnd, got)
		}
	}
}

// New text serves as a probe when there is some, beyond the congestion window
// but not beyond the peer's.
//
//rfc:8985 probe-new
func TestRFC8985ProbeWithNewText(t *testing.T) {
	for _, room := range []bool{true, false} {
		p := sentSegments(t, 10, withSACK)
		p.c.win.Cwnd = 10_000
		if !room {
			p.recv(ACK, 1, 1, 0, window(10_000))
		}
		p.write(3000)
		p.expect()
		p.after(5 * time.Millisecond)
		if room {
			p.expect("[.] 10001+1000 ack 1")
		} else {
			p.expect("[.] 9001+1000 ack 1")
		}
	}
}

// The last segment is lost, and with it the proof of more losses: the answer to
// the probe shows the hole, which is filled two round trips later.
func TestRFC8985TailLoss(t *testing.T) {
	p := sentSegments(t, 4, withSACK)
	p.recv(ACK, 1, 1001, 0)
	p.after(5 * time.Millisecond)
	p.expect("[P.] 3001+1000 ack 1")
	p.recv(ACK, 1, 1001, 0, sacking([2]int{3001, 4001})) // 1001 to 3001 are missing
	p.after(5 * time.Millisecond)
	if len(p.out) == 0 || p.out[0] != "[.] 1001+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
}

// Nobody is probed whose delayed acknowledgment may be on its way, whose window
// is closed over the flight, or who cannot report duplicates.
//
//rfc:8985 probe-none
func TestRFC8985NoProbe(t *testing.T) {
	quiet := func(name string, p *script) {
		p.out = nil
		if p.after(150 * time.Millisecond); len(p.out) != 0 {
			t.Errorf("%s: %q", name, p.out)
		}
	}
	quiet("one segment", sentSegments(t, 1, withSACK))
	quiet("no SACK", sentSegments(t, 4))
	p := sentSegments(t, 4, withSACK)
	p.recv(ACK, 1, 1001, 0, window(0))
	quiet("closed window", p)
}

// A single segment may wait for a delayed acknowledgment of 200 ms. Where the
// retransmission timeout comes first the probe goes in its place, and the
// congestion window stays; the next time it is a timeout.
//
//rfc:8985 probe-timeout
func TestRFC8985ProbeInTheTimeoutsPlace(t *testing.T) { // §7.2, TLP_calc_PTO
	p := inFlight(t, 1)
	p.c.armRetransmit(p.now)
	p.c.armTailProbe(p.now)
	if p.c.tail.at != p.c.rtxAt {
		t.Fatalf("the probe is due at %v, the timeout at %v", p.c.tail.at, p.c.rtxAt)
	}
	cwnd, rto := p.c.win.Cwnd, p.c.rto()
	p.after(rto)
	p.expect("[P.] 1001+1000 ack 1")
	n := &p.c.pool.Counters
	if p.c.win.Cwnd != cwnd || p.c.loss != lossNone || n.Timeouts != 0 || n.TailProbes != 1 {
		t.Errorf("cwnd %d after %d, %v, %+v", p.c.win.Cwnd, cwnd, p.c.loss, n)
	}
	p.after(rto)
	p.expect("[P.] 1001+1000 ack 1")
	if p.c.loss != lossTimeout || n.Timeouts != 1 || p.c.backoff != 1 {
		t.Errorf("%v, %d timeouts", p.c.loss, n.Timeouts)
	}
}

// Where the timeout is far away a single segment is probed after two round trips
// and the time of a delayed acknowledgment.
//
//rfc:8985 probe-single
func TestRFC8985ProbeOfASingleSegment(t *testing.T) { // §7.2
	p := inFlight(t, 1)
	p.c.rtxAt = p.now.Add(time.Second)
	p.c.armTailProbe(p.now)
	if got, want := p.c.tail.at.Sub(p.now), 2*p.c.srtt+tailSlack+200*time.Millisecond; got != want {
		t.Errorf("the probe is due after %v, want %v", got, want)
	}
}

// A probe does not outlive the user timeout.
func TestProbeWithinTheUserTimeout(t *testing.T) {
	p := inFlight(t, 1)
	p.c.SetUserTimeout(p.now, 50*time.Millisecond)
	p.c.armTailProbe(p.now)
	p.after(50 * time.Millisecond)
	p.failed(ErrTimeout)
}

// An owner that is late finds both overdue: then it is a timeout. Text that was
// written when the probe is due asks as well as a copy.
func TestRFC8985ProbeThatIsLate(t *testing.T) {
	p := inFlight(t, 3)
	p.now = p.now.Add(time.Minute)
	p.flush()
	if n := &p.c.pool.Counters; n.Timeouts != 1 || n.TailProbes != 0 {
		t.Errorf("%+v", n)
	}
	p = inFlight(t, 3)
	p.now = p.c.tail.at
	p.c.win.Cwnd = 10_000
	p.write(500)
	p.expect("[P.] 4001+500 ack 1")
	if n := &p.c.pool.Counters; n.TailProbes != 1 || !p.c.tail.open || p.c.tail.resent {
		t.Errorf("%+v, %+v", n, p.c.tail)
	}
	p.after(100 * time.Millisecond)
	p.expect()
}
