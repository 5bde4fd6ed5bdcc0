package tcp

import (
	"fmt"
	"testing"
	"time"
)

// reader has room for a run that nobody reads.
func reader(cfg *Config) { cfg.RcvBuf = 60000 }

// runOf has the peer send n segments of size octets from seq on, and returns how
// many of them were acknowledged at once.
func (p *script) runOf(seq, n, size int) (acked int) {
	for i := range n {
		p.out = nil
		p.recv(ACK, seq+i*size, 1, size)
		if len(p.out) == 1 && p.out[0] == fmt.Sprint("[.] 1 ack ", seq+(i+1)*size) {
			acked++
		}
	}
	p.out = nil
	return acked
}

// A peer that begins to send much has its first segments acknowledged one by one,
// for its slow start waits for them; then every second one.
//
//rfc:5681 quick-acks
func TestQuickAcksAtTheStart(t *testing.T) { // §4.2
	p := inEstablished(t, config(reader))
	if n := p.runOf(1, quickAckRun, 1000); n != quickAckRun {
		t.Errorf("%d of the first %d segments were acknowledged at once", n, quickAckRun)
	}
	if n := p.runOf(1+quickAckRun*1000, 20, 1000); n != 10 {
		t.Errorf("%d of the next 20 segments were", n)
	}
}

// What may be a request waits for its answer: the text that the peer pushes, or
// that is no full segment.
func TestNoQuickAckForARequest(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK|PSH, 1, 1, 1000)
	p.expect()
	p = inEstablished(t)
	p.recv(ACK, 1, 1, defaultMSS-1)
	p.expect()
	p.write(10)
	p.expect(fmt.Sprintf("[P.] 1+10 ack %d", defaultMSS))
	p.recv(ACK, defaultMSS, 11, 0)
	p.after(time.Minute) // of silence, but the last word was ours
	p.recv(ACK|PSH, defaultMSS, 11, 100)
	p.expect()
}

// Behind a hole, and behind text that comes twice, segments are acknowledged one by
// one: the path loses text or acknowledgments, and the peer's window is small.
//
//rfc:5681 quick-acks
func TestQuickAcksAfterLoss(t *testing.T) {
	for name, trouble := range map[string]func(p *script){
		"hole": func(p *script) {
			p.recv(ACK, 1011, 1, 10)
			p.recv(ACK, 1, 1, 1010)
		},
		"twice": func(p *script) {
			p.recv(ACK|PSH, 1, 1, 1020)
			p.recv(ACK|PSH, 1, 1, 1020)
		},
	} {
		p := inEstablished(t, withSACK)
		trouble(p)
		if n := p.runOf(1021, quickAckLoss, 10); n != quickAckLoss {
			t.Errorf("%s: %d of %d segments were acknowledged at once", name, n, quickAckLoss)
		}
		if n := p.runOf(1021+quickAckLoss*10, 5, 10); n != 0 {
			t.Errorf("%s: %d of the next 5 were", name, n)
		}
	}
}

// What comes alone after a silence is acknowledged at once where the peer alone
// sends: it may be what a timeout of the peer has sent again.
//
//rfc:5681 quick-acks
func TestQuickAckAfterSilence(t *testing.T) {
	for silence, want := range map[time.Duration]int{600 * time.Millisecond: 1, 400 * time.Millisecond: 0} {
		p := inEstablished(t)
		p.c.rtoBase = time.Second
		p.recv(ACK|PSH, 1, 1, 100)
		p.after(silence)
		p.out = nil
		p.recv(ACK|PSH, 101, 1, 100)
		if len(p.out) != want {
			t.Errorf("%v of silence: %q", silence, p.out)
		}
	}
}

// A super-segment counts as one, and those that come together share what is due.
func TestQuickAcksOfSuperSegments(t *testing.T) {
	p := inEstablished(t, config(reader))
	if n := p.runOf(1, quickAckRun-1, 3000); n != quickAckRun-1 || p.c.quickAcks != 1 {
		t.Errorf("%d super-segments acknowledged, %d more to be", n, p.c.quickAcks)
	}
	next := 1 + (quickAckRun-1)*3000
	p.take(ACK, next, 1, 1000)
	p.take(ACK, next+1000, 1, 500)
	p.flush()
	p.expect(fmt.Sprint("[.] 1 ack ", next+1500))
}

// Behind a loss each segment's acknowledgment leaves by itself; before, and later,
// those that come together share theirs.
func TestHurried(t *testing.T) {
	p := inEstablished(t, withSACK)
	p.take(ACK, 1, 1, 1000)
	if p.c.Hurried() {
		t.Error("hurried before a loss")
	}
	p.take(ACK, 1011, 1, 10)
	if !p.c.Hurried() {
		t.Error("a hole, and no hurry")
	}
	p.flush()
	if p.c.Hurried() {
		t.Error("hurried with nothing due")
	}
	p.recv(ACK, 1001, 1, 10)
	for i := range quickAckLoss {
		if p.take(ACK, 1021+10*i, 1, 10); !p.c.Hurried() {
			t.Fatalf("no hurry %d segments behind the hole", i+1)
		}
		p.flush()
	}
	p.take(ACK, 1021+10*quickAckLoss, 1, 2000)
	if p.c.Hurried() {
		t.Error("hurried for ever")
	}
}
