package tcp

import (
	"testing"
	"time"
)

// The first segment goes again at a timeout although the peer had reported it:
// it has gone back on that.
//
//rfc:2018 left-edge
func TestRFC2018LeftEdgeGoesAgain(t *testing.T) { // §5
	p := sentSegments(t, 4, withSACK)
	p.recv(ACK, 1, 1, 0, sacking([2]int{1, 1001}))
	p.after(250 * time.Millisecond)
	if n := len(p.out); n == 0 || p.out[n-1] != "[.] 1+1000 ack 1" {
		t.Fatalf("%q", p.out)
	}
}

// Each segment that comes early has its acknowledgment when the peer waits for
// one, and each of them the reports.
//
//rfc:2018 every-segment
func TestRFC2018EverySegmentIsAcknowledged(t *testing.T) { // §4
	p := inEstablished(t, withSACK)
	for i, seq := range []int{1001, 3001, 2001} {
		p.recv(ACK, seq, 1, 1000)
		p.expect("[.] 1 ack 1")
		if o := p.last().Options; o.NSACK == 0 || o.SACK[0].Start.After(peerISS.Add(seq)) || o.SACK[0].End.Before(peerISS.Add(seq+1000)) {
			t.Fatalf("segment %d: %v", i, o.SACK)
		}
	}
}

// Duplicates without a report let nothing new go where there is SACK.
//
//rfc:3042 sack-news
//rfc:5681 limited-news
//rfc:6675 limited-transmit
func TestRFC3042DuplicatesWithoutNews(t *testing.T) { // §2
	p := inFlight(t, 4)
	p.write(3000)
	p.expect()
	p.recv(ACK, 1, 1001, 0)
	p.recv(ACK, 1, 1001, 0)
	p.expect()
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	p.recv(ACK, 1, 1001, 0, sacking(seg(1))) // no news either
	p.expect("[.] 5001+1000 ack 1")
}

// A report is one of a duplicate by the acknowledgment that it comes with: an
// overtaken one tells of what is acknowledged by now, and of nothing that came
// twice.
//
//rfc:2883 same-packet
func TestRFC2883OvertakenAcknowledgment(t *testing.T) { // §5
	p := inFlight(t, 5)
	p.recv(ACK, 1, 4001, 0)
	was := p.c.reorderWindow()
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	if got := p.c.reorderWindow(); got != was {
		t.Errorf("the window for reordering grew from %v to %v", was, got)
	}
}

// A second timeout is none that the test is about, and neither is one in fast
// recovery: acknowledgments could not be told apart then.
//
//rfc:5682 restart in-recovery
func TestRFC5682NoTestInRecovery(t *testing.T) { // §2.1 step 1
	for _, opts := range [][]option{{withSACK}, nil} {
		p := sentSegments(t, 5, opts...)
		p.after(250 * time.Millisecond)
		if p.c.frto != frtoHead {
			t.Fatalf("%v", p.c.frto)
		}
		p.after(time.Second)
		if p.c.frto != frtoNone || p.c.backoff < 2 {
			t.Errorf("%v after %d timeouts", p.c.frto, p.c.backoff)
		}
	}
	p := sentSegments(t, 10, withSACK)
	p.recv(ACK, 1, 1, 0, sacking([2]int{1001, 5001}))
	if p.c.loss != lossRecovery {
		t.Fatalf("%v", p.c.loss)
	}
	p.c.timedOut(p.now)
	if p.c.frto != frtoNone {
		t.Errorf("%v", p.c.frto)
	}
}

// What is neither an advance nor a duplicate tells nothing of the timeout.
//
//rfc:5682 ignored
func TestRFC5682OtherSegmentsAreIgnored(t *testing.T) { // §2.1
	p := sentSegments(t, 5)
	p.after(250 * time.Millisecond)
	p.recv(ACK, 1, 1, 100)              // text
	p.recv(ACK, 101, 1, 0, window(500)) // a window
	if p.c.frto != frtoHead {
		t.Errorf("%v", p.c.frto)
	}
}

// When memory is short, text that waits behind a gap gives way to text in order,
// and is not reported any more.
//
//rfc:2018 renege not-held
func TestRFC2018ReportedTextIsGivenUp(t *testing.T) { // §8
	pool := &Pool{Limit: chunkSize}
	p := inEstablished(t, withSACK, config(func(c *Config) { c.Pool, c.RcvBuf = pool, 60_000 }))
	p.recv(ACK, 19_001, 1, 500)
	if n := p.last().Options.NSACK; n != 1 {
		t.Fatalf("%d reports", n)
	}
	for seq := 1; seq < 6001; seq += 1000 {
		p.recv(ACK, seq, 1, 1000)
	}
	p.recv(ACK, 6001, 1, 3000)
	if n := pool.Counters.EarlyPruned; n != 1 {
		t.Fatalf("pruned %d times", n)
	}
	if o := p.last().Options; o.NSACK != 0 {
		t.Errorf("%v is reported still", o.SACK[:o.NSACK])
	}
	n := p.c.Buffered() // what there was room for
	p.read(1, n)
	for seq := 1 + n; seq < 19_001; seq += 1000 {
		k := min(1000, 19_001-seq)
		p.recv(ACK, seq, 1, k)
		p.read(seq, k)
	}
	p.recv(ACK, 19_001, 1, 500)
	p.read(19_001, 500)
}
