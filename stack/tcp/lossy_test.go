package tcp

import (
	"slices"
	"testing"
	"time"
)

// On a path that has lost much, what fills a small window is pushed: the peer has
// no reason to wait for more before it acknowledges. Elsewhere only what empties
// the queue is.
func TestLossyPathPushesWhatFillsTheWindow(t *testing.T) {
	for _, tc := range []struct {
		losses uint8
		cwnd   int
		want   string
	}{
		{manyLosses, 4000, "[P.] 6001+1000 ack 1"},
		{manyLosses - 1, 4000, "[.] 6001+1000 ack 1"},
		{manyLosses, smallWindow * 1000, "[.] 18001+1000 ack 1"},
	} {
		p := inFlight(t, tc.cwnd/1000)
		p.c.ofSending().losses, p.c.win.Ssthresh = tc.losses, p.c.win.Cwnd
		p.write(10_000)
		p.recv(ACK, 1, 3001, 0)
		if len(p.out) != 2 || p.out[1] != tc.want {
			t.Errorf("%d losses, window of %d: %q, want %q at last", tc.losses, tc.cwnd, p.out, tc.want)
		}
	}
}

// When nothing comes in fast recovery on a lossy path, new text asks for an
// acknowledgment two round trips later, once. What it tells is used: the
// retransmission was lost, too. Without new text, and on other paths, it takes
// the timeout.
//
//rfc:8985 probe-recovery
func TestLossyPathProbesInRecovery(t *testing.T) {
	for _, tc := range []struct {
		losses     uint8
		text, want int
	}{{manyLosses, 10_000, 1}, {manyLosses - 1, 10_000, 0}, {manyLosses, 0, 0}} {
		p := inFlight(t, 5)
		p.c.ofSending().losses = tc.losses - 1 // the recovery is one
		p.write(tc.text)
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 6001}))
		if len(p.out) == 0 || p.out[0] != "[.] 1001+1000 ack 1" {
			t.Fatalf("%q", p.out)
		}
		next := p.c.sndNxt
		p.out = nil
		p.after(3*roundTrip + 2*tailSlack)
		if len(p.out) != tc.want || p.c.sndNxt.Sub(next) != tc.want*1000 || p.c.loss != lossRecovery {
			t.Errorf("%d losses, %d octets of new text: %q, state %v", tc.losses, tc.text, p.out, p.c.loss)
		}
		if tc.want == 0 {
			continue
		}
		p.out = nil
		p.recv(ACK, 1, 1001, 0, sacking([2]int{next.Sub(ourISS), p.c.sndNxt.Sub(ourISS)}, [2]int{2001, 6001}))
		if !slices.Contains(p.out, "[.] 1001+1000 ack 1") {
			t.Errorf("the answer to the probe: %q", p.out)
		}
		if n := p.c.pool.Counters.Timeouts; n != 0 {
			t.Errorf("%d timeouts", n)
		}
	}
}

// Three recoveries or timeouts make a lossy path.
func TestLossyPathIsSeen(t *testing.T) {
	p := inFlight(t, 5)
	for i := range manyLosses {
		if p.c.lossy() {
			t.Fatalf("after %d losses", i)
		}
		p.c.timedOut(p.now)
	}
	if p.c.timedOut(p.now); !p.c.lossy() {
		t.Errorf("%d losses are not many", p.c.send.losses)
	}
}

// A path on which a thousand segments went without a loss since is lossy no longer,
// nor is another one.
func TestLossyPathIsForgotten(t *testing.T) {
	p := inFlight(t, 5)
	for range manyLosses {
		p.c.timedOut(p.now)
	}
	p.c.traffic.dataSegsOut += lossRun - 1
	if !p.c.lossy() {
		t.Error("it is forgotten too early")
	}
	p.c.traffic.dataSegsOut++
	if p.c.lossy() {
		t.Error("it is remembered for ever")
	}
	if p.c.timedOut(p.now); p.c.lossy() || p.c.send.losses != 1 {
		t.Errorf("%d losses", p.c.send.losses)
	}
	for range manyLosses {
		p.c.timedOut(p.now)
	}
	if p.c.PathChanged(); p.c.lossy() {
		t.Error("the losses of another path count")
	}
}

// The acknowledgment that ends a recovery counts as far as it is about text that
// was sent since: that was within the new window (RFC 5681 §3.1).
func TestAckThatEndsRecoveryGrowsTheWindowByTheRest(t *testing.T) {
	for beyond, want := range map[int]int{0: 5000, 4000: 5000, 5000: 6000} {
		p := inFlight(t, 10)
		p.write(40_000)
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 5001}))
		for to := 6001; to <= 11001; to += 1000 {
			p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, to}))
		}
		end := p.c.recover.Sub(ourISS)
		if sent := p.c.sndNxt.Sub(ourISS) - end; sent < beyond {
			p.c.win.Cwnd = 20_000
			p.flush()
		}
		p.recv(ACK, 1, end+beyond, 0)
		if got := p.c.win.Cwnd; p.c.loss != lossNone || got != want {
			t.Errorf("%d octets beyond: cwnd %d, want %d (%v)", beyond, got, want, p.c.loss)
		}
	}
}

// Retransmissions of one window that are lost are one more sign of congestion,
// however many acknowledgments tell of them.
//
//rfc:8985 lost-twice-once
func TestRFC8985LostRetransmissionsOfOneWindow(t *testing.T) { // §9.3
	p := inFlight(t, 20)
	p.write(40_000)
	step := func(blocks ...[2]int) {
		p.now = p.now.Add(time.Microsecond)
		p.recv(ACK, 1, 1001, 0, sacking(blocks...))
	}
	for to := 5001; to <= 8001; to += 1000 {
		step([2]int{2001, to})
	}
	for to := 10001; to <= 21001; to += 1000 { // 8001 is lost, too
		step([2]int{9001, to}, [2]int{2001, 8001})
	}
	ssthresh := p.c.win.Ssthresh
	again := slices.Index(p.out, "[.] 8001+1000 ack 1")
	if p.out[0] != "[.] 1001+1000 ack 1" || again < 2 || p.out[again-1] == p.out[0] || p.out[len(p.out)-1] == p.out[again] {
		t.Fatalf("%q", p.out)
	}
	p.now = p.now.Add(roundTrip)
	p.out = nil
	old := [][2]int{{9001, 21001}, {2001, 8001}}
	step(append([][2]int{{21001, 22001}}, old...)...)
	if got := p.c.win.Ssthresh; got != ssthresh/2 || !slices.Contains(p.out, "[.] 1001+1000 ack 1") {
		t.Fatalf("Ssthresh %d, before %d: %q", got, ssthresh, p.out)
	}
	for to := 23001; to <= p.c.sndNxt.Sub(ourISS) && !slices.Contains(p.out, "[.] 8001+1000 ack 1"); to += 1000 {
		step(append([][2]int{{21001, to}}, old...)...)
	}
	if got := p.c.win.Ssthresh; got != ssthresh/2 || !slices.Contains(p.out, "[.] 8001+1000 ack 1") {
		t.Errorf("Ssthresh %d, before %d: %q", got, ssthresh, p.out)
	}
}
