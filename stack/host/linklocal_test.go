package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/host"
)

// candidates gives out link-local addresses one after the other.
func candidates(addrs ...string) func(context.Context) (netip.Prefix, error) {
	return func(context.Context) (netip.Prefix, error) {
		if len(addrs) == 0 {
			return netip.Prefix{}, fmt.Errorf("none is free")
		}
		a := addrs[0]
		addrs = addrs[1:]
		return netip.MustParsePrefix(a), nil
	}
}

// requests are the DHCP messages of a station by source address, as seen on the
// switch.
type requests struct {
	mu   sync.Mutex
	from []string
}

func (r *requests) watch(l *lan) (stop func()) {
	return l.sw.Monitor(func(_ string, frame []byte, _ time.Time) {
		if len(frame) > 42 && frame[23] == 17 && binary.BigEndian.Uint16(frame[36:]) == 67 {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.from = append(r.from, netip.AddrFrom4([4]byte(frame[26:30])).String())
		}
	})
}

// seen returns how many there were, and the different sources.
func (r *requests) seen() (n int, from []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.from), slices.Compact(slices.Sorted(slices.Values(r.from)))
}

// RFC 3927: nobody answers, and the host has an address all the same; a conflict
// brings another one, and a server that comes up the lease. Meanwhile DHCP goes on,
// from 0.0.0.0.
//
//rfc:3927 one-of-both dhcp-as-ever cease-advertising again changes fallback
func TestLinkLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		l.stop[1]() // the server's Run
		var r requests
		defer r.watch(l)()
		begin := time.Now()
		c := l.client(1, host.DHCPClientConfig{LinkLocal: candidates("169.254.1.1/16", "169.254.2.2/16", "169.254.3.3/16")})
		le := c.acquire(t)
		if d := time.Since(begin); le.Addr.String() != "169.254.1.1/16" || !le.LinkLocal() || d < 10*time.Second || d > 20*time.Second {
			t.Fatalf("%+v after %v", le, d)
		}
		c.Conflict(netip.MustParseAddr("10.0.0.99"), mac(9)) // not ours
		c.Conflict(le.Addr.Addr(), mac(9))
		synctest.Wait()
		if got := c.addrs(); fmt.Sprint(got) != "[169.254.2.2/16]" {
			t.Errorf("after a conflict: %v", got)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := c.addrs(); fmt.Sprint(got) != "[169.254.2.2/16]" {
			t.Errorf("after ten minutes: %v", got)
		}
		if n, from := r.seen(); !slices.Equal(from, []string{"0.0.0.0"}) || n < 8 {
			t.Errorf("%d messages, from %v", n, from)
		}
		srv, err := host.NewDHCPServer(host.DHCPServerConfig{Stack: l.gw, Interface: l.gw.Interfaces()[0], Lease: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		stop := l.start(srv.Run)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		le, _ = c.Lease()
		if le.LinkLocal() || !gateway.Masked().Contains(le.Addr.Addr()) || !slices.Equal(c.addrs(), []netip.Prefix{le.Addr}) {
			t.Errorf("with a server: %+v, %v", le, c.addrs())
		}
		// The server goes for good: after the lease it is a link-local address again.
		stop()
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if got := c.addrs(); fmt.Sprint(got) != "[169.254.3.3/16]" {
			t.Errorf("after the lease: %v", got)
		}
		c.stop()
		if got := c.addrs(); len(got) != 0 {
			t.Errorf("after Run: %v", got)
		}
		if len(c.changes) != 6+1 { // the claimed address goes before another one is found
			t.Errorf("changes %q", c.changes)
		}
	})
}

// A station that defends every link-local address keeps the client from that alone:
// DHCP goes on meanwhile, and an offer ends the search.
func TestLinkLocalDoesNotHoldUpDHCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		l.stop[1]() // the server's Run
		var begun, ended atomic.Int32
		c := l.client(1, host.DHCPClientConfig{LinkLocal: func(ctx context.Context) (netip.Prefix, error) {
			begun.Add(1)
			<-ctx.Done()
			ended.Add(1)
			return netip.MustParsePrefix("169.254.1.1/16"), nil // it counts no more
		}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if begun.Load() != 1 || ended.Load() != 0 {
			t.Errorf("after a minute: %d begun, %d ended", begun.Load(), ended.Load())
		}
		srv, err := host.NewDHCPServer(host.DHCPServerConfig{Stack: l.gw, Interface: l.gw.Interfaces()[0]})
		if err != nil {
			t.Fatal(err)
		}
		stop := l.start(srv.Run)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		if le, ok := c.Lease(); !ok || le.LinkLocal() || begun.Load() != 1 || ended.Load() != 1 {
			t.Errorf("with a server: %+v, %d begun, %d ended", le, begun.Load(), ended.Load())
		}
		// After the lease it begins again, and Run waits for its end.
		stop()
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if begun.Load() != 2 || ended.Load() != 1 {
			t.Errorf("after the lease: %d begun, %d ended", begun.Load(), ended.Load())
		}
		c.stop()
		if ended.Load() != 2 || len(c.addrs()) != 0 {
			t.Errorf("after Run: %d ended, %v", ended.Load(), c.addrs())
		}
	})
}

// A search that fails at once is not begun anew for every packet.
func TestLinkLocalRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		l.stop[1]()
		var at []time.Time
		c := l.client(1, host.DHCPClientConfig{LinkLocal: func(context.Context) (netip.Prefix, error) {
			at = append(at, time.Now())
			return netip.Prefix{}, errors.New("none is free")
		}})
		pc, err := l.gw.ListenPacket("udp", ":67")
		if err != nil {
			t.Fatal(err)
		}
		for range 600 {
			pc.WriteTo([]byte("noise"), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
			time.Sleep(time.Second)
		}
		c.stop()
		if c.Refused()["malformed"] < 500 {
			t.Errorf("the noise was not heard: %v", c.Refused())
		}
		if len(at) < 5 || len(at) > 10 {
			t.Errorf("%d searches in ten minutes", len(at))
		}
		for i := 1; i < len(at); i++ {
			if d := at[i].Sub(at[i-1]); d < time.Minute {
				t.Errorf("search %d after %v", i, d)
			}
		}
	})
}

// Another station takes the leased address for good: it goes back, and the next
// one is asked for (RFC 5227 §2.4, RFC 2131 §4.4.4).
func TestConflictWhileBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		c := l.client(1, host.DHCPClientConfig{})
		first := c.acquire(t)
		c.Conflict(first.Addr.Addr(), mac(9))
		synctest.Wait()
		if len(c.addrs()) != 0 || l.server.Refused()["declined"] != 1 || c.Refused()["claimed"] != 1 {
			t.Errorf("addresses %v, server %v, client %v", c.addrs(), l.server.Refused(), c.Refused())
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if second, ok := c.Lease(); !ok || second.Addr == first.Addr {
			t.Errorf("then %v", second.Addr)
		}
	})
}

// A host that comes back after a power cut has its address with one question.
//
//rfc:2131 verify
func TestRebootKeepsTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		le := l.client(1, host.DHCPClientConfig{KeepOnClose: true, Request: netip.MustParseAddr("10.0.0.50")}).acquire(t)
		l.stop[len(l.stop)-1]()
		var r requests
		defer r.watch(l)()
		if err := l.ifaces[1].RemoveAddress(le.Addr.Addr()); err != nil {
			t.Fatal(err)
		}
		again, err := host.NewDHCPClient(host.DHCPClientConfig{
			Stack: l.stacks[1], Interface: l.ifaces[1], Previous: le, Rand: rand.New(rand.NewPCG(9, 9)),
		})
		if err != nil {
			t.Fatal(err)
		}
		l.start(again.Run)
		got, err := again.Acquire(t.Context())
		if n, _ := r.seen(); err != nil || got.Addr != le.Addr || n != 1 {
			t.Errorf("%v with %d messages, %v; want %v with one", got.Addr, n, err, le.Addr)
		}
	})
}

// scripted answers every DISCOVER and REQUEST of any client with what edit makes of
// a good answer.
func (l *lan) scripted(t *testing.T, s *stack.Stack, edit func(kind byte, options []byte) []byte) {
	t.Helper()
	pc, err := s.ListenPacket("udp", ":67")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 2048)
		for {
			n, _, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			at := bytes.Index(b[240:n], []byte{53, 1})
			if at < 0 {
				continue
			}
			kind := b[242+at] + 1 // OFFER for DISCOVER
			if b[242+at] == 3 {
				kind = 5 // ACK
			}
			reply := slices.Clone(b[:240])
			reply[0] = 2
			copy(reply[12:16], []byte{0, 0, 0, 0})
			copy(reply[16:20], []byte{10, 0, 0, 66})
			options := []byte{53, 1, kind, 54, 4, 10, 0, 0, 1, 51, 4, 0, 0, 1, 0, 1, 4, 255, 255, 255, 0}
			if o := edit(kind, options); o != nil {
				pc.WriteTo(append(append(reply, o...), 255), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
			}
		}
	}()
}

// MTU, routes and search domains reach the interface, and go with the lease.
//
//rfc:3442 installed classful-ignored
func TestWhatALeaseConfigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		l.stop[1]()
		l.scripted(t, l.gw, func(_ byte, options []byte) []byte {
			options = append(options, 26, 2, 1400>>8, 1400&0xff)
			options = append(options, 121, 12, 0, 10, 0, 0, 1, 16, 10, 7, 10, 0, 0, 9)
			options = append(options, 3, 4, 10, 0, 0, 5)               // does not count
			options = append(options, 33, 8, 10, 8, 0, 1, 10, 0, 0, 5) // nor does this
			return append(options, "\x77\x0a\x03lan\x04test\x00"...)
		})
		c := l.client(1, host.DHCPClientConfig{})
		le := c.acquire(t)
		if le.MTU != 1400 || c.i.MTU() != 1400 || le.Router != gateway.Addr() || !slices.Equal(le.Search, []string{"lan.test"}) {
			t.Errorf("%+v, MTU %d", le, c.i.MTU())
		}
		var routes []string
		for _, r := range c.s.Routes() {
			routes = append(routes, fmt.Sprint(r.Prefix, " ", r.NextHop))
		}
		if got := strings.Join(routes, ", "); got != "10.0.0.0/24 invalid IP, 10.7.0.0/16 10.0.0.9, 0.0.0.0/0 10.0.0.1" {
			t.Errorf("routes %s", got)
		}
		c.stop()
		if len(c.s.Routes()) != 0 || c.i.MTU() != 1500 {
			t.Errorf("after the lease: routes %v, MTU %d", c.s.Routes(), c.i.MTU())
		}
	})
}

// A server that says anything, at every turn, beside a good one: what the client
// takes is always something that a host can use, and it goes on.
func TestHostileServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{Lease: time.Minute})
		defer l.close()
		evil, _ := l.station(mac(66), netip.MustParsePrefix("10.0.0.250/24"))
		rnd := rand.New(rand.NewPCG(1, 66))
		l.scripted(t, evil, func(_ byte, options []byte) []byte {
			switch rnd.IntN(4) {
			case 0:
				return nil
			case 1: // a NAK
				return []byte{53, 1, 6, 54, 4, 10, 0, 0, byte(rnd.Uint32())}
			}
			for range 1 + rnd.IntN(4) {
				options[rnd.IntN(len(options))] = byte(rnd.Uint32())
			}
			more := make([]byte, rnd.IntN(40))
			for i := range more {
				more[i] = byte(rnd.Uint32())
			}
			return append(options, more...)
		})
		var cs []*client
		for n := range 8 {
			cs = append(cs, l.client(n+1, host.DHCPClientConfig{}))
		}
		had := make([]bool, len(cs))
		for range 400 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			for i, c := range cs {
				le, ok := c.Lease()
				if !ok {
					continue
				}
				had[i] = true
				if !le.Addr.Addr().Is4() || le.Addr.Addr().IsLoopback() || le.Addr.Addr().IsMulticast() || !slices.Contains(c.addrs(), le.Addr) {
					t.Fatalf("client %d has %+v", i, le)
				}
				if !le.Expiry.IsZero() && (le.Renew.After(le.Rebind) || le.Rebind.After(le.Expiry)) {
					t.Fatalf("client %d has %+v", i, le)
				}
			}
		}
		refused := 0
		for i, c := range cs {
			for _, n := range c.Refused() {
				refused += int(n)
			}
			if !had[i] {
				t.Errorf("client %d never had a lease: %v", i, c.Refused())
			}
		}
		if refused < 100 {
			t.Errorf("only %d messages were refused: the test shows nothing", refused)
		}
	})
}
