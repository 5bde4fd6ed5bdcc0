package stack

import (
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/ipv4"
)

// What is known of a destination is replaced, and only a newcomer to a full cache
// takes a place: that of the oldest.
func TestPathCacheEvicts(t *testing.T) {
	var c pathCache
	dst := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}) }
	at := time.Unix(1000, 0)
	for n := range pathMax {
		c.put(dst(n), 1000, at.Add(time.Duration(n)*time.Millisecond))
	}
	at = at.Add(2 * time.Second)
	c.put(dst(0), 900, at) // the oldest is known anew
	if len(c.m) != pathMax || c.get(dst(0), at).mtu != 900 {
		t.Fatalf("%d destinations, %d", len(c.m), c.get(dst(0), at).mtu)
	}
	c.put(dst(pathMax), 900, at)
	for n, want := range map[int]int{0: 900, 1: ipv4.MaxLen, 2: 1000, pathMax: 900} {
		if mtu := c.get(dst(n), at).mtu; mtu != want {
			t.Errorf("%d: %d, want %d", n, mtu, want)
		}
	}
	if mtu := c.get(dst(pathMax), at.Add(pathTimeout+1)).mtu; mtu != ipv4.MaxLen {
		t.Errorf("%d after its time", mtu)
	}
}

// What is known of one host says nothing of its neighbours.
//
//rfc:4821 per-address
func TestRFC4821PathsAreOfAddresses(t *testing.T) { // §5.2
	var c pathCache
	at := time.Unix(1000, 0)
	c.put(netip.MustParseAddr("10.1.2.3"), 600, at)
	for a, want := range map[string]int{"10.1.2.3": 600, "10.1.2.2": ipv4.MaxLen, "10.1.2.4": ipv4.MaxLen} {
		if mtu := c.get(netip.MustParseAddr(a), at).mtu; mtu != want {
			t.Errorf("%s: %d, want %d", a, mtu, want)
		}
	}
}
