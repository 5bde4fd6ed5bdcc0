package stack_test

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
)

// RFC 894: datagrams of 1500 octets go both ways, longer ones in fragments.
//
//rfc:894 maximum full
func TestRFC894Length(t *testing.T) {
	rawTest(t, "1500 and more", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		for n, want := range map[int]int{1472: 1, 1473: 2, 8000: 6} {
			u.WriteToAddrPort(make([]byte, n), addrPort(9, 9))
			f := r.frames()
			for _, b := range f {
				if len(b) > ethernet.HeaderLen+1500 {
					t.Errorf("a frame of %d octets", len(b))
				}
			}
			if len(f) != want {
				t.Errorf("%d octets in %d frames", n, len(f))
			}
		}
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), make([]byte, 1472))
		r.ip(h, nil, body)
		if n, _, err := u.ReadFrom(make([]byte, 2000)); n != 1472 || err != nil {
			t.Errorf("%d octets, %v", n, err)
		}
	})
}

// RFC 919 §4: a broadcast to another network is a datagram for the gateway; what a
// link broadcast brings for another host is nobody's.
//
//rfc:919 directed others
func TestRFC919OtherNetworks(t *testing.T) {
	rawTest(t, "directed", func(t *testing.T, r *raw) {
		if err := r.stacks[0].AddRoute(stack.Route{Prefix: prefix("0.0.0.0/0"), Interface: r.ifaces[0], NextHop: addr(9)}); err != nil {
			t.Fatal(err)
		}
		u := listenUDP(t, r.stacks[0], ":9")
		u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort("192.0.2.255:9"))
		if f := r.frames(); len(f) != 1 || ethernet.Addr(f[0][:6]) != rawMAC {
			t.Errorf("% x", f)
		}
		for _, dst := range []string{"10.0.0.77:9", "192.0.2.255:9", "192.0.2.1:10"} {
			h, body := udpPacket(addrPort(9, 1), netip.MustParseAddrPort(dst), []byte("x"))
			h.TTL = 64
			r.frame(ethernet.Broadcast, append(h.AppendTo(nil, nil, len(body)), body...))
		}
		if got, text := r.got(), texts(u); len(got) != 0 || text != "" {
			t.Errorf("%+v, received %q", got, text)
		}
	})
}

// RFC 922 §7: the host part of the broadcast address is what the mask leaves.
//
//rfc:922 subnet hosts
func TestRFC922Subnets(t *testing.T) {
	rawTest(t, "a /22", func(t *testing.T, r *raw) {
		if err := r.ifaces[0].AddAddress(netip.MustParsePrefix("172.16.4.1/22")); err != nil {
			t.Fatal(err)
		}
		u := listenUDP(t, r.stacks[0], ":9")
		for dst, broadcast := range map[string]bool{
			"172.16.7.255": true, "172.16.4.255": false, "172.16.6.255": false, "172.16.3.255": false, "172.16.255.255": false,
		} {
			h, body := udpPacket(addrPort(9, 1), netip.AddrPortFrom(netip.MustParseAddr(dst), 9), []byte("x"))
			h.TTL = 64
			r.frame(ethernet.Broadcast, append(h.AppendTo(nil, nil, len(body)), body...))
			r.got()
			if got := texts(u) == "x"; got != broadcast {
				t.Errorf("%s is a broadcast: %v", dst, got)
			}
		}
	})
}

// RFC 919 §7: the forward hook gets no broadcast, of the network or of the link.
//
//rfc:919 forwarded
func TestRFC919NotForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forwarded := 0
		r := newRaw(t, stack.Config{Forward: func(*stack.Interface, []byte) { forwarded++ }})
		defer r.close()
		for _, dst := range []string{"255.255.255.255", "10.0.0.255", "192.0.2.1"} {
			h := ipv4.Header{TTL: 64, Proto: 199, Src: addr(9), Dst: netip.MustParseAddr(dst)}
			r.frame(ethernet.Broadcast, h.AppendTo(nil, nil, 0))
			r.got()
		}
		if forwarded != 0 {
			t.Errorf("%d broadcasts were forwarded", forwarded)
		}
		h := ipv4.Header{TTL: 64, Proto: 199, Src: addr(9), Dst: netip.MustParseAddr("192.0.2.1")}
		r.frame(r.mac, h.AppendTo(nil, nil, 0))
		r.got()
		if forwarded != 1 {
			t.Errorf("%d packets were forwarded, want the one for another host", forwarded)
		}
	})
}
