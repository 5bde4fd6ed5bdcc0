package tcp

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What falls due at the same time as an acknowledgment carries it: a window probe, a
// FIN that is sent again. There is no other one then.
func TestProbeCarriesTheAcknowledgment(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10, window(0))
	p.read(1, 10)
	p.write(20)
	p.recv(FIN|ACK, 11, 1, 0, window(0))
	p.expect("[.] 1 ack 12")
	p.now = p.c.Deadline()
	p.recv(ACK|PSH, 1<<24, 1, 3, window(0)) // text beyond the window
	p.expect("[P.] 1+1 ack 12")
	p.recv(ACK|PSH, 1<<24, 1, 3, window(0))
	p.expect("[.] 1 ack 12")
	p.c.Close(p.now)
	p.recv(FIN|ACK, 11, 1, 0, window(0))
	p.expect("[.] 1 ack 12")
}

// An acknowledgment that is due leaves with the next Output that emit has room for,
// whatever state the connection is in, whatever its user does in between, and
// whether the peer's window is open or closed.
func TestAcknowledgmentIsNeverLost(t *testing.T) {
	for seed := range uint64(400) {
		acknowledgmentIsNeverLost(t, rand.New(rand.NewPCG(seed, 5)))
	}
}

func acknowledgmentIsNeverLost(t *testing.T, r *rand.Rand) {
	p := states[r.IntN(len(states)-1)].make(t, withSACK) // TIME-WAIT ends by itself
	c := p.c
	for range 60 {
		if c.Done() {
			return
		}
		p.now = p.now.Add(time.Duration(r.IntN(100)) * time.Millisecond)
		if d := c.Deadline(); d > p.now && r.IntN(4) == 0 {
			p.now = d
		}
		owed := p.anySegment(r)
		for range r.IntN(3) {
			p.anyCall(r)
		}
		room := r.IntN(3) // segments that fit
		for sent := 0; ; {
			answered := false
			c.Output(p.now, 0, func(s *Segment) bool {
				if sent == room {
					return false
				}
				sent++
				answered = answered || s.Flags&RST != 0 || s.Flags&ACK != 0 && s.Ack == c.rcvNxt
				return true
			})
			checkInvariants(t, c)
			if answered {
				owed = false
			}
			if sent < room { // there was room for more
				break
			}
			sent, room = 0, r.IntN(4)
		}
		if (owed || c.ackDue > 0) && c.state != Closed {
			t.Fatalf("%v: no acknowledgment (%d due)", c.state, c.ackDue)
		}
	}
}

// anySegment has the peer send one, and reports whether it must be answered at once.
func (p *script) anySegment(r *rand.Rand) (owed bool) {
	c := p.c
	s := Segment{Flags: ACK, Seq: c.rcvNxt, Ack: c.sndUna}
	if n := c.sndMax.Sub(c.sndUna); n > 0 {
		s.Ack = s.Ack.Add(r.IntN(n + 1))
	}
	if r.IntN(2) == 0 {
		s.Window = uint16(r.IntN(3000))
	}
	before := c.rcvNxt
	switch r.IntN(6) {
	case 0:
	case 1, 2:
		s.Payload = text(0, 1+r.IntN(1500))
	case 3:
		s.Flags |= FIN
	case 4:
		s.Seq, s.Payload, owed = s.Seq.Add(-1-r.IntN(20)), text(0, 1), true
	case 5:
		s.Seq, s.Payload, owed = s.Seq.Add(1<<24), text(0, 1), true
	}
	c.Input(p.now, &s)
	checkInvariants(p.t, c)
	return owed || s.Flags&FIN != 0 && c.rcvNxt != before
}

// anyCall is something that the user may do.
func (p *script) anyCall(r *rand.Rand) {
	c := p.c
	switch r.IntN(12) {
	case 0:
		c.Close(p.now)
	case 1:
		c.CloseWrite(p.now)
	case 2:
		c.CloseRead()
	case 3, 4, 5:
		_, _ = c.Read(make([]byte, r.IntN(4000)))
	case 6, 7, 8:
		_, _ = c.Write(make([]byte, r.IntN(4000)))
	case 9:
		c.SetCork(r.IntN(2) == 0)
	case 10:
		c.SetQuickAck(r.IntN(2) == 0)
	case 11:
		c.SetNoDelay(r.IntN(2) == 0)
	}
	checkInvariants(p.t, c)
}
