package stack_test

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// Two interfaces, and for each model: a packet that comes to one for the address of
// the other, and one that is sent from the address of one where the route leads
// over the other (RFC 1122 §3.3.4.2).
//
//rfc:1122 strong-receive strong-send
func TestStrongHost(t *testing.T) {
	for _, strong := range []bool{false, true} {
		t.Run(fmt.Sprint("strong ", strong), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { strongHost(t, strong) })
		})
	}
}

func strongHost(t *testing.T, strong bool) {
	sw := vnet.New(vnet.Config{Seed: 1})
	defer sw.Close()
	s := stack.New(stack.Config{StrongHost: strong})
	defer s.Close()
	resolver := stack.StaticResolver{}
	var ifaces []*stack.Interface
	var macs []ethernet.Addr
	for n, p := range []string{"10.0.0.1/24", "10.1.0.1/24"} {
		dev := port(t, sw, vnet.PortConfig{Name: p})
		macs = append(macs, dev.Info().Addr)
		ifaces = append(ifaces, add(t, s, stack.InterfaceConfig{Device: dev, VLAN: ethernet.VLAN{Inner: uint16(n + 1)},
			Resolver: resolver, Addresses: []netip.Prefix{prefix(p)}}))
	}
	peers := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.9:9"), netip.MustParseAddrPort("10.1.0.9:9")}
	far := netip.MustParseAddrPort("192.0.2.9:9") // behind the second interface only
	for _, p := range peers {
		resolver[p.Addr()] = rawMAC
	}
	if err := s.AddRoute(stack.Route{Prefix: prefix("192.0.2.0/24"), Interface: ifaces[1], NextHop: peers[1].Addr()}); err != nil {
		t.Fatal(err)
	}
	wire := port(t, sw, vnet.PortConfig{Name: "wire"})
	into := func(n int, h ipv4.Header, body []byte) {
		eh := ethernet.Header{Dst: macs[n], Src: rawMAC, Type: ethernet.TypeIPv4, NTags: 1}
		eh.Tags[0] = ethernet.Tag{TPID: ethernet.EtherType(0x8100), TCI: uint16(n + 1)}
		wire.WriteFrames([]link.Frame{{Head: append(h.AppendTo(eh.AppendTo(nil), nil, len(body)), body...)}})
		synctest.Wait()
	}

	// Received.
	u := listenUDP(t, s, ":9")
	for n := range ifaces {
		for m, i := range ifaces {
			h, body := udpPacket(peers[n], netip.AddrPortFrom(i.Addresses()[0].Addr(), 9), []byte("x"))
			h.TTL = 64
			into(n, h, body)
			u.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _, err := u.ReadFrom(make([]byte, 9))
			if got, want := err == nil, n == m || !strong; got != want {
				t.Errorf("over %d for the address of %d: taken %t, want %t", n, m, got, want)
			}
		}
	}
	other := uint64(0)
	if strong {
		other = 2
	}
	if st := s.Stats().IP; st.OtherInterface != other || st.InAddrErrors != other {
		t.Errorf("%d counted, %d in all", st.OtherInterface, st.InAddrErrors)
	}

	// Sent.
	var left []int // interfaces
	stop := sw.Monitor(func(_ string, f []byte, _ time.Time) { left = append(left, int(f[15])-1) })
	defer stop()
	for n, i := range ifaces {
		from := listenUDP(t, s, netip.AddrPortFrom(i.Addresses()[0].Addr(), 0).String())
		for _, to := range []netip.AddrPort{peers[0], peers[1], far, netip.MustParseAddrPort("255.255.255.255:9"), netip.MustParseAddrPort("224.0.0.9:9")} {
			left = nil
			_, err := from.WriteToAddrPort([]byte("x"), to)
			synctest.Wait()
			by := map[netip.AddrPort]int{peers[0]: 0, peers[1]: 1, far: 1}
			out, unicast := by[to]
			switch {
			case !unicast && strong:
				out = n
			case strong && out != n:
				wantErrno(t, err, "write", syscall.ENETUNREACH)
				if len(left) > 0 {
					t.Errorf("from %d to %v: left by %v", n, to, left)
				}
				continue
			}
			if err != nil || len(left) != 1 || left[0] != out {
				t.Errorf("from %d to %v: %v, left by %v, want %d", n, to, err, left, out)
			}
		}
	}
	if strong {
		_, err := s.DialTCP(t.Context(), netip.AddrPortFrom(ifaces[0].Addresses()[0].Addr(), 0), far)
		wantErrno(t, err, "dial", syscall.ENETUNREACH)
	}
}
