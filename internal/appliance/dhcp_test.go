package appliance

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/host"
)

// dhcp serves from the peer until stop.
func (b *bench) dhcp() (server *host.DHCPServer, stop func()) {
	b.t.Helper()
	s, err := host.NewDHCPServer(host.DHCPServerConfig{Stack: b.peer.Stack, Interface: b.peer.Interface})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bench) only(a *Appliance) netip.Addr {
	b.t.Helper()
	synctest.Wait()
	as := a.Addresses()
	if len(as) != 1 {
		b.t.Fatalf("addresses %v", as)
	}
	return as[0].Addr()
}

// Nobody answers: the appliance serves from a link-local address (RFC 3927), moves
// to another one when somebody insists on it, and takes a lease when there is one.
func TestNobodyLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		begin := time.Now()
		a, err := Start(t.Context(), Config{Device: b.port})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		first := b.only(a)
		if d := time.Since(begin); !first.IsLinkLocalUnicast() || d > 20*time.Second {
			t.Errorf("%v after %v", first, d)
		}
		// Another station has the same address, and does not give way.
		for range 3 {
			if err := b.peer.Interface.AddAddress(netip.PrefixFrom(first, 16)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if err := b.peer.Interface.RemoveAddress(first); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		if second := b.only(a); second == first || !second.IsLinkLocalUnicast() {
			t.Errorf("after the conflict %v, before it %v", second, first)
		}
		_, stop := b.dhcp()
		defer stop()
		time.Sleep(70 * time.Second)
		leased := b.only(a)
		if !peerNet.Contains(leased) {
			t.Errorf("with a server: %v", leased)
		}
		// A leased address is not lost to a claim.
		if err := b.peer.Interface.AddAddress(netip.PrefixFrom(leased, 24)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := b.only(a); got != leased || a.node.Stack.Stats().AddrConflicts < 2 {
			t.Errorf("after a claim: %v, %d conflicts", got, a.node.Stack.Stats().AddrConflicts)
		}
	})
}

// What is kept for the next run is the lease as it was renewed last, not the one
// that came first.
func TestLeaseFileRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		_, stop := b.dhcp()
		defer stop()
		a, err := Start(t.Context(), Config{Device: b.port, LeaseFile: filepath.Join(t.TempDir(), "lease.json")})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		addr := b.only(a)
		first := a.savedLease()
		if first.Expiry.IsZero() {
			t.Fatalf("a lease without end: %+v", first)
		}
		time.Sleep(time.Until(first.Expiry) + time.Minute)
		if now := b.only(a); now != addr {
			t.Fatalf("%v has become %v", addr, now)
		}
		kept := a.savedLease()
		if kept.Addr != first.Addr || !kept.Expiry.After(time.Now()) {
			t.Errorf("kept %v until %v, now is %v", kept.Addr, kept.Expiry, time.Now())
		}
		current, _ := a.dhcp.Load().client.Lease()
		if !kept.Expiry.Equal(current.Expiry) {
			t.Errorf("kept until %v, the lease ends at %v", kept.Expiry, current.Expiry)
		}
	})
}

// A lease outlives a power cut, and not an end in order.
func TestLeaseFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lease.json")
	run := func(want netip.Addr) (addr netip.Addr) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			_, stop := b.dhcp()
			defer stop()
			a, err := Start(t.Context(), Config{Device: b.port, LeaseFile: file})
			if err != nil {
				t.Fatal(err)
			}
			if addr = b.only(a); want.IsValid() && addr != want {
				t.Errorf("%v, want %v", addr, want)
			}
			saved, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a.Close(t.Context())
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("after an end in order: %v", err)
			}
			if err := os.WriteFile(file, saved, 0o600); err != nil { // as if the power had been cut
				t.Fatal(err)
			}
		})
		return addr
	}
	first := run(netip.Addr{})
	run(first)
	if err := os.WriteFile(file, []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(netip.Addr{})
}
