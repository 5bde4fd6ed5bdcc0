package stack_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"arpeggio/stack/vnet"
)

// An idle connection, which has carried data both ways, costs at most 1.5 KB of
// memory at each end.
func TestIdleConnectionMemory(t *testing.T) {
	lanTest(t, "2000", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		ln, err := l.stacks[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		var conns []net.Conn
		open := func(n int) {
			buf := make([]byte, 16)
			for range n {
				c, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
				if err != nil {
					t.Fatal(err)
				}
				d, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, c, d)
				for _, way := range [][2]net.Conn{{c, d}, {d, c}} {
					if _, err := way[0].Write([]byte("hello")); err != nil {
						t.Fatal(err)
					}
					if _, err := way[1].Read(buf); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(100 * time.Millisecond) // what was sent is acknowledged
			}
		}
		memory := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		open(100)
		before := memory()
		const n = 2000
		open(n)
		each := (memory() - before) / (2 * n)
		t.Logf("%d octets", each)
		if each > 1500 {
			t.Errorf("an idle connection costs %d octets at each end", each)
		}
		ln.Close()
		for _, c := range conns {
			c.Close()
		}
	})
}
