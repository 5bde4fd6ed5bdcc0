package stack_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/vnet"

	"golang.org/x/net/nettest"
)

//rfc:1122 ip echo-client echo-reply-up no-gateway
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 5 * time.Millisecond}})
		defer l.close()
		for _, size := range []int{0, 56, 1472, 1473, 65000, 65507} {
			rtt, err := l.stacks[0].Ping(t.Context(), addr(2), size)
			if err != nil {
				t.Fatalf("%d octets: %v", size, err)
			}
			if rtt != 10*time.Millisecond {
				t.Errorf("%d octets: round trip of %v, want 10 ms", size, rtt)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if rtt, err := l.stacks[0].Ping(ctx, addr(1), 100); err != nil {
			t.Errorf("own address: %v, %v", rtt, err)
		}
	})
}

func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		c, s := l.connect()
		go func() {
			io.WriteString(c, "hello")
			c.CloseWrite()
		}()
		b, err := io.ReadAll(s)
		if err != nil || string(b) != "hello" {
			t.Errorf("got %q, %v", b, err)
		}
		s.Close()
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Errorf("got %q, %v", b, err)
		}
		c.Close()
	})
}

func testNettest(t *testing.T, pc vnet.PortConfig) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l := newLAN(t, 2, pc)
		c, s := l.connect()
		return c, s, func() { l.close() }, nil
	})
}

func TestNettest(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testNettest(t, vnet.PortConfig{}) })
	t.Run("offload", func(t *testing.T) { testNettest(t, vnet.PortConfig{Offload: true}) })
}
