package appliance

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/host"
)

// serveTime answers every question with a time that is ahead of ours.
func serveTime(pc net.PacketConn, ahead time.Duration) {
	b := make([]byte, 512)
	for {
		_, from, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		r := make([]byte, 48)
		r[0], r[1] = 0x24, 1 // an answer of version 4, from a reference clock
		copy(r[24:32], b[40:48])
		now := uint64(uint32(time.Now().Add(ahead).Unix()+2208988800)) << 32
		binary.BigEndian.PutUint64(r[32:], now)
		binary.BigEndian.PutUint64(r[40:], now)
		_, _ = pc.WriteTo(r, from)
	}
}

// The lease says whom to ask for names and for the time, unless the configuration
// does; and the clock is left alone unless it is ours to set.
//
//rfc:3397 configured
func TestWhomToAsk(t *testing.T) {
	fixed := netip.MustParseAddr("10.9.0.99")
	for name, c := range map[string]struct {
		cfg  Config
		sets bool
		dns  netip.Addr
	}{
		"by the lease":         {Config{}, true, peerNet.Addr()},
		"by the configuration": {Config{DNS: []netip.Addr{fixed}, NTP: []string{peerNet.Addr().String()}}, true, fixed},
		"not ours to set":      {Config{}, false, peerNet.Addr()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				pc, err := b.peer.Stack.ListenPacket("udp", ":123")
				if err != nil {
					t.Fatal(err)
				}
				go serveTime(pc, time.Hour)
				server := host.DHCPServerConfig{
					Stack: b.peer.Stack, Interface: b.peer.Interface,
					DNS: []netip.Addr{peerNet.Addr()}, NTP: []netip.Addr{peerNet.Addr()}, Domain: "lan",
				}
				if c.cfg.NTP != nil {
					server.NTP = []netip.Addr{fixed}
				}
				s, err := host.NewDHCPServer(server)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error)
				go func() { done <- s.Run(ctx) }()

				var mu sync.Mutex
				var moved []time.Duration
				if c.cfg.Device = b.port; c.sets {
					c.cfg.SetClock = func(d time.Duration) error {
						mu.Lock()
						defer mu.Unlock()
						moved = append(moved, d.Round(time.Minute))
						return nil
					}
				}
				a, err := Start(t.Context(), c.cfg)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				mu.Lock()
				if want := []time.Duration{time.Hour}; c.sets != slices.Equal(moved, want) || !c.sets && moved != nil {
					t.Errorf("the clock was moved by %v", moved)
				}
				mu.Unlock()
				if got := a.names.Servers(); !slices.Equal(got, []netip.Addr{c.dns}) {
					t.Errorf("name servers %v, want %v", got, c.dns)
				}
				if err := a.Close(t.Context()); err != nil {
					t.Error(err)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
