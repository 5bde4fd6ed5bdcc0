package stack_test

import (
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// The bound of a connection's rate holds within 1 % over ten seconds, from either
// side, and can be lifted.
func TestMaxPacingRate(t *testing.T) {
	for _, rate := range []int64{100_000, 2_000_000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 5 * time.Millisecond}})
				defer l.close()
				ln, err := (&stack.ListenConfig{Adjust: func(c *tcp.Config) { c.MaxPacingRate = uint64(rate) }}).Listen(l.stacks[1], "tcp", ":80")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				d, err := l.stacks[0].DialTCP(t.Context(), netip.AddrPort{}, addrPort(2, 80))
				if err != nil {
					t.Fatal(err)
				}
				s, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				if err := d.SetMaxPacingRate(uint64(rate)); err != nil {
					t.Fatal(err)
				}
				for _, c := range [][2]io.ReadWriter{{d, s}, {s, d}} {
					var got atomic.Int64
					go func() {
						buf := make([]byte, 64<<10)
						for {
							n, err := c[1].Read(buf)
							if got.Add(int64(n)); err != nil {
								return
							}
						}
					}()
					go io.Copy(c[0], stream(1, 30*rate))
					time.Sleep(time.Second)
					begin := got.Load()
					time.Sleep(10 * time.Second)
					if n := (got.Load() - begin) / 10; n < rate*99/100 || n > rate*101/100 {
						t.Errorf("%d octets a second, want %d", n, rate)
					}
				}
				if i := d.Info(); i.MaxPacingRate != uint64(rate) || i.PacingRate != uint64(rate) {
					t.Errorf("%d of %d", i.PacingRate, i.MaxPacingRate)
				}
				if err := d.SetMaxPacingRate(0); err != nil {
					t.Fatal(err)
				}
				before := d.Info().BytesAcked
				time.Sleep(time.Second)
				if n := d.Info().BytesAcked - before; n < uint64(2*rate) {
					t.Errorf("%d octets in a second without a bound", n)
				}
			})
		})
	}
}
