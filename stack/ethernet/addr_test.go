package ethernet

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestParseAddr(t *testing.T) {
	want := Addr{0x02, 0x50, 0x2a, 0x16, 0x6d, 0x01}
	for _, s := range []string{"02:50:2a:16:6d:01", "02-50-2A-16-6D-01"} {
		if got, err := ParseAddr(s); err != nil || got != want {
			t.Errorf("ParseAddr(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "02:50:2a:16:6d", "02:50:2a:16:6d:1", "02:50:2a:16:6d:01:", "02:50-2a:16:6d:01",
		"g2:50:2a:16:6d:01", "02.50.2a.16.6d.01", "0250.2a16.6d01", "02:50:2a:16:6d:0g", "022502a2166d201xx",
	} {
		if got, err := ParseAddr(s); !errors.Is(err, ErrBadAddr) {
			t.Errorf("ParseAddr(%q) = %v, %v; want ErrBadAddr", s, got, err)
		}
	}
}

func TestAddrPredicates(t *testing.T) {
	for _, c := range []struct {
		addr                                        string
		zero, broadcast, multicast, local, aStation bool
	}{
		{"00:00:00:00:00:00", true, false, false, false, false},
		{"ff:ff:ff:ff:ff:ff", false, true, true, true, false},
		{"01:00:5e:00:00:01", false, false, true, false, false},
		{"02:00:00:00:00:01", false, false, false, true, true},
		{"00:00:5e:00:01:07", false, false, false, false, true}, // VRRP: RFC 9568 §7.3
	} {
		a := MustParseAddr(c.addr)
		if a.IsZero() != c.zero || a.IsBroadcast() != c.broadcast || a.IsMulticast() != c.multicast ||
			a.IsLocal() != c.local || a.IsStation() != c.aStation {
			t.Errorf("%v: zero %v broadcast %v multicast %v local %v station %v", a,
				a.IsZero(), a.IsBroadcast(), a.IsMulticast(), a.IsLocal(), a.IsStation())
		}
	}
}

func TestAddrText(t *testing.T) {
	type doc struct{ MAC Addr }
	in := doc{Addr{0xde, 0xad, 0xbe, 0xef, 0, 1}}
	b, err := json.Marshal(in)
	if err != nil || string(b) != `{"MAC":"de:ad:be:ef:00:01"}` {
		t.Fatalf("Marshal = %s, %v", b, err)
	}
	var out doc
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Fatalf("Unmarshal = %v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"MAC":"nonsense"}`), &out); !errors.Is(err, ErrBadAddr) {
		t.Fatalf("Unmarshal(nonsense) = %v, want ErrBadAddr", err)
	}
}

func TestAddrAppendDoesNotAllocate(t *testing.T) {
	buf, a := make([]byte, 0, 32), Broadcast
	if n := testing.AllocsPerRun(100, func() { buf = a.AppendTo(buf[:0]) }); n != 0 {
		t.Errorf("AppendTo allocates %v times", n)
	}
}
