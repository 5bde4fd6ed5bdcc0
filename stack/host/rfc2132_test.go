package host

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// with returns a message with more options, before which it has none of theirs.
func with(m message, options ...byte) []byte {
	m.bits = -1
	b := m.encode(false)
	return slices.Concat(b[:240+slices.Index(b[240:], 255)], options, []byte{255})
}

// RFC 2132 §2: text with and without the NULs that it does not need.
//
//rfc:2132 nul-sent nul-deleted nul-needless
func TestRFC2132Text(t *testing.T) {
	for option, want := range map[string]string{"guest": "guest", "guest\x00": "guest", "guest\x00\x00": "guest", "\x00": ""} {
		b := with(good(testEngine(), ack), append([]byte{12, byte(len(option))}, option...)...)
		if m, err := parse(b); err != nil || m.hostname != want {
			t.Errorf("%q became %q, %v", option, m.hostname, err)
		}
	}
	for state, o := range all(t, "") {
		if name, ok := options(o.msg)[12]; ok && string(name) != "guest" {
			t.Errorf("%s: the name is %q", state, name)
		}
	}
}

// RFC 2132 §3.5, §3.8, §8.3: lists of addresses, the best one first.
//
//rfc:2132 preferred list-length mask
func TestRFC2132Lists(t *testing.T) {
	for _, code := range []byte{3, 6, 42} {
		for n, want := range map[int]string{4: "[10.0.0.9]", 5: "[]", 8: "[10.0.0.9 10.0.0.8]", 11: "[]"} {
			b := []byte{10, 0, 0, 9, 10, 0, 0, 8, 10, 0, 0, 7}[:n]
			m := good(testEngine(), ack)
			m.routers = nil
			m, err := parse(with(m, append([]byte{1, 4, 255, 255, 255, 0, code, byte(n)}, b...)...))
			if err != nil {
				t.Fatal(err)
			}
			l, why := leaseFrom(m, epoch)
			got := map[byte][]netip.Addr{3: l.Routers, 6: l.DNS, 42: l.NTP}[code]
			if fmt.Sprint(got) != want || why != "" || l.Addr != netip.PrefixFrom(ourIP, 24) {
				t.Errorf("option %d of %d octets: %v, %+v, %s", code, n, got, l, why)
			}
			if code == 3 && n == 8 && l.Router != got[0] {
				t.Errorf("the router is %v", l.Router)
			}
		}
	}
}

// RFC 2132 §5.1, §9: options of another length than theirs are none.
//
//rfc:2132 mtu mtu-length address-length time-length type
func TestRFC2132Lengths(t *testing.T) {
	m := good(testEngine(), ack)
	m.server, m.lease = netip.Addr{}, 0
	for _, tc := range []struct {
		options string
		mtu     int
		server  string
		lease   time.Duration
	}{
		{"\x1a\x02\x05\x78\x36\x04\x0a\x00\x00\x01\x33\x04\x00\x00\x0e\x10", 1400, "10.0.0.1", time.Hour},
		{"\x1a\x03\x05\x78\x01\x36\x05\x0a\x00\x00\x01\x01\x33\x05\x00\x00\x0e\x10\x01", 0, "invalid IP", 0},
		{"\x1a\x01\x05\x36\x03\x0a\x00\x00\x33\x03\x00\x00\x0e", 0, "invalid IP", 0},
	} {
		got, err := parse(with(m, []byte(tc.options)...))
		if err != nil || got.mtu != tc.mtu || got.server.String() != tc.server || got.lease != tc.lease {
			t.Errorf("% x: MTU %d, server %v, lease %v, %v", tc.options, got.mtu, got.server, got.lease, err)
		}
	}
	b := with(m)
	at := slices.Index(b[240:], 53) + 240
	for kind := range 256 {
		b[at+2] = byte(kind)
		if _, err := parse(b); (err == nil) != (kind >= 1 && kind <= 8) {
			t.Errorf("type %d: %v", kind, err)
		}
	}
	if _, err := parse(slices.Concat(b[:at], []byte{53, 2, 5, 5, 255})); err == nil {
		t.Error("a type of two octets is taken")
	}
}
