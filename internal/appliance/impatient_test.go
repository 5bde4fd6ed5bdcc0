package appliance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// dial opens a connection from the peer; the test's end closes it.
func (b *bench) dial(to string) net.Conn {
	b.t.Helper()
	c, err := b.peer.Stack.DialContext(b.t.Context(), "tcp", to)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// Whoever stalls loses the connection, wherever in the conversation that is.
func TestStalledClients(t *testing.T) {
	big := fstest.MapFS{"index.html": {Data: []byte("hello")}, "big": {Data: make([]byte, 8<<20)}}
	for name, request := range map[string]string{
		"says nothing":           "",
		"half a header":          "GET / HTTP/1.1\r\nHost: a\r\n",
		"keeps it open":          "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"takes no data":          "GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
		"half a body":            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx",
		"half a body, then more": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				a := b.start(Config{Site: big})
				io.WriteString(b.dial("10.9.0.2:80"), request)
				time.Sleep(time.Second)
				if n := len(a.node.Stack.Conns()); n != 1 {
					t.Fatalf("%d connections", n)
				}
				time.Sleep(3 * time.Minute)
				for _, c := range a.node.Stack.Conns() {
					t.Errorf("after three minutes the appliance still has %+v", c)
				}
			})
		})
	}
}

// Who is slow but goes on is served, however long it takes.
func TestSlowClients(t *testing.T) {
	data := bytes.Repeat([]byte("arpeggio"), 1<<17)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(Config{Site: fstest.MapFS{"big": {Data: data}}, Sink: "/sink"})
		c := b.dial("10.9.0.2:80")
		io.WriteString(c, "GET /big HTTP/1.0\r\nHost: a\r\n\r\n")
		var got bytes.Buffer
		for {
			_, err := io.CopyN(&got, c, 32<<10)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d octets: %v", got.Len(), err)
			}
			time.Sleep(20 * time.Second) // ten minutes in all
		}
		if !bytes.HasSuffix(got.Bytes(), data) {
			t.Errorf("%d octets, and not the file's", got.Len())
		}
		c = b.dial("10.9.0.2:80")
		io.WriteString(c, "POST /sink HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		for range 10 {
			time.Sleep(30 * time.Second)
			io.WriteString(c, "x")
		}
		if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 204") {
			t.Errorf("a slow upload to the sink: %q, %v", answer, err)
		}
	})
}

// A crowd takes no more memory than MaxConns connections, and when it has gone
// idle the appliance serves again.
func TestCrowd(t *testing.T) {
	const maxConns = 500
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		a := b.start(Config{MaxConns: maxConns})
		refusals := 0
		for range maxConns + 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			c, err := b.peer.Stack.DialContext(ctx, "tcp", "10.9.0.2:80")
			cancel()
			if err != nil {
				refusals++
				continue
			}
			t.Cleanup(func() { c.Close() })
		}
		if n := len(a.node.Stack.Conns()); n > maxConns || refusals < 100 {
			t.Errorf("%d connections, %d attempts in vain", n, refusals)
		}
		time.Sleep(time.Minute)
		if code, _, err := b.request("GET", a.URLs()["site"], nil); err != nil || code != http.StatusOK {
			t.Errorf("afterwards: %d, %v", code, err)
		}
	})
}

// A handler that bounds its writes itself keeps its bound.
func TestOwnWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ln, err := b.peer.Stack.Listen("tcp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		a := b.start(Config{})
		inner, err := a.node.Stack.DialTCP(t.Context(), netip.AddrPort{}, netip.AddrPortFrom(peerNet.Addr(), 9))
		if err != nil {
			t.Fatal(err)
		}
		defer inner.Close()
		c := &impatientConn{TCPConn: inner}
		start := time.Now()
		c.SetWriteDeadline(start.Add(5 * time.Second))
		var netErr net.Error
		if _, err := c.Write(make([]byte, 16<<20)); !errors.As(err, &netErr) || !netErr.Timeout() || time.Since(start) != 5*time.Second {
			t.Errorf("own deadline: %v after %v", err, time.Since(start))
		}
		c.SetWriteDeadline(time.Time{})
		start = time.Now()
		if _, err := c.Write(make([]byte, 16<<20)); !errors.As(err, &netErr) || !netErr.Timeout() || time.Since(start) != stallLimit {
			t.Errorf("without one: %v after %v", err, time.Since(start))
		}
	})
}
