package host

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// overload puts options into the file and sname fields of message b and says so in
// option 52.
func overload(b []byte, where byte, file, sname []byte) []byte {
	b = slices.Clone(b)
	copy(b[fileStart:fileEnd], file)
	copy(b[snameStart:fileStart], sname)
	end := 240 + bytes.IndexByte(b[240:], 255) // no value of these messages has this octet
	return slices.Concat(b[:end], []byte{52, 1, where, 255})
}

// RFC 2131 §4.1: options may go on in file and sname, in this order, and the parts
// of one that stands in several are one.
//
//rfc:2131 overload-value overload-whole overload-order
//rfc:3396 concatenated
//rfc:2132 overload overload-value
func TestOptionOverload(t *testing.T) {
	m := good(testEngine(), ack)
	m.routers, m.bits, m.domain = nil, -1, "one"
	b := m.encode(false)
	file := []byte{3, 4, 10, 0, 0, 9, 1, 4, 255, 255, 255, 0, 15, 1, '-', 255}
	sname := []byte{6, 4, 10, 0, 0, 53, 15, 3, 't', 'w', 'o', 255}
	for where, want := range map[byte]string{
		1: "24 [10.0.0.9] [] one-", 2: "-1 [] [10.0.0.53] onetwo", 3: "24 [10.0.0.9] [10.0.0.53] one-two",
	} {
		m, err := parse(overload(b, where, file, sname))
		if got := fmt.Sprint(m.bits, " ", m.routers, " ", m.dns, " ", m.domain); err != nil || got != want {
			t.Errorf("overload %d: %s, %v; want %s", where, got, err, want)
		}
	}
	for _, where := range []byte{0, 4, 255} {
		if _, err := parse(overload(b, where, file, sname)); err == nil {
			t.Errorf("overload %d is taken", where)
		}
	}
	if _, err := parse(overload(b, 1, []byte{3, 200, 1}, nil)); err == nil {
		t.Error("an option that reaches beyond its field is taken")
	}
	if m, err := parse(b); err != nil || m.routers != nil || m.domain != "one" {
		t.Errorf("not overloaded: %+v, %v", m, err)
	}
}

func prefixes(rs []LeaseRoute) string {
	var w []string
	for _, r := range rs {
		w = append(w, fmt.Sprint(r.Prefix, " ", r.NextHop))
	}
	return strings.Join(w, ", ")
}

// RFC 3442: classless routes count instead of routers.
//
//rfc:3442 router-ignored on-link masked
func TestClasslessRoutes(t *testing.T) {
	route := func(p, hop string) LeaseRoute {
		r := LeaseRoute{Prefix: netip.MustParsePrefix(p)}
		if hop != "" {
			r.NextHop = netip.MustParseAddr(hop)
		}
		return r
	}
	for _, tc := range []struct {
		what    string
		addr    string
		bits    int
		routes  []LeaseRoute
		routers string
		want    string
	}{
		{"none", "10.0.0.77", 24, nil, "[10.0.0.1]", ""},
		{"a default route", "10.0.0.77", 24, []LeaseRoute{route("0.0.0.0/0", "10.0.0.9")}, "[10.0.0.9]", ""},
		{"no default route", "10.0.0.77", 24, []LeaseRoute{route("10.7.0.0/16", "10.0.0.9")}, "[]", "10.7.0.0/16 10.0.0.9"},
		{"one on the link", "10.0.0.77", 24, []LeaseRoute{route("192.168.0.0/24", "")}, "[]", "192.168.0.0/24 invalid IP"},
		{"a gateway beyond the network, as in clouds", "10.0.0.77", 32,
			[]LeaseRoute{route("172.31.1.1/32", ""), route("0.0.0.0/0", "172.31.1.1")}, "[172.31.1.1]", "172.31.1.1/32 invalid IP"},
		{"two halves of everything", "10.0.0.77", 24, []LeaseRoute{route("0.0.0.0/1", "10.0.0.9"), route("128.0.0.0/1", "10.0.0.9")},
			"[]", "0.0.0.0/1 10.0.0.9, 128.0.0.0/1 10.0.0.9"},
		{"a gateway out of reach", "10.0.0.77", 24, []LeaseRoute{route("0.0.0.0/0", "192.0.2.1"), route("10.7.0.0/16", "192.0.2.1")}, "[]", ""},
		{"through ourselves", "10.0.0.77", 24, []LeaseRoute{route("10.7.0.0/16", "10.0.0.77")}, "[]", ""},
		{"to loopback and groups", "10.0.0.77", 24, []LeaseRoute{route("127.0.0.0/8", "10.0.0.9"), route("224.0.0.0/4", "10.0.0.9")}, "[]", ""},
	} {
		m := good(testEngine(), ack)
		m.yiaddr, m.bits, m.routes = netip.MustParseAddr(tc.addr), tc.bits, tc.routes
		m, err := parse(m.encode(false))
		if err != nil {
			t.Fatal(err)
		}
		l, why := leaseFrom(m, epoch)
		if got := prefixes(l.Routes); why != "" || fmt.Sprint(l.Routers) != tc.routers || got != tc.want {
			t.Errorf("%s: routers %v, routes %s; %s", tc.what, l.Routers, got, why)
		}
	}
	if routesOf([]byte{33, 1, 2, 3, 4, 5, 6, 7, 8}) != nil || routesOf([]byte{24, 10, 0}) != nil || routesOf(bytes.Repeat([]byte{0, 10, 0, 0, 1}, maxRoutes+1)) != nil {
		t.Error("a malformed list of routes is taken")
	}
	if got := prefixes(routesOf([]byte{12, 10, 31, 10, 0, 0, 9})); got != "10.16.0.0/12 10.0.0.9" {
		t.Errorf("with bits beyond the mask: %s", got)
	}
}

//rfc:3442 order both
//rfc:2132 request-order
//rfc:3397 compressed incomplete
func TestOtherOptions(t *testing.T) {
	m := good(testEngine(), ack)
	for mtu, want := range map[int]int{0: 0, 68: 0, 575: 0, 576: 576, 1400: 1400, 9000: 9000} {
		m.mtu = mtu
		got, _ := parse(m.encode(false))
		if l, why := leaseFrom(got, epoch); why != "" || l.MTU != want {
			t.Errorf("an MTU of %d became %d (%s)", mtu, l.MTU, why)
		}
	}
	// RFC 3397, with the compression of its example.
	b := []byte("\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04")
	if got := domains(b); !slices.Equal(got, []string{"eng.apple.com", "marketing.apple.com"}) {
		t.Errorf("search list %q", got)
	}
	for _, bad := range []string{"", "\x09short", "\xc0\x00", "\xc0", "\x01\x01\x00", "\x03lan", "\x01a\xc0\x02\x00", "\x40" + strings.Repeat("a", 64) + "\x00"} {
		if got := domains([]byte(bad)); len(got) != 0 {
			t.Errorf("%q is the search list %q", bad, got)
		}
	}
	m.search = []string{"a.test", "b.c.test"}
	if got, err := parse(m.encode(false)); err != nil || !slices.Equal(got.search, m.search) {
		t.Errorf("search list %q, %v", got.search, err)
	}
	// A client asks for all of it, classless routes before routers.
	e := testEngine()
	e.tick(epoch)
	o, _ := e.emit()
	at := bytes.Index(o.msg, append([]byte{55, byte(len(parameters))}, parameters...))
	if at < 0 || slices.Index(parameters, 121) > slices.Index(parameters, 3) {
		t.Errorf("parameters in %x", o.msg[240:])
	}
}

// RFC 2131 §3.2 and §4.3.2: a host that remembers its lease asks for it at once.
//
//rfc:2131 reboot
func TestInitReboot(t *testing.T) {
	begin := func() (*clientEngine, message) {
		e := testEngine()
		e.reboot = ourIP
		e.tick(epoch)
		ms, to := sends(t, e)
		if len(ms) != 1 || to[0].Addr() != broadcast {
			t.Fatalf("%v to %v", ms, to)
		}
		return e, ms[0]
	}
	e, m := begin()
	if m.kind != request || m.requested != ourIP || m.server.IsValid() || m.ciaddr.IsValid() || !m.broadcast {
		t.Errorf("%+v (table 4)", m)
	}
	if e.input(epoch, good(e, ack).encode(false)); e.state != stateBound || !e.fresh || e.lease.Addr.Addr() != ourIP || e.reboot.IsValid() {
		t.Errorf("after the ACK: state %d, %+v", e.state, e.lease)
	}

	e, _ = begin() // a server of this network knows better: any may say so
	no := message{kind: nak, reply: true, xid: e.xid, mac: clientHW, server: serverIP.Next(), bits: -1}
	e.input(epoch, no.encode(false))
	e.tick(e.deadline())
	if ms, _ := sends(t, e); len(ms) != 1 || ms[0].kind != discover || ms[0].requested.IsValid() {
		t.Errorf("after the NAK: %+v", ms)
	}

	e, _ = begin() // another address is no answer to this
	other := good(e, ack)
	other.yiaddr = ourIP.Next()
	if e.input(epoch, other.encode(false)); e.state != stateRebooting || e.refused["another address"] != 1 {
		t.Errorf("state %d, refused %v", e.state, e.refused)
	}

	e, _ = begin() // nobody answers: from the start, with a wish
	var all []message
	for e.state == stateRebooting {
		e.tick(e.deadline())
		ms, _ := sends(t, e)
		all = append(all, ms...)
	}
	if len(all) != rebootTries || all[0].kind != request || all[1].kind != discover || all[1].requested != ourIP || all[1].xid == all[0].xid {
		t.Errorf("sent %+v", all)
	}

	for what, l := range map[string]Lease{
		"ended":      {Addr: netip.PrefixFrom(ourIP, 24), Server: serverIP, Expiry: time.Now().Add(-time.Second)},
		"link-local": {Addr: netip.MustParsePrefix("169.254.3.4/16")},
		"none":       {},
	} {
		c, err := NewDHCPClient(DHCPClientConfig{Conn: silentConn{}, MAC: clientHW, Previous: l})
		if err != nil || c.engine.reboot.IsValid() {
			t.Errorf("a lease that is %s is asked for: %v, %v", what, c.engine.reboot, err)
		}
	}
	c, err := NewDHCPClient(DHCPClientConfig{Conn: silentConn{}, MAC: clientHW, Previous: Lease{Addr: netip.PrefixFrom(ourIP, 24), Server: serverIP}})
	if err != nil || c.engine.reboot != ourIP {
		t.Errorf("a lease without end: %v, %v", c.engine.reboot, err)
	}
}

// silentConn is a connection that nobody uses.
type silentConn struct{ PacketConn }

// Of several offers the first one is taken; the others' servers see that in the
// REQUEST (RFC 2131 §3.1).
func TestSeveralOffers(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	sends(t, e)
	second := good(e, offer)
	second.server, second.yiaddr = serverIP.Next(), ourIP.Next()
	e.input(epoch, good(e, offer).encode(false))
	e.input(epoch, second.encode(false))
	ms, _ := sends(t, e)
	if len(ms) != 1 || ms[0].server != serverIP || ms[0].requested != ourIP || e.refused["another offer"] != 1 {
		t.Errorf("sent %+v, refused %v", ms, e.refused)
	}
	// What the second server says after that is nothing to us.
	ackOther := second
	ackOther.kind = ack
	e.input(epoch, ackOther.encode(false))
	e.input(epoch, message{kind: nak, reply: true, xid: e.xid, mac: clientHW, server: second.server, bits: -1}.encode(false))
	if e.state != stateRequesting {
		t.Errorf("state %d, refused %v", e.state, e.refused)
	}
	if e.input(epoch, good(e, ack).encode(false)); e.lease.Server != serverIP {
		t.Errorf("lease %+v", e.lease)
	}
}

// RFC 2131 §4.4.5: T1 and T2 of the server count, and T1 is a little early.
//
//rfc:2131 fuzz
func TestT1T2(t *testing.T) {
	seen := map[time.Time]bool{}
	for seed := range uint64(8) {
		e := testEngine()
		e.rnd.Uint64()
		for range seed {
			e.rnd.Uint64()
		}
		e.tick(epoch)
		for _, k := range []messageType{offer, ack} {
			m := good(e, k)
			m.t1, m.t2 = 10*time.Minute, 20*time.Minute
			e.input(epoch, m.encode(false))
		}
		if l := e.lease; l.Renew != epoch.Add(10*time.Minute) || l.Rebind != epoch.Add(20*time.Minute) {
			t.Errorf("lease %+v", l)
		}
		if d := e.deadline().Sub(epoch); d > 10*time.Minute || d < 10*time.Minute*(renewFuzz-1)/renewFuzz {
			t.Errorf("asks again after %v", d)
		}
		seen[e.deadline()] = true
	}
	if len(seen) < 4 {
		t.Errorf("%d different times in 8", len(seen))
	}
}

// RFC 3396: what has more than 255 octets goes in parts, and what came in parts is
// one.
//
//rfc:3396 split unsplit together
//rfc:3442 concatenated
//rfc:3397 long
func TestLongOptions(t *testing.T) {
	m := good(testEngine(), ack)
	m.hostname = "guest"
	for i := range 40 { // eight octets each
		m.routes = append(m.routes, LeaseRoute{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(i), 0}), 24), netip.MustParseAddr("10.0.0.9")})
	}
	b := m.encode(false)
	parts := map[byte][]byte{}
	var last byte
	for rest := b[240:]; rest[0] != 255; rest = rest[2+int(rest[1]):] {
		if n := len(parts[rest[0]]); n > 0 && (rest[0] != 121 || last != 121 || n%255 != 0) {
			t.Errorf("option %d goes on behind %d octets and option %d", rest[0], n, last)
		}
		last = rest[0]
		parts[last] = append(parts[last], rest[2:2+int(rest[1])]...)
	}
	if !bytes.Equal(parts[121], routeOctets(m.routes)) || len(parts[121]) != 320 || string(parts[12]) != "guest" {
		t.Errorf("the routes became % x, the name %q", parts[121], parts[12])
	}
	if got, err := parse(b); err != nil || !slices.Equal(got.routes, m.routes) {
		t.Errorf("%d routes come back, %v", len(got.routes), err)
	}
	// In any pieces, with others between them.
	m = good(testEngine(), ack)
	m.bits = -1
	b = m.encode(false)
	end := 240 + bytes.IndexByte(b[240:], 255)
	b = slices.Concat(b[:end], []byte{121, 3, 16, 10, 7, 26, 2, 5, 120, 121, 1, 10, 121, 0, 121, 3, 0, 0, 9, 255})
	if got, err := parse(b); err != nil || prefixes(got.routes) != "10.7.0.0/16 10.0.0.9" || got.mtu != 1400 {
		t.Errorf("%s, MTU %d, %v", prefixes(got.routes), got.mtu, err)
	}
}
