package host

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/stack"
)

// One rule says which addresses are a host's, and everybody who takes some asks it.
//
//rfc:1123 first-digit long
func TestCheckServer(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("b", 61)}, ".") // 253 octets
	for s, why := range map[string]string{
		"10.0.0.1": "", "192.0.2.53": "", "223.255.255.255": "", "169.254.3.4": "",
		"time.example": "", "time.example.": "", "ntp": "", "0.pool.ntp.org": "", "3com.example": "", "_ntp.example": "", "TIME.Example": "", long: "",
		"0.0.0.0": "reserved", "0.1.2.3": "reserved", "240.0.0.1": "reserved",
		"127.0.0.1": "itself", "127.9.9.9": "itself", "224.0.1.1": "a group", "255.255.255.255": "everybody",
		"::1": "IPv4 only", "2001:db8::1": "IPv4 only", "::ffff:10.0.0.1": "IPv4 only", "fe80::1%eth0": "IPv4 only",
		"": "1 to 253", ".": "1 to 253", long + "c": "1 to 253", "a..b": "1 to 63", ".a": "1 to 63", label + "a": "1 to 63",
		"10.0.0.300": "four numbers", "10.0.0": "four numbers", "10.0.0.1.2": "four numbers", "123": "four numbers",
		"-a.b": "hyphen", "a-.b": "hyphen", "a b": "letters, digits", "10.0.0.1:123": "letters, digits", "http://a": "letters, digits", "zeit.süd": "letters, digits", "[::1]:123": "letters, digits",
	} {
		err := CheckServer(s)
		if (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", s, err, why)
		}
		a, bad := netip.ParseAddr(s)
		if bad == nil && (errors.Is(CheckHost(a), ErrHostAddr) != (why != "") || isHost(a) != (why == "")) {
			t.Errorf("%v: %v", a, CheckHost(a))
		}
	}
	if err := CheckHost(netip.Addr{}); !errors.Is(err, ErrHostAddr) {
		t.Errorf("no address: %v", err)
	}

	s := stack.New(stack.Config{})
	defer s.Close()
	if _, err := NewResolver(ResolverConfig{Stack: s, Servers: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.IPv6Loopback()}}); !errors.Is(err, ErrHostAddr) {
		t.Errorf("a name server of IPv6: %v", err)
	}
	cfg := SNTPConfig{Stack: s, Adjust: func(time.Duration) error { return nil }, Servers: []string{"10.0.0.1", "time.example", "127.0.0.1"}}
	if _, err := NewSNTPClient(cfg); !errors.Is(err, ErrHostAddr) {
		t.Errorf("the machine itself as a time server: %v", err)
	}
	cfg.Servers = nil
	c, err := NewSNTPClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if c.SetServers([]string{"224.0.1.1", "10.0.0.1", "10.0.0.1"}); len(c.servers) != 1 || c.servers[0].name != "10.0.0.1" {
		t.Errorf("%d servers", len(c.servers))
	}
}
