package gitserve

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bulky is a repository whose pack holds n incompressible blobs of 64 KiB.
func bulky(t testing.TB, n int) *testRepo {
	t.Helper()
	r := newTestRepo()
	rnd := rand.NewChaCha8([32]byte{1})
	files := map[string]string{}
	for i := range n {
		b := make([]byte, 64<<10)
		rnd.Read(b)
		files[fmt.Sprintf("f%03d", i)] = string(b)
	}
	r.commit(t, "primary", "bulk", files)
	return r
}

// pipes is a listener whose connections are unbuffered pipes: nothing is
// written that is not read.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// inBubble runs f in virtual time beside a server. Fetch sends a full v2 fetch,
// with more arguments, on a new connection and returns that with the answer
// unread.
func inBubble(t *testing.T, r *testRepo, cfg Config, f func(h *Handler, fetch func(args ...string) net.Conn)) {
	cfg.Repository = r
	synctest.Test(t, func(t *testing.T) {
		h := New(cfg)
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		var running sync.WaitGroup
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			running.Add(1)
			defer running.Done()
			h.ServeHTTP(w, q)
		})}
		go srv.Serve(l)
		defer running.Wait()
		defer srv.Close()
		f(h, func(args ...string) net.Conn {
			c, s := net.Pipe()
			t.Cleanup(func() { c.Close() })
			l.conns <- s
			body := pkt(slices.Concat([]string{"command=fetch", "0001", "want " + r.get("refs/heads/primary").String()}, args, []string{"done", "0000"})...)
			_, err := fmt.Fprintf(c, "POST /git-upload-pack HTTP/1.1\r\nHost: x\r\nGit-Protocol: version=2\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
				typeRequest, len(body), body)
			if err != nil {
				t.Fatal(err)
			}
			return c
		})
	})
}

// readAll reads an answer in pieces with a pause after each, closes the
// connection and returns the length of the answer.
func readAll(t *testing.T, c net.Conn, pause time.Duration) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 4096), nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	total := 0
	for {
		n, err := io.ReadFull(resp.Body, buf)
		total += n
		if err != nil {
			return total
		}
		time.Sleep(pause)
	}
}

// TestSlowClient: one that reads slowly, but steadily, gets everything even
// though it takes much longer than WriteTimeout.
func TestSlowClient(t *testing.T) {
	inBubble(t, bulky(t, 30), Config{}, func(h *Handler, fetch func(...string) net.Conn) {
		start := time.Now()
		if n := readAll(t, fetch(), 30*time.Second); n < 30*64<<10 {
			t.Errorf("only %d bytes came", n)
		}
		if d := time.Since(start); d < 10*time.Minute {
			t.Errorf("it took %v only", d)
		}
		synctest.Wait()
		if s := h.Stats(); s.Fetches != 1 || s.Hangups != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestClientTakesNothing: one that stays, but does not read, is given up.
func TestClientTakesNothing(t *testing.T) {
	inBubble(t, bulky(t, 3), Config{}, func(h *Handler, fetch func(...string) net.Conn) {
		fetch()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := h.Stats().Hangups; n != 0 {
			t.Error("given up too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := h.Stats().Hangups; n != 1 {
			t.Errorf("%d hang-ups", n)
		}
	})
}

// TestClientHangsUp: the only slot is free again.
func TestClientHangsUp(t *testing.T) {
	inBubble(t, bulky(t, 3), Config{MaxConcurrent: 1}, func(h *Handler, fetch func(...string) net.Conn) {
		c := fetch()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		waiting := fetch()
		c.Close()
		if n := readAll(t, waiting, 0); n < 3*64<<10 {
			t.Errorf("the next client got %d bytes", n)
		}
		synctest.Wait()
		if s := h.Stats(); s.Hangups != 1 || s.Fetches != 1 || s.Failures != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestClientHangsUpDuringSelection: the walk ends too, not only the writing.
func TestClientHangsUpDuringSelection(t *testing.T) {
	r := newTestRepo()
	r.chain(t, "primary", 50)
	inBubble(t, r, Config{}, func(h *Handler, fetch func(...string) net.Conn) {
		goOn := make(chan bool)
		r.hook(func(n int) error {
			if n == 20 {
				<-goOn
			}
			return nil
		})
		c := fetch()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		if n := h.Stats().Hangups; n != 1 {
			t.Errorf("%d hang-ups", n)
		}
		if r.reads > 25 {
			t.Errorf("%d reads although the client was gone after 20", r.reads)
		}
	})
}

// TestSignsOfLife: while a slow store is read the client hears from the server,
// by progress or, if it wants none, by empty packets.
func TestSignsOfLife(t *testing.T) {
	r := newTestRepo()
	r.chain(t, "primary", 600)
	for arg, band := range map[string]byte{"ofs-delta": bandProgress, "no-progress": bandPack} {
		inBubble(t, r, Config{}, func(_ *Handler, fetch func(...string) net.Conn) {
			r.hook(func(int) error { time.Sleep(30 * time.Millisecond); return nil })
			start := time.Now()
			c := fetch(arg)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			head := make([]byte, len("000dpackfile\n")+pktHeader+1)
			if _, err := io.ReadFull(resp.Body, head); err != nil || head[len(head)-1] != band {
				t.Errorf("%s: the answer begins %q, %v; want band %d", arg, head, err, band)
			}
			if d := time.Since(start); d > 16*time.Second {
				t.Errorf("%s: %v of silence", arg, d)
			}
			c.Close()
		})
	}
}
