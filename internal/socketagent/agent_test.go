package socketagent

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// caller executes calls: an agent's client, or the kernel.
type caller interface {
	call(op uint32, data []byte, args ...int32) (ret int32, errno syscall.Errno, out []byte)
}

// client speaks the wire format.
type client struct {
	t *testing.T
	c net.Conn
}

func (c *client) call(op uint32, data []byte, args ...int32) (int32, syscall.Errno, []byte) {
	c.t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, op)
	var a [5]int32
	copy(a[:], args)
	b = append(b, int32s(a[:]...)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	if _, err := c.c.Write(append(b, data...)); err != nil {
		c.t.Fatal(err)
	}
	var head [12]byte
	if _, err := io.ReadFull(c.c, head[:]); err != nil {
		c.t.Fatal(err)
	}
	out := make([]byte, binary.LittleEndian.Uint32(head[8:]))
	if _, err := io.ReadFull(c.c, out); err != nil {
		c.t.Fatal(err)
	}
	return int32(binary.LittleEndian.Uint32(head[0:])), syscall.Errno(binary.LittleEndian.Uint32(head[4:])), out
}

// ourAddr is the address of the stack under test.
var ourAddr = netip.MustParseAddr("10.0.0.1")

// pipes is a listener whose connections stay within the process, and within a
// bubble of virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// newAgent returns an agent on a stack of its own, and a function that makes
// clients.
func newAgent(t *testing.T) (a *Agent, dial func() *client) {
	t.Helper()
	sw := vnet.New(vnet.Config{Seed: 1})
	p, err := sw.Port(vnet.PortConfig{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	s := stack.New(stack.Config{})
	if _, err := s.AddInterface(stack.InterfaceConfig{Device: p, Resolver: stack.StaticResolver{}, Addresses: []netip.Prefix{netip.PrefixFrom(ourAddr, 24)}}); err != nil {
		t.Fatal(err)
	}
	ln := newPipes()
	a = New(Config{Stack: s})
	served := make(chan error, 1)
	go func() { served <- a.Serve(ln) }()
	t.Cleanup(func() {
		a.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		s.Close()
		sw.Close()
	})
	return a, func() *client {
		c, far := net.Pipe()
		ln.conns <- far
		t.Cleanup(func() { c.Close() })
		return &client{t, c}
	}
}

// A call that waits keeps only its own connection, and 99 ends everything.
func TestWaitingAndReset(t *testing.T) { synctest.Test(t, waitingAndReset) }

func waitingAndReset(t *testing.T) {
	_, dial := newAgent(t)
	one, two := dial(), dial()
	fd, errno, _ := one.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if fd != firstFD || errno != 0 {
		t.Fatal(fd, errno)
	}
	addr := appendAddr(nil, netip.AddrPortFrom(ourAddr, 7000))
	one.call(opBind, addr, fd)
	one.call(opListen, nil, fd, 5)
	accepted := make(chan syscall.Errno)
	go func() {
		_, errno, _ := one.call(opAccept, nil, fd)
		accepted <- errno
	}()
	c, _, _ := two.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if _, errno, _ := two.call(opConnect, addr, c); errno != 0 {
		t.Fatal(errno)
	}
	if errno := <-accepted; errno != 0 {
		t.Fatal(errno)
	}
	go func() {
		_, errno, _ := one.call(opAccept, nil, fd)
		accepted <- errno
	}()
	synctest.Wait() // it waits
	two.call(opReset, nil)
	if errno := <-accepted; errno != syscall.EINVAL {
		t.Fatalf("a waiting accept ends with %v", errno)
	}
	if fd, _, _ := two.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_STREAM, 0); fd != firstFD {
		t.Fatalf("the first descriptor is %d", fd)
	}
	if _, errno, _ := two.call(opBind, addr, firstFD); errno != 0 {
		t.Fatalf("the port is not free: %v", errno)
	}
}

// A client that goes away takes its waiting call along.
func TestClientGone(t *testing.T) { synctest.Test(t, clientGone) }

func clientGone(t *testing.T) {
	a, dial := newAgent(t)
	c := dial()
	fd, _, _ := c.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	b := append(int32s(opRecv, fd, 10, 0, 0, 0), 0, 0, 0, 0)
	if _, err := c.c.Write(b); err != nil {
		t.Fatal(err)
	}
	c.c.Close()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.sessions) > 0 {
		t.Error("the session goes on")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(append(int32s(opSocket, 2, 1, 0, 0, 0), 0, 0, 0, 0))
	f.Add(append(int32s(opBind, 3, 0, 0, 0, 0), 6, 0, 0, 0, 10, 0, 0, 1, 0, 80))
	f.Add(append(int32s(opSetsockopt, 3, 1, 13, 0, 0), 4, 0, 0, 0, 1, 0, 0, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := stack.New(stack.Config{})
		defer s.Close()
		a := New(Config{Stack: s})
		defer a.Close()
		gone := make(chan struct{})
		close(gone)
		for r := (&sliceReader{in}); ; {
			q, err := readRequest(r)
			if err != nil {
				return
			}
			for _, typ := range []int32{syscall.SOCK_STREAM, syscall.SOCK_DGRAM} {
				a.execute(request{op: opSocket, a: [5]int32{syscall.AF_INET, typ | sockNonblock}}, gone)
			}
			q.a[0] = firstFD + q.a[0]&1
			if err := writeReply(io.Discard, a.execute(q, gone)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

type sliceReader struct{ b []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func TestWireErrors(t *testing.T) {
	for _, bad := range [][]byte{make([]byte, 5), append(make([]byte, 24), 1, 0, 0, 0), append(make([]byte, 24), 0xff, 0xff, 0xff, 0xff)} {
		if _, err := readRequest(&sliceReader{bad}); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}
