package arp

import (
	"fmt"
	"net/netip"
	"testing"

	"arpeggio/stack/ethernet"
)

func TestParseKey(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.9.0.7"), netip.MustParseAddr("fe80::7")
	for _, k := range []Key{
		{DefaultDomain, ethernet.VLAN{}, v4}, {"office", ethernet.VLAN{}, v4}, {DefaultDomain, ethernet.VLAN{Inner: 5}, v6},
		{"a/b", ethernet.VLAN{Outer: 100, Inner: 5}, v6}, {"vlan-x", ethernet.VLAN{}, v4}, {"vlan-5", ethernet.VLAN{Inner: 6}, v4}, {"two words", ethernet.VLAN{Inner: 4094}, v4},
	} {
		if got, err := ParseKey(k.String()); err != nil || got != k {
			t.Errorf("%q is %+v, %v; want %+v", k.String(), got, err, k)
		}
	}
	for _, s := range []string{"", "10.9.0", "vlan-5/", "lan/10.9.0.7/24", "/"} {
		if k, err := ParseKey(s); err == nil {
			t.Errorf("%q is %+v", s, k)
		}
	}
}

// What is read is written so that it reads the same.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"10.9.0.7", "vlan-5/10.9.0.7", "office/vlan-100.5/fe80::1", "/10.9.0.7", "a//vlan-4095/10.9.0.7", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		if err != nil {
			return
		}
		if again, err := ParseKey(k.String()); err != nil || again != k {
			t.Errorf("%q is %+v, and that is written %q, which is %+v, %v", s, k, k.String(), again, err)
		}
	})
}

func ExampleParseKey() {
	k, err := ParseKey("office/vlan-5/10.9.0.7")
	fmt.Println(k.Domain, k.VLAN, k.Addr, err)
	// Output:
	// office 5 10.9.0.7 <nil>
}
