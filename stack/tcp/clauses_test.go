package tcp

import (
	"testing"
	"time"
)

// Clauses of RFC 9293 that no other script needs.

//rfc:9293 MUST-1
func TestRFC9293WindowIsUnsigned(t *testing.T) { // §3.1
	p := inEstablished(t)
	p.c.win.Cwnd = 100_000
	p.recv(ACK, 1, 1, 0, window(65535))
	p.write(65_000)
	if len(p.out) != 65 {
		t.Fatalf("%d segments into a window of 65535", len(p.out))
	}
}

// Who opened actively was refused; for who opened passively the connection only
// goes away.
//
//rfc:9293 MUST-11
func TestRFC9293ResetInSynReceived(t *testing.T) { // §3.10.7.4, second
	p, _ := inSynSent(t)
	p.recv(SYN, 0, 0, 0)
	p.state(SynReceived)
	p.recv(RST, 1, 0, 0)
	p.failed(ErrRefused)
	q := inSynReceived(t)
	q.recv(RST, 1, 0, 0)
	q.failed(ErrReset)
}

//rfc:9293 SHLD-2
func TestRFC9293ResetMayCarryText(t *testing.T) { // §3.5.3
	p := inEstablished(t)
	p.recv(RST, 1, 0, 20)
	p.failed(ErrReset)
}

//rfc:9293 MAY-3
func TestRFC9293MSSIsAlwaysSent(t *testing.T) { // §3.7.1
	p, _ := inSynSent(t, config(func(c *Config) { c.MSS = 0 }))
	if mss := p.last().Options.MSS; mss != 536 {
		t.Fatalf("MSS option %d, want the default", mss)
	}
}

//rfc:9293 MUST-65
func TestRFC9293MSSOnlyInSYN(t *testing.T) { // §3.2
	p := inEstablished(t)
	p.write(100)
	p.recv(ACK, 1, 101, 10)
	p.c.CloseWrite(p.now)
	p.after(time.Second)
	p.c.Abort(p.now)
	p.flush()
	for _, s := range p.segs {
		if s.Flags&SYN == 0 && s.Options.MSS != 0 {
			t.Fatalf("%v", &s)
		}
	}
	if len(p.segs) < 5 {
		t.Fatalf("only %d segments", len(p.segs))
	}
}

// R2 is five minutes unless the user says something else.
//
//rfc:9293 MUST-20 SHLD-11
func TestRFC9293GivesUpLate(t *testing.T) { // §3.8.3
	p := inEstablished(t)
	p.write(10)
	p.after(100 * time.Second)
	p.state(Established)
	p.after(10 * time.Minute)
	p.failed(ErrTimeout)
}

//rfc:9293 MUST-26
func TestRFC9293KeepAliveOnlyInSilence(t *testing.T) { // §3.8.4
	p := inEstablished(t, config(func(c *Config) { c.KeepAlive = KeepAlive{10 * time.Second, 2 * time.Second, 3} }))
	p.write(10)
	p.after(30 * time.Second) // what is outstanding is sent again, and nothing else is
	for _, s := range p.segs[2:] {
		if len(s.Payload) == 0 {
			t.Fatalf("probe %v while data are outstanding", &s)
		}
	}
	p.recv(ACK, 1, 11, 0)
	p.out = nil
	p.after(9 * time.Second)
	p.recv(ACK, 1, 11, 0) // an empty acknowledgment ends the silence, too
	p.after(9 * time.Second)
	p.expect()
	p.after(time.Second)
	p.expect("[.] 10 ack 1")
}

// The edge moves left into what is in flight, so that the usable window is
// negative: nothing new goes out, what is old goes again in its time.
//
//rfc:9293 MUST-34 SHLD-15
//rfc:7323 shrink
func TestRFC9293WindowShrinksIntoTheFlight(t *testing.T) { // §3.8.6
	p := inEstablished(t)
	p.write(3000)
	p.out = nil
	p.recv(ACK, 1, 1, 0, window(1500))
	p.write(2000)
	p.expect()
	p.after(300 * time.Millisecond)
	p.expect("[.] 1+1000 ack 1")
	p.recv(ACK, 1, 3001, 0)
	p.expect("[.] 3001+1000 ack 1")
}

//rfc:9293 SHLD-16 MAY-7
func TestRFC9293OldTextGoesAgainIntoAShrunkWindow(t *testing.T) { // §3.8.6
	p := inEstablished(t)
	p.write(3000)
	p.out = nil
	p.recv(ACK, 1, 1, 0, window(1500))
	p.after(300 * time.Millisecond)
	p.expect("[.] 1+1000 ack 1")
}

// A window that has closed over what is in flight is probed with it.
//
//rfc:9293 MUST-35
func TestRFC9293WindowShrunkToZeroIsProbed(t *testing.T) { // §3.8.6
	p := inEstablished(t)
	p.write(3000)
	p.recv(ACK, 1, 1, 0, window(0))
	at := p.times(10 * time.Second)
	if len(at) < 4 || at[1]-at[0] != 2*at[0] || at[2]-at[1] != 4*at[0] {
		t.Fatalf("probes after %v", at)
	}
}

// Memory gets short after the window was promised.
//
//rfc:9293 SHLD-14
func TestRFC9293ReceiverDoesNotShrinkTheWindow(t *testing.T) { // §3.8.6
	pool := new(Pool)
	p := inEstablished(t, config(func(c *Config) { c.Pool, c.RcvBuf = pool, 60000 }))
	p.recv(ACK|PSH, 1, 1, 1000)
	pool.Limit = 1
	p.recv(ACK, 1001, 1, 1000)
	p.expect("[.] 1 ack 2001")
	if s := p.last(); s.Ack.Add(int(s.Window)) != peerISS.Add(60001) {
		t.Fatalf("edge at %d, was at 60001", s.Ack.Add(int(s.Window)).Sub(peerISS))
	}
}

//rfc:9293 SHLD-29
func TestRFC9293FirstProbeAfterTheTimeout(t *testing.T) { // §3.8.6.1
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	p.write(500)
	rto := p.c.Info().RTO
	if at := p.times(rto); len(at) != 1 || at[0] != rto {
		t.Fatalf("probed after %v, RTO %v", at, rto)
	}
}

//rfc:9293 MUST-40
//rfc:5681 delayed-ack-bound
func TestRFC9293AckDelayIsBounded(t *testing.T) { // §3.8.6.3
	p := inEstablished(t, config(func(c *Config) { c.DelayedAck = time.Hour }))
	p.recv(ACK, 1, 1, 10)
	p.expect()
	if at := p.times(time.Minute); len(at) != 1 || at[0] >= 500*time.Millisecond {
		t.Fatalf("acknowledged after %v", at)
	}
}

// RST and URG count although no text is accepted.
//
//rfc:9293 MUST-66
func TestRFC9293ClosedWindowHearsControl(t *testing.T) { // §3.4
	for _, rst := range []bool{false, true} {
		p := inEstablished(t)
		p.recv(ACK, 1, 1, 10000)
		if p.last().Window != 0 {
			t.Fatal("the window is open")
		}
		if rst {
			p.recv(RST|ACK, 10001, 1, 5)
			p.failed(ErrReset)
			continue
		}
		p.recv(ACK|URG, 10001, 1, 5, pointing(5))
		if !p.c.UrgentNews() || p.c.Urgent() != 10005 {
			t.Fatalf("%d octets to the mark", p.c.Urgent())
		}
	}
}

// Options of the handshake stay in the handshake.
//
//rfc:7323 scale-syn-only scale-offer
//rfc:2018 permitted-syn-only
func TestHandshakeOptionsOnlyInSYN(t *testing.T) {
	p := inEstablished(t, withSACK, withTimestamps, withScale(2))
	p.write(100)
	p.recv(ACK, 1, 101, 10)
	p.c.CloseWrite(p.now)
	p.after(time.Second)
	for _, s := range p.segs[1:] {
		if o := s.Options; o.HasWindowScale || o.SACKPermitted {
			t.Fatalf("%v", &s)
		}
	}
	if o := p.segs[0].Options; !o.HasWindowScale || !o.SACKPermitted || len(p.segs) < 4 {
		t.Fatalf("%d segments, the first with %+v", len(p.segs), o)
	}
}

// What only we have offered is not used.
//
//rfc:7323 timestamps-both
//rfc:2018 permitted
func TestOptionsThatThePeerDoesNotOffer(t *testing.T) {
	ours := config(func(c *Config) { c.NoSACK, c.NoTimestamps = false, false })
	p := inEstablished(t, ours)
	p.recv(ACK, 2001, 1, 10)
	if s := p.last(); s.Options != (Options{}) || p.out[0] != "[.] 1 ack 1" {
		t.Fatalf("%v", &s)
	}
}

//rfc:7323 timestamps-echo
func TestRFC7323EchoOnlyWithAck(t *testing.T) { // §3.2
	p := inEstablished(t, withTimestamps)
	if e := p.segs[0].Options.TSEcr; e != 0 {
		t.Fatalf("the SYN echoes %d", e)
	}
	if e := p.last().Options.TSEcr; e != 100 {
		t.Fatalf("echo %d", e)
	}
}

//rfc:7323 rtt-advance
func TestRFC7323OnlyNewDataMeasure(t *testing.T) { // §4.1
	p := inEstablished(t, withTimestamps)
	before := p.c.Info().SRTT
	echo := p.last().Options.TSVal
	p.now = p.now.Add(10 * time.Second)
	p.recv(ACK, 1, 1, 10, func(s *Segment) { s.Options.TSEcr = echo }) // ten seconds after what it echoes
	if got := p.c.Info().SRTT; got != before {
		t.Fatalf("SRTT %v, was %v", got, before)
	}
}

//rfc:6298 again never-early
//rfc:6928 timer
func TestRFC6298TimerStartsAnew(t *testing.T) { // §5.3
	p := sentSegments(t, 2)
	rto := p.c.Info().RTO
	p.now = p.now.Add(rto / 2)
	p.recv(ACK, 1, 1001, 0)
	if at := p.times(time.Second); len(at) == 0 || at[0] < p.c.Info().SRTT+DefaultMinRTO {
		t.Fatalf("sent again after %v", at)
	}
}

//rfc:5681 timeout-again
func TestRFC5681SecondTimeoutKeepsTheThreshold(t *testing.T) { // §3.1
	p := sentSegments(t, 8)
	p.after(300 * time.Millisecond)
	first := p.c.Info().Ssthresh
	p.after(5 * time.Second)
	if i := p.c.Info(); i.Backoff < 2 || i.Ssthresh != first {
		t.Fatalf("%d timeouts, threshold %d, was %d", i.Backoff, i.Ssthresh, first)
	}
}

//rfc:5681 initial-ssthresh
func TestRFC5681FirstThreshold(t *testing.T) { // §3.1
	if i := inEstablished(t).c.Info(); i.Ssthresh < 1<<20 {
		t.Fatalf("%d", i.Ssthresh)
	}
}

// Duplicates that come behind a recovery, of what was sent before its end.
//
//rfc:6582 echoes
func TestRFC6582EchoesOfARecovery(t *testing.T) { // §3.2 step 1
	p := sentSegments(t, 8)
	p.after(300 * time.Millisecond)
	p.recv(ACK, 1, 8001, 0)
	p.write(4000)
	p.out = nil
	p.c.recover = p.c.sndNxt // as if it had ended with what is in flight now
	for range 5 {
		p.recv(ACK, 1, 8001, 0)
	}
	p.expect()
	if p.c.loss != lossNone {
		t.Fatal("recovery again")
	}
}

// The update that opens the window again is lost: the probe finds out.
func TestLostWindowUpdate(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	p.write(500)
	p.expect()
	// Here the peer said that its window is open, and nobody heard it.
	p.after(p.c.Info().RTO)
	p.expect("[P.] 1+1 ack 1")
	p.recv(ACK, 1, 2, 0)
	p.expect("[P.] 2+499 ack 1")
}

// The least round trip of what was sent once is kept; one that is five minutes
// old gives way to a longer one.
//
//rfc:8985 min-rtt
func TestRFC8985LeastRoundTrip(t *testing.T) { // §6.2 step 1
	p := inEstablished(t, withSACK, reno)
	seq := 1
	for _, tc := range []struct{ later, rtt, want time.Duration }{
		{0, 30, 30}, {0, 20, 20}, {0, 50, 20}, {6 * time.Minute / time.Millisecond, 50, 50},
	} {
		p.now = p.now.Add(tc.later * time.Millisecond)
		p.write(1000)
		p.now = p.now.Add(tc.rtt * time.Millisecond)
		seq += 1000
		p.recv(ACK, 1, seq, 0)
		if got := p.c.Info().MinRTT; got != tc.want*time.Millisecond {
			t.Fatalf("%v after one of %d ms", got, tc.rtt)
		}
	}
}

// Of segments that left at one time the one with the highest number was the
// last: all before it are late when it has arrived.
//
//rfc:8985 sent-after
func TestRFC8985LastOfAMoment(t *testing.T) { // §6.2 step 2
	p := inFlight(t, 5)
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	p.recv(ACK, 1, 1001, 0, sacking(seg(3), seg(1)))
	p.expect()
	p.after(roundTrip / 4)
	if _, lost := p.c.lost.containing(ourISS.Add(3001)); !lost && len(p.out) < 2 {
		t.Fatalf("the third is not taken for lost: %q", p.out)
	}
}
