package stack_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// Many connections, most of them idle and some busy, for a while: with SOAK
// 10,000 and 1,000 for an hour, or for LOAD_TIME. Goroutines and, in a soak, memory
// do not grow, every idle connection is still there, and every busy one has been served.
func TestLoad(t *testing.T) {
	idle, busy, d := 1000, 100, 1500*time.Millisecond
	soak := os.Getenv("SOAK") != ""
	if soak {
		idle, busy, d = 10_000, 1000, time.Hour
	}
	if v := os.Getenv("LOAD_TIME"); v != "" {
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	keep := stack.Config{KeepAlive: tcp.KeepAlive{Idle: 20 * time.Second}} // idle ones prove that they live
	l := newLAN(t, 2, vnet.PortConfig{}, keep, keep)
	defer l.close()
	ln, err := l.stacks[1].Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	open := func(serve func(c net.Conn)) (client net.Conn) {
		client, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if serve == nil {
			t.Cleanup(func() { server.Close() })
			return client
		}
		served.Add(1)
		go func() { defer served.Done(); serve(server) }()
		return client
	}
	var quiet []net.Conn
	for range idle {
		quiet = append(quiet, open(nil))
	}
	var stop atomic.Bool
	var rounds atomic.Int64
	var clients sync.WaitGroup
	for i := range busy {
		c := open(func(c net.Conn) { io.Copy(c, c); c.Close() })
		clients.Add(1)
		go func() {
			defer clients.Done()
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(d + 2*time.Minute)) // one that is not served fails
			b := make([]byte, 100+i%1000)
			for last := false; !last; { // at least once, when the machine gives it no turn before the end
				last = stop.Load()
				if _, err := c.Write(b); err != nil {
					t.Errorf("busy connection %d: %v", i, err)
					return
				}
				if _, err := io.ReadFull(c, b); err != nil {
					t.Errorf("busy connection %d: %v", i, err)
					return
				}
				rounds.Add(1)
				time.Sleep(time.Duration(busy) * 200 * time.Microsecond) // the machine has other users
			}
		}()
	}
	const samples = 16
	var used, running [samples]int
	time.Sleep(d / 8) // buffers find their size
	for k := range samples {
		time.Sleep(d * 7 / 8 / samples)
		used[k], running[k] = int(heap()), runtime.NumGoroutine()
	}
	// The least of a few is what is in use; the rest is the collector's timing.
	first, last := slices.Min(used[:samples/4]), slices.Min(used[samples*3/4:])
	t.Logf("%d idle and %d busy connections for %v, memory %.1f MB, then %.1f MB, %d goroutines, then %d",
		idle, busy, d, float64(first)/1e6, float64(last)/1e6, running[0], running[samples-1])
	t.Logf("memory at each look: %d", used)
	if soak && last > first+first/20+1<<20 { // in a second and a half a busy machine shows its own growth
		t.Errorf("memory grew from %d to %d octets: %v", first, last, used)
	}
	if running[samples-1] > running[0]+10 {
		t.Errorf("goroutines grew from %d to %d", running[0], running[samples-1])
	}
	stop.Store(true)
	clients.Wait()
	served.Wait()
	t.Logf("%d exchanges", rounds.Load())
	if n := l.stacks[1].Stats().TCP.CurrEstab; n < uint64(idle) {
		t.Errorf("%d connections are established, want the %d idle ones", n, idle)
	}
	for i, c := range quiet {
		if i%97 == 0 { // still open, at both ends
			if _, err := c.Write([]byte("x")); err != nil {
				t.Errorf("idle connection %d: %v", i, err)
			}
		}
		c.Close()
	}
	ln.Close()
}
