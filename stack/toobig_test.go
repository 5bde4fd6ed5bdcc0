package stack_test

import (
	"io"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/tcp"
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
		small := stack.Config{RcvBuf: 16 << 10} // the search waits for a window's round trips
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond, MTU: 1300}}, small, small)
		defer l.close()
		c, s := l.connect()
		go io.Copy(io.Discard, s)
		if _, err := c.Write(make([]byte, 4<<20)); err != nil {
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

// "Fragmentation needed" about a datagram is believed when it quotes one that was
// sent of late, and then for datagrams only: the checksum of a datagram is easier to
// guess than a sequence number, so TCP connections, those to come as well, go on as
// they are (RFC 5927 §7.2).
//
//rfc:5927 udp-evidence
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
			r.got()
			to := addrPort(9, 9999)
			if _, err := u.WriteToAddrPort(make([]byte, 1000), to); err != nil {
				t.Fatal(err)
			}
			sent := r.got()[0].packet
			before := c.Info().PathMSS
			wants := func(what string, datagrams int) {
				t.Helper()
				if n := c.Info().PathMSS; n != before {
					t.Errorf("%s has changed TCP from %d to %d", what, before, n)
				}
				_, err := u.WriteToAddrPort(make([]byte, datagrams-28+1), to)
				wantErrno(t, err, "write", syscall.EMSGSIZE)
				if _, err := u.WriteToAddrPort(make([]byte, datagrams-28), to); err != nil {
					t.Errorf("%s: a datagram of %d octets: %v", what, datagrams, err)
				}
			}
			for what, forge := range map[string]func(b []byte){
				"another port":     func(b []byte) { b[23] ^= 1 },
				"another length":   func(b []byte) { b[25] ^= 1 },
				"another checksum": func(b []byte) { b[26] ^= 1 },
				"no DF":            func(b []byte) { b[6] &^= 0x40 },
			} {
				b := append([]byte(nil), sent[:28]...)
				forge(b)
				r.icmp(icmp.NewFragNeeded(600, b))
				wants(what, 1500)
			}
			r.icmp(icmp.NewFragNeeded(600, sent[:27]))
			wants("a cut header", 1500)
			r.icmp(icmp.NewFragNeeded(600, sent[:28]))
			wants("the truth", 600)
			d, err := new(stack.Dialer).Start(r.stacks[0], addrPort(9, 80))
			if err != nil {
				t.Fatal(err)
			}
			if n := d.Info().PathMSS; n != before {
				t.Errorf("a new connection begins with %d", n)
			}
			for range 128 { // it was sent too long ago
				if _, err := u.WriteToAddrPort(make([]byte, 572), to); err != nil {
					t.Fatal(err)
				}
			}
			r.icmp(icmp.NewFragNeeded(552, sent[:28]))
			wants("an old quotation", 600)
		})
	}
}

// A connection that begins with what another one has learned of the path announces
// what its link takes all the same, and tries larger segments itself when that
// knowledge is old (RFC 1191 §6.3), by a probe or, where the peer has no SACK, by a
// full segment.
//
//rfc:1191 age
func TestKnownPathIsTriedAgain(t *testing.T) {
	for name, sack := range map[string]bool{"SACK": true, "no SACK": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: time.Millisecond}})
				defer l.close()
				router, err := l.sw.Port(vnet.PortConfig{Name: "raw", Addr: rawMAC})
				if err != nil {
					t.Fatal(err)
				}
				r := &raw{lan: l, dev: router, mac: l.ports[0].Info().Addr}
				var seen atomic.Pointer[[]byte]
				defer l.sw.Monitor(func(port string, frame []byte, _ time.Time) {
					if b := frame[ethernet.HeaderLen:]; port == "host1" && len(b) > 1000 {
						b = append([]byte(nil), b...)
						seen.Store(&b)
					}
				})()
				first, s := l.connect()
				go io.Copy(io.Discard, s)
				if _, err := first.Write(make([]byte, 1460)); err != nil {
					t.Fatal(err)
				}
				for seen.Load() == nil {
					time.Sleep(100 * time.Microsecond)
				}
				r.icmp(icmp.NewFragNeeded(1000, *seen.Load()))
				time.Sleep(5 * time.Minute)
				ln, err := (&stack.ListenConfig{Adjust: func(c *tcp.Config) { c.NoSACK = !sack }}).Listen(l.stacks[1], "tcp", ":81")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				go func() {
					if s, err := ln.Accept(); err == nil {
						io.Copy(io.Discard, s)
					}
				}()
				d, err := l.stacks[0].DialTCP(t.Context(), netip.AddrPort{}, addrPort(2, 81))
				if err != nil {
					t.Fatal(err)
				}
				send := func(want int) {
					t.Helper()
					if _, err := d.Write(make([]byte, 20_000)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					if i := d.Info(); i.PathMSS != want || i.AdvMSS != 1460 {
						t.Errorf("path %d, want %d; announced %d", i.PathMSS, want, i.AdvMSS)
					}
				}
				send(960)
				time.Sleep(4*time.Minute + 50*time.Second)
				send(960)
				time.Sleep(10 * time.Second)
				send(1460)
			})
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
