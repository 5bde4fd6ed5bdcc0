package tcp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestWriteBoundedBySendBuffer(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.SndBuf = 5000 }))
	p.recv(ACK, 1, 1, 0, window(0))
	if n, err := p.c.Write(make([]byte, 8000)); n != 5000 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	if n, err := p.c.Write([]byte("x")); n != 0 || err != ErrWouldBlock || p.c.Writable() {
		t.Fatalf("Write into a full queue: %d, %v", n, err)
	}
	p.recv(ACK, 1, 1, 0)
	p.recv(ACK, 1, 3001, 0)
	if n, err := p.c.Write(make([]byte, 8000)); n != 3000 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
}

func TestWriteRefReleasesWhenAcknowledged(t *testing.T) {
	p := inEstablished(t, reno)
	released := map[string]int{}
	for _, name := range []string{"first", "second"} {
		if n, err := p.c.WriteRef(bytes.Repeat([]byte(name[:1]), 1500), func() { released[name]++ }); n != 1500 || err != nil {
			t.Fatalf("WriteRef: %d, %v", n, err)
		}
	}
	p.write(10)
	p.expect("[.] 1+1000 ack 1", "[.] 1001+1000 ack 1", "[.] 2001+1000 ack 1", "[P.] 3001+10 ack 1")
	if got := string(p.segs[3].Payload); got != strings.Repeat("f", 500)+strings.Repeat("s", 500) {
		t.Fatal("the second segment is not the end of one and the start of the other")
	}
	p.recv(ACK, 1, 1001, 0)
	if len(released) != 0 {
		t.Fatal("released too early")
	}
	p.recv(ACK, 1, 2001, 0)
	if released["first"] != 1 || released["second"] != 0 {
		t.Fatalf("%v", released)
	}
	p.c.Abort(p.now)
	if released["first"] != 1 || released["second"] != 1 {
		t.Fatalf("%v after the end", released)
	}
	if n, err := p.c.WriteRef([]byte("x"), func() { t.Error("released after an error") }); n != 0 || err != ErrAborted {
		t.Fatalf("WriteRef: %d, %v", n, err)
	}
}

// A reset takes nothing from a stream that has arrived whole; one that has not
// ends with the error.
func TestResetAfterWholeStream(t *testing.T) {
	for _, whole := range []bool{true, false} {
		p := inEstablished(t)
		end, want := ACK, ErrReset
		if whole {
			end, want = FIN|ACK, io.EOF
		}
		p.recv(end, 1, 1, 4)
		p.recv(RST, p.c.rcvNxt.Sub(peerISS), 0, 0)
		if p.c.State() != Closed {
			t.Fatalf("state %v", p.c.State())
		}
		b := make([]byte, 10)
		if n, err := p.c.Read(b); n != 4 || err != nil {
			t.Errorf("whole %v: Read: %d, %v", whole, n, err)
		}
		if n, err := p.c.Read(b); n != 0 || err != want {
			t.Errorf("whole %v: then %d, %v; want %v", whole, n, err, want)
		}
		if _, err := p.c.Write(b); err != ErrReset {
			t.Errorf("whole %v: Write: %v", whole, err)
		}
	}
}

func TestWriteRefIsBoundedByQueueNotByItself(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.SndBuf = 5000 }))
	if n, err := p.c.WriteRef(make([]byte, 50_000), nil); n != 50_000 || err != nil {
		t.Fatalf("WriteRef: %d, %v", n, err)
	}
	if n, err := p.c.WriteRef([]byte("x"), nil); n != 0 || err != ErrWouldBlock {
		t.Fatalf("WriteRef into a full queue: %d, %v", n, err)
	}
}

// An owner that writes after releasing its lock finds the text of queued
// segments unchanged although the connection is over.
func TestHeldBuffersStayUntilRecycled(t *testing.T) {
	pool := new(Pool)
	pool.Hold()
	p := inEstablished(t, config(func(c *Config) { c.Pool = pool }))
	released := false
	_, _ = p.c.WriteRef([]byte("by reference"), func() { released = true })
	_, _ = p.c.Write([]byte(" and by copy"))
	var queued [][]byte
	p.c.Output(p.now, 0, func(s *Segment) bool {
		queued = append(queued, s.Data...)
		return true
	})
	p.c.Abort(p.now)
	q := inEstablished(t, config(func(c *Config) { c.Pool = pool }))
	_, _ = q.c.Write(bytes.Repeat([]byte("#"), 3*chunkSize))
	if got := string(bytes.Join(queued, nil)); got != "by reference and by copy" || released {
		t.Fatalf("%q, released %v", got, released)
	}
	pool.Recycle(pool.TakeHeld())
	if !released || pool.nfree != 1 || pool.nrefs != 1 {
		t.Fatalf("released %v, %d and %d free", released, pool.nfree, pool.nrefs)
	}
}

func TestPoolKeepsALimitedNumber(t *testing.T) {
	var p Pool
	for range poolKeep + 100 {
		p.put(&chunk{buf: new([chunkSize]byte)})
		p.put(new(chunk))
	}
	if p.nfree != poolKeep || p.nrefs != poolKeep {
		t.Fatalf("%d and %d kept", p.nfree, p.nrefs)
	}
}

func TestCloseInSynSentDeletes(t *testing.T) {
	p, _ := inSynSent(t)
	p.c.Close(p.now)
	p.flush()
	p.expect()
	p.failed(ErrAborted)
}

func TestCloseInFinWait2StartsItsTimeout(t *testing.T) {
	p := inFinWait2(t)
	if p.c.Deadline() != 0 {
		t.Fatal("a half-closed connection has a deadline")
	}
	p.c.Close(p.now)
	if p.c.Deadline() == 0 {
		t.Fatal("none after Close")
	}
}

func TestErrorsNameErrnos(t *testing.T) {
	for err, errno := range map[error]syscall.Errno{
		ErrRefused: syscall.ECONNREFUSED, ErrReset: syscall.ECONNRESET, ErrTimeout: syscall.ETIMEDOUT,
		ErrPipe: syscall.EPIPE, ErrAborted: syscall.ECONNABORTED,
	} {
		te := err.(interface{ Timeout() bool })
		if !errors.Is(err, errno) || te.Timeout() != (errno == syscall.ETIMEDOUT) || !strings.HasPrefix(err.Error(), "tcp: ") {
			t.Errorf("%v", err)
		}
	}
}

func TestStateNames(t *testing.T) {
	names := map[string]bool{}
	for s := Closed; s <= TimeWait; s++ {
		names[s.String()] = true
		if s.Synchronized() != (s >= Established) {
			t.Errorf("%v", s)
		}
	}
	if len(names) != 10 || names["invalid"] || State(99).String() != "invalid" {
		t.Errorf("%v", names)
	}
	p := inEstablished(t)
	if p.c.Local() != addrA || p.c.Remote() != addrB {
		t.Error("addresses")
	}
}
