package stack_test

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// datagrams is a stream of datagrams, as good as the link: what nettest needs of a
// net.Conn, so that it can look at those of UDP. The empty datagram is the end. It
// waits for its reader, since nothing else keeps a writer from flooding its peer.
type datagrams struct {
	net.Conn
	peer *stack.Stack
	mu   sync.Mutex // of readers
	rest []byte
	end  bool
}

func (d *datagrams) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.rest) == 0 && !d.end {
		buf := make([]byte, 2048)
		n, err := d.Conn.Read(buf)
		if err != nil {
			return 0, err
		}
		d.rest, d.end = buf[:n], n == 0
	}
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func (d *datagrams) Write(p []byte) (n int, err error) {
	for n < len(p) {
		d.pace()
		k, err := d.Conn.Write(p[n:min(n+1024, len(p))])
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// pace waits while much lies at the peer, but not for ever: a peer that does not
// read must not keep a deadline from its work.
func (d *datagrams) pace() {
	for range 10 {
		if u := d.peer.PacketConns(); len(u) == 0 || u[0].Queued <= 1000 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (d *datagrams) Close() error {
	_, _ = d.Conn.Write(nil)
	return d.Conn.Close()
}

// Deadlines, closing and concurrent use of packet connections, by the suite for
// connections.
func TestNettestPackets(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l := newLAN(t, 2, vnet.PortConfig{QueueFrames: 1 << 15, QueueBytes: 64 << 20}, stack.Config{UDPRcvBuf: 16 << 20}, stack.Config{UDPRcvBuf: 16 << 20})
		a, b := addrPort(1, 4001), addrPort(2, 4002)
		dial := func(n int, local, remote netip.AddrPort) net.Conn {
			u, err := l.stacks[n].DialUDP(local, remote)
			if err != nil {
				t.Fatal(err)
			}
			return &datagrams{Conn: u, peer: l.stacks[1-n]}
		}
		return dial(0, a, b), dial(1, b, a), l.close, nil
	})
}
