package tcp

import (
	"errors"
	"testing"
	"time"
)

// What pairs of machines have found, with the seeds gone into scripts.

// A window that a SYN has promised is not taken back by a smaller buffer
// (RFC 9293 §3.8.6, SHLD-14).
func TestBufferShrunkInTheHandshakeKeepsTheWindow(t *testing.T) {
	p, syn := inSynSent(t, config(func(c *Config) { c.RcvBuf = 50_000 }))
	p.c.SetReceiveBuffer(5_000)
	p.c.Input(p.now, &Segment{Flags: SYN | ACK, Seq: peerISS, Ack: ourISS.Add(1), Window: 1000, Options: syn})
	p.c.Output(p.now, 0, func(s *Segment) bool {
		if s.Window != 50_000 {
			t.Errorf("ACK: window %d", s.Window)
		}
		return true
	})
	p = inSynReceived(t, config(func(c *Config) { c.RcvBuf = 50_000 }))
	p.c.SetReceiveBuffer(5_000)
	p.take(SYN, 0, 0, 0)
	p.c.Output(p.now, 0, func(s *Segment) bool {
		if s.Window != 50_000 {
			t.Errorf("SYN-ACK again: window %d", s.Window)
		}
		return true
	})
}

// A SYN that comes again has its own timestamp echoed (RFC 7323 §4.3).
func TestRFC7323EchoesTheSynThatCameLast(t *testing.T) {
	p := inSynReceived(t, withTimestamps)
	p.recv(SYN, 0, 0, 0, tsval(1100))
	if e := p.last().Options.TSEcr; e != 1100 {
		t.Errorf("echo %d", e)
	}
	p.recv(SYN, 0, 0, 0, tsval(100)) // the first one, overtaken
	if e := p.last().Options.TSEcr; e != 1100 {
		t.Errorf("echo %d of an older copy", e)
	}
}

// A retransmission of old text overtakes new text that was sent before it: the
// new text is still good (RFC 7323 §5.3, R2 before R3).
func TestRFC7323OldTextDoesNotMakeNewTextOld(t *testing.T) {
	p := inEstablished(t, withTimestamps)
	p.recv(ACK, 1, 1, 100, tsval(150))
	p.after(time.Second)
	p.recv(ACK, 1, 1, 100, tsval(170))
	if e := p.last().Options.TSEcr; e != 170 {
		t.Errorf("echo %d, want the retransmission's", e)
	}
	p.recv(ACK, 101, 1, 100, tsval(160))
	p.read(1, 200)
	p.after(time.Second)
	if e := p.last().Options.TSEcr; e != 160 {
		t.Errorf("echo %d, want TS.Recent", e)
	}
}

// A user who changes the user timeout again and again does not put off the
// retransmission; one that had cut it short gives the time back.
func TestSetUserTimeoutLeavesTheRetransmissionAlone(t *testing.T) {
	p := inEstablished(t)
	p.write(100)
	at := p.c.Deadline()
	p.now = p.now.Add(100 * time.Millisecond)
	p.c.SetUserTimeout(p.now, time.Minute)
	if p.c.Deadline() != at {
		t.Errorf("the retransmission went from %v to %v", at, p.c.Deadline())
	}
	p.c.SetUserTimeout(p.now, 150*time.Millisecond)
	if d := p.c.Deadline().Sub(p.now); d != 50*time.Millisecond {
		t.Errorf("gives up in %v, want 50ms", d)
	}
	p.c.SetUserTimeout(p.now, time.Minute)
	if d := p.c.Deadline().Sub(p.now); d < DefaultMinRTO {
		t.Errorf("retransmission in %v", d)
	}
}

// One segment, one duplicate acknowledgment, also when it is early and goes
// beyond the window: a peer without SACK counts them (RFC 5681 §3.2).
func TestEarlyTextBeyondTheWindowIsAnsweredOnce(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 9_996, 1, 10)
	p.expect("[.] 1 ack 1")
}

// What the peer sends again although it was read does not reset a connection that
// its user has closed, even when a FIN is new; what is new and text does.
func TestClosedForRepeatedText(t *testing.T) {
	for name, tc := range map[string]struct {
		seq, n int
		flags  Flags
		want   State
	}{
		"old text and a FIN": {1, 100, ACK | FIN, Closing},
		"half of it":         {51, 50, ACK | FIN, Closing},
		"old and new text":   {51, 51, ACK | FIN, Closed},
		"new text":           {101, 1, ACK, Closed},
	} {
		t.Run(name, func(t *testing.T) {
			p := inEstablished(t)
			p.recv(ACK, 1, 1, 100)
			p.read(1, 100)
			p.c.Close(p.now)
			p.flush()
			p.recv(tc.flags, tc.seq, 1, tc.n)
			p.state(tc.want)
			if tc.want == Closing {
				if err := p.c.Err(); err != nil {
					t.Error(err)
				}
				if last := p.last(); last.Flags&RST != 0 || last.Ack != p.c.irs.Add(102) {
					t.Errorf("%v", &last)
				}
			}
		})
	}
}

// Urgent text outlives CloseRead as other text does.
func TestUrgentAfterCloseRead(t *testing.T) {
	p := inEstablished(t)
	p.c.SetUrgentInline(false)
	p.recv(ACK|URG, 1, 1, 10, func(s *Segment) { s.Urgent = 10 })
	p.c.CloseRead()
	p.recv(ACK|URG, 11, 1, 10, func(s *Segment) { s.Urgent = 10 })
	if b, err := p.c.ReadUrgent(false); err != nil || b != text(1, 20)[19] {
		t.Errorf("%d, %v", b, err)
	}
	p.read(1, 19)
	if b, err := p.c.ReadUrgent(false); !errors.Is(err, ErrNoUrgent) {
		t.Errorf("again: %d, %v", b, err)
	}
}

// A machine that stood still for an hour does not hold that against the peer: it
// sends again, and the round trip that it measures does not spoil the timeout.
func TestStandstill(t *testing.T) {
	p := inEstablished(t, withTimestamps)
	p.write(1000)
	p.out = nil
	p.now = p.now.Add(time.Hour)
	p.flush()
	p.state(Established)
	if len(p.out) != 1 || p.c.backoff != 1 {
		t.Fatalf("%q, backoff %d", p.out, p.c.backoff)
	}
	p.c.sampleRTT(time.Hour)
	if p.c.srtt > DefaultMaxRTO {
		t.Errorf("srtt %v", p.c.srtt)
	}
	// Silence that was waited for counts.
	p.after(6 * time.Minute)
	p.state(Closed)
}

// What is too big for the path says nothing about the server.
func TestTooBigIsNoBlackHole(t *testing.T) {
	p, syn := inFastSyn(t, 900)
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	p.synAck(1, syn)
	if r, ok := p.c.FastOpenResult(); !ok || r.Blocked || r.Tried {
		t.Errorf("%v: %+v", ok, r)
	}
}

// A second message about the path begins the ten minutes anew (RFC 1191 §6.3).
func TestPathLoweredAgain(t *testing.T) {
	p := inEstablished(t)
	p.c.SetPathMSS(p.now, 900)
	p.now = p.now.Add(599 * time.Second)
	p.c.SetPathMSS(p.now, 800)
	if again := p.c.pmtu.at.Sub(p.now); again != pathAgain {
		t.Errorf("more is tried after %v", again)
	}
}

// What was wrong with the path is over when something is acknowledged: it is not
// why the connection ends days later.
func TestSoftErrorEndsWithProgress(t *testing.T) {
	p := inEstablished(t)
	p.write(10)
	p.c.SoftError(ErrRefused)
	p.recv(ACK, 1, 11, 0)
	if p.c.softErr != nil {
		t.Error(p.c.softErr)
	}
}

// Saying the same bound again is no way around it.
func TestPacingKeepsItsDebt(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.NoDelay, c.MaxPacingRate = true, 10_000 }))
	p.c.win.Cwnd = 40_000
	p.write(20_000)
	sent := p.c.sndNxt
	p.c.SetMaxPacingRate(10_000)
	p.flush()
	if n := p.c.sndNxt.Sub(sent); n != 0 {
		t.Errorf("%d octets more went at once", n)
	}
}
