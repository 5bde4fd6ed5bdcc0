package tcp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// pointing sets the urgent pointer of a segment of the peer's.
func pointing(n uint16) func(*Segment) { return func(s *Segment) { s.Urgent = n } }

//rfc:9293 MUST-30 MUST-62
//rfc:6093 support pointer
func TestRFC9293UrgentSender(t *testing.T) { // §3.8.5, MUST-30
	p := inEstablished(t)
	if n, err := p.c.WriteUrgent([]byte("urgent")); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	p.flush()
	p.expect("[P.U] 1+6 ack 1")
	if u := p.last().Urgent; u != 6 {
		t.Fatalf("pointer %d", u)
	}
	p.write(10) // behind the urgent text, which is not acknowledged yet: no pointer
	p.expect("[P.] 7+10 ack 1")
	p.recv(ACK, 1, 17, 0)
	p.write(5)
	p.expect("[P.] 17+5 ack 1")
}

// Urgent text of any length (MUST-31): each segment of it points to the end, as
// far as a pointer reaches, and none is cut by somebody who would not move it.
//
//rfc:9293 MUST-31
//rfc:6093 any-length
func TestRFC9293UrgentIsLong(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.SndBuf = 200_000 }))
	p.c.win.Cwnd, p.gso = 100_000, 60_000
	if n, err := p.c.WriteUrgent(text(0, 80_000)); n != 80_000 || err != nil {
		t.Fatal(n, err)
	}
	p.flush()
	sent := 0
	for _, s := range p.segs {
		if len(s.Payload) == 0 {
			continue
		}
		if s.GSOSize != 0 || s.Flags&URG == 0 || int(s.Urgent) != min(65535, 80_000-sent) {
			t.Fatalf("at %d: %v, pointer %d, cut every %d", sent, &s, s.Urgent, s.GSOSize)
		}
		sent += len(s.Payload)
	}
	if sent < 50_000 {
		t.Fatalf("%d octets", sent)
	}
}

// A closed window keeps text back, not the news of it.
func TestRFC9293UrgentPassesAClosedWindow(t *testing.T) {
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 0, window(0))
	if _, err := p.c.WriteUrgent([]byte("stop")); err != nil {
		t.Fatal(err)
	}
	p.flush()
	p.expect("[.U] 1 ack 1")
	if u := p.last().Urgent; u != 4 {
		t.Fatalf("pointer %d", u)
	}
}

// Nagle's algorithm keeps back what is not urgent.
func TestRFC9293UrgentIsNotKeptBack(t *testing.T) {
	p := inEstablished(t)
	p.write(10)
	p.write(10)
	p.expect("[P.] 1+10 ack 1")
	_, _ = p.c.WriteUrgent([]byte("x"))
	p.flush()
	p.expect("[P.U] 11+11 ack 1")
}

// The user is told when urgent text is announced and when there is more of it
// (MUST-32), and can ask how much is left (MUST-33).
//
//rfc:9293 MUST-32 MUST-33
//rfc:6093 told
func TestRFC9293UrgentReceiver(t *testing.T) {
	for _, make := range []func(*testing.T, ...option) *script{inEstablished, inFinWait1, inFinWait2} {
		p := make(t)
		ack := p.c.sndMax.Sub(ourISS)
		p.recv(ACK|URG, 1, ack, 10, pointing(30))
		if !p.c.UrgentNews() || p.c.UrgentNews() || p.c.Urgent() != 30 {
			t.Fatalf("%v: %d octets ahead", p.c.state, p.c.Urgent())
		}
		p.recv(ACK|URG, 11, ack, 10, pointing(20)) // the same place
		if p.c.UrgentNews() {
			t.Fatal("told twice")
		}
		p.recv(ACK|URG, 21, ack, 10, pointing(15)) // five octets more
		if !p.c.UrgentNews() || p.c.Urgent() != 35 {
			t.Fatalf("%d octets ahead", p.c.Urgent())
		}
		p.recv(ACK|URG, 31, ack, 5, pointing(1)) // never back
		if p.c.UrgentNews() || p.c.Urgent() != 35 {
			t.Fatalf("%d octets ahead", p.c.Urgent())
		}
		p.read(1, 34) // to the mark, in line
		if !p.c.AtMark() {
			t.Fatal("not at the mark")
		}
		p.read(35, 1)
		if p.c.Urgent() != 0 || p.c.AtMark() {
			t.Fatal("still urgent")
		}
	}
}

// In states in which no text is expected urgent pointers are ignored.
func TestRFC9293UrgentIgnored(t *testing.T) { // §3.10.7.4, sixth
	for _, make := range []func(*testing.T, ...option) *script{inCloseWait, inLastAck, inClosing, inTimeWait} {
		p := make(t)
		p.recv(ACK|URG, 2, p.c.sndMax.Sub(ourISS), 0, pointing(100))
		if p.c.UrgentNews() {
			t.Errorf("%v: taken", p.c.state)
		}
	}
	p := inEstablished(t)
	p.recv(ACK, 1, 1, 10, pointing(5)) // without URG the field means nothing
	p.read(1, 10)
	p.recv(ACK|URG, 11, 1, 10, pointing(0)) // what came before it was urgent
	p.read(11, 10)
	p.recv(ACK|URG, 11, 1, 10, pointing(10)) // a copy of what was read
	if p.c.UrgentNews() || p.c.Urgent() != 0 {
		t.Error("taken")
	}
}

// Peek goes where Read goes: to the mark, then past the octet that is apart. A queue
// that holds nothing but that octet is not readable.
func TestPeekAtTheMark(t *testing.T) {
	for _, apart := range []bool{true, false} {
		p := inEstablished(t)
		p.c.SetUrgentInline(!apart)
		p.recv(ACK|URG, 1, 1, 10, pointing(4)) // the fourth is urgent
		b := make([]byte, 20)
		if n, err := p.c.Peek(b, 0); n != 3 || err != nil || !bytes.Equal(b[:n], text(1, 3)) {
			t.Errorf("to the mark: %v, %v", b[:n], err)
		}
		if n, err := p.c.Peek(b, 3); n != 0 || err != ErrWouldBlock {
			t.Errorf("from the mark on: %d, %v", n, err)
		}
		p.read1(1, 3)
		want := text(4, 7)
		if apart {
			want = want[1:]
		}
		for range 2 {
			if n, err := p.c.Peek(b, 0); err != nil || !bytes.Equal(b[:n], want) || !p.c.AtMark() {
				t.Errorf("at the mark: %v, %v", b[:n], err)
			}
		}
		if n, err := p.c.Peek(b, 2); err != nil || !bytes.Equal(b[:n], want[2:]) {
			t.Errorf("further on: %v, %v", b[:n], err)
		}
		p.read(11-len(want), len(want))
		p.recv(ACK|URG, 11, 1, 1, pointing(1))
		_, err := p.c.Peek(b, 0)
		if p.c.Readable() == apart || (err == ErrWouldBlock) != apart || p.c.Urgent() != 1 {
			t.Errorf("apart %v: readable %v, %v", apart, p.c.Readable(), err)
		}
	}
}

// Out of band in BSD's sense: the last octet is apart, and Read stops where it
// was.
func TestUrgentApart(t *testing.T) {
	p := inEstablished(t)
	p.c.SetUrgentInline(false)
	if _, err := p.c.ReadUrgent(false); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("nothing was announced: %v", err)
	}
	p.recv(ACK|URG, 1, 1, 10, pointing(20))
	if _, err := p.c.ReadUrgent(false); err != ErrWouldBlock {
		t.Fatalf("announced and not there: %v", err)
	}
	p.recv(ACK, 11, 1, 30)
	for _, peek := range []bool{true, true, false} {
		if b, err := p.c.ReadUrgent(peek); b != text(20, 1)[0] || err != nil {
			t.Fatalf("%d, %v", b, err)
		}
	}
	if _, err := p.c.ReadUrgent(false); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("read twice: %v", err)
	}
	p.read1(1, 19) // to the mark
	if !p.c.AtMark() {
		t.Fatal("not at the mark")
	}
	p.read(21, 20) // without the octet in between
	// The octet that Read went past can still be had.
	p.recv(ACK|URG, 41, 1, 3, pointing(2))
	p.read1(41, 1)
	p.read(43, 1)
	if b, err := p.c.ReadUrgent(false); b != text(42, 1)[0] || err != nil {
		t.Fatalf("%d, %v", b, err)
	}
	// Nothing but the octet: Read finds nothing.
	p.recv(ACK|URG, 44, 1, 1, pointing(1))
	if n, err := p.c.Read(make([]byte, 9)); n != 0 || err != ErrWouldBlock {
		t.Fatalf("%d, %v", n, err)
	}
}

// read1 is one Read of n octets although more have arrived.
func (p *script) read1(seq, n int) {
	p.t.Helper()
	b := make([]byte, n+100)
	if got, err := p.c.Read(b); got != n || err != nil || !bytes.Equal(b[:got], text(seq, n)) {
		p.t.Fatalf("Read: %d octets, %v, want %d from %d", got, err, n, seq)
	}
}

// Whatever the path does, the stream is whole in line, and lacks the last urgent
// octet only where that is apart.
func TestUrgentTransferImpaired(t *testing.T) {
	for seed := range uint64(20) {
		s := newSim(t, seed)
		s.both(func(e *simEnd) {
			e.imp = impairment{delay: 5 * time.Millisecond, jitter: 2 * time.Millisecond, loss: 0.05, dup: 0.05}
		})
		a, b := s.ends[0], s.ends[1]
		rng := rand.New(rand.NewPCG(seed, 9))
		want := pattern(100_000, seed)
		s.start()
		s.run(time.Minute, func() bool { return a.conn.State() == Established && b.conn != nil })
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(3000))
			write := a.conn.Write
			if rng.IntN(4) == 0 {
				write = a.conn.WriteUrgent
			}
			k, err := write(rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
		}
		a.closeW = true
		s.serve(0)
		s.run(time.Minute, func() bool { return b.eof })
		if !bytes.Equal(b.got, want) {
			t.Fatalf("seed %d: %d octets of %d, equal %v", seed, len(b.got), len(want), bytes.Equal(b.got, want))
		}
	}
}
