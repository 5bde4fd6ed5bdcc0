package host_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"arpeggio/stack"
	"arpeggio/stack/host"
)

// systemConfig has package net read the machine's resolv.conf now: it keeps a
// channel beside it, which would belong to the bubble of the first test.
func systemConfig() {
	r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("nobody is asked")
	}}
	_, _ = r.LookupNetIP(context.Background(), "ip4", "outside.of.every.bubble.invalid.")
}

// dnsNet is a client with a Resolver, and name servers 10.0.0.53, .54, ...
type dnsNet struct {
	*lan
	r *host.Resolver
	s *stack.Stack // the client's
}

func dnsTest(t *testing.T, servers []*nameServer, f func(t *testing.T, n *dnsNet)) {
	systemConfig()
	synctest.Test(t, func(t *testing.T) {
		n := &dnsNet{lan: newLAN(t, host.DHCPServerConfig{})}
		defer n.close()
		n.s, _ = n.station(mac(1), netip.MustParsePrefix("10.0.0.2/24"))
		var addrs []netip.Addr
		for i, ns := range servers {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(53 + i)})
			s, _ := n.station(mac(53+i), netip.PrefixFrom(a, 24))
			if addrs = append(addrs, a); ns != nil {
				ns.serve(t, s)
			}
		}
		var err error
		n.r, err = host.NewResolver(host.ResolverConfig{Stack: n.s, Servers: addrs, Search: []string{"lan.test", "corp.test."}})
		if err != nil {
			t.Fatal(err)
		}
		n.s.SetNames(n.r)
		f(t, n)
	})
}

func zone(pairs ...string) map[string][]netip.Addr {
	z := map[string][]netip.Addr{}
	for i := 0; i < len(pairs); i += 2 {
		for a := range strings.SplitSeq(pairs[i+1], " ") {
			z[pairs[i]] = append(z[pairs[i]], netip.MustParseAddr(a))
		}
	}
	return z
}

func (n *dnsNet) lookup(t *testing.T, name, want string) {
	t.Helper()
	got, err := n.r.LookupNetIP(t.Context(), "ip4", name)
	if err != nil || fmt.Sprint(got) != want {
		t.Errorf("%s: %v, %v; want %s", name, got, err, want)
	}
}

// wantDNSError checks what programs look at.
func wantDNSError(t *testing.T, err error, name string, notFound, timeout bool) {
	t.Helper()
	var de *net.DNSError
	if !errors.As(err, &de) || de.Name != name || de.IsNotFound != notFound || de.IsTimeout != timeout {
		t.Errorf("got %#v, want a *net.DNSError for %q with IsNotFound %v and IsTimeout %v", err, name, notFound, timeout)
	}
}

//rfc:6761 ordinary
//rfc:1123 by-name several
func TestDialByName(t *testing.T) {
	ns := &nameServer{zone: zone("www.example.test.", "10.0.0.9 10.0.0.1")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		ln, err := n.gw.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "here")
				c.Close()
			}
		}()
		// Nobody is at the first address; the second one has it. The port may be
		// a name too.
		for _, port := range []string{"80", "http"} {
			c, err := n.s.DialContext(t.Context(), "tcp", "www.example.test:"+port)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(c); string(b) != "here" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			c.Close()
		}
		u, err := n.s.Dial("udp", "WWW.Example.test:7")
		if err != nil || u.RemoteAddr().String() != "10.0.0.9:7" {
			t.Errorf("udp: %v, %v", u, err)
		}
		_, err = n.s.Dial("tcp", "nobody.example.test:80")
		wantDNSError(t, err, "nobody.example.test", true, false)
		var oe *net.OpError
		if !errors.As(err, &oe) || oe.Op != "dial" || oe.Net != "tcp" {
			t.Errorf("%T %v, want a *net.OpError of dial tcp", err, err)
		}
		_, err = n.s.Dial("tcp", "www.example.test:no-such-service")
		if err == nil || !strings.Contains(err.Error(), "unknown port") {
			t.Errorf("an unknown service: %v", err)
		}
		n.s.SetNames(nil)
		_, err = n.s.Dial("tcp", "www.example.test:80")
		wantDNSError(t, err, "www.example.test", false, false)
	})
}

// The time that the caller leaves is shared by the addresses of a name: one that
// is silent does not use it up.
func TestDialSharesTheTime(t *testing.T) {
	ns := &nameServer{zone: zone("two.test.", "10.0.0.7 10.0.0.1")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		if _, err := n.gw.Listen("tcp", ":80"); err != nil {
			t.Fatal(err)
		}
		n.loss = 1 // a station without a voice
		n.station(mac(7), netip.MustParsePrefix("10.0.0.7/24"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		c, err := n.s.DialContext(ctx, "tcp", "two.test:80")
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); c.RemoteAddr().String() != "10.0.0.1:80" || d < 4*time.Second || d > 6*time.Second {
			t.Errorf("%v after %v, want the second address after half the time", c.RemoteAddr(), d)
		}
		c.Close()
	})
}

//rfc:3397 dots
//rfc:6761 localhost invalid
//rfc:1123 either final-dot once dots
func TestSearch(t *testing.T) {
	ns := &nameServer{zone: zone("printer.corp.test.", "10.0.0.30", "a.b.", "10.0.0.31", "c.d.lan.test.", "10.0.0.32", "bare.", "10.0.0.33")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		n.lookup(t, "printer", "[10.0.0.30]")
		n.lookup(t, "a.b", "[10.0.0.31]")
		n.lookup(t, "c.d", "[10.0.0.32]")
		n.lookup(t, "bare", "[10.0.0.33]")
		n.lookup(t, "bare.", "[10.0.0.33]")
		want := []string{"printer.lan.test.", "printer.corp.test.", "a.b.", "c.d.", "c.d.lan.test.", "bare.lan.test.", "bare.corp.test.", "bare.", "bare."}
		if got := ns.log(); !slices.Equal(got, want) {
			t.Errorf("asked for %q\nwant      %q", got, want)
		}
		// What needs no server.
		n.lookup(t, "192.0.2.1", "[192.0.2.1]")
		n.lookup(t, "localhost", "[127.0.0.1]")
		n.lookup(t, "x.localhost", "[127.0.0.1]")
		n.lookup(t, "LocalHost.", "[127.0.0.1]")
		n.lookup(t, "X.LOCALHOST", "[127.0.0.1]")
		for _, name := range []string{"invalid", "x.invalid", "X.Invalid."} {
			_, err := n.r.LookupNetIP(t.Context(), "ip4", name)
			wantDNSError(t, err, name, true, false)
		}
		for network, literal := range map[string]string{"ip4": "::1", "ip6": "10.0.0.1"} {
			got, err := n.r.LookupNetIP(t.Context(), network, literal)
			if len(got) != 0 {
				t.Errorf("%s of %s is %v", network, literal, got)
			}
			wantDNSError(t, err, literal, true, false)
		}
		_, err := n.r.LookupNetIP(t.Context(), "ip4", "")
		wantDNSError(t, err, "", true, false)
		if len(ns.log()) != len(want) {
			t.Errorf("asked for %q", ns.log()[len(want):])
		}
		_, err = n.r.LookupNetIP(t.Context(), "ip4", "gone.")
		wantDNSError(t, err, "gone.", true, false)
		txt, err := n.r.Net().LookupTXT(t.Context(), "a.b.")
		if err != nil || fmt.Sprint(txt) != "[text of a.b.]" {
			t.Errorf("TXT: %q, %v", txt, err)
		}
	})
}

// A silent server is left after two seconds, and is the last one to be asked from
// then on.
//
//rfc:1035 next-server
//rfc:1123 redundant
func TestSeveralServers(t *testing.T) {
	first, second := &nameServer{silent: true}, &nameServer{zone: zone("x.test.", "10.0.0.40")}
	dnsTest(t, []*nameServer{first, second}, func(t *testing.T, n *dnsNet) {
		begin := time.Now()
		n.lookup(t, "x.test", "[10.0.0.40]")
		if d := time.Since(begin); d < 2*time.Second || d > 2100*time.Millisecond {
			t.Errorf("the second server's answer after %v", d)
		}
		begin = time.Now()
		n.lookup(t, "x.test", "[10.0.0.40]")
		if d := time.Since(begin); d > 100*time.Millisecond || len(first.log()) != 1 {
			t.Errorf("then after %v; the silent one was asked %d times", d, len(first.log()))
		}
		// A caller in a hurry gives each its share.
		n.r.SetServers([]netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("10.0.0.54")}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if _, err := n.r.LookupNetIP(ctx, "ip4", "x.test"); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d < 500*time.Millisecond || d > 600*time.Millisecond {
			t.Errorf("with a second of time: after %v", d)
		}
	})
}

// A host without a name server says so (ICMP port unreachable), and one that
// refuses or fails says so; the next one is asked at once.
//
//rfc:1035 server-failure
//rfc:1123 partition
func TestServersThatCannot(t *testing.T) {
	for name, bad := range map[string]*nameServer{
		"no server": nil, "SERVFAIL": {rcode: dnsmessage.RCodeServerFailure}, "REFUSED": {rcode: dnsmessage.RCodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			good := &nameServer{zone: zone("x.test.", "10.0.0.40")}
			dnsTest(t, []*nameServer{bad, good}, func(t *testing.T, n *dnsNet) {
				begin := time.Now()
				n.lookup(t, "x.test", "[10.0.0.40]")
				if d := time.Since(begin); d > 100*time.Millisecond {
					t.Errorf("after %v", d)
				}
				// From now on the good one comes first, for TCP as well.
				order := n.r.Servers()
				if fmt.Sprint(order) != "[10.0.0.54 10.0.0.53]" {
					t.Errorf("servers %v", order)
				}
				// All of them: the answer, not a timeout.
				n.r.SetServers(order[1:], nil)
				if bad != nil {
					_, err := n.r.LookupNetIP(t.Context(), "ip4", "x.test")
					wantDNSError(t, err, "x.test", false, false)
				}
			})
		})
	}
}

//rfc:1035 udp tcp port
//rfc:1123 resolver udp tcp
func TestTruncatedGoesByTCP(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("10.1.0.%d", i+1))
	}
	ns := &nameServer{truncated: true, zone: zone("many.test.", strings.Join(many, " "))}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		got, err := n.r.LookupNetIP(t.Context(), "ip4", "many.test")
		if err != nil || len(got) != 100 {
			t.Errorf("%d addresses, %v", len(got), err)
		}
		if want := []string{"many.test.", "tcp many.test."}; !slices.Equal(ns.log(), want) {
			t.Errorf("asked for %q, want %q", ns.log(), want)
		}
	})
}

// A server that says SERVFAIL with a question that is ours for Unicode alone, a
// Kelvin sign for a k, is not heard, and not for ever.
func TestKelvinSign(t *testing.T) {
	ns := &nameServer{silent: true, before: func(pc net.PacketConn, reply []byte, to net.Addr) {
		m := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: binary.BigEndian.Uint16(reply), Response: true, RCode: dnsmessage.RCodeServerFailure},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("\u212ax.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
		}
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		pc.WriteTo(b, to)
	}}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := n.r.LookupNetIP(ctx, "ip4", "kx.test.")
		wantDNSError(t, err, "kx.test.", false, true)
	})
}

// RFC 5452: what a forger sends before the answer changes nothing.
//
//rfc:5452 address
func TestForgedAnswers(t *testing.T) {
	ns := &nameServer{zone: zone("x.test.", "10.0.0.40")}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		forger, err := n.gw.ListenPacket("udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		evil := &nameServer{zone: zone("x.test.", "10.66.66.66", "y.test.", "10.66.66.66")}
		forged := 0
		ns.before = func(pc net.PacketConn, reply []byte, to net.Addr) {
			var p dnsmessage.Parser
			h, _ := p.Start(reply)
			for _, f := range []struct {
				id   uint16
				name string
			}{{h.ID, "x.test."}, {h.ID + 1, "x.test."}, {h.ID, "y.test."}} {
				m := dnsmessage.Message{Header: dnsmessage.Header{ID: f.id}, Questions: []dnsmessage.Question{{
					Name: dnsmessage.MustNewName(f.name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
				q, err := m.Pack()
				if err != nil {
					t.Error(err)
				}
				b := evil.answer(t, "", q)
				forger.WriteTo(b, to) // from another host, all of it right but for that
				if f.id != h.ID || f.name != "x.test." {
					pc.WriteTo(b, to) // from the server itself, and wrong
				}
				forged++
			}
		}
		n.lookup(t, "x.test", "[10.0.0.40]")
		if forged != 3 {
			t.Errorf("%d forgeries", forged)
		}
	})
}

//rfc:1035 bounded
//rfc:1123 given-up controlled
func TestSilence(t *testing.T) {
	ns := &nameServer{silent: true}
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		begin := time.Now()
		_, err := n.s.Dial("tcp", "x.test:80")
		wantDNSError(t, err, "x.test", false, true)
		if !os.IsTimeout(err) {
			t.Errorf("%v is not a timeout", err)
		}
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("after %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		_, err = n.s.DialContext(ctx, "tcp", "x.test:80")
		if d := time.Since(begin); !os.IsTimeout(err) || d != time.Second {
			t.Errorf("with a second of time: %v after %v", err, d)
		}
		n.r.SetServers(nil, nil)
		begin = time.Now()
		_, err = n.r.LookupNetIP(t.Context(), "ip4", "x.test")
		wantDNSError(t, err, "x.test", false, false)
		if time.Since(begin) != 0 {
			t.Error("it took time to notice that there is nobody to ask")
		}
	})
}

// RFC 5452 §9.2: neither the port nor the id of a question follows from another.
//
//rfc:5452 ports ids
func TestPortsAreRandom(t *testing.T) {
	ns := &nameServer{zone: zone("x.test.", "10.0.0.40")}
	high, low := map[byte]bool{}, map[byte]bool{}
	ns.before = func(_ net.PacketConn, reply []byte, _ net.Addr) { high[reply[0]], low[reply[1]] = true, true }
	dnsTest(t, []*nameServer{ns}, func(t *testing.T, n *dnsNet) {
		for range 64 {
			n.lookup(t, "x.test", "[10.0.0.40]")
		}
		ports, near, last := map[int]bool{}, 0, 0
		for _, a := range ns.from {
			p := a.(*net.UDPAddr).Port
			if d := p - last; d > -64 && d < 64 {
				near++
			}
			ports[p], last = true, p
		}
		if len(ports) < 56 || near > 16 { // by chance: less than once in 10^12 runs
			t.Errorf("%d ports in 64 questions, %d close to the one before", len(ports), near)
		}
		if len(high) < 32 || len(low) < 32 { // of 256, drawn 64 times
			t.Errorf("ids of %d and %d different octets", len(high), len(low))
		}
	})
}

func TestResolverConfig(t *testing.T) {
	if _, err := host.NewResolver(host.ResolverConfig{}); err == nil {
		t.Error("a resolver without a stack")
	}
	s := stack.New(stack.Config{})
	defer s.Close()
	r, err := host.NewResolver(host.ResolverConfig{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	r.SetServers([]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("::1"), {}}, nil)
	if fmt.Sprint(r.Servers()) != "[10.0.0.1]" {
		t.Errorf("%v", r.Servers())
	}
}
