package observe

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

// TestMemory: what a host takes, and that a flood of stations takes no more than
// the caps leave it, whatever domains and VLANs it is spread over.
func TestMemory(t *testing.T) {
	const hosts = 50_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	e := New(Config{MaxEntries: hosts, MaxVisitors: 1000})
	for _, name := range []string{"a", "b", "c", "d"} {
		if _, err := e.AddInterface(Interface{Name: name, Domain: name}); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1_700_000_000, 0)
	s := Sighting{Kind: KindRequest, Dest: ethernet.Broadcast, Target: netip.AddrFrom4([4]byte{10, 0, 0, 1})}
	from := func(n int) {
		now = now.Add(10 * time.Millisecond)
		s.Time, s.Interface = now, n%4
		s.VLAN = ethernet.VLAN{Inner: uint16(n / 4 % 50)}
		s.MAC = ethernet.Addr{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
		s.Source = s.MAC
		s.Addr = netip.AddrFrom4([4]byte{10, byte(1 + n>>16), byte(n >> 8), byte(n)})
		e.Input(&s)
	}
	for n := range hosts {
		from(n)
	}
	each := (heap() - before) / hosts
	t.Logf("%d octets a host", each)
	if each > 300 {
		t.Errorf("a host takes %d octets", each)
	}
	full := heap()
	for n := range 3 * hosts {
		from(hosts + n)
	}
	if st := e.Stats(); st.Entries > hosts || st.Stations > hosts+1000 {
		t.Errorf("%d entries and %d stations", st.Entries, st.Stations)
	}
	if more := heap() - full; more > full/4+4<<20 {
		t.Errorf("a flood of as many again took %d octets more than %d", more, full)
	}
	runtime.KeepAlive(e)
}
