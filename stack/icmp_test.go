package stack_test

import (
	"fmt"
	"io"
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

// icmp sends an error from the station about packet.
func (r *raw) icmp(m icmp.Message) {
	r.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, m.AppendTo(nil))
}

//rfc:1122 error-demux time-exceeded-up parameter-problem-up parameter-problem-told udp-icmp unreachable-up
func TestICMPErrnoUDP(t *testing.T) {
	for _, tc := range []struct {
		typ  icmp.Type
		code uint8
		want error
	}{
		{icmp.Unreachable, icmp.CodeNet, syscall.ENETUNREACH},
		{icmp.Unreachable, icmp.CodeHost, syscall.EHOSTUNREACH},
		{icmp.Unreachable, icmp.CodeProtocol, syscall.ENOPROTOOPT},
		{icmp.Unreachable, icmp.CodePort, syscall.ECONNREFUSED},
		{icmp.Unreachable, icmp.CodeSourceRoute, syscall.EOPNOTSUPP},
		{icmp.Unreachable, icmp.CodeHostUnknown, syscall.EHOSTDOWN},
		{icmp.Unreachable, icmp.CodeNetTOS, syscall.ENETUNREACH},
		{icmp.Unreachable, icmp.CodeHostTOS, syscall.EHOSTUNREACH},
		{icmp.Unreachable, icmp.CodeNetProhibited, syscall.ENETUNREACH},
		{icmp.Unreachable, icmp.CodeAdminProhibited, syscall.EHOSTUNREACH},
		{icmp.TimeExceeded, icmp.CodeTTL, syscall.EHOSTUNREACH},
		{icmp.ParamProblem, 0, syscall.EPROTO},
	} {
		rawTest(t, fmt.Sprintf("type %d code %d", tc.typ, tc.code), func(t *testing.T, r *raw) {
			c, err := r.stacks[0].Dial("udp", "10.0.0.9:9")
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("x"))
			sent := r.got()[0].packet
			// About somebody else's datagram: nothing happens.
			other := append([]byte(nil), sent...)
			other[21]++
			r.icmp(icmp.Message{Type: tc.typ, Code: tc.code, Body: other})
			r.icmp(icmp.Message{Type: tc.typ, Code: tc.code, Body: sent[:28]})
			_, err = c.Read(make([]byte, 1))
			wantErrno(t, err, "read", tc.want)
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
				t.Errorf("reported twice: %v", err)
			}
		})
	}
}

// dialRaw starts a connection to the station and returns its SYN.
func dialRaw(t *testing.T, r *raw) (syn []byte, result chan error) {
	t.Helper()
	result = make(chan error, 1)
	go func() {
		_, err := r.stacks[0].DialTCP(t.Context(), netip.AddrPort{}, addrPort(9, 80))
		result <- err
	}()
	got := r.got()
	if len(got) != 1 {
		t.Fatalf("%d packets", len(got))
	}
	return got[0].packet, result
}

// RFC 1122 §4.2.3.9: protocol and port unreachable end a handshake; the others
// only explain its end (RFC 9293 §3.9.2.2, MUST-56). A quotation with a
// sequence number that is not in flight is forged (RFC 5927 §4.1).
//
//rfc:9293 MUST-54 MUST-56
//rfc:1122 unreachable-acted unreachable-hint
//rfc:5927 sequence
func TestICMPErrnoTCP(t *testing.T) {
	rawTest(t, "hard", func(t *testing.T, r *raw) {
		syn, result := dialRaw(t, r)
		forged := append([]byte(nil), syn...)
		forged[24]++
		r.icmp(icmp.NewUnreachable(icmp.CodePort, forged))
		time.Sleep(time.Millisecond)
		select {
		case err := <-result:
			t.Fatalf("a forged message was believed: %v", err)
		default:
		}
		r.icmp(icmp.NewUnreachable(icmp.CodePort, syn))
		wantErrno(t, <-result, "dial", syscall.ECONNREFUSED)
	})
	rawTest(t, "soft", func(t *testing.T, r *raw) {
		syn, result := dialRaw(t, r)
		r.icmp(icmp.NewUnreachable(icmp.CodeHost, syn))
		start := time.Now()
		wantErrno(t, <-result, "dial", syscall.EHOSTUNREACH)
		if d := time.Since(start); d < 3*time.Minute {
			t.Errorf("gave up after %v", d)
		}
	})
	rawTest(t, "malformed", func(t *testing.T, r *raw) {
		syn, result := dialRaw(t, r)
		for _, n := range []int{0, 8, 19, 20, 24} {
			r.icmp(icmp.NewUnreachable(icmp.CodePort, syn[:n]))
		}
		time.Sleep(time.Millisecond)
		select {
		case err := <-result:
			t.Fatalf("%v", err)
		default:
		}
		r.icmp(icmp.NewUnreachable(icmp.CodePort, syn[:28]))
		<-result
	})
}

// A ping learns of errors too.
func TestICMPErrnoPing(t *testing.T) {
	rawTest(t, "host unreachable", func(t *testing.T, r *raw) {
		result := make(chan error, 1)
		go func() {
			_, err := r.stacks[0].Ping(t.Context(), addr(9), 10)
			result <- err
		}()
		r.icmp(icmp.NewUnreachable(icmp.CodeHost, r.got()[0].packet))
		wantErrno(t, <-result, "ping", syscall.EHOSTUNREACH)
	})
}

// RFC 1191 §5: routers that name no MTU; the next plateau is tried.
//
//rfc:5927 mtu-floor
//rfc:1191 reduce not-below-68 age plateaus
func TestPathMTUPlateau(t *testing.T) {
	rawTest(t, "plateau", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		ln, err := s.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		p := port(t, r.sw, vnet.PortConfig{Name: "peer"})
		r.neighbors[addr(2)] = p.Info().Addr
		peer := stack.New(stack.Config{})
		defer peer.Close()
		add(t, peer, stack.InterfaceConfig{Device: p, Resolver: r.neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(addr(2), 24)}})
		go func() {
			c, err := peer.Dial("tcp", "10.0.0.1:80")
			if err == nil {
				io.Copy(io.Discard, c)
			}
		}()
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var last []byte
		defer r.sw.Monitor(func(port string, f []byte, _ time.Time) {
			if port == "host1" && len(f) > 500 {
				last = append(last[:0], f[14:]...)
			}
		})()
		p.SetUp(false)
		for _, want := range []int{1492, 1006, 552, 552} {
			c.Write(make([]byte, 1460))
			synctest.Wait()
			if len(last) == 0 {
				t.Fatal("no data left the stack")
			}
			r.icmp(icmp.NewFragNeeded(0, last))
			if mss := c.(*stack.TCPConn).Info().SndMSS; mss > want-40 || mss < want-60 {
				t.Errorf("MSS %d, want that of MTU %d", mss, want)
			}
		}
		// Ten minutes later a larger one is tried by new connections.
		p.SetUp(true)
		time.Sleep(11 * time.Minute)
		if _, err := peer.Listen("tcp", ":81"); err != nil {
			t.Fatal(err)
		}
		d, err := s.Dial("tcp", "10.0.0.2:81")
		if err != nil {
			t.Fatal(err)
		}
		if mss := d.(*stack.TCPConn).Info().SndMSS; mss < 1440 {
			t.Errorf("MSS %d, want the link's", mss)
		}
	})
}

// RFC 4884 §4: an error whose quotation is padded and has an extension behind it.
func TestExtendedError(t *testing.T) {
	rawTest(t, "label stack", func(t *testing.T, r *raw) {
		c, err := r.stacks[0].Dial("udp", "10.0.0.9:9")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("x"))
		body := make([]byte, 128)
		copy(body, r.got()[0].packet)
		body = append(body, 0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 0x21, 1)
		m := icmp.NewUnreachable(icmp.CodePort, nil)
		m.Rest[1], m.Body = 128/4, body
		r.icmp(m)
		_, err = c.Write([]byte("x"))
		wantErrno(t, err, "write", syscall.ECONNREFUSED)
	})
}
