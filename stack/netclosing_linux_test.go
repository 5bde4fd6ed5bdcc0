package stack_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"arpeggio/stack/vnet"
)

// misusesMore are what package net does with nothing, and with what ends while
// somebody is at it.
var misusesMore = []misuse{
	{"listen anywhere", func(tb *table) error { return tb.listens("tcp4", "") }},
	{"listen packet anywhere", func(tb *table) error {
		pc, err := tb.ListenPacket("udp4", "")
		if err == nil {
			tb.closers = append(tb.closers, pc.Close)
		}
		return err
	}},
	{"read nothing too late", func(tb *table) error {
		c, _ := tb.pair()
		_ = c.SetReadDeadline(time.Unix(1, 0))
		return second(c.Read(nil))
	}},
	{"read nothing closed", func(tb *table) error { c, _ := tb.pair(); return second(closed(c).Read(nil)) }},
	{"write while closed", func(tb *table) error {
		c, _ := tb.pair() // whose peer does not read
		time.AfterFunc(50*time.Millisecond, func() { c.Close() })
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}},
	{"write while reset by Close", func(tb *table) error {
		c, _ := tb.pair()
		_ = c.SetLinger(0)
		time.AfterFunc(50*time.Millisecond, func() { c.Close() })
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}},
	{"packet refused by 127.0.0.1", func(tb *table) error {
		return second(tb.refusedAt("127.0.0.1:0").Read(make([]byte, 1)))
	}},
}

// listens returns what Listen does, and closes the listener.
func (tb *table) listens(network, address string) error {
	ln, err := tb.Listen(network, address)
	if err == nil {
		tb.closers = append(tb.closers, ln.Close)
	}
	return err
}

// A port where somebody listens is in use, as bind(2) says, and no port to dial
// from.
func TestDialFromListenersPort(t *testing.T) {
	lanTest(t, "in use", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		a := l.stacks[0]
		for _, at := range []string{"10.0.0.1:9", ":10"} {
			ln, err := a.Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			from := netip.AddrPortFrom(addr(1), uint16(ln.Addr().(*net.TCPAddr).Port))
			_, err = a.DialTCP(t.Context(), from, addrPort(2, 80))
			wantErrno(t, err, "dial", syscall.EADDRINUSE)
			ln.Close()
			_, err = a.DialTCP(t.Context(), from, addrPort(2, 80))
			wantErrno(t, err, "dial", syscall.ECONNREFUSED)
		}
		if _, err := a.DialTimeout("tcp", "10.0.0.2:80", -1); !err.(net.Error).Timeout() {
			t.Error("a dial that may take less than no time:", err)
		}
	})
}
