package tcp

import (
	"slices"
	"testing"
	"time"
)

// reno gives the scripts a window that is easy to foresee.
func reno(cfg *Config, _ *Options) { cfg.CongestionControl = new(Reno) }

// sentSegments returns a connection that has sent n segments of 1000 octets in
// one flight and has nothing more to send.
func sentSegments(t *testing.T, n int, opts ...option) *script {
	t.Helper()
	p := inEstablished(t, append(opts, reno)...)
	p.c.win.Cwnd = 100_000
	p.write(n * 1000)
	if len(p.out) != n {
		t.Fatalf("sent %d segments, want %d", len(p.out), n)
	}
	p.out = nil
	return p
}

//rfc:5681 initial-window window handshake
//rfc:9937 window
//rfc:9406 window
//rfc:6928 ten
func TestRFC6928InitialWindow(t *testing.T) {
	for mss, want := range map[uint16]int{1460: 10, 536: 10, 2000: 7, 9000: 2} {
		p := inEstablished(t, withMSS(mss), config(func(c *Config) { c.MSS = 9000 }))
		p.write(100000)
		if n := len(p.out); n != want {
			t.Errorf("MSS %d: %d segments at first", mss, n)
		}
	}
}

//rfc:5681 initial-after-loss
//rfc:6298 lost-syn
func TestRFC5681OneSegmentAfterLostSyn(t *testing.T) {
	p, syn := inSynSent(t)
	p.after(time.Second)
	p.out = nil
	p.write(5000)
	p.recv(SYN|ACK, 0, 1, 0, func(s *Segment) { s.Options = syn })
	p.expect("[.] 1+1000 ack 1")
	if r := p.c.Info().RTO; r != 3*time.Second { // RFC 6298 §5.7
		t.Fatalf("RTO %v", r)
	}
}

//rfc:9293 MUST-18
//rfc:6298 first next each-round-trip order update
//rfc:9406 each-round-trip
//rfc:8961 several each-round-trip other
func TestRFC6298Estimator(t *testing.T) { // §2.2, §2.3
	p, syn := inSynSent(t)
	step := func(d time.Duration, seq int, want time.Duration) {
		t.Helper()
		p.now = p.now.Add(d)
		if seq == 0 {
			p.recv(SYN|ACK, 0, 1, 0, func(s *Segment) { s.Options = syn })
		} else {
			p.recv(ACK, 1, seq, 0)
		}
		if got := p.c.Info().RTO; got != want {
			t.Fatalf("RTO %v, want %v", got, want)
		}
	}
	step(400*time.Millisecond, 0, 1200*time.Millisecond)
	p.write(10)
	step(300*time.Millisecond, 11, 1087500*time.Microsecond)
}

//rfc:9293 MUST-18 MUST-19
//rfc:6298 karn expire start
//rfc:8961 unambiguous back-off back-off-ends
func TestRFC6298BackoffAndKarn(t *testing.T) { // §5.5, §5.7
	p := sentSegments(t, 1)
	at := p.times(7 * time.Second)
	if len(at) != 5 || at[1]-at[0] != 2*at[0] || at[2]-at[1] != 4*at[0] {
		t.Fatalf("retransmissions after %v", at)
	}
	p.recv(ACK, 1, 1001, 0) // ambiguous: no sample, the back-off stays
	if r := p.c.Info().RTO; r < 6*time.Second {
		t.Fatalf("RTO %v", r)
	}
	p.write(10)
	p.now = p.now.Add(10 * time.Millisecond)
	p.recv(ACK, 1, 1011, 0)
	if r := p.c.Info().RTO; r > 300*time.Millisecond {
		t.Fatalf("RTO %v after a clean sample", r)
	}
}

func TestRFC7323TimestampSamplesRetransmissions(t *testing.T) { // §4.1
	p := inEstablished(t, withTimestamps)
	p.write(988)
	p.after(250 * time.Millisecond)
	echo := p.last().Options.TSVal
	p.now = p.now.Add(30 * time.Millisecond)
	p.recv(ACK, 1, 989, 0, func(s *Segment) { s.Options.TSEcr = echo })
	if i := p.c.Info(); i.RTO > 400*time.Millisecond || i.SRTT < time.Millisecond {
		t.Fatalf("%+v", i)
	}
}

//rfc:5681 timeout-window timeout-ssthresh
//rfc:6298 stop
//rfc:8961 congestion
func TestRFC5681TimeoutCollapsesWindow(t *testing.T) { // §3.1
	p := sentSegments(t, 8)
	p.after(300 * time.Millisecond)
	p.expect("[.] 1+1000 ack 1")
	if i := p.c.Info(); i.Cwnd != 1000 || i.Ssthresh != 4000 {
		t.Fatalf("%+v", i)
	}
	p.recv(ACK, 1, 1001, 0)
	p.expect("[.] 1001+1000 ack 1", "[.] 2001+1000 ack 1") // slow start
	p.recv(ACK, 1, 8001, 0)
	if p.c.loss != lossNone || p.c.flight() != 0 || p.c.Deadline() != 0 {
		t.Fatal("recovery or timer is left")
	}
}

//rfc:5681 fast-retransmit limited-transmit limited-window limited-not-counted first-lost inflate
//rfc:3042 new-segments window-unchanged
//rfc:6582 enter inflate partial deflate full
//rfc:9937 without-sack
func TestRFC6582NewReno(t *testing.T) { // §3.2, with RFC 3042 before it
	p := sentSegments(t, 8)
	p.c.win.Cwnd = 8000
	p.write(20000)
	p.expect()
	p.recv(ACK, 1, 1, 0)
	p.expect("[.] 8001+1000 ack 1") // limited transmit
	p.recv(ACK, 1, 1, 0)
	p.expect("[.] 9001+1000 ack 1")
	p.recv(ACK, 1, 1, 0)
	p.expect("[.] 1+1000 ack 1") // fast retransmit
	if i := p.c.Info(); i.Ssthresh != 4000 {
		t.Fatalf("%+v", i)
	}
	for range 4 { // inflation: 4+3+4 segments allow the eleventh
		p.recv(ACK, 1, 1, 0)
	}
	p.expect("[.] 10001+1000 ack 1")
	p.recv(ACK, 1, 3001, 0) // partial: the next hole goes at once, the window deflates by 3-1
	p.expect("[.] 3001+1000 ack 1", "[.] 11001+1000 ack 1")
	p.recv(ACK, 1, 12001, 0) // full
	if i := p.c.Info(); i.Cwnd > 4000 || p.c.loss != lossNone {
		t.Fatalf("%+v", i)
	}
}

//rfc:5681 duplicate
func TestRFC5681WindowUpdatesAreNoDuplicates(t *testing.T) { // §2
	p := sentSegments(t, 4)
	for i := range 6 {
		p.recv(ACK, 1, 1, 0, window(50000+uint16(i)))
		p.recv(ACK, 1+i, 1, 1)
	}
	if p.c.loss != lossNone || p.c.dupAcks != 0 {
		t.Fatal("counted as duplicates")
	}
}

//rfc:6675 is-lost first-at-once pipe end next-lost once duplicates
//rfc:8985 window-decides
//rfc:2018 congestion
func TestRFC6675Recovery(t *testing.T) { // §5
	p := sentSegments(t, 10, withSACK)
	p.now = p.now.Add(20 * time.Millisecond)
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 2001}))
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 3001}))
	p.expect()
	p.recv(ACK, 1, 1, 0, sacking([2]int{4001, 5001}, [2]int{1001, 3001}))
	p.expect("[.] 1+1000 ack 1") // whatever the window says
	if i := p.c.Info(); i.Ssthresh != 5000 {
		t.Fatalf("%+v", i)
	}
	// 3001 was sent before 4001, which is there: it is lost too (RFC 8985), and
	// goes when the flight has come down (RFC 9937).
	p.recv(ACK, 1, 1, 0, sacking([2]int{4001, 7001}, [2]int{1001, 3001}))
	p.expect("[.] 3001+1000 ack 1")
	p.recv(ACK, 1, 3001, 0, sacking([2]int{4001, 7001}))
	p.recv(ACK, 1, 10001, 0)
	if p.c.loss != lossNone || p.c.Info().Cwnd != 5000 {
		t.Fatalf("%+v", p.c.Info())
	}
}

// The first segment and the last three are lost, and nothing new is to be sent:
// when the retransmission of the first has arrived the others have been under
// way for longer than something that was sent after them.
//
//rfc:6675 rescue
func TestRFC8985LostTailBehindAHole(t *testing.T) { // §6.2
	p := sentSegments(t, 10, withSACK)
	p.now = p.now.Add(20 * time.Millisecond)
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 7001}))
	p.expect("[.] 1+1000 ack 1")
	p.now = p.now.Add(20 * time.Millisecond)
	p.recv(ACK, 1, 7001, 0)
	p.expect("[.] 7001+1000 ack 1", "[.] 8001+1000 ack 1", "[P.] 9001+1000 ack 1")
}

//rfc:2018 skips
func TestRFC6675TimeoutSkipsWhatIsSacked(t *testing.T) { // §5.1
	p := sentSegments(t, 6, withSACK)
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 2001}))
	p.after(250 * time.Millisecond)
	p.expect("[.] 1+1000 ack 1", "[.] 1+1000 ack 1") // after two round trips, and at the timeout
	p.recv(ACK, 1, 2001, 0)
	p.expect("[.] 2001+1000 ack 1", "[.] 3001+1000 ack 1")
}

//rfc:6675 timeout
func TestRFC6675TimeoutKeepsTheReports(t *testing.T) { // §5.1
	p := sentSegments(t, 6, withSACK)
	p.recv(ACK, 1, 1, 0, sacking([2]int{2001, 3001}))
	p.after(250 * time.Millisecond)
	p.out = nil
	p.recv(ACK, 1, 1001, 0)
	p.expect("[.] 1001+1000 ack 1", "[.] 3001+1000 ack 1")
}

//rfc:2018 kept reneging timeout-forgets timeout-ignores
//rfc:6675 kept
func TestRFC2018RenegingIsSurvived(t *testing.T) { // §8
	p := sentSegments(t, 3, withSACK)
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 3001}))
	p.after(250 * time.Millisecond)
	p.recv(ACK, 1, 1001, 0) // it has dropped what it had reported
	p.out = nil
	p.after(time.Second)
	if len(p.out) == 0 || p.out[0] != "[.] 1001+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
}

//rfc:2883 sender
func TestForgedSACKIgnored(t *testing.T) {
	p := sentSegments(t, 3, withSACK)
	for _, b := range [][2]int{{5001, 6001}, {2001, 9001}, {1001, 1001}, {2001, 1001}, {-500, 500}, {-2000, -1000}} {
		p.recv(ACK, 1, 1, 0, sacking(b))
	}
	if !p.c.board.empty() {
		t.Fatalf("%v", p.c.board.s)
	}
}

//rfc:2018 sent newest-first as-many
func TestRFC2018SendsNewestFirst(t *testing.T) { // §4
	p := inEstablished(t, withSACK, withTimestamps)
	for _, seq := range []int{8001, 2001, 6001, 4001} {
		p.recv(ACK, seq, 1, 500)
	}
	o := p.last().Options
	want := [4]SACKBlock{{peerISS.Add(4001), peerISS.Add(4501)}, {peerISS.Add(6001), peerISS.Add(6501)}, {peerISS.Add(2001), peerISS.Add(2501)}}
	if o.NSACK != 3 || o.SACK != want {
		t.Fatalf("%v", p.segs[len(p.segs)-1].String())
	}
}

//rfc:2883 first once early
func TestRFC2883DSACK(t *testing.T) { // §4.1, §4.2
	p := inEstablished(t, withSACK)
	block := func(a, b int) SACKBlock { return SACKBlock{peerISS.Add(a), peerISS.Add(b)} }
	check := func(want ...SACKBlock) {
		t.Helper()
		o := p.last().Options
		if int(o.NSACK) != len(want) {
			t.Fatalf("%d blocks %v, want %v", o.NSACK, o.SACK, want)
		}
		for i := range want {
			if o.SACK[i] != want[i] {
				t.Fatalf("%v, want %v", o.SACK, want)
			}
		}
	}
	p.recv(ACK, 1, 1, 1000)
	p.recv(ACK, 1, 1, 1000) // a full duplicate
	check(block(1, 1001))
	p.recv(ACK, 1, 1, 1500) // partly
	check(block(1, 1001))
	p.recv(ACK, 3001, 1, 500)
	check(block(3001, 3501))
	p.recv(ACK, 3001, 1, 500) // a duplicate out of order
	check(block(3001, 3501), block(3001, 3501))
	p.recv(ACK, 5001, 1, 500) // reported once only
	check(block(5001, 5501), block(3001, 3501))
	p.recv(ACK, 1501, 1, 1700) // fills the hole, and part of it is there
	check(block(3001, 3201), block(5001, 5501))
	p.recv(ACK, 3301, 1, 1900) // old in front and early behind: the block tells of the first
	check(block(3301, 3501))
}

// The SACK blocks of an acknowledgment that was overtaken are news.
func TestOvertakenSACK(t *testing.T) {
	p := inEstablished(t, withSACK)
	p.c.win.Cwnd = 10_000
	p.write(10_000)
	p.out = nil
	p.after(10 * time.Millisecond)
	p.recv(ACK, 1, 4001, 0)
	p.recv(ACK, 1, 3001, 0, sacking([2]int{6001, 8001}))
	if got := p.c.board.octets; got != 2000 {
		t.Fatalf("%d octets reported", got)
	}
	p.recv(ACK, 1, 2001, 0, sacking([2]int{3001, 4001})) // what is acknowledged already is not
	p.recv(ACK, 1, 3001, 0, sacking([2]int{6001, 9001}))
	p.after(50 * time.Millisecond) // nothing came between, but the reordering window of RACK
	if p.c.board.octets != 3000 || !slices.Contains(p.out, "[.] 4001+1000 ack 1") {
		t.Fatalf("%d octets reported, %q", p.c.board.octets, p.out)
	}
}

// Slow start goes on for the acknowledgments of a flight that filled the window,
// and does not for one that had room to spare.
func TestWindowInUse(t *testing.T) {
	for _, c := range []struct{ flight, before, after int }{{10_000, 10_000, 20_000}, {6000, 10_000, 12_000}, {5000, 10_000, 10_000}} {
		p := inEstablished(t)
		p.c.win.Cwnd = c.before
		p.write(c.flight)
		for n := 1000; n <= c.flight; n += 1000 {
			p.recv(ACK, 1, 1+n, 0)
		}
		if p.c.win.Cwnd != c.after {
			t.Errorf("a flight of %d: %d, want %d", c.flight, p.c.win.Cwnd, c.after)
		}
		p.after(10 * time.Millisecond)
		p.write(1000) // a round trip with little to say
		p.recv(ACK, 1, 1+c.flight+1000, 0)
		if p.c.win.Cwnd != c.after {
			t.Errorf("%d octets in flight grow the window to %d", 1000, p.c.win.Cwnd)
		}
	}
}

func TestRFC7323ResetHasTimestamps(t *testing.T) { // §3.2
	p := inEstablished(t, withTimestamps)
	p.recv(ACK, 1, 1, 10)
	p.c.Abort(p.now)
	p.flush()
	s := p.last()
	if s.Flags != RST|ACK || !s.Options.HasTimestamps || s.Options.TSEcr != p.c.tsRecent || s.Options.TSVal != p.c.tsNow(p.now) {
		t.Errorf("%s, %+v", s.String(), s.Options)
	}
	p, _ = inSynSent(t, withTimestamps) // nothing is agreed on
	p.recv(ACK, 1, 7, 0)
	if s := p.last(); s.Flags != RST || s.Options.HasTimestamps {
		t.Errorf("%s, %+v", s.String(), s.Options)
	}
}

func TestOutOfOrderQueueIsBounded(t *testing.T) {
	p := inEstablished(t, withSACK)
	for i := range 3 * maxSpans {
		p.recv(ACK, 3+2*i, 1, 1)
	}
	if n := len(p.c.rcvq.early.s); n != maxSpans {
		t.Fatalf("%d spans", n)
	}
	chunks := 0
	for c := p.c.rcvq.head; c != nil; c = c.next {
		chunks++
	}
	if chunks > 2 {
		t.Fatalf("%d chunks for 513 octets", chunks)
	}
	p.recv(ACK, 1, 1, 6000) // and it recovers
	p.read(1, 6000)
}

//rfc:1191 transport no-congestion
//rfc:7323 path-mtu
//rfc:4821 fewer-octets
func TestSetPathMSS(t *testing.T) { // RFC 1191 §6
	p := sentSegments(t, 3)
	cwnd := p.c.Info().Cwnd
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	p.expect("[.] 1+600 ack 1", "[.] 601+600 ack 1", "[.] 1201+600 ack 1", "[.] 1801+600 ack 1", "[P.] 2401+600 ack 1")
	if now := p.c.Info().Cwnd; now != cwnd/1000*600 {
		t.Fatalf("a path change is no congestion: the window was %d octets in segments of 1000, and is %d in segments of 600", cwnd, now)
	}
	p.c.SetPathMSS(p.now, 9000) // never above Config.MSS
	if m := p.c.Info().SndMSS; m != 1000 {
		t.Fatalf("MSS %d", m)
	}
	p.c.SetPathMSS(p.now, 1)
	if m := p.c.Info().SndMSS; m != minSendMSS {
		t.Fatalf("MSS %d", m)
	}
}

func TestSuperSegments(t *testing.T) {
	p := inEstablished(t)
	p.gso = 4500
	p.write(10500)
	p.expect("[P.] 1+4000 ack 1", "[P.] 4001+4000 ack 1", "[P.] 8001+2000 ack 1")
	if g := p.segs[2].GSOSize; g != 1000 {
		t.Fatalf("cut every %d", g)
	}
	p.recv(ACK, 1, 10001, 0)
	p.expect("[P.] 10001+500 ack 1")
	if g := p.last().GSOSize; g != 0 {
		t.Fatalf("a short segment is to be cut every %d", g)
	}
}

func TestEmitRefused(t *testing.T) {
	p := inEstablished(t)
	if _, err := p.c.Write(text(0, 3000)); err != nil {
		t.Fatal(err)
	}
	n := 0
	p.c.Output(p.now, 0, func(*Segment) bool { n++; return n == 1 })
	if p.c.flight() != 1000 {
		t.Fatalf("%d in flight after one of two was taken", p.c.flight())
	}
	p.flush()
	p.expect("[.] 1001+1000 ack 1", "[P.] 2001+1000 ack 1")
}

// What was sent again is counted until it is reported, or lost once more.
func TestResentOctets(t *testing.T) {
	p := sentSegments(t, 8, withSACK)
	p.after(100 * time.Millisecond)
	p.recv(ACK, 1, 1, 0, sacking([2]int{4001, 8001}))
	p.after(100 * time.Millisecond)
	if i := p.c.Info(); i.Lost+i.Resent != 4000 || i.Resent == 0 {
		t.Fatalf("%d lost, %d sent again", i.Lost, i.Resent)
	}
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 2001}, [2]int{4001, 8001}))
	if i := p.c.Info(); i.Lost+i.Resent != 3000 {
		t.Fatalf("%d lost, %d sent again", i.Lost, i.Resent)
	}
	p.recv(ACK, 1, 8001, 0)
	if i := p.c.Info(); i.Lost != 0 || i.Resent != 0 {
		t.Fatalf("%d lost, %d sent again when all has arrived", i.Lost, i.Resent)
	}
}
