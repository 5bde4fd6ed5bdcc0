package host_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/host"
)

// Client and server: the clock follows, and what is no client's request is not
// answered.
func TestSNTPServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		srv, err := host.NewSNTPServer(host.SNTPServerConfig{Stack: l.gw, Now: func() time.Time { return time.Now().Add(90 * time.Second) }})
		if err != nil {
			t.Fatal(err)
		}
		l.start(srv.Run)
		s, _ := l.station(mac(1), netip.MustParsePrefix("10.0.0.2/24"))
		synctest.Wait()
		var mu sync.Mutex
		var moved []time.Duration
		c, err := host.NewSNTPClient(host.SNTPConfig{Stack: s, Servers: []string{"10.0.0.1"}, Adjust: func(d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			moved = append(moved, d.Round(time.Millisecond))
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		l.start(func(ctx context.Context) error { c.Run(ctx); return nil })
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if s, ok := c.Last(); !slices.Equal(moved, []time.Duration{90 * time.Second}) || !ok || s.Stratum != 10 {
			t.Errorf("moved by %v, %+v", moved, s)
		}
		u, err := s.Dial("udp", "10.0.0.1:123")
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 48)
		u.Write(answer) // version 0, mode 0
		answer[0] = 0x24
		u.Write(answer) // another server's answer
		answer[0] = 0x23
		u.Write(answer[:47])
		u.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := u.Read(answer); err == nil {
			t.Errorf("answered %x", answer[:n])
		}
	})
	if _, err := host.NewSNTPServer(host.SNTPServerConfig{}); err == nil {
		t.Error("a server without a stack")
	}
}
