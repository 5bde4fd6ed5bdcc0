package tcp

import (
	"io"
	"testing"
	"time"
)

func TestCork(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.NoDelay = true }))
	p.c.SetCork(true)
	p.write(300)
	p.write(300)
	p.expect()
	p.write(600) // a full segment
	p.expect("[.] 1+1000 ack 1")
	p.after(corkLimit - time.Millisecond)
	p.expect()
	p.after(time.Millisecond) // nothing waits for ever
	p.expect("[P.] 1001+200 ack 1")
	p.write(10)
	p.expect()
	p.c.SetCork(false)
	p.flush()
	p.expect("[P.] 1201+10 ack 1")
	p.c.SetCork(true)
	p.write(10)
	p.c.CloseWrite(p.now) // the FIN takes along what was kept back
	p.flush()
	p.expect("[FP.] 1211+10 ack 1")
}

// The promise of more text ends with an acknowledgment, that of a cork does not.
func TestMoreToCome(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.NoDelay = true }))
	p.c.MoreToCome()
	p.write(1100)
	p.expect("[.] 1+1000 ack 1")
	p.c.MoreToCome()
	p.write(50)
	p.expect()
	p.recv(ACK, 1, 1001, 0)
	p.expect("[P.] 1001+150 ack 1")
	p.c.SetCork(true)
	p.c.MoreToCome()
	p.write(10)
	p.recv(ACK, 1, 1151, 0)
	p.expect()
	p.after(corkLimit)
	p.expect("[P.] 1151+10 ack 1")
	p.c.SetCork(false)
	p.c.MoreToCome()
	p.write(10)
	p.after(corkLimit - time.Millisecond)
	p.expect()
	p.after(time.Millisecond)
	p.expect("[P.] 1161+10 ack 1")
}

// Switching Nagle's algorithm off sends what a cork keeps back, once.
func TestNoDelayBehindCork(t *testing.T) {
	p := inEstablished(t)
	p.c.SetCork(true)
	p.write(40)
	p.expect()
	p.c.SetNoDelay(true)
	p.flush()
	p.expect("[P.] 1+40 ack 1")
	p.recv(ACK, 1, 41, 0)
	p.write(40)
	p.expect()
	p.after(corkLimit)
	p.expect("[P.] 41+40 ack 1")
}

// What is kept back behind a closed window does not make the owner spin.
func TestCorkBehindClosedWindow(t *testing.T) {
	p := inEstablished(t)
	p.c.SetCork(true)
	p.write(10)
	p.recv(ACK, 1, 1, 0, window(0))
	p.after(time.Second)
	if at := p.c.Deadline(); at != 0 && at <= p.now {
		t.Fatal("a deadline stays in the past")
	}
	p.out = nil
	p.recv(ACK, 1, 1, 0, window(1000))
	if len(p.out) != 1 || p.out[0] != "[P.] 1+10 ack 1" {
		t.Fatalf("%q", p.out)
	}
}

// The first segments are acknowledged at once where that is asked for, until the
// connection turns out to be a conversation.
func TestQuickAcks(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.QuickAcks = 2 }))
	p.recv(ACK, 1, 1, 100)
	p.expect("[.] 1 ack 101")
	p.recv(ACK, 101, 1, 100)
	p.expect("[.] 1 ack 201")
	p.recv(ACK, 201, 1, 100)
	p.expect()
	p.c.SetQuickAck(true)
	p.flush()
	p.expect("[.] 1 ack 301")
	p.recv(ACK, 301, 1, 100)
	p.expect("[.] 1 ack 401")
	p.write(10)
	p.expect("[P.] 1+10 ack 401")
	p.recv(ACK, 401, 11, 100)
	p.expect()
}

// What is sent without an answer to it being due, a request or the FIN, does
// not make a conversation.
func TestQuickAcksAfterRequest(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.QuickAcks = 3 }))
	p.write(10)
	p.expect("[P.] 1+10 ack 1")
	p.recv(ACK, 1, 11, 100)
	p.expect("[.] 11 ack 101")
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect("[F.] 11 ack 101")
	p.recv(ACK, 101, 12, 100)
	p.expect("[.] 12 ack 201")
	p.after(DefaultDelayedAck)
	p.recv(ACK, 201, 12, 100)
	p.expect("[.] 12 ack 301")
	p.recv(ACK, 301, 12, 100)
	p.expect()
}

func TestPeek(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.RcvBuf = 60_000 }))
	if _, err := p.c.Peek(make([]byte, 1), 0); err != ErrWouldBlock {
		t.Fatal(err)
	}
	for seq := 1; seq < 20_000; seq += 1000 {
		p.recv(ACK, seq, 1, 1000)
	}
	b := make([]byte, 7000)
	for _, at := range []int{0, 5000, 19_990} {
		want := text(1+at, min(len(b), 20_000-at))
		if n, err := p.c.Peek(b, at); err != nil || string(b[:n]) != string(want) {
			t.Fatalf("at %d: %d octets, %v", at, n, err)
		}
	}
	if _, err := p.c.Peek(b, 20_000); err != ErrWouldBlock {
		t.Fatal(err)
	}
	p.read(1, 20_000)
	p.recv(FIN|ACK, 20_001, 1, 0)
	if _, err := p.c.Peek(b, 0); err != io.EOF {
		t.Fatal(err)
	}
}
