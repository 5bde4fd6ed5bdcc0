package icmp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

//rfc:792 checksum-sent
func TestEcho(t *testing.T) {
	for _, n := range []int{0, 1, 56, 65507} {
		m := NewEcho(0xbeef, 42, bytes.Repeat([]byte{7}, n))
		got, err := Parse(m.AppendTo(nil))
		if err != nil || got.Type != Echo || got.ID() != 0xbeef || got.Seq() != 42 || !bytes.Equal(got.Body, m.Body) {
			t.Fatalf("%d octets: %+v, %v", n, got, err)
		}
		r := got.Reply()
		got, err = Parse(r.AppendTo(nil))
		if err != nil || got.Type != EchoReply || got.ID() != 0xbeef || got.Seq() != 42 || !bytes.Equal(got.Body, m.Body) {
			t.Fatalf("reply of %d octets: %+v, %v", n, got, err)
		}
	}
}

//rfc:792 checksum
func TestParseRefuses(t *testing.T) {
	m := NewEcho(1, 2, []byte("abc"))
	b := m.AppendTo(nil)
	if _, err := Parse(b[:7]); err != ErrShort {
		t.Errorf("short read: %v", err)
	}
	b[9] ^= 4
	if _, err := Parse(b); err != ErrChecksum {
		t.Errorf("changed octet: %v", err)
	}
}

// RFC 1812 §4.3.2.3: as much as fits 576 octets; RFC 1122 §3.2.2: at least the
// header and 8 octets.
//
//rfc:792 unused
func TestErrorsQuote(t *testing.T) {
	long, short := bytes.Repeat([]byte{0x45}, 1500), bytes.Repeat([]byte{0x45}, 28)
	for _, m := range []Message{
		NewUnreachable(CodePort, long), NewFragNeeded(1400, long),
		NewTimeExceeded(CodeReassembly, long), NewParamProblem(22, long),
	} {
		if b := m.AppendTo(nil); len(b)+20 != MaxErrorLen || !m.Type.IsError() {
			t.Errorf("type %d: %d octets", m.Type, len(b))
		}
		unused := m.Rest
		switch m.Type {
		case ParamProblem:
			unused[0] = 0
		case Unreachable: // RFC 1191 §4 uses it
			if m.Code == CodeFragNeeded {
				unused[2], unused[3] = 0, 0
			}
		}
		if unused != [4]byte{} {
			t.Errorf("type %d: what is unused is %v", m.Type, unused)
		}
	}
	if m := NewUnreachable(CodePort, short); len(m.Body) != 28 {
		t.Errorf("a packet of 28 octets is quoted with %d", len(m.Body))
	}
	m := NewFragNeeded(1400, short)
	if got, err := Parse(m.AppendTo(nil)); err != nil || got.MTU() != 1400 || got.Code != CodeFragNeeded {
		t.Errorf("%+v, %v", got, err)
	}
	p := NewParamProblem(22, short)
	if got, err := Parse(p.AppendTo(nil)); err != nil || got.Pointer() != 22 {
		t.Errorf("%+v, %v", got, err)
	}
}

//rfc:1122 no-error-about-error no-error-about-broadcast no-error-about-link-broadcast no-error-about-fragment no-error-to-group
func TestMayReport(t *testing.T) {
	a := netip.MustParseAddr
	good := Offender{Src: a("192.0.2.1"), Dst: a("192.0.2.2")}
	if !good.MayReport() {
		t.Fatal("a plain packet may not be reported")
	}
	edit := func(f func(o *Offender)) Offender { o := good; f(&o); return o }
	for name, o := range map[string]Offender{
		"error":             edit(func(o *Offender) { o.IsICMP, o.Type = true, TimeExceeded }),
		"redirect":          edit(func(o *Offender) { o.IsICMP, o.Type = true, Redirect }),
		"unknown type":      edit(func(o *Offender) { o.IsICMP, o.Type = true, 200 }),
		"later fragment":    edit(func(o *Offender) { o.FragOffset = 8 }),
		"link broadcast":    edit(func(o *Offender) { o.Group = true }),
		"subnet broadcast":  edit(func(o *Offender) { o.Directed = true }),
		"limited broadcast": edit(func(o *Offender) { o.Dst = a("255.255.255.255") }),
		"multicast":         edit(func(o *Offender) { o.Dst = a("224.0.0.1") }),
		"from 0.0.0.0":      edit(func(o *Offender) { o.Src = a("0.0.0.0") }),
		"from loopback":     edit(func(o *Offender) { o.Src = a("127.0.0.1") }),
		"from multicast":    edit(func(o *Offender) { o.Src = a("224.0.0.1") }),
		"from class E":      edit(func(o *Offender) { o.Src = a("240.0.0.1") }),
		"from broadcast":    edit(func(o *Offender) { o.Src = a("255.255.255.255") }),
	} {
		if o.MayReport() {
			t.Errorf("%s: an error may be sent", name)
		}
	}
	for _, typ := range []Type{Echo, EchoReply, Timestamp} {
		if o := edit(func(o *Offender) { o.IsICMP, o.Type = true, typ }); !o.MayReport() {
			t.Errorf("type %d may not be reported", typ)
		}
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1, 0)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	l := NewLimiter(LimiterConfig{Rate: 100, Burst: 12, HostRate: 5, HostBurst: 8})
	count := func(dst netip.Addr) (n int) {
		for range 1000 {
			if l.Allow(now, dst) {
				n++
			}
		}
		return n
	}
	if n := count(a); n != 8 {
		t.Errorf("burst of %d to one host, want 8", n)
	}
	if n := count(b); n != 4 {
		t.Errorf("%d to the other, want the 4 that the total leaves", n)
	}
	now = now.Add(time.Second)
	if n := count(a); n != 5 {
		t.Errorf("%d after a second, want 5", n)
	}
	now = now.Add(time.Hour)
	if n := count(a); n != 8 {
		t.Errorf("%d after an hour, want the burst", n)
	}
	for i := range 100_000 {
		l.Allow(now, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(l.hosts) > maxHosts {
		t.Errorf("%d destinations remembered", len(l.hosts))
	}
}

// How many errors go to others cannot be told from how many come: the total varies,
// although not on average.
func TestLimiterIsNotCountable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[int]bool{}
	now, sum := time.Unix(1, 0), 0
	for range 200 {
		l := NewLimiter(LimiterConfig{Rand: rng.Uint64})
		n := 0
		for i := range 200 {
			if l.Allow(now, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) {
				n++
			}
		}
		seen[n] = true
		sum += n
	}
	if mean := sum / 200; len(seen) < 5 || mean < DefaultBurst-2 || mean > DefaultBurst+2 {
		t.Errorf("bursts of %v, %d on average, want about %d and no two alike", seen, mean, DefaultBurst)
	}
}

func FuzzParse(f *testing.F) {
	m := NewEcho(1, 2, []byte("abc"))
	f.Add(m.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		if got := m.AppendTo(nil); !bytes.Equal(got[:2], b[:2]) || !bytes.Equal(got[4:], b[4:]) {
			t.Errorf("% x became % x", b, got)
		}
	})
}
