package tcp

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

//rfc:9293 SHLD-7 SHLD-27 SHLD-28 MAY-16 MUST-60 MUST-61
func TestRFC9293Nagle(t *testing.T) { // §3.7.4
	p := inEstablished(t)
	p.write(10)
	p.expect("[P.] 1+10 ack 1")
	p.write(20)
	p.expect()
	p.write(30)
	p.expect()
	p.recv(ACK, 1, 11, 0)
	p.expect("[P.] 11+50 ack 1")
	p.write(1500)
	p.expect("[.] 61+1000 ack 1")
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect("[FP.] 1061+500 ack 1") // the end does not wait
}

// The end of much text does not wait for the segments before it, whose
// acknowledgment a peer may delay: only for what is partial (RFC 9293 appendix
// A.3).
func TestNagleLargeWrites(t *testing.T) {
	p := inEstablished(t)
	p.write(1500)
	p.expect("[.] 1+1000 ack 1", "[P.] 1001+500 ack 1")
	p.write(1300)
	p.expect("[.] 1501+1000 ack 1")
	p.recv(ACK, 1, 1001, 0)
	p.expect()
	p.recv(ACK, 1, 1501, 0)
	p.expect("[P.] 2501+300 ack 1")
	p.c.SetCork(true) // what is under way is not forgotten
	p.c.SetCork(false)
	p.write(10)
	p.expect()
	p.recv(ACK, 1, 2801, 0)
	p.expect("[P.] 2801+10 ack 1")
}

//rfc:9293 MUST-17
func TestRFC9293NoDelay(t *testing.T) {
	p := inEstablished(t)
	p.c.SetNoDelay(true)
	p.write(10)
	p.write(20)
	p.expect("[P.] 1+10 ack 1", "[P.] 11+20 ack 1")
}

//rfc:9293 SHLD-18 SHLD-19
//rfc:5681 delayed-ack
func TestDelayedAck(t *testing.T) { // RFC 9293 §3.8.6.3
	p := inEstablished(t)
	p.recv(ACK|PSH, 1, 1, 1000)
	p.expect()
	p.recv(ACK, 1001, 1, 1000)
	p.expect("[.] 1 ack 2001") // every second full segment
	p.recv(ACK, 2001, 1, 10)
	p.expect()
	if at := p.times(time.Second); !slices.Equal(at, []time.Duration{DefaultDelayedAck}) {
		t.Fatalf("acknowledged after %v", at)
	}
	p.recv(ACK|PSH, 2011, 1, 10) // behind a long silence
	p.expect("[.] 1 ack 2021")
	p.c.SetQuickAck(false)
	p.recv(ACK|PSH, 2021, 1, 10)
	p.expect()
	p.write(5) // carries it
	p.expect("[P.] 1+5 ack 2031")
	p.recv(ACK, 2031, 6, 0)
	if p.c.Deadline() != 0 {
		t.Fatal("a delayed acknowledgment is left")
	}
}

func TestSuperSegmentGetsOneAck(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 9000)
	p.expect("[.] 1 ack 9001")
}

// What a super-segment was cut into carried timestamps: behind one, every second
// segment is acknowledged as before.
func TestFullSegmentsBehindASuperSegment(t *testing.T) {
	p := inEstablished(t, withTimestamps)
	full := p.c.mostText()
	p.recv(ACK|PSH, 1, 1, 3*full)
	p.expect(fmt.Sprint("[.] 1 ack ", 1+3*full))
	if got := p.c.Info().RcvMSS; got != int(p.c.maxMSS)-timestampsLen {
		t.Errorf("segments carry %d octets, our MSS is %d", got, p.c.maxMSS)
	}
	p.recv(ACK, 1+3*full, 1, full)
	p.expect()
	p.recv(ACK, 1+4*full, 1, full)
	p.expect(fmt.Sprint("[.] 1 ack ", 1+5*full))
}

//rfc:9293 SHLD-31 MAY-13
//rfc:5681 early-acked gap-acked one-ack
func TestOutOfOrderAckedAtOnce(t *testing.T) { // RFC 5681 §4.2
	p := inEstablished(t)
	p.take(ACK, 1001, 1, 500)
	p.take(ACK, 1501, 1, 500)
	p.recv(ACK, 2501, 1, 500)
	p.expect("[.] 1 ack 1", "[.] 1 ack 1", "[.] 1 ack 1") // the sender counts them
	p.recv(ACK, 1, 1, 1000)
	p.expect("[.] 1 ack 2001")
	p.recv(ACK, 2001, 1, 500)
	p.expect("[.] 1 ack 3001")
	p.read(1, 3000)
}

func TestOverlapsTrimmed(t *testing.T) {
	// Each script is a list of (first, length); the stream must come out whole.
	for _, script := range [][][2]int{
		{{1, 100}, {51, 100}},            // tail is new
		{{1, 100}, {1, 200}},             // longer retransmission of the same number
		{{51, 50}, {1, 100}},             // head is new
		{{51, 50}, {1, 200}},             // covers what is there
		{{101, 100}, {51, 100}, {1, 60}}, // early segments overlap
		{{101, 50}, {201, 50}, {91, 200}, {1, 90}},
		{{101, 50}, {201, 50}, {120, 10}, {1, 300}},
		{{11, 5}, {21, 5}, {31, 5}, {16, 5}, {1, 50}},
		{{1, 10}, {1, 10}, {11, 10}, {1, 20}},
	} {
		p := inEstablished(t, withSACK)
		end := 0
		for _, s := range script {
			p.recv(ACK, s[0], 1, s[1])
			end = max(end, s[0]+s[1]-1)
		}
		p.read(1, end)
		p.expect(p.out...)
		if !p.c.rcvq.early.empty() || p.c.rcvq.head != nil {
			t.Fatalf("%v: memory is left", script)
		}
	}
}

func TestEarlierArrivalWinsOverlap(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 101, 1, 100)
	p.recv(ACK, 1, 1, 200, func(s *Segment) {
		for i := 100; i < 200; i++ {
			s.Payload[i] ^= 0xff
		}
	})
	p.read(1, 200)
}

func TestFinInTheMiddleAndEarly(t *testing.T) {
	p := inEstablished(t)
	p.recv(FIN|ACK, 101, 1, 50) // waits for what is before it
	p.state(Established)
	p.recv(ACK, 1, 1, 100)
	p.state(CloseWait)
	p.read(1, 150)
	q := inEstablished(t)
	q.recv(FIN|ACK, 101, 1, 0)
	q.recv(ACK, 1, 1, 500) // text beyond the FIN is not taken
	q.state(CloseWait)
	q.read(1, 100)
}

//rfc:9293 MAY-8
func TestWindowNeverExceedsBufferAndCloses(t *testing.T) {
	p := inEstablished(t)
	for seq := 1; seq < 10001; seq += 1000 {
		p.recv(ACK, seq, 1, 1000)
	}
	if w := p.last().Window; w != 0 {
		t.Fatalf("window %d with a full buffer", w)
	}
	p.out = nil
	p.recv(ACK, 10001, 1, 1) // window probe: answered, not taken
	p.expect("[.] 1 ack 10001")
	if n := p.c.Buffered(); n != 10000 {
		t.Fatalf("%d octets in a buffer of 10000", n)
	}
	// RFC 9293 §3.8.6.2.2: no small windows.
	p.read(1, 10000)
	p.flush()
	p.expect("[.] 1 ack 10001")
	if w := p.last().Window; w != 10000 {
		t.Fatalf("window %d after everything was read", w)
	}
}

//rfc:9293 MUST-39
func TestRFC9293ReceiverAvoidsSillyWindows(t *testing.T) { // §3.8.6.2.2
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10000)
	p.out = nil
	b := make([]byte, 100)
	for i := range 9 {
		_, _ = p.c.Read(b)
		p.flush()
		if len(p.out) > 0 {
			t.Fatalf("update after %d octets were read", 100*(i+1))
		}
	}
	_, _ = p.c.Read(b)
	p.flush()
	p.expect("[.] 1 ack 10001")
	if w := p.last().Window; w != 1000 {
		t.Fatalf("window %d", w)
	}
}

func TestAckAcceptedWithClosedWindow(t *testing.T) { // §3.10.7.4: "special allowance"
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10000)
	p.write(10)
	p.recv(ACK, 10001, 11, 50)
	if p.c.flight() != 0 || p.c.Buffered() != 10000 {
		t.Fatal("the ACK field was not taken, or the text was")
	}
	p.recv(RST, 10001, 0, 0)
	p.failed(ErrReset)
}

//rfc:9293 REC-1
//rfc:7323 scale-both scale-not-syn scale-applied scale-14 scale-own scale-sent
func TestRFC7323WindowScale(t *testing.T) {
	big := config(func(c *Config) { c.RcvBuf = 1 << 20 })
	p := inEstablished(t, withScale(3), big)
	if o := p.segs[0].Options; o.WindowScale != 5 || p.segs[0].Window != 65535 {
		t.Fatalf("SYN: %v", &p.segs[0])
	}
	if i := p.c.Info(); i.SndWnd != 60000 || p.last().Window != 1<<15 {
		t.Fatalf("a SYN's window is not scaled: %d; ours %d", i.SndWnd, p.last().Window)
	}
	p.recv(ACK, 1, 1, 1)
	if i := p.c.Info(); i.SndWnd != 480000 {
		t.Fatalf("window %d", i.SndWnd)
	}
	q := inEstablished(t, withScale(255)) // clamped to 14
	q.recv(ACK, 1, 1, 1, window(1))
	if i := q.c.Info(); i.SndWnd != 1<<14 {
		t.Fatalf("window %d", i.SndWnd)
	}
	// Not offered by the peer: neither side scales.
	r := inEstablished(t, config(func(c *Config) { c.NoWindowScale, c.RcvBuf = false, 1<<20 }))
	r.recv(ACK, 1, 1, 1)
	r.after(time.Second)
	if i := r.c.Info(); i.SndWnd != 60000 || r.last().Window != 65534 {
		t.Fatalf("window %d, ours %d", i.SndWnd, r.last().Window)
	}
}

//rfc:9293 MUST-14 MUST-15 MUST-16
//rfc:7323 room
//rfc:6691 default
func TestRFC9293MSS(t *testing.T) { // §3.7.1
	for _, tc := range []struct{ ours, peers, want uint16 }{
		{1460, 0, 536}, {1460, 1000, 1000}, {1000, 1460, 1000}, {1460, 10, minSendMSS}, {1460, 64, 64}, {0, 1460, 536}, {65000, 9000, 9000},
	} {
		p := inEstablished(t, withMSS(tc.peers), config(func(c *Config) { c.MSS = tc.ours }))
		p.c.SetNoDelay(true)
		p.write(60000)
		if n := len(p.segs[2].Payload); n != int(tc.want) {
			t.Errorf("%+v: segments of %d", tc, n)
		}
		if n := inEstablished(t, withTimestamps, withMSS(tc.peers), config(func(c *Config) { c.MSS = tc.ours })).c.Info().SndMSS; n != int(tc.want)-12 {
			t.Errorf("%+v with timestamps: %d (RFC 6691)", tc, n)
		}
	}
}

//rfc:9293 MUST-38
//rfc:7323 within
//rfc:9937 within
//rfc:9406 window
func TestSenderStaysInWindow(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(2500))
	p.write(5000)
	p.expect("[.] 1+1000 ack 1", "[.] 1001+1000 ack 1") // the rest would be a runt
	p.recv(ACK, 1, 2001, 0, window(3000))
	p.expect("[.] 2001+1000 ack 1", "[.] 3001+1000 ack 1", "[P.] 4001+1000 ack 1")
}

func TestSmallWindowPeerIsServed(t *testing.T) { // RFC 9293 §3.8.6.2.1 (3)
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(50))
	p.c.sndMaxWnd = 50
	p.write(120)
	p.expect("[.] 1+50 ack 1")
	p.recv(ACK, 1, 51, 0, window(50))
	p.expect("[.] 51+50 ack 1")
	p.recv(ACK, 1, 101, 0, window(50))
	p.expect("[P.] 101+20 ack 1")
}

func TestSillyWindowOverride(t *testing.T) { // §3.8.6.2.1 (4)
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(50)) // far below half of the 60000 it had
	p.write(120)
	p.expect()
	p.after(300 * time.Millisecond)
	p.expect("[.] 1+50 ack 1")
}

//rfc:9293 MUST-36 MUST-37 SHLD-30
//rfc:6298 most
//rfc:8961 most
func TestRFC9293ZeroWindowProbesWithoutEnd(t *testing.T) { // §3.8.6.1 MUST-36, MUST-37
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	p.write(500)
	p.expect()
	var gaps []time.Duration
	for range 40 {
		start := p.now
		p.now = p.c.Deadline()
		p.flush()
		p.expect("[P.] 1+1 ack 1")
		gaps = append(gaps, p.now.Sub(start))
		p.recv(ACK, 1, 1, 0, window(0))
		p.expect()
	}
	if gaps[0] < 100*time.Millisecond || gaps[1] != 2*gaps[0] || gaps[39] != DefaultMaxRTO {
		t.Fatalf("probes after %v", gaps)
	}
	p.state(Established)
	p.recv(ACK, 1, 1, 0)
	p.expect("[P.] 1+500 ack 1") // the probed octet goes again
}

func TestZeroWindowProbeTaken(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	p.write(500)
	p.after(time.Second)
	p.out = nil
	p.recv(ACK, 1, 2, 0, window(0)) // it was taken, the window is closed again
	p.expect()
	p.after(time.Second)
	p.expect("[P.] 2+1 ack 1")
	p.recv(ACK, 1, 3, 0)
	p.expect("[P.] 3+498 ack 1")
}

// A peer that takes each probed octet and keeps its window closed is asked less
// and less often all the same.
//
//rfc:9293 SHLD-30
func TestRFC9293ProbesThatAreTakenSlowDown(t *testing.T) { // §3.8.6.1
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	p.write(500)
	var gaps []time.Duration
	for taken := range 12 {
		start := p.now
		p.now = p.c.Deadline()
		p.flush()
		p.expect(fmt.Sprintf("[P.] %d+1 ack 1", 1+taken))
		gaps = append(gaps, p.now.Sub(start))
		p.recv(ACK, 1, 2+taken, 0, window(0))
		p.expect()
	}
	if gaps[1] != 2*gaps[0] || gaps[2] != 4*gaps[0] || gaps[11] != DefaultMaxRTO {
		t.Fatalf("probes after %v", gaps)
	}
	p.recv(ACK, 1, 13, 0)
	p.expect("[P.] 13+488 ack 1")
	if got := p.c.Info().Backoff; got != 0 {
		t.Fatalf("back-off %d with an open window", got)
	}
}

func TestZeroWindowGivesUpOnSilentPeer(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.UserTimeout = time.Minute }))
	p.recv(ACK, 1, 1, 0, window(0))
	p.write(500)
	p.after(61 * time.Second)
	p.failed(ErrTimeout)
}

// A user timeout that is shorter than the time between probes would become has no
// probe go early, be the answer to one lost or not, and ends no connection whose
// peer answers.
//
//rfc:9293 MUST-37
func TestZeroWindowProbesWithinTheUserTimeout(t *testing.T) {
	for i := range 18 {
		lost, user := i/2, []time.Duration{900 * time.Millisecond, 1500 * time.Millisecond}[i%2]
		p := inEstablished(t, config(func(c *Config) { c.UserTimeout = user }))
		p.recv(ACK, 1, 1, 0, window(0))
		p.write(500)
		var gaps []time.Duration
		last := p.now
		for n := range 20 {
			sent := p.c.pool.Counters.WindowProbes
			for p.c.pool.Counters.WindowProbes == sent {
				if p.c.state != Established {
					t.Fatalf("%v after probes after %v, answer %d is lost", p.c.state, gaps, lost)
				}
				p.now = p.c.Deadline()
				p.flush()
			}
			gaps, last = append(gaps, p.now.Sub(last)), p.now
			if n > 0 && gaps[n] < gaps[n-1]-roundTrip { // a wait may begin anew with an answer
				t.Fatalf("%v: probes after %v, answer %d is lost", user, gaps, lost)
			}
			if n != lost {
				p.now = p.now.Add(roundTrip)
				p.recv(ACK, 1, 1, 0, window(0))
			}
		}
	}
}

// A shorter user timeout ends nothing whose peer has answered all that it was asked:
// the next probe leaves within it, and it runs from there. What the peer has left
// unanswered counts in full.
//
//rfc:9293 MUST-37
func TestZeroWindowUserTimeoutIsLowered(t *testing.T) {
	const user = 5 * time.Second
	for _, inFlight := range []bool{false, true} {
		start := func() *script {
			p := inEstablished(t)
			if inFlight {
				p.write(1000)
				p.recv(ACK, 1, 1, 0, window(0))
			} else {
				p.recv(ACK, 1, 1, 0, window(0))
				p.write(1000)
			}
			for range 8 { // until half a minute lies between them
				p.now = p.c.Deadline()
				p.flush()
				p.recv(ACK, 1, 1, 0, window(0))
			}
			p.out = nil
			return p
		}
		p := start()
		p.after(20 * time.Second) // of silence, for nothing was sent
		p.expect()
		p.c.SetUserTimeout(p.now, user)
		p.flush()
		p.expect()
		for range 5 {
			p.state(Established)
			asked := p.now
			if p.now = p.c.Deadline(); p.now.Sub(asked) > user {
				t.Fatalf("in flight %v: %v until the next probe", inFlight, p.now.Sub(asked))
			}
			p.flush()
			if len(p.out) != 1 {
				t.Fatalf("in flight %v: %q", inFlight, p.out)
			}
			p.recv(ACK, 1, 1, 0, window(0))
			p.out = nil
		}
		p.now = p.c.Deadline()
		asked := p.now
		for p.c.State() == Established {
			p.flush()
			p.now = max(p.now, p.c.Deadline())
		}
		if d := p.now.Sub(asked); d != user {
			t.Errorf("in flight %v: ended %v after the first probe without an answer", inFlight, d)
		}
		p.failed(ErrTimeout)

		p = start()
		p.now = p.c.Deadline()
		p.flush()
		p.now = p.now.Add(20 * time.Second) // of silence, in which it should have answered
		p.c.SetUserTimeout(p.now, user)
		p.after(time.Millisecond)
		p.failed(ErrTimeout)
	}
}

// The first probe leaves however short the user timeout is: it has to be asked before it
// can stay silent.
func TestZeroWindowProbeBeforeTheUserTimeout(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.UserTimeout = 50 * time.Millisecond }))
	p.recv(ACK, 1, 1, 0, window(0))
	p.now = p.now.Add(time.Hour)
	p.write(500)
	if d := p.c.Deadline().Sub(p.now); d != p.c.Info().RTO || d < 50*time.Millisecond {
		t.Errorf("probed after %v", d)
	}
	p.now = p.c.Deadline()
	p.flush()
	p.expect("[P.] 1+1 ack 1")
	asked := p.now
	p.now = p.c.Deadline()
	p.flush()
	if d := p.now.Sub(asked); d != 50*time.Millisecond {
		t.Errorf("ended after %v", d)
	}
	p.failed(ErrTimeout)
}

func TestZeroWindowFinProbes(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect()
	p.after(300 * time.Millisecond)
	p.expect("[F.] 1 ack 1")
	p.recv(ACK, 1, 2, 0, window(0))
	p.state(FinWait2)
}

// The window closes over data in flight (the peer shrank it): no timeout while
// the peer answers, everything again when it opens.
//
//rfc:9293 SHLD-17
func TestShrunkWindow(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.UserTimeout = time.Minute }))
	p.write(3000)
	p.out = nil
	for range 20 {
		p.recv(ACK, 1, 1, 0, window(0))
		p.after(30 * time.Second)
	}
	p.state(Established)
	p.out = nil
	// What we acknowledge meanwhile must lie in the peer's window.
	p.recv(ACK, 1, 1, 2000, window(0))
	p.expect("[.] 1 ack 2001")
	p.recv(ACK, 2001, 1, 0)
	p.expect("[.] 1+1000 ack 2001")
	p.recv(ACK, 2001, 1001, 0)
	p.expect("[.] 1001+1000 ack 2001", "[P.] 2001+1000 ack 2001")
}

// RFC 7323 §2.3: a window that the peer's scale rounds down has not shrunk. An
// acknowledgment from its rounded edge is old to a peer that took everything,
// and two ends that both send such ones never hear each other again.
//
//rfc:7323 scale-rounding
func TestRoundedWindowHasNotShrunk(t *testing.T) {
	p := inEstablished(t, withScale(5))
	p.recv(ACK, 1, 1, 0, window(63)) // up to 1+2016
	p.write(2000)
	p.expect("[.] 1+1000 ack 1", "[P.] 1001+1000 ack 1")
	// It took 1000; the edge is at 1993 to us because 1016 is no multiple of 32.
	p.recv(ACK, 1, 1001, 2000, window(31))
	p.expect("[.] 2001 ack 2001")
	// It took nothing more and gave up a whole unit: that is another edge.
	p.recv(ACK, 2001, 1001, 2000, window(30))
	p.expect("[.] 1961 ack 4001")
}

func TestOldSegmentDoesNotMoveWindow(t *testing.T) { // SND.WL1, SND.WL2
	p := inEstablished(t)
	p.recv(ACK, 11, 1, 10, window(5000))
	p.recv(ACK, 1, 1, 10, window(100))
	if w := p.c.Info().SndWnd; w != 5000 {
		t.Fatalf("window %d", w)
	}
}

// A segment that fills a gap has the newest window when its acknowledgment is
// new, whatever came behind the gap: the right edge is the one that it offers.
func TestFilledGapMovesWindow(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 11, 1, 10, window(3000))
	p.write(5000)
	p.flush()
	p.recv(ACK, 1, 3001, 5, window(500))
	if w := p.c.Info().SndWnd; w != 500 {
		t.Fatalf("window %d, want 500", w)
	}
	p.recv(ACK, 6, 3001, 5, window(9000)) // older than what came behind the gap
	if w := p.c.Info().SndWnd; w != 500 {
		t.Fatalf("window %d, want 500", w)
	}
	p.recv(ACK, 21, 3001, 5, window(700))
	if w := p.c.Info().SndWnd; w != 700 {
		t.Fatalf("window %d, want 700", w)
	}
}

//rfc:9293 MUST-21
//rfc:5482 local
func TestUserTimeout(t *testing.T) {
	p := inEstablished(t)
	p.c.SetUserTimeout(p.now, 10*time.Second)
	p.write(10)
	start := p.now
	for p.c.State() == Established {
		p.now = p.c.Deadline()
		p.flush()
	}
	if d := p.now.Sub(start); d != 10*time.Second {
		t.Fatalf("gave up after %v", d)
	}
	p.failed(ErrTimeout)
	if p.last().Flags != RST|ACK {
		t.Fatal("the peer was not told")
	}
}
