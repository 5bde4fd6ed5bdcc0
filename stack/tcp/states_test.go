package tcp

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

//rfc:9293 MUST-14 SHLD-5
func TestRFC9293ActiveOpen(t *testing.T) {
	p := inEstablished(t)
	if p.segs[0].Options.MSS != 1000 || p.segs[0].Window != 10000 {
		t.Fatalf("SYN: %v", &p.segs[0])
	}
	if !p.c.AckedNewData() || p.c.AckedNewData() {
		t.Fatal("the handshake is news, once")
	}
}

func TestRFC9293PassiveOpen(t *testing.T) {
	p := inSynReceived(t)
	p.recv(ACK, 1, 1, 0)
	p.expect()
	p.state(Established)
}

func TestRFC9293PassiveOpenTakesTextOfThirdSegment(t *testing.T) {
	p := inSynReceived(t)
	p.recv(PSH|FIN|ACK, 1, 1, 10)
	p.expect("[.] 1 ack 12")
	p.state(CloseWait)
	p.read(1, 10)
}

//rfc:9293 MUST-10
func TestRFC9293SimultaneousOpen(t *testing.T) { // §3.5, figure 7
	p, _ := inSynSent(t)
	p.recv(SYN, 0, 0, 0)
	p.expect("[S.] 0 ack 1")
	p.state(SynReceived)
	p.recv(SYN|ACK, 0, 1, 0)
	p.state(Established)
	p.out = nil
	p.recv(ACK, 1, 1, 5)
	p.read(1, 5)
}

func TestRFC9293SynSentAckOfSomethingElse(t *testing.T) { // §3.10.7.3, first
	p, _ := inSynSent(t)
	p.recv(SYN|ACK, 0, 77, 0)
	p.expect("[R] 77 ack 0")
	p.state(SynSent)
	p.recv(RST|ACK, 0, 77, 0)
	p.expect()
	p.state(SynSent)
}

//rfc:5961 reset-syn-sent
func TestRFC5961BlindResetInSynSentIgnored(t *testing.T) {
	p, _ := inSynSent(t)
	p.recv(RST, 0, 0, 0)
	p.state(SynSent)
	p.expect()
}

func TestRFC9293Refused(t *testing.T) {
	p, _ := inSynSent(t)
	p.recv(RST|ACK, 0, 1, 0)
	p.failed(ErrRefused)
	if !errors.Is(p.c.Err(), syscall.ECONNREFUSED) || !p.c.Done() {
		t.Fatal("want ECONNREFUSED and Done")
	}
	if _, err := p.c.Read(make([]byte, 1)); err != ErrRefused {
		t.Fatalf("Read: %v", err)
	}
}

func TestRFC9293SynReceivedWrongAck(t *testing.T) { // §3.10.7.4, fifth
	p := inSynReceived(t)
	p.recv(ACK, 1, 50, 0)
	p.expect("[R] 50 ack 0")
	p.state(SynReceived)
}

func TestRFC9293SynReceivedReset(t *testing.T) {
	p := inSynReceived(t)
	p.recv(RST, 1, 0, 0)
	p.failed(ErrReset)
}

func TestSynRetransmittedBringsSynAckAgain(t *testing.T) {
	p := inSynReceived(t)
	p.recv(SYN, 0, 0, 0)
	p.expect("[S.] 0 ack 1")
}

// The third segment of the handshake was lost: the SYN-ACK comes again.
func TestSynAckAgainIsAcknowledged(t *testing.T) {
	p := inEstablished(t)
	p.recv(SYN|ACK, 0, 1, 0)
	p.expect("[.] 1 ack 1")
	p.state(Established)
}

// Each retransmission of SYN and SYN-ACK carries the same options: the first
// one may be the one that was lost.
func TestRetransmittedHandshakeKeepsOptions(t *testing.T) {
	all := []option{withSACK, withTimestamps, withScale(7)}
	p, _ := inSynSent(t, all...)
	q := inSynReceived(t, all...)
	for _, p := range []*script{p, q} {
		p.after(3 * time.Second)
		if len(p.segs) != 3 {
			t.Fatalf("%d segments after 3 s: %v", len(p.segs), p.out)
		}
		for _, s := range p.segs {
			s.Options.TSVal = p.segs[0].Options.TSVal
			if s.Options != p.segs[0].Options || s.Window != p.segs[0].Window {
				t.Fatalf("%v differs from %v", &s, &p.segs[0])
			}
		}
		if o := p.segs[0].Options; o.MSS == 0 || !o.SACKPermitted || !o.HasTimestamps || !o.HasWindowScale {
			t.Fatalf("options missing: %+v", o)
		}
	}
}

// After a lost SYN-ACK both ends still agree on what was negotiated.
func TestLostSynAckKeepsAgreement(t *testing.T) {
	s := newSim(t, 1)
	s.ends[1].imp.dropNth = func(n int, _ *Segment) bool { return n <= 2 }
	s.transfer(200_000, 30*time.Second)
	for _, e := range s.ends {
		if i := e.info(); !i.SACK || !i.Timestamps || i.SndScale != 8 || i.RcvScale != 8 {
			t.Fatalf("%+v", i)
		}
	}
}

//rfc:9293 MUST-22 MUST-23 SHLD-25
//rfc:6298 initial
//rfc:8961 initial
func TestRFC9293ConnectTimeout(t *testing.T) {
	p, _ := inSynSent(t)
	p.c.SoftError(syscall.EHOSTUNREACH) // MUST-56: does not end it, but says why
	at := p.times(4 * time.Minute)
	p.failed(syscall.EHOSTUNREACH)
	if last := at[len(at)-1]; last < 3*time.Minute || at[0] != time.Second || at[1] != 3*time.Second {
		t.Fatalf("SYN again after %v", at)
	}
	q, _ := inSynSent(t, config(func(c *Config) { c.ConnectTimeout = 5 * time.Second }))
	q.after(5 * time.Second)
	q.failed(ErrTimeout)
	if te, ok := q.c.Err().(interface{ Timeout() bool }); !ok || !te.Timeout() {
		t.Fatal("not a timeout for package net")
	}
}

//rfc:9293 SHLD-26
//rfc:5927 hard-is-soft
func TestHardErrorEndsOnlyTheHandshake(t *testing.T) { // RFC 5927 §5.2
	p, _ := inSynSent(t)
	p.c.HardError(syscall.ECONNREFUSED)
	p.failed(syscall.ECONNREFUSED)
	q := inEstablished(t)
	q.c.HardError(syscall.ECONNREFUSED)
	q.state(Established)
}

func TestOutstandingGuardsAgainstForgedICMP(t *testing.T) { // RFC 5927 §4.1
	p := inEstablished(t)
	p.write(100)
	for rel, want := range map[int]bool{0: false, 1: true, 100: true, 101: false} {
		if got := p.c.Outstanding(ourISS.Add(rel)); got != want {
			t.Errorf("Outstanding(%d) = %v", rel, got)
		}
	}
}

//rfc:9293 MUST-13
func TestRFC9293ActiveClose(t *testing.T) {
	p := inTimeWait(t)
	p.after(59 * time.Second)
	p.state(TimeWait)
	p.after(time.Second)
	p.failed(nil)
	if !p.c.Done() {
		t.Fatal("not done")
	}
}

func TestRFC9293PassiveClose(t *testing.T) {
	p := inLastAck(t)
	p.recv(ACK, 2, 2, 0)
	p.failed(nil)
	if n, err := p.c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("Read: %d, %v", n, err)
	}
}

func TestRFC9293SimultaneousClose(t *testing.T) {
	p := inClosing(t)
	p.recv(ACK, 2, 2, 0)
	p.expect()
	p.state(TimeWait)
}

// The peer's FIN acknowledges ours: straight from FIN-WAIT-1 to TIME-WAIT.
func TestRFC9293FinWait1FinAck(t *testing.T) {
	p := inFinWait1(t)
	p.recv(FIN|ACK, 1, 2, 0)
	p.expect("[.] 2 ack 2")
	p.state(TimeWait)
}

// FIN/FIN/ACK: both closed at once, then an in-window reset that is not exact.
func TestRFC5961ResetDuringSimultaneousClose(t *testing.T) {
	p := inClosing(t)
	p.recv(RST, 50, 0, 0)
	p.expect("[.] 2 ack 2")
	p.state(Closing)
	p.recv(RST, 2, 0, 0)
	p.failed(ErrReset) // our last text may not have arrived
	if n, err := p.c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v: the peer's stream was whole", n, err)
	}
}

// In TIME-WAIT everything but a bare acknowledgment where we stand is answered,
// a limited number of times.
func TestRFC9293TimeWaitAnswers(t *testing.T) {
	for _, ahead := range []func(p *script){
		func(p *script) { p.recv(ACK, 3, 2, 0) },
		func(p *script) { p.recv(FIN|ACK, 2, 2, 0) },
		func(p *script) { p.recv(FIN|ACK, 9, 2, 0) },
		func(p *script) { p.recv(ACK, 2, 2, 10) },
	} {
		p := inTimeWait(t)
		for range DefaultChallengeLimit {
			ahead(p)
			p.expect("[.] 2 ack 2")
		}
		ahead(p)
		p.expect()
		p.state(TimeWait)
	}
	p := inTimeWait(t)
	p.recv(ACK, 2, 2, 0)
	p.expect()
}

func TestRFC9293HalfClose(t *testing.T) {
	p := inFinWait2(t)
	p.recv(PSH|ACK, 1, 2, 500)
	p.read(1, 500)
	if _, err := p.c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("Write after CloseWrite: %v", err)
	}
	p.after(time.Hour)
	p.state(FinWait2) // no timeout while the user may still read
	q := inCloseWait(t)
	q.write(300)
	q.expect("[P.] 1+300 ack 2")
	if _, err := q.c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("Read after FIN: %v", err)
	}
}

func TestCloseBeforeEstablishedSendsDataAndFin(t *testing.T) {
	p, _ := inSynSent(t)
	p.write(20)
	p.c.CloseWrite(p.now)
	p.recv(SYN|ACK, 0, 1, 0, func(s *Segment) { s.Options.MSS = 1000 })
	p.expect("[FP.] 1+20 ack 1")
	p.state(FinWait1)
}

func TestFinWait2TimesOutAfterClose(t *testing.T) {
	p := inEstablished(t)
	p.c.Close(p.now)
	p.flush()
	p.expect("[F.] 1 ack 1")
	p.recv(ACK, 1, 2, 0)
	p.after(DefaultFinWait2)
	p.failed(nil)
}

//rfc:9293 MAY-1 SHLD-3
func TestRFC9293DataAfterCloseResets(t *testing.T) { // §3.6.1
	p := inEstablished(t)
	p.c.Close(p.now)
	p.flush()
	p.expect("[F.] 1 ack 1")
	p.recv(ACK, 1, 2, 10)
	p.failed(ErrAborted)
	p.expect("[R] 2 ack 0")
	p = inEstablished(t)
	p.c.Close(p.now)
	p.out = nil
	p.flush()
	p.recv(ACK, 1, 1, 10) // the FIN has not arrived there: the reset has the FIN's number
	p.expect("[F.] 1 ack 1", "[R] 1 ack 0")
}

//rfc:9293 SHLD-3
func TestRFC9293CloseWithUnreadDataResets(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10)
	p.c.Close(p.now)
	p.flush()
	p.expect("[R.] 1 ack 11")
	p.failed(ErrAborted)
}

// After CloseRead, what has come and what comes is read as ever, but not waited for.
func TestCloseReadWaitsForNothing(t *testing.T) {
	p := inEstablished(t)
	end := func() {
		t.Helper()
		if n, err := p.c.Read(make([]byte, 9)); n != 0 || err != io.EOF || !p.c.Readable() {
			t.Fatalf("Read: %d, %v", n, err)
		}
		if n, err := p.c.Peek(make([]byte, 9), 0); n != 0 || err != io.EOF {
			t.Fatalf("Peek: %d, %v", n, err)
		}
	}
	p.recv(ACK, 1, 1, 10)
	p.c.CloseRead()
	p.read(1, 10)
	end()
	p.recv(ACK, 11, 1, 2000)
	p.expect("[.] 1 ack 2011")
	p.read(11, 2000)
	end()
	p.recv(RST, 2011, 0, 0)
	if n, err := p.c.Read(make([]byte, 9)); n != 0 || err != ErrReset {
		t.Fatalf("Read: %d, %v", n, err)
	}
}

// Who has closed both directions with CloseRead and CloseWrite resets text that comes
// then, and learns of it.
//
//rfc:9293 SHLD-3
func TestRFC9293TextAfterBothDirectionsAreClosed(t *testing.T) { // §3.6.1
	for name, make := range map[string]func(*testing.T, ...option) *script{"FIN-WAIT-1": inFinWait1, "FIN-WAIT-2": inFinWait2} {
		p := make(t)
		una := p.c.sndUna.Sub(ourISS)
		p.c.CloseRead()
		p.recv(ACK, 1, una, 10)
		if len(p.out) != 1 || p.last().Flags&RST == 0 {
			t.Errorf("%s: %q", name, p.out)
		}
		p.failed(ErrReset)
		p = make(t)
		p.c.CloseRead()
		p.recv(FIN|ACK, 1, una, 0)
		if p.last().Flags&RST != 0 {
			t.Errorf("%s: a FIN is reset", name)
		}
	}
}

// Text that waits for a reader resets the connection on Close, be it after CloseRead.
//
//rfc:9293 SHLD-3
func TestRFC9293CloseWithUnreadDataAfterCloseRead(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10)
	p.c.CloseRead()
	p.c.Close(p.now)
	p.flush()
	p.expect("[R.] 1 ack 11")
	p.failed(ErrAborted)
}

func TestRFC9293Abort(t *testing.T) { // §3.10.5
	want := map[State]string{
		SynReceived: "[R.] 1 ack 1", Established: "[R.] 1 ack 1", FinWait1: "[R.] 2 ack 1",
		FinWait2: "[R.] 2 ack 1", CloseWait: "[R.] 1 ack 2",
	}
	for _, st := range states {
		p := st.make(t)
		p.c.Abort(p.now)
		if _, resets := want[st.state]; p.c.Done() == resets {
			t.Fatalf("%v: Done before the reset went out", st.state)
		}
		p.flush()
		if r, ok := want[st.state]; ok {
			p.expect(r)
			p.failed(ErrAborted)
		} else {
			p.expect()
			p.failed(nil)
		}
		if p.c.Deadline() != 0 || !p.c.Done() {
			t.Fatalf("%v: not done", st.state)
		}
	}
}

func TestRFC9293AbortInSynSentIsSilent(t *testing.T) {
	p, _ := inSynSent(t)
	p.c.Abort(p.now)
	p.flush()
	p.expect()
	p.failed(ErrAborted)
}

//rfc:1337 no-assassination
func TestRFC9293ExactResetInEveryState(t *testing.T) {
	for _, st := range states {
		p := st.make(t)
		p.recv(RST, p.c.rcvNxt.Sub(peerISS), 0, 0)
		p.expect()
		switch st.state {
		case TimeWait: // RFC 1337 §3
			p.state(TimeWait)
		default:
			p.failed(ErrReset)
		}
	}
}

//rfc:9293 MUST-12
func TestResetKeepsWhatArrivedReadable(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10)
	p.recv(RST, 11, 0, 0)
	p.read(1, 10)
	if _, err := p.c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("Read: %v", err)
	}
	if _, err := p.c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("Write: %v", err)
	}
}

func TestRFC9293ResetFor(t *testing.T) { // §3.10.7.1
	for _, tc := range []struct {
		in   Segment
		want string
	}{
		{Segment{Flags: ACK, Seq: peerISS, Ack: ourISS.Add(9)}, "[R] 9 ack 0"},
		{Segment{Flags: SYN, Seq: peerISS}, "[R.] 0 ack 1"},
		{Segment{Flags: FIN, Seq: peerISS, Payload: []byte("abc")}, "[R.] 0 ack 4"},
		{Segment{Flags: SYN | ACK, Seq: peerISS, Ack: ourISS.Add(3)}, "[R] 3 ack 0"},
	} {
		tc.in.SrcPort, tc.in.DstPort = 7, 8
		r, ok := ResetFor(&tc.in)
		if !ok || show(&r) != tc.want || r.SrcPort != 8 || r.DstPort != 7 {
			t.Errorf("%v: %v, want %s", &tc.in, &r, tc.want)
		}
	}
	if _, ok := ResetFor(&Segment{Flags: RST | ACK}); ok {
		t.Error("a reset was answered")
	}
}

func TestTimeWaitAcksRetransmittedFinAndRestarts(t *testing.T) {
	p := inTimeWait(t)
	p.after(50 * time.Second)
	p.recv(FIN|ACK, 1, 2, 0)
	p.expect("[.] 2 ack 2")
	p.after(50 * time.Second)
	p.state(TimeWait)
	p.after(10 * time.Second)
	p.failed(nil)
}

//rfc:9293 MAY-2 SHLD-4
//rfc:6191 newer-timestamp older-timestamp newer-sequence same-timestamp first-timestamps
func TestRFC6191Reopens(t *testing.T) { // §2
	plain, stamped := inTimeWait(t), inTimeWait(t, withTimestamps) // the last timestamp is 100
	for _, tc := range []struct {
		name string
		old  *script
		seq  int // of the SYN; the last of the old connection is 1
		ts   uint32
		take bool // the option would be agreed on, if the SYN has it
		want bool
	}{
		{"newer number", plain, 100, 0, true, true},
		{"old number", plain, 1, 0, true, false},
		{"newer timestamp", stamped, -1000, 101, true, true},
		{"older timestamp", stamped, 1000, 99, true, false},
		{"same timestamp, newer number", stamped, 1000, 100, true, true},
		{"same timestamp, old number", stamped, 1, 100, true, false},
		{"no timestamp any more, newer number", stamped, 1000, 0, true, true},
		{"no timestamp any more, old number", stamped, 1, 0, true, false},
		{"older timestamp that is not taken, newer number", stamped, 1000, 99, false, true},
		{"newer timestamp that is not taken, old number", stamped, 1, 101, false, false},
		{"a timestamp for the first time", plain, -1000, 5, true, true},
		{"one that is not taken", plain, -1000, 5, false, false},
		{"not in TIME-WAIT", inEstablished(t), 1000, 0, true, false},
	} {
		syn := &Segment{Flags: SYN, Seq: peerISS.Add(tc.seq), Options: Options{HasTimestamps: tc.ts != 0, TSVal: tc.ts}}
		iss, ok := tc.old.c.Reopens(syn, tc.take)
		if ok != tc.want || ok && !iss.After(tc.old.c.sndMax) {
			t.Errorf("%s: %v with number %d", tc.name, ok, iss)
		}
	}
}
