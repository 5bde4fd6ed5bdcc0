package stack_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// A path of 100 Mbit/s and 100 ms is full within a few round trips although
// nobody has set a buffer; buffers that are set stay as they are.
func TestBuffersGrowWithThePath(t *testing.T) {
	slow := vnet.PortConfig{Ingress: vnet.Impairment{Delay: 50 * time.Millisecond, Rate: 100e6, RateQueue: 2 << 20}}
	for _, tc := range []struct {
		name  string
		edit  func(c, s *stack.TCPConn)
		size  int64
		least float64 // Mbit/s
		most  float64
	}{
		{"grow", func(c, s *stack.TCPConn) {}, 16 << 20, 55, 100},
		{"read buffer set", func(c, s *stack.TCPConn) { s.SetReadBuffer(256 << 10) }, 8 << 20, 15, 21},
		{"write buffer set", func(c, s *stack.TCPConn) { c.SetWriteBuffer(256 << 10) }, 8 << 20, 15, 21},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, 2, slow)
				defer l.close()
				c, s := l.connect()
				tc.edit(c, s)
				start := time.Now()
				go func() {
					if _, err := io.Copy(c, stream(1, tc.size)); err != nil {
						t.Error(err)
					}
					c.Close()
				}()
				if err := same(s, 1, tc.size); err != nil {
					t.Error(err)
				}
				rate := float64(tc.size) * 8 / time.Since(start).Seconds() / 1e6
				t.Logf("%.1f Mbit/s, receive buffer %d", rate, s.Info().RcvBuf)
				if rate < tc.least || rate > tc.most {
					t.Errorf("%.1f Mbit/s, want %v to %v", rate, tc.least, tc.most)
				}
				s.Close()
			})
		})
	}
}

// Many uploads to readers that do not read stay inside the budget, and the
// counters say what was refused to them.
func TestBuffersShareTheBudget(t *testing.T) {
	const budget = 4 << 20
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, stack.Config{}, stack.Config{TCPMemory: budget})
		defer l.close()
		var conns []*stack.TCPConn
		for range 40 {
			c, s := l.connect()
			conns = append(conns, c, s)
			go io.Copy(c, stream(1, 4<<20))
			go io.CopyN(io.Discard, s, 1<<20) // and no more
		}
		time.Sleep(20 * time.Second)
		held := 0
		for _, c := range l.stacks[1].Conns() {
			held += c.RecvQueue
		}
		st := l.stacks[1].Stats()
		t.Logf("%d octets held, %d refusals, %d buffers not grown", held, st.TCP.TextRefused, st.TCP.BuffersDenied)
		if held > budget+40*16<<10 || held < budget/2 {
			t.Errorf("%d octets held of a budget of %d", held, budget)
		}
		if st.TCP.BuffersDenied == 0 {
			t.Error("no buffer was kept from growing")
		}
		for _, c := range conns {
			c.SetLinger(0)
			c.Close()
		}
	})
}
