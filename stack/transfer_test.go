package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// both sends n octets each way over one connection at the same time.
func both(t *testing.T, l *lan, n int64) {
	t.Helper()
	c, s := l.connect()
	var wg sync.WaitGroup
	send := func(w *stack.TCPConn, seed uint64) {
		defer wg.Done()
		if _, err := io.Copy(w, stream(seed, n)); err != nil {
			t.Errorf("send %d: %v", seed, err)
		}
		w.CloseWrite()
	}
	receive := func(r *stack.TCPConn, seed uint64) {
		defer wg.Done()
		if err := same(r, seed, n); err != nil {
			t.Errorf("receive %d: %v", seed, err)
		}
	}
	wg.Add(4)
	go send(c, 1)
	go send(s, 2)
	go receive(s, 1)
	go receive(c, 2)
	wg.Wait()
	c.Close()
	s.Close()
}

// 64 MiB each way through 5 % loss, reordering and duplication in both
// directions, in virtual time.
func TestTransferImpaired(t *testing.T) {
	n := int64(64 << 20)
	if testing.Short() {
		n = 8 << 20
	}
	bad := vnet.Impairment{
		Loss: 0.05, Duplicate: 0.02, Reorder: 0.05, ReorderDelay: 2 * time.Millisecond,
		Delay: time.Millisecond, Jitter: 200 * time.Microsecond,
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: bad})
		defer l.close()
		start := time.Now()
		both(t, l, n)
		d := time.Since(start)
		for i, p := range l.ports {
			st := p.Stats()
			if st.Rx.Dropped[vnet.DropLoss]+st.Tx.Dropped[vnet.DropLoss] == 0 {
				t.Errorf("port %d lost nothing: the test shows nothing", i)
			}
		}
		t.Logf("%d octets each way in %v of virtual time, %.1f Mbit/s", n, d, float64(n)*8/d.Seconds()/1e6)
	})
}

func TestTransferClean(t *testing.T) {
	for _, pc := range []vnet.PortConfig{{}, {Offload: true}, {MTU: 9000}, {MTU: 576}, {Ingress: vnet.Impairment{Trailing: 9}}} {
		t.Run(fmt.Sprintf("offload=%v,mtu=%d,trailing=%d", pc.Offload, pc.MTU, pc.Ingress.Trailing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, 2, pc)
				defer l.close()
				both(t, l, 4<<20)
				for i, s := range l.stacks {
					if st := s.Stats(); st.TCP.BadChecksum+st.TCP.InErrs+st.IP.InHdrErrors+st.Frames.OutErrors > 0 {
						t.Errorf("stack %d: %+v", i, st)
					}
				}
			})
		})
	}
}

func TestTransferCorrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Corrupt: 0.02}})
		defer l.close()
		both(t, l, 1<<20)
		if l.stacks[1].Stats().TCP.BadChecksum == 0 {
			t.Error("no corrupted segment was noticed")
		}
	})
}

func TestLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, vnet.PortConfig{})
		defer l.close()
		l.stacks = append(l.stacks, l.stacks[0])
		defer func() { l.stacks = l.stacks[:1] }()
		s := l.stacks[0]
		ln, err := s.Listen("tcp", "10.0.0.1:7")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.Copy(c, c)
			c.Close()
		}()
		c, err := s.Dial("tcp", "10.0.0.1:7")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.Copy(c, stream(3, 4<<20))
			c.(*stack.TCPConn).CloseWrite()
		}()
		if err := same(c, 3, 4<<20); err != nil {
			t.Error(err)
		}
		c.Close()
		if st := s.Stats(); st.Frames.Out != 0 {
			t.Errorf("%d frames left the host", st.Frames.Out)
		}
	})
}

func TestHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: time.Millisecond, Loss: 0.02}})
		defer l.close()
		ln, err := l.stacks[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, stream(5, 1<<20))
		})}
		go srv.Serve(ln)
		tr := &http.Transport{DialContext: l.stacks[0].DialContext}
		client := &http.Client{Transport: tr, Timeout: time.Minute}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 3 {
					resp, err := client.Get("http://10.0.0.2/")
					if err != nil {
						t.Error(err)
						return
					}
					if err := same(resp.Body, 5, 1<<20); err != nil {
						t.Error(err)
					}
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		tr.CloseIdleConnections()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for _, s := range l.stacks {
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
