//go:build linux

package stack_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"arpeggio/internal/tracecheck"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// slack is how long a segment may lie in a queue between a host and the place
// where its trace is taken, and how long a host's process may have to wait for a
// processor, on a busy machine. What depends on it is judged sharply where time
// is virtual.
const slack = 10 * time.Second

// Deviations of the Linux kernel that are known, each with its reason. What is
// not here fails the test.
var kernelDeviations = map[tracecheck.Rule]string{
	tracecheck.BackOff: "since Linux 6.5 the first four SYNs that are sent again go a second apart (tcp_syn_linear_timeouts)",
	tracecheck.SackStale: "in FIN-WAIT-1 and FIN-WAIT-2, a FIN that was waiting behind a gap is acknowledged before the list of blocks is cleared " +
		"(tcp_fin): the block below the acknowledgment looks like one of text that came twice",
	tracecheck.Shrink: "when SO_RCVBUF is made smaller on an open connection, what was promised does not fit any more: " +
		"Linux drops it and advertises a window of zero; ours takes it (SHLD-14)",
}

// tapped is a lossy wire to a TAP that shows what passes at both ends.
type tapped struct {
	link.Device
	mu           sync.Mutex
	rng          *rand.Rand
	loss         float64
	begin        time.Time
	kernel, ours *tracecheck.Host
	err          error
}

func (d *tapped) lost() bool { return d.rng.Float64() < d.loss }

// show has a host's checker see a frame.
func (d *tapped) show(h *tracecheck.Host, f *link.Frame) {
	b := f.AppendTo(nil)
	if hdr, packet, err := ethernet.Parse(b); err == nil && hdr.Type == ethernet.TypeIPv4 {
		if err := h.Packet(time.Since(d.begin), packet); d.err == nil {
			d.err = err
		}
	}
}

// ReadFrames implements link.Device.
func (d *tapped) ReadFrames(f []link.Frame) (int, error) {
	n, err := d.Device.ReadFrames(f)
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := 0
	for i := range n {
		d.show(d.kernel, &f[i])
		if !d.lost() {
			f[kept], f[i] = f[i], f[kept]
			d.show(d.ours, &f[kept])
			kept++
		}
	}
	return kept, err
}

// WriteFrames implements link.Device.
func (d *tapped) WriteFrames(f []link.Frame) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range f {
		d.show(d.ours, &f[i])
		if d.lost() {
			continue
		}
		d.show(d.kernel, &f[i])
		if n, err := d.Device.WriteFrames(f[i : i+1]); n == 0 && err != nil {
			return i, err
		}
	}
	return len(f), nil
}

// traced returns a stack 10.9.0.2/24 on a TAP, whose kernel is 10.9.0.1/24 in
// the namespace, with all that both of them send checked at the end of the test.
// mayDrop: the kernel will be short of memory.
func traced(t *testing.T, loss float64, mayDrop bool) (s *stack.Stack, ns string) {
	t.Helper()
	needTools(t)
	ns = newNamespace(t)
	tap := inside(t, ns, func() (*tuntap.TAP, error) { return tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Up: true}) })
	run(t, "ip", "-n", ns, "addr", "add", "10.9.0.1/24", "dev", "tap0")
	d := &tapped{Device: tap, loss: loss, rng: rand.New(rand.NewPCG(1, 2)), begin: time.Now()}
	var found []tracecheck.Rule
	d.kernel = tracecheck.NewHost(netip.MustParseAddr("10.9.0.1"), tracecheck.Config{
		Slack: slack, CountsPackets: true, LeastMSS: 48, MayDrop: mayDrop,
		Allow: func(v *tracecheck.Violation) bool {
			reason := kernelDeviations[v.Rule]
			if reason != "" && !slices.Contains(found, v.Rule) {
				found = append(found, v.Rule)
				t.Logf("the kernel, known: %v\n%s", v, reason)
			}
			return reason != ""
		},
	})
	d.ours = tracecheck.NewHost(netip.MustParseAddr("10.9.0.2"), tracecheck.Config{Slack: slack, LeastMSS: 48})
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.err != nil {
			t.Error(d.err)
		}
		n, m := d.kernel.Segments(), d.ours.Segments()
		t.Logf("%d segments at the kernel, %d here", n, m)
		if n < 10 || m < 10 {
			t.Error("the test shows nothing")
		}
	})
	return attachKernel(t, d), ns
}

// Both ends of conversations with the kernel do what the specification allows,
// on a good wire and on a bad one.
func TestKernelTraces(t *testing.T) {
	for _, loss := range []float64{0, 0.03} {
		for _, tc := range []struct {
			name string
			talk func(t *testing.T, kernel net.Conn, ours *stack.TCPConn)
		}{
			{"both ways", talkBothWays},
			{"slow readers", talkToSlowReaders},
			{"small segments", talkInSmallSegments},
			{"urgent", func(t *testing.T, _ net.Conn, ours *stack.TCPConn) { // to the kernel
				for range 5 {
					_, _ = ours.WriteUrgent([]byte("now"))
					time.Sleep(20 * time.Millisecond)
				}
			}},
			{"kernel resets", func(t *testing.T, kernel net.Conn, ours *stack.TCPConn) {
				_, _ = ours.Write(make([]byte, 50_000))
				_ = kernel.(*net.TCPConn).SetLinger(0)
				kernel.Close()
			}},
			{"we reset", func(t *testing.T, kernel net.Conn, ours *stack.TCPConn) {
				_, _ = kernel.Write(make([]byte, 50_000))
				_ = ours.SetLinger(0)
				ours.Close()
			}},
			{"unread text", func(t *testing.T, kernel net.Conn, ours *stack.TCPConn) {
				_, _ = ours.Write(make([]byte, 5000))
				_, _ = kernel.Write(make([]byte, 5000))
				time.Sleep(50 * time.Millisecond)
				kernel.Close()
				ours.Close()
			}},
		} {
			t.Run(fmt.Sprintf("%s, loss %v", tc.name, loss), func(t *testing.T) {
				t.Parallel()
				s, ns := traced(t, loss, tc.name == "slow readers")
				kernel, ours := meet(t, s, ns)
				tc.talk(t, kernel, ours)
				kernel.Close()
				ours.Close()
				time.Sleep(200 * time.Millisecond) // FINs, resets and their answers
			})
		}
	}
}

// talkBothWays moves half a megabyte each way at once, and half-closes.
func talkBothWays(t *testing.T, kernel net.Conn, ours *stack.TCPConn) {
	const n = 500_000
	done := make(chan error, 4)
	send := func(c net.Conn, seed uint64, end func() error) {
		_, err := io.Copy(c, stream(seed, n))
		done <- errors.Join(err, end())
	}
	go send(kernel, 1, kernel.(*net.TCPConn).CloseWrite)
	go send(ours, 2, ours.CloseWrite)
	go func() { done <- same(kernel, 2, n) }()
	go func() { done <- same(ours, 1, n) }()
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// talkToSlowReaders fills both windows, and lets them open again.
func talkToSlowReaders(t *testing.T, kernel net.Conn, ours *stack.TCPConn) {
	const n = 300_000
	_ = kernel.(*net.TCPConn).SetReadBuffer(20_000)
	_ = ours.SetReadBuffer(20_000)
	done := make(chan error, 4)
	slow := func(c net.Conn, seed uint64) {
		time.Sleep(700 * time.Millisecond) // the window is closed, and probed
		done <- same(c, seed, n)
	}
	for i, c := range []net.Conn{kernel, ours} {
		go func() {
			_, err := io.Copy(c, stream(uint64(i), n))
			done <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
		}()
		go slow(c, uint64(1-i))
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// talkInSmallSegments plays ping-pong with a few octets.
func talkInSmallSegments(t *testing.T, kernel net.Conn, ours *stack.TCPConn) {
	b := make([]byte, 10)
	for i := range 60 {
		from, to := kernel, net.Conn(ours)
		if i%3 == 0 {
			from, to = to, from
		}
		if _, err := from.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, b); err != nil {
			t.Fatal(err)
		}
	}
}
