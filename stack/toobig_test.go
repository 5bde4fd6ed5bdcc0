package stack_test

import (
	"io"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/vnet"
)

// The interface's MTU holds for the probes with which a connection tries, ten
// minutes later, whether the path carries more.
func TestSetMTUBoundsPathProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}})
		defer l.close()
		c, s := l.connect()
		go io.Copy(io.Discard, s)
		var largest atomic.Int64
		stop := l.sw.Monitor(func(port string, frame []byte, _ time.Time) {
			if n := int64(len(frame) - ethernet.HeaderLen); port == "host1" {
				largest.Store(max(largest.Load(), n))
			}
		})
		defer stop()
		send := func() int64 {
			t.Helper()
			largest.Store(0)
			if _, err := c.Write(make([]byte, 200_000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return largest.Load()
		}
		send()
		if err := l.ifaces[0].SetMTU(1300); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n := send(); n > 1300 || n < 1290 {
				t.Errorf("packets of %d octets, MTU 1300", n)
			}
			time.Sleep(11 * time.Minute)
		}
		if err := l.ifaces[0].SetMTU(0); err != nil {
			t.Fatal(err)
		}
		if n := send(); n != 1500 {
			t.Errorf("packets of %d octets, MTU 1500", n)
		}
	})
}

// The size that a connection has found is not raised: by an interface whose MTU is
// larger still, or by a message that says more after the cache has forgotten.
func TestPathSizeIsNotRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond, MTU: 1300}})
		defer l.close()
		c, s := l.connect()
		go io.Copy(io.Discard, s)
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Second)
		found := c.Info().PathMSS
		if found > 1260 || found < 1200 {
			t.Fatalf("found %d", found)
		}
		if err := l.ifaces[0].SetMTU(1400); err != nil {
			t.Fatal(err)
		}
		if n := c.Info().PathMSS; n != found {
			t.Errorf("path %d, and %d with an MTU of 1400", found, n)
		}
		time.Sleep(11 * time.Minute) // the cache has forgotten
		router, err := l.sw.Port(vnet.PortConfig{Name: "raw", Addr: rawMAC})
		if err != nil {
			t.Fatal(err)
		}
		r := &raw{lan: l, dev: router, mac: l.ports[0].Info().Addr}
		var seen atomic.Pointer[[]byte]
		stop := l.sw.Monitor(func(port string, frame []byte, _ time.Time) {
			if port == "host1" && len(frame) > 200 {
				b := append([]byte(nil), frame[ethernet.HeaderLen:]...)
				seen.Store(&b)
			}
		})
		defer stop()
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Millisecond)
		r.icmp(icmp.NewFragNeeded(1390, *seen.Load()))
		if n := c.Info().PathMSS; n != found {
			t.Errorf("path %d, and %d after a message of 1390", found, n)
		}
	})
}

// "Fragmentation needed" about a datagram proves nothing of what we sent:
// connections to that host keep their size.
func TestForgedUDPTooBig(t *testing.T) {
	for _, at := range []string{":53", "10.0.0.1:53"} {
		rawTest(t, at, func(t *testing.T, r *raw) {
			ln := r.listen()
			r.open(4000)
			c, err := ln.AcceptTCP()
			if err != nil {
				t.Fatal(err)
			}
			u := listenUDP(t, r.stacks[0], at)
			if err := u.SetDontFragment(true); err != nil {
				t.Fatal(err)
			}
			before := c.Info().PathMSS
			for _, port := range []uint16{9999, 1} { // nothing was ever sent there
				h, body := udpPacket(addrPort(1, 53), addrPort(9, port), make([]byte, 100))
				h.DF, h.TTL, h.Proto = true, 64, ipv4.ProtoUDP
				r.icmp(icmp.NewFragNeeded(600, append(h.AppendTo(nil, nil, len(body)), body...)))
			}
			if n := c.Info().PathMSS; n != before {
				t.Errorf("a forged message about UDP has changed TCP from %d to %d", before, n)
			}
		})
	}
}

// A socket that forbids fragments learns what the path carries whichever address it
// is bound to, and whether or not it asks for errors.
func TestUnboundSocketLearnsPathMTU(t *testing.T) {
	for _, at := range []string{":53", "10.0.0.1:53"} {
		rawTest(t, at, func(t *testing.T, r *raw) {
			u := listenUDP(t, r.stacks[0], at)
			if err := u.SetDontFragment(true); err != nil {
				t.Fatal(err)
			}
			to := netip.AddrPortFrom(addr(9), 7)
			if _, err := u.WriteToAddrPort(make([]byte, 1000), to); err != nil {
				t.Fatal(err)
			}
			r.icmp(icmp.NewFragNeeded(700, r.got()[0].packet))
			_, err := u.WriteToAddrPort(make([]byte, 700-28+1), to)
			wantErrno(t, err, "write", syscall.EMSGSIZE)
			if _, err := u.WriteToAddrPort(make([]byte, 700-28), to); err != nil {
				t.Error(err)
			}
		})
	}
}
