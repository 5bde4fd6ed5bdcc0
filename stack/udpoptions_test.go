package stack_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/vnet"
)

// RFC 1122 §4.1.3 and §4.1.4: what a program may say of the packets of its
// datagrams, and what it learns of those received.
//
//rfc:1122 link-tos send-tos ttl-set send-options udp-options-up udp-options-down udp-destination udp-ttl-tos udp-tos-up source-route-originate
//rfc:9293 MUST-51
func TestUDPPacketOptions(t *testing.T) {
	rawTest(t, "sent", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		alert := []byte{148, 4, 0, 0}
		for _, err := range []error{u.SetTTL(7), u.SetTOS(0x2a), u.SetOptions(alert), u.SetDontFragment(true)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		u.WriteToAddrPort([]byte("x"), addrPort(9, 9))
		got := r.got()
		if len(got) != 1 || got[0].h.TTL != 7 || got[0].h.TOS != 0x2a || !got[0].h.DF || string(got[0].opts) != string(alert) {
			t.Errorf("%+v", got)
		}
		u.SetTTL(0)
		u.WriteToAddrPort([]byte("x"), addrPort(9, 9))
		if got := r.got(); len(got) != 1 || got[0].h.TTL != stack.DefaultTTL {
			t.Errorf("%+v", got)
		}
		_, err := u.WriteToAddrPort(make([]byte, 1500-24-8+1), addrPort(9, 9))
		wantErrno(t, err, "write", syscall.EMSGSIZE)
		if _, err = u.WriteToAddrPort(make([]byte, 1500-24-8), addrPort(9, 9)); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"TTL": u.SetTTL(256), "TOS": u.SetTOS(-1), "options": u.SetOptions([]byte{7, 0}),
			"source route": u.SetOptions([]byte{131, 3, 4}), "40 octets": u.SetOptions(make([]byte, 41)),
		} {
			t.Log(name)
			wantErrno(t, err, "set", syscall.EINVAL)
		}
		u.Close()
		wantErrno(t, u.SetTTL(1), "set", net.ErrClosed)
	})
	rawTest(t, "received", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		h, body := udpPacket(addrPort(9, 5), netip.MustParseAddrPort("10.0.0.255:9"), make([]byte, 50))
		h.TTL, h.TOS = 3, 0x17
		r.ip(h, []byte{148, 4, 0, 0}, body)
		n, d, err := u.ReadDatagram(make([]byte, 20))
		if err != nil || n != 20 || d.Len != 50 || d.From != addrPort(9, 5) || d.Dst != h.Dst || d.Interface != r.ifaces[0] ||
			d.TTL != 3 || d.TOS != 0x17 || string(d.Options) != "\x94\x04\x00\x00" {
			t.Errorf("%d, %+v, %v", n, d, err)
		}
	})
}

// Who has not asked for it sends no broadcasts, in no form (SO_BROADCAST).
func TestUDPBroadcastPermission(t *testing.T) {
	rawTest(t, "EACCES", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		for _, allowed := range []bool{false, true} {
			u.SetBroadcast(allowed)
			for _, dst := range []string{"10.0.0.255:9", "255.255.255.255:9"} {
				_, err := u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort(dst))
				if allowed && err != nil {
					t.Errorf("%s: %v", dst, err)
				} else if !allowed {
					wantErrno(t, err, "write", syscall.EACCES)
				}
			}
			if got := len(r.got()); allowed != (got == 2) || !allowed != (got == 0) {
				t.Errorf("%d packets", got)
			}
		}
	})
}

// RFC 1122 §4.1.3.3: errors about datagrams of a socket without a peer.
func TestUDPReceiveErrors(t *testing.T) {
	rawTest(t, "unconnected", func(t *testing.T, r *raw) {
		u, deaf := listenUDP(t, r.stacks[0], ":9"), listenUDP(t, r.stacks[0], ":10")
		u.SetReceiveErrors(true)
		for _, s := range []*stack.UDPConn{u, deaf} {
			s.WriteToAddrPort([]byte("x"), addrPort(9, 5))
			r.icmp(icmp.NewUnreachable(icmp.CodePort, r.got()[0].packet))
		}
		if rd := u.Ready(); !rd.Read || rd.Err != syscall.ECONNREFUSED {
			t.Errorf("%+v", rd)
		}
		_, _, err := u.ReadFrom(nil)
		wantErrno(t, err, "read", syscall.ECONNREFUSED)
		if a := err.(*net.OpError).Addr; a.String() != "10.0.0.9:5" {
			t.Errorf("about %v", a)
		}
		if deaf.Ready().Read {
			t.Error("a socket that did not ask was told")
		}
		for range 100 { // no more than some are kept
			u.SetReceiveErrors(true)
			deaf.WriteToAddrPort([]byte("x"), addrPort(9, 5))
			p := r.got()[0].packet
			p[21] = 9 // from u's port
			r.icmp(icmp.NewUnreachable(icmp.CodeHost, p))
		}
		n := 0
		for ; u.TakeErr() != nil; n++ {
		}
		if n != 16 {
			t.Errorf("%d errors were kept", n)
		}
		// The next hop does not answer.
		delete(r.neighbors, addr(8))
		u.WriteToAddrPort([]byte("x"), addrPort(8, 5))
		synctest.Wait()
		_, _, err = u.ReadFrom(nil)
		wantErrno(t, err, "read", syscall.EHOSTUNREACH)
	})
	rawTest(t, "too big", func(t *testing.T, r *raw) {
		c, err := r.stacks[0].Dial("udp", "10.0.0.9:5")
		if err != nil {
			t.Fatal(err)
		}
		u := c.(*stack.UDPConn)
		send := func() []byte {
			t.Helper()
			if _, err := u.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			return r.got()[0].packet
		}
		r.icmp(icmp.NewFragNeeded(700, send()))
		u.SetDontFragment(true) // what came before is not about this
		r.icmp(icmp.NewFragNeeded(700, send()))
		_, err = u.Write(make([]byte, 10))
		wantErrno(t, err, "write", syscall.EMSGSIZE)
		_, err = u.Write(make([]byte, 700-28+1))
		wantErrno(t, err, "write", syscall.EMSGSIZE)
		if _, err = u.Write(make([]byte, 700-28)); err != nil {
			t.Error(err)
		}
		u.SetDontFragment(false)
		if send(); len(r.got()) != 0 {
			t.Error("more than one packet")
		}
	})
}

// SO_REUSEADDR: several sockets on a port; all hear broadcasts, the newest what
// is for the address.
func TestUDPReuse(t *testing.T) {
	rawTest(t, "port", func(t *testing.T, r *raw) {
		lc := &stack.ListenConfig{ReuseAddr: true}
		var us []*stack.UDPConn
		for range 3 {
			p, err := lc.ListenPacket(r.stacks[0], "udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			us = append(us, p.(*stack.UDPConn))
		}
		_, err := r.stacks[0].ListenPacket("udp", ":9")
		wantErrno(t, err, "listen", syscall.EADDRINUSE)
		for text, dst := range map[string]string{"all": "10.0.0.255:9", "one": "10.0.0.1:9"} {
			h, body := udpPacket(addrPort(9, 5), netip.MustParseAddrPort(dst), []byte(text))
			r.ip(h, nil, body)
		}
		if a, b, c := texts(us[0]), texts(us[1]), texts(us[2]); a != "all" || b != "all" || c != "allone" && c != "oneall" {
			t.Errorf("received %q, %q and %q", a, b, c)
		}
	})
}

// The queue is bounded in octets and in datagrams, and says what it lost.
func TestUDPQueueLimits(t *testing.T) {
	lanTest(t, "datagrams", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		a, b := listenUDP(t, l.stacks[0], ":1"), listenUDP(t, l.stacks[1], ":2")
		b.SetReadBuffer(1 << 30)
		for range 50 {
			for range 100 {
				a.WriteToAddrPort(nil, addrPort(2, 2))
			}
			synctest.Wait()
		}
		st := l.stacks[1].Stats().UDP
		if st.InDatagrams != 4096 || st.QueueFull != 904 || b.Dropped() != 904 {
			t.Errorf("%+v, %d dropped", st, b.Dropped())
		}
		b.SetReadDeadline(time.Now().Add(time.Second))
		for n := range 4096 {
			if k, _, err := b.ReadFrom(nil); k != 0 || err != nil {
				t.Fatalf("datagram %d: %d, %v", n, k, err)
			}
		}
	})
}

// A datagram for the largest packet goes, with options too, and one octet more
// does not.
func TestUDPTooLong(t *testing.T) {
	lanTest(t, "EMSGSIZE", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		a, b := listenUDP(t, l.stacks[0], ":1"), listenUDP(t, l.stacks[1], ":2")
		a.SetOptions([]byte{148, 4, 0, 0})
		most := ipv4.MaxLen - 24 - 8
		_, err := a.WriteToAddrPort(make([]byte, most+1), addrPort(2, 2))
		wantErrno(t, err, "write", syscall.EMSGSIZE)
		if _, err := a.WriteToAddrPort(make([]byte, most), addrPort(2, 2)); err != nil {
			t.Fatal(err)
		}
		n, d, err := b.ReadDatagram(make([]byte, 1<<16))
		if n != most || err != nil || len(d.Options) != 4 {
			t.Errorf("%d, %+v, %v", n, d, err)
		}
	})
}

// What is too long for a packet does not reach the members on this host either,
// whatever its time to live.
func TestUDPTooLongIsNotLooped(t *testing.T) {
	lanTest(t, "group", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		u := listenUDP(t, l.stacks[0], ":1")
		group := netip.MustParseAddrPort("239.1.2.3:1")
		if err := u.JoinGroup(l.ifaces[0], group.Addr()); err != nil {
			t.Fatal(err)
		}
		u.SetOptions([]byte{148, 4, 0, 0})
		for _, ttl := range []int{0, 1} {
			u.SetMulticastTTL(ttl)
			_, err := u.WriteToAddrPort(make([]byte, ipv4.MaxLen-24-8+1), group)
			wantErrno(t, err, "write", syscall.EMSGSIZE)
		}
		if n := l.stacks[0].Stats().UDP.OutDatagrams; n != 0 {
			t.Errorf("%d datagrams went out", n)
		}
		if _, err := u.WriteToAddrPort([]byte("x"), group); err != nil {
			t.Fatal(err)
		}
		if n, _, err := u.ReadFrom(make([]byte, 1<<16)); n != 1 || err != nil {
			t.Errorf("%d octets came first, %v", n, err)
		}
	})
}
