package tcp

import (
	"testing"
	"time"
)

//rfc:5961 reset-exact reset-challenge reset-outside
func TestRFC5961BlindResetInWindow(t *testing.T) {
	p := inEstablished(t)
	p.recv(RST, 2, 0, 0)
	p.expect("[.] 1 ack 1")
	p.recv(RST, 10000, 0, 0)
	p.expect("[.] 1 ack 1")
	p.state(Established)
	p.recv(RST, 10001, 0, 0) // outside: silence
	p.recv(RST, 0, 0, 0)
	p.expect()
	p.state(Established)
}

//rfc:5961 syn
func TestRFC5961BlindSynInEveryState(t *testing.T) {
	for _, st := range states {
		for _, rel := range []int{-5000, 1, 500, 20000} {
			p := st.make(t)
			p.recv(SYN, rel, 0, 0)
			if st.state == SynReceived && (rel == 1 || rel == 500) {
				p.expect() // in the window of a passive open: back to LISTEN (RFC 9293 §3.10.7.4)
				p.failed(ErrReset)
				continue
			}
			if len(p.out) != 1 || p.last().Flags != ACK {
				t.Fatalf("%v, SYN at %d: %q", st.state, rel, p.out)
			}
			p.state(st.state)
		}
	}
}

//rfc:9293 MAY-12
//rfc:5961 ack-range
func TestRFC5961BlindDataWithBadAck(t *testing.T) {
	p := inEstablished(t)
	p.write(100)
	p.out = nil
	p.recv(ACK, 1, 102, 10) // never sent
	p.expect("[.] 101 ack 1")
	p.recv(ACK, 1, -60001, 10) // older than any window
	p.expect("[.] 101 ack 1")
	if p.c.Readable() {
		t.Fatal("forged text was taken")
	}
}

// Neither is the timestamp of such a segment believed: with a far one of an
// attacker's, all that the peer sends would be old (RFC 7323 §5.3).
func TestBadAckLeavesTimestamp(t *testing.T) {
	for _, ack := range []int{9999, -60001} {
		p := inEstablished(t, withTimestamps)
		p.recv(FIN|ACK, 1, ack, 0, tsval(200000))
		p.expect("[.] 1 ack 1")
		if p.c.tsRecent != 100 {
			t.Errorf("ack %d: TS.Recent %d", ack, p.c.tsRecent)
		}
		p.recv(ACK, 1, 1, 10, tsval(101))
		p.read(1, 10)
	}
}

//rfc:5961 ack-old
func TestRFC5961OldAckWithDataAccepted(t *testing.T) {
	p := inEstablished(t)
	p.write(100)
	p.recv(ACK, 1, 101, 0)
	p.out = nil
	p.recv(ACK, 1, 50, 10)
	p.read(1, 10)
}

//rfc:5961 throttling
func TestRFC5961ChallengesAreLimited(t *testing.T) {
	p := inEstablished(t)
	for range 100 {
		p.recv(RST, 5, 0, 0)
		p.recv(SYN, 5, 0, 0)
		p.recv(ACK, -9, 1, 0)
	}
	if len(p.out) != DefaultChallengeLimit {
		t.Fatalf("%d challenges in an instant", len(p.out))
	}
	p.out = nil
	p.after(time.Second)
	p.recv(RST, 5, 0, 0)
	p.expect("[.] 1 ack 1")
}

func TestSegmentsWithoutAckDropped(t *testing.T) {
	p := inEstablished(t)
	p.recv(PSH, 1, 0, 10)
	p.recv(0, 1, 0, 10)
	p.recv(FIN, 1, 0, 0)
	p.expect()
	if p.c.Readable() {
		t.Fatal("text without ACK was taken")
	}
}

func TestRFC9293UnacceptableSegmentAnswered(t *testing.T) { // §3.10.7.4, first
	p := inEstablished(t)
	p.recv(ACK, 10001, 1, 5) // right of the window
	p.expect("[.] 1 ack 1")
	p.recv(ACK, -4, 1, 5) // left of it
	p.expect("[.] 1 ack 1")
	p.recv(ACK, 0, 1, 0) // keep-alive probe
	p.expect("[.] 1 ack 1")
	p.recv(ACK, 0, 1, 1) // keep-alive probe with its octet of garbage
	p.expect("[.] 1 ack 1")
}

//rfc:7323 paws paws-reset
func TestRFC7323PAWS(t *testing.T) {
	p := inEstablished(t, withTimestamps)
	p.tsv = 200
	p.recv(ACK, 1, 1, 10)
	p.read(1, 10)
	p.after(time.Second)
	p.out = nil
	p.recv(ACK, 11, 1, 10, tsval(199))
	p.expect("[.] 1 ack 11")
	if p.c.Readable() {
		t.Fatal("an old duplicate was taken")
	}
	p.recv(ACK, 11, 1, 10, tsval(200))
	p.read(11, 10)
	p.recv(RST, 21, 0, 0, tsval(1)) // resets are exempt
	p.failed(ErrReset)
}

//rfc:7323 paws-idle
func TestRFC7323PAWSForgetsAfter24Days(t *testing.T) { // §5.5
	p := inEstablished(t, withTimestamps)
	p.now = p.now.Add(25 * 24 * time.Hour)
	p.recv(ACK, 1, 1, 10, tsval(50))
	p.read(1, 10)
}

//rfc:7323 timestamps-missing missing-no-abort
func TestRFC7323SegmentWithoutTimestampDropped(t *testing.T) { // §3.2
	p := inEstablished(t, withTimestamps)
	p.ts = false
	p.recv(ACK, 1, 1, 10)
	p.expect()
	p.state(Established)
	p.recv(RST, 1, 0, 0)
	p.failed(ErrReset)
}

//rfc:7323 echo-which
func TestRFC7323EchoesTheSegmentThatMovedTheAck(t *testing.T) { // §4.3
	p := inEstablished(t, withTimestamps)
	p.recv(ACK, 1001, 1, 1000, tsval(150)) // early: not echoed
	if e := p.last().Options.TSEcr; e != 100 {
		t.Fatalf("echo %d of a segment behind a gap", e)
	}
	p.recv(ACK, 1, 1, 1000, tsval(160))
	if e := p.last().Options.TSEcr; e != 160 {
		t.Fatalf("echo %d, want that of the segment that filled the gap", e)
	}
	p.recv(ACK, 1, 1, 1000, tsval(170)) // a retransmission whose acknowledgment was lost
	if e := p.last().Options.TSEcr; e != 170 {
		t.Fatalf("echo %d, want the retransmission's", e)
	}
}

//rfc:7323 timestamps-always clock timestamps-abort
func TestTimestampsOnEverySegment(t *testing.T) {
	p := inEstablished(t, withTimestamps, config(func(c *Config) { c.TSOffset = 1 << 31 }))
	p.write(10)
	p.c.Abort(p.now)
	p.flush()
	if p.last().Flags&RST == 0 {
		t.Fatalf("%q", p.out)
	}
	for _, s := range p.segs {
		if !s.Options.HasTimestamps || s.Options.TSVal != 1<<31+1000 {
			t.Fatalf("%v", &s)
		}
	}
}

//rfc:9293 MAY-5 MUST-27 MUST-29 SHLD-12
func TestKeepAliveCountsAndTimes(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.KeepAlive = KeepAlive{10 * time.Second, 2 * time.Second, 3} }))
	at := p.times(time.Minute)
	want := []time.Duration{10 * time.Second, 12 * time.Second, 14 * time.Second, 16 * time.Second}
	if len(at) != 4 || at[0] != want[0] || at[1] != want[1] || at[2] != want[2] || at[3] != want[3] {
		t.Fatalf("probes at %v, want three and a reset at %v", at, want)
	}
	if s := p.segs[2]; s.Seq != ourISS || len(s.Payload) != 0 || s.Flags != ACK { // RFC 1122 §4.2.3.6
		t.Fatalf("probe %v", &s)
	}
	if p.last().Flags != RST|ACK {
		t.Fatalf("last: %v", p.last())
	}
	p.failed(ErrTimeout)
}

func TestKeepAliveAnsweredGoesOn(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.KeepAlive = KeepAlive{10 * time.Second, 2 * time.Second, 3} }))
	for range 20 {
		p.after(10 * time.Second)
		p.expect("[.] 0 ack 1")
		p.recv(ACK, 1, 1, 0)
		p.expect()
	}
	// Traffic postpones the probe; probes missed while nobody looked are not
	// made up for.
	p.after(9 * time.Second)
	p.recv(ACK, 1, 1, 10)
	p.read(1, 10)
	p.out = nil
	p.after(9900 * time.Millisecond)
	p.expect("[.] 1 ack 11")
	p.now = p.now.Add(time.Hour)
	p.flush()
	p.expect("[.] 0 ack 11")
	p.state(Established)
}

//rfc:9293 MUST-24
func TestKeepAliveOffByDefaultAndSettable(t *testing.T) {
	p := inEstablished(t)
	if p.c.Deadline() != 0 {
		t.Fatal("an idle connection has a deadline")
	}
	p.c.SetKeepAlive(p.now, KeepAlive{Idle: time.Second})
	p.after(time.Second)
	p.expect("[.] 0 ack 1")
	p.c.SetKeepAlive(p.now, KeepAlive{})
	if p.c.Deadline() != 0 {
		t.Fatal("keep-alive was switched off")
	}
}
