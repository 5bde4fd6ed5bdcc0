package socketagent

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
)

// header is a request that promises n octets of data.
func header(op uint32, n uint32, args ...int32) []byte {
	var a [5]int32
	copy(a[:], args)
	b := append(binary.LittleEndian.AppendUint32(nil, op), int32s(a[:]...)...)
	return binary.LittleEndian.AppendUint32(b, n)
}

// Whatever a client sends is answered with an errno, and costs no more memory than
// what it has sent.
func TestHostileRequests(t *testing.T) {
	t.Run("promises", func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if _, err := readRequest(bytes.NewReader(append(header(opSend, maxData), 'x'))); err != errCut {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > maxData {
			t.Errorf("%d octets for 100 requests of one", n)
		}
	})
	t.Run("too much", func(t *testing.T) {
		in := io.MultiReader(bytes.NewReader(header(opSend, maxData+1)), io.LimitReader(endless{}, maxData+1), bytes.NewReader(header(opClose, 0, 7)))
		q, err := readRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		a := New(Config{Stack: stack.New(stack.Config{})})
		defer a.Close()
		if r := a.execute(q, nil); r.err != syscall.EMSGSIZE {
			t.Error(r.err)
		}
		if q, err := readRequest(in); err != nil || q.op != opClose || q.a[0] != 7 {
			t.Errorf("the next one: %+v, %v", q, err)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, dial := newAgent(t)
			c := dial()
			for _, typ := range []int32{syscall.SOCK_STREAM, syscall.SOCK_DGRAM} {
				fd, _, _ := c.call(opSocket, nil, syscall.AF_INET, typ|sockNonblock, 0)
				for op := uint32(0); op < 120; op++ {
					if op == opSocket || op == opClose || op == opReset {
						continue
					}
					for _, n := range []int32{-1 << 31, -1, 1<<31 - 1} {
						for _, size := range []int{0, 1, 5, 100} {
							if op == opPoll && n < 0 {
								continue // it waits for ever
							}
							ret, errno, out := c.call(op, make([]byte, size), fd, n, n, n, n)
							if (ret < 0) != (errno != 0) || ret < 0 && len(out) > 0 {
								t.Fatalf("operation %d, %d, %d octets: %d, %v, %d octets", op, n, size, ret, errno, len(out))
							}
						}
					}
				}
			}
		})
	})
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Descriptors are bounded in number, the lowest free one is given, and thousands
// of them cost no time.
func TestManyDescriptors(t *testing.T) {
	a := New(Config{Stack: stack.New(stack.Config{})})
	defer a.Close()
	open := func() (int32, error) {
		r := a.socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		return r.result, r.err
	}
	for i := range int32(maxSocks) {
		if fd, err := open(); fd != firstFD+i || err != nil {
			t.Fatal(fd, err)
		}
	}
	if _, err := open(); err != syscall.EMFILE {
		t.Fatal(err)
	}
	for _, fd := range []int32{900, 40, 800} {
		a.close(fd)
	}
	for _, want := range []int32{40, 800, 900} {
		if fd, err := open(); fd != want || err != nil {
			t.Errorf("%d, %v, want %d", fd, err, want)
		}
	}
	a.reset()
	if fd, err := open(); fd != firstFD || err != nil {
		t.Error(fd, err)
	}
}

// listenerAndCaller makes a socket that listens at addr, and one to connect to it.
func (c *client) listenerAndCaller() (l, x int32, addr []byte) {
	addr = appendAddr(nil, netip.AddrPortFrom(ourAddr, 7000))
	l, _, _ = c.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_STREAM, 0)
	c.call(opBind, addr, l)
	c.call(opListen, nil, l, 5)
	x, _, _ = c.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_STREAM, 0)
	return l, x, addr
}

// A table that is full leaves connections with the listener.
func TestAcceptWithFullTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, dial := newAgent(t)
		c := dial()
		l, x, addr := c.listenerAndCaller()
		if _, errno, _ := c.call(opConnect, addr, x); errno != 0 {
			t.Fatal(errno)
		}
		for range maxSocks - 2 {
			a.socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		}
		if _, errno, _ := c.call(opAccept, nil, l); errno != syscall.EMFILE {
			t.Fatal(errno)
		}
		c.call(opClose, nil, 500)
		if fd, errno, _ := c.call(opAccept, nil, l); fd != 500 || errno != 0 {
			t.Fatal(fd, errno)
		}
	})
}

// Nothing is left after a reset: neither ports, whatever had them and in whatever
// state, nor groups, nor connections.
func TestResetLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, dial := newAgent(t)
		c := dial()
		port := uint16(7000)
		at := func(p uint16) []byte { return appendAddr(nil, netip.AddrPortFrom(ourAddr, p)) }
		socket := func(typ int32) int32 {
			fd, errno, _ := c.call(opSocket, nil, syscall.AF_INET, typ, 0)
			if errno != 0 {
				t.Fatal(errno)
			}
			return fd
		}
		for range 3 {
			l := socket(syscall.SOCK_STREAM)
			if _, errno, _ := c.call(opBind, at(port), l); errno != 0 {
				t.Fatal(errno)
			}
			c.call(opListen, nil, l, 50)
			for how := range int32(6) {
				x := socket(syscall.SOCK_STREAM)
				if _, errno, _ := c.call(opBind, at(port+1+uint16(how)), x); errno != 0 {
					t.Fatal(how, errno)
				}
				if _, errno, _ := c.call(opConnect, at(port), x); errno != 0 {
					t.Fatal(how, errno)
				}
				if how == 0 {
					continue // not accepted
				}
				y, _, _ := c.call(opAccept, nil, l)
				switch how {
				case 1: // TIME-WAIT
					c.call(opClose, nil, x)
					c.call(opClose, nil, y)
				case 2: // FIN-WAIT-2, of nobody
					c.call(opClose, nil, x)
				case 3: // with text
					c.call(opSend, make([]byte, 100), y, 0)
				case 4:
					c.call(opShutdown, nil, y, 1)
				}
			}
			u := socket(syscall.SOCK_DGRAM)
			c.call(opSetsockopt, []byte{224, 1, 1, 1, 10, 0, 0, 1}, u, ipprotoIP, ipAddMembership)
			if _, errno, _ := c.call(opBind, at(port), u); errno != 0 {
				t.Fatal(errno)
			}
			v := socket(syscall.SOCK_DGRAM)
			c.call(opSetsockopt, []byte{224, 1, 1, 2, 10, 0, 0, 1}, v, ipprotoIP, ipAddMembership)
			time.Sleep(time.Second)
			c.call(opReset, nil)
			if c, l, u := a.stack.Conns(), a.stack.Listeners(), a.stack.PacketConns(); len(c)+len(l)+len(u) > 0 {
				t.Errorf("%+v, %+v, %+v", c, l, u)
			}
			if g := a.stack.Interfaces()[0].Groups(); len(g) > 0 {
				t.Errorf("groups: %v", g)
			}
		}
	})
}

// Close does not wait for a close that lingers.
func TestCloseEndsLingering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, dial := newAgent(t)
		c := dial()
		l, x, addr := c.listenerAndCaller()
		c.call(opConnect, addr, x)
		y, _, _ := c.call(opAccept, nil, l)
		c.call(opSetsockopt, int32s(10000), y, solSocket, soRcvBuf)
		c.call(opSend, make([]byte, 100_000), x, syscall.MSG_DONTWAIT)
		c.call(opSetsockopt, int32s(1, 1<<30), x, solSocket, soLinger)
		if _, err := c.c.Write(header(opClose, 0, x)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it lingers
		start := time.Now()
		a.Close()
		if d := time.Since(start); d > time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
