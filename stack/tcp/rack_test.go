package tcp

import (
	"math/rand/v2"
	"testing"
	"time"
)

const roundTrip = 20 * time.Millisecond

// inFlight returns a connection with SACK that has n segments in flight for one
// round trip, and whose round-trip estimates are that.
func inFlight(t *testing.T, n int, opts ...option) *script {
	t.Helper()
	p := sentSegments(t, 1, append(opts, withSACK)...)
	p.now = p.now.Add(roundTrip)
	p.recv(ACK, 1, 1001, 0)
	for range 20 { // SRTT comes from the handshake, which took no time
		p.c.sampleRTT(roundTrip)
	}
	p.c.rack.minRTT = roundTrip
	p.c.win.Cwnd = n * 1000
	p.write(n * 1000)
	p.out = nil
	p.now = p.now.Add(roundTrip)
	return p
}

// seg returns the SACK block of the k-th segment in flight.
func seg(k int) [2]int { return [2]int{1001 + k*1000, 2001 + k*1000} }

// One segment that was overtaken is given a quarter of the least round trip.
//
//rfc:8985 window timer lost sack
func TestRFC8985ReorderingTimer(t *testing.T) { // §6.2 step 5
	p := inFlight(t, 3)
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	p.expect()
	p.after(roundTrip/4 - time.Millisecond)
	p.expect()
	p.after(time.Millisecond)
	p.expect("[.] 1001+1000 ack 1")
	if p.c.loss != lossRecovery {
		t.Fatal("no recovery")
	}
}

// A segment that was only late teaches patience: from then on three that have
// overtaken another are no proof.
//
//rfc:8985 reordering-seen
func TestRFC8985ReorderingIsLearned(t *testing.T) { // §6.2 step 3
	p := inFlight(t, 10)
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	p.recv(ACK, 1, 3001, 0) // there it is
	p.expect()
	p.recv(ACK, 1, 3001, 0, sacking([2]int{4001, 9001}))
	p.expect()
	p.after(roundTrip / 4)
	p.expect("[.] 3001+1000 ack 1")
}

// How far segments were overtaken is known for the sake of tcp_info: by most at
// once, and by how many acknowledgments.
func TestReorderingDegree(t *testing.T) {
	p := inFlight(t, 10)
	degree := func(octets int, times uint16) {
		t.Helper()
		if i := p.c.Info(); i.Overtaken != octets || i.Reordered != times {
			t.Errorf("overtaken by %d octets, reported %d times; want %d and %d", i.Overtaken, i.Reordered, octets, times)
		}
	}
	p.recv(ACK, 1, 1001, 0, sacking(seg(7)))
	degree(0, 0)
	p.recv(ACK, 1, 1001, 0, sacking(seg(7), seg(5), seg(3)))
	degree(5000, 1)
	p.recv(ACK, 1, 1001, 0, sacking(seg(7), [2]int{6001, 8001}, seg(3)))
	degree(5000, 2)
	p.recv(ACK, 1, 2001, 0, sacking([2]int{6001, 9001}, seg(3)))
	degree(8000, 3)
}

// Reports of one acknowledgment are no reordering, in whatever order they stand:
// acknowledgments get lost.
func TestRFC8985ReportsOfOneAckAreNoReordering(t *testing.T) {
	p := inFlight(t, 10)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{8001, 9001}, [2]int{5001, 6001}, [2]int{2001, 4001}))
	if p.c.rack.reordered {
		t.Fatal("taken for reordering")
	}
	if len(p.out) == 0 || p.out[0] != "[.] 1001+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
}

// The retransmission is lost as well: what was sent after it tells.
//
//rfc:5681 loss-of-retransmission
//rfc:8985 window-zero lost-retransmission lost-twice
//rfc:6675 next-new
func TestRFC8985LostRetransmission(t *testing.T) {
	p := inFlight(t, 10)
	p.write(20_000)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 5001}))
	p.expect("[.] 1001+1000 ack 1")
	ssthresh := p.c.Info().Ssthresh
	for to := 6001; to <= 11001; to += 1000 { // the rest of the flight arrives
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, to}))
	}
	if len(p.out) == 0 || p.out[0] != "[.] 11001+1000 ack 1" {
		t.Fatalf("new text should go now: %q", p.out)
	}
	p.out = nil
	p.now = p.now.Add(roundTrip)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 12001}))
	if len(p.out) == 0 || p.out[0] != "[.] 1001+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
	// RFC 5681 §4.3: the window is lowered twice, not from what the flight
	// happens to be in recovery.
	if got := p.c.Info().Ssthresh; got != ssthresh/2 {
		t.Fatalf("Ssthresh %d, before %d", got, ssthresh)
	}
}

// The retransmission times out: that lowers the window twice, too.
func TestTimeoutInRecovery(t *testing.T) {
	p := inFlight(t, 10)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 11001}))
	ssthresh := p.c.Info().Ssthresh
	p.after(time.Second)
	if got := p.c.Info().Ssthresh; p.c.loss != lossTimeout || got != ssthresh/2 {
		t.Fatalf("%v, Ssthresh %d, before %d", p.c.loss, got, ssthresh)
	}
}

// What an acknowledgment says of a retransmission counts only when it can be
// meant: a round trip shorter than any before is that of the original.
//
//rfc:8985 retransmission-rtt
func TestRFC8985AckOfTheOriginalTellsNothing(t *testing.T) { // §6.2 step 2
	p := inFlight(t, 4)
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	p.after(roundTrip / 4)
	p.expect("[.] 1001+1000 ack 1")
	at := p.c.rack.at
	p.now = p.now.Add(time.Millisecond)
	p.recv(ACK, 1, 3001, 0)
	if p.c.rack.at != at {
		t.Fatal("the latest arrival moved to the retransmission")
	}
}

// Duplicates widen the window by a quarter of the least round trip, once a round
// trip, and sixteen recoveries later it is as before.
//
//rfc:8985 window-dsack window-persist
func TestRFC8985DSACKWidensTheWindow(t *testing.T) { // §6.2 step 4
	p := inFlight(t, 10)
	was := p.c.reorderWindow()
	p.recv(ACK, 1, 3001, 0, sacking(seg(0)))
	p.recv(ACK, 1, 3001, 0, sacking(seg(1))) // the same round trip
	if got := p.c.reorderWindow(); got != 2*was {
		t.Fatalf("%v, was %v", got, was)
	}
	p.recv(ACK, 1, 11001, 0, sacking(seg(2)))
	if got := p.c.reorderWindow(); got != 3*was {
		t.Fatalf("%v, was %v", got, was)
	}
	for range rackPersist {
		if p.c.reorderWindow() == was {
			t.Fatal("shrunk too early")
		}
		p.c.rackRecovered()
	}
	if got := p.c.reorderWindow(); got != was {
		t.Fatalf("%v after %d recoveries", got, rackPersist)
	}
}

// The window never exceeds the smoothed round trip.
//
//rfc:8985 window-bound
func TestRFC8985WindowIsBounded(t *testing.T) { // §6.2 step 4
	p := inFlight(t, 1)
	for range 300 {
		p.c.rack.inRound = false
		p.c.rackDoubled()
	}
	if got := p.c.reorderWindow(); got > p.c.srtt || got < p.c.srtt/2 {
		t.Fatalf("%v, SRTT %v", got, p.c.srtt)
	}
}

// At a timeout what was sent a moment ago is not lost yet.
//
//rfc:8985 timeout
func TestRFC8985TimeoutMarksWhatIsOverdue(t *testing.T) { // §6.3
	p := inFlight(t, 1)
	p.c.win.Cwnd = 2000
	p.now = p.c.rtxAt - Instant(roundTrip/2)
	p.write(1000)
	p.out = nil
	p.c.tail = tailProbe{} // it would go in the timeout's place
	p.after(roundTrip / 2)
	p.expect("[.] 1001+1000 ack 1")
	if !p.c.lost.empty() {
		t.Fatalf("%d octets are taken for lost", p.c.lost.octets)
	}
}

// In recovery the flight comes down to the threshold in proportion to what
// arrives: with a threshold of half the flight one segment goes for two.
//
//rfc:9937 proportional end with-rack init
//rfc:8985 prr
//rfc:5681 recovery-rate recovery-end
func TestRFC9937Proportional(t *testing.T) { // §6.2
	p := inFlight(t, 20)
	p.write(40_000)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 5001}))
	p.expect("[.] 1001+1000 ack 1")
	sent := 0
	for to := 6001; to <= 14001; to += 1000 {
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, to}))
		sent += len(p.out)
		p.out = nil
	}
	if sent < 4 || sent > 5 {
		t.Fatalf("%d segments for 9 that arrived", sent)
	}
	if got, want := p.c.pipe(), p.c.win.Ssthresh; got > want+3000 {
		t.Fatalf("%d in flight, the threshold is %d", got, want)
	}
	p.recv(ACK, 1, 21001, 0) // all that was in flight when it began
	if i := p.c.Info(); p.c.loss != lossNone || i.Cwnd != i.Ssthresh {
		t.Fatalf("%+v", i)
	}
}

// Where losses alone bring the flight below the threshold, each arrival sends as
// much as arrived, and one segment more when there is progress without another
// loss.
//
//rfc:9937 bound safe-ack inflight
func TestRFC9937ReductionBound(t *testing.T) { // §6.2, CRB and SSRB
	p := inFlight(t, 20)
	p.write(40_000)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{15001, 19001})) // 14 lost
	p.expect("[.] 1001+1000 ack 1", "[.] 2001+1000 ack 1", "[.] 3001+1000 ack 1", "[.] 4001+1000 ack 1")
	p.recv(ACK, 1, 1001, 0, sacking([2]int{15001, 20001}))
	p.expect("[.] 5001+1000 ack 1")
	p.now = p.now.Add(roundTrip)
	p.recv(ACK, 1, 2001, 0, sacking([2]int{15001, 20001})) // and the last of the flight is lost: conservative
	p.expect("[.] 6001+1000 ack 1")
	p.now = p.now.Add(time.Millisecond)
	p.recv(ACK, 1, 3001, 0, sacking([2]int{15001, 20001})) // no more losses, though others wait: SafeACK
	p.expect("[.] 7001+1000 ack 1", "[.] 8001+1000 ack 1")
}

// A timeout was spurious when text that was sent once arrives after it.
//
//rfc:5682 sack undone
//rfc:9438 spurious-timeout
func TestRFC5682SpuriousTimeoutWithSACK(t *testing.T) { // §3.1
	p := inFlight(t, 5)
	before := p.c.win
	p.after(300 * time.Millisecond)
	if p.c.loss != lossTimeout || p.c.win.Cwnd != 1000 {
		t.Fatalf("no timeout: %+v", p.c.Info())
	}
	p.out = nil
	p.recv(ACK, 1, 3001, 0) // the second segment, too, which was not sent again
	if p.c.loss != lossNone || p.c.win.Cwnd < before.Cwnd || p.c.win.Ssthresh != before.Ssthresh {
		t.Fatalf("loss %v, %+v, before %+v", p.c.loss, p.c.win, before)
	}
	p.expect()
}

// The acknowledgment of the retransmission alone proves nothing: two segments of
// new text do. When the peer reports them behind the hole, the losses are real.
//
//rfc:5682 sack-steps
func TestRFC5682RealTimeoutWithSACK(t *testing.T) {
	p := inFlight(t, 9)
	p.after(250 * time.Millisecond)
	p.expect("[P.] 9001+1000 ack 1", "[.] 1001+1000 ack 1") // the probe, and the timeout
	p.write(5000)
	p.expect()
	p.recv(ACK, 1, 2001, 0)
	p.expect("[.] 10001+1000 ack 1", "[.] 11001+1000 ack 1")
	p.now = p.now.Add(roundTrip)
	p.recv(ACK, 1, 2001, 0, sacking([2]int{10001, 11001}))
	if p.c.loss != lossTimeout || p.c.frto != frtoNone || len(p.out) == 0 || p.out[0] != "[.] 2001+1000 ack 1" {
		t.Fatalf("loss %v, frto %v, %q", p.c.loss, p.c.frto, p.out)
	}
}

// Without SACK it takes two acknowledgments in a row that advance.
//
//rfc:5682 new-text spurious real without-new-text undone
func TestRFC5682WithoutSACK(t *testing.T) { // §2.1
	start := func() (*script, Window) {
		p := sentSegments(t, 9)
		before := p.c.win
		p.after(250 * time.Millisecond)
		p.expect("[.] 1+1000 ack 1")
		p.write(5000)
		p.expect()
		p.recv(ACK, 1, 1001, 0)
		p.expect("[.] 9001+1000 ack 1", "[.] 10001+1000 ack 1") // step 2b
		return p, before
	}
	p, before := start()
	p.recv(ACK, 1, 2001, 0) // step 3b
	if p.c.loss != lossNone || p.c.win != before {
		t.Fatalf("loss %v, %+v, before %+v", p.c.loss, p.c.win, before)
	}
	p, _ = start()
	p.recv(ACK, 1, 1001, 0) // step 3a: a duplicate
	if p.c.frto != frtoNone || p.c.loss != lossTimeout || p.c.win.Cwnd > 3000 {
		t.Fatalf("frto %v, loss %v, %+v", p.c.frto, p.c.loss, p.c.win)
	}
	p.expect()
	p.recv(ACK, 1, 2001, 0)
	if len(p.out) == 0 || p.out[0] != "[.] 2001+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
	// No test without new text: what was lost goes on being sent (step 2b).
	p = sentSegments(t, 5)
	p.after(250 * time.Millisecond)
	p.out = nil
	p.recv(ACK, 1, 1001, 0)
	p.expect("[.] 1001+1000 ack 1", "[.] 2001+1000 ack 1")
}

// sentList is checked against one time for each octet.
func TestSentList(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		type octet struct {
			at    Instant
			again bool
		}
		var l sentList
		var pool Pool
		base := Seq(0xffff_ff80)
		una, nxt := 0, 0
		want := map[int]octet{}
		for now := Instant(1); now < 120; now++ {
			switch n := rng.IntN(30) + 1; rng.IntN(4) {
			case 0, 1:
				l.add(&pool, base.Add(nxt), base.Add(nxt+n), uint32(n), now)
				for range n {
					want[nxt] = octet{at: l.clock}
					nxt++
				}
			case 2:
				if nxt > una {
					from := una + rng.IntN(nxt-una)
					to := min(nxt, from+n)
					l.resent(base.Add(from), base.Add(to), uint32(to-from), now)
					for i := from; i < to; i++ {
						want[i] = octet{l.clock, true}
					}
				}
			case 3:
				una = min(nxt, una+n)
				l.trim(&pool, base.Add(una))
			}
			if nxt > una && (l.start != base.Add(una) || l.end() != base.Add(nxt)) {
				t.Fatalf("seed %d: [%d, %d), want [%d, %d)", seed, l.start.Sub(base), l.end().Sub(base), una, nxt)
			}
			if nxt == una && l.list != nil {
				t.Fatalf("seed %d: memory is held for nothing", seed)
			}
			if n := int(l.segsIn(base.Add(una), base.Add(nxt))); n != nxt-una {
				t.Fatalf("seed %d: %d segments of an octet in [%d, %d)", seed, n, una, nxt)
			}
			for i := una; i < nxt; i++ {
				p := l.list[l.search(base.Add(i))]
				if p.at != want[i].at || p.again != want[i].again {
					t.Fatalf("seed %d: octet %d: %+v, want %+v", seed, i, p, want[i])
				}
			}
		}
	}
}

// spanSet is checked against a set of numbers.
func TestSpanSet(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var s spanSet
		want := map[int]bool{}
		base := Seq(0xffff_ffc0)
		for range 60 {
			from := rng.IntN(100)
			to := from + 1 + rng.IntN(20)
			if rng.IntN(2) == 0 {
				s.add(base.Add(from), base.Add(to))
				for i := from; i < to; i++ {
					want[i] = true
				}
			} else {
				s.remove(base.Add(from), base.Add(to))
				for i := from; i < to; i++ {
					delete(want, i)
				}
			}
			if rng.IntN(10) == 0 {
				s.trim(base.Add(10))
				for i := range 10 {
					delete(want, i)
				}
			}
			for i := range 130 {
				if _, ok := s.containing(base.Add(i)); ok != want[i] {
					t.Fatalf("seed %d: %d in the set: %v", seed, i, ok)
				}
			}
			if int(s.octets) != len(want) {
				t.Fatalf("seed %d: %d octets, want %d", seed, s.octets, len(want))
			}
		}
	}
}

// A set that is full loses the rear of what would have to be divided, and counts
// right.
func TestSpanSetFull(t *testing.T) {
	var s spanSet
	for i := range maxSpans {
		s.add(Seq(10*i), Seq(10*i+6))
	}
	s.remove(2, 4)
	if s.octets != 6*maxSpans-4 || len(s.s) != maxSpans {
		t.Fatalf("%d octets in %d spans", s.octets, len(s.s))
	}
}

// Nothing has arrived yet when a connection begins, whatever its numbers are:
// the first reports are no reordering.
func TestRFC8985NothingIsReorderedAtFirst(t *testing.T) {
	for _, iss := range []Seq{0, 1 << 30, 1 << 31, 0xffff_0000} {
		s := newSim(t, 1)
		s.ends[0].cfg.ISS = iss
		s.ends[0].imp.dropNth = func(n int, seg *Segment) bool { return n == 20 }
		s.transfer(200_000, 30*time.Second)
		if c := s.ends[0].conn; c.rack.reordered {
			t.Errorf("ISS %d: one loss is taken for reordering", iss)
		}
	}
}

// Acknowledgments of one moment release new text before a loss is seen: its
// arrival says nothing about the retransmission that left after it.
//
//rfc:9937 first
func TestRFC8985OrderWithinAMoment(t *testing.T) { // §6.2 step 2, RACK_sent_after
	p := inFlight(t, 10)
	p.write(20_000)
	for to := 3001; to <= 5001; to += 1000 { // the third report reveals the loss
		p.c.win.Cwnd += 1000
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, to}))
	}
	if n := len(p.out); n < 2 || p.out[0] != "[.] 11001+1000 ack 1" || p.out[n-1] != "[.] 1001+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
	p.out = nil
	p.now = p.now.Add(roundTrip)
	ssthresh := p.c.Info().Ssthresh
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 12001}))
	for _, s := range p.out {
		if s == "[.] 1001+1000 ack 1" {
			t.Fatalf("the retransmission is taken for lost: %q", p.out)
		}
	}
	if got := p.c.Info().Ssthresh; got != ssthresh {
		t.Fatalf("Ssthresh %d, was %d", got, ssthresh)
	}
}
