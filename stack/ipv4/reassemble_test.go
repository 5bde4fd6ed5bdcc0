package ipv4

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type frag struct {
	h    Header
	opts []byte
	data []byte
}

func cut(t testing.TB, h Header, opts, payload []byte, mtu int) (out []frag) {
	t.Helper()
	if err := Fragment(h, opts, payload, mtu, func(h Header, opts, part []byte) {
		b := packet(h, opts, part)
		if len(b) > mtu {
			t.Errorf("fragment of %d octets for an MTU of %d", len(b), mtu)
		}
		h2, o2, p2, err := Parse(b)
		if err != nil || h2 != h {
			t.Errorf("fragment does not parse: %v", err)
		}
		out = append(out, frag{h2, o2, p2})
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func feed(r *Reassembler, at time.Time, frags ...frag) (whole []byte, h Header, err error) {
	for _, f := range frags {
		h1, _, w, e := r.Input(at, 1, f.h, f.opts, f.data)
		if e != nil {
			err = e
		}
		if w != nil {
			whole, h = w, h1
		}
	}
	return whole, h, err
}

//rfc:1122 reassembly-size reassembly-unbounded
//rfc:791 fragment reassemble
//rfc:5722 sent
func TestFragmentAndReassemble(t *testing.T) {
	for _, n := range []int{0, 1, 2, 10, 100, 1000, 1480, 1481, 5000, 10000, 65515} {
		for _, mtu := range []int{68, 576, 1500} {
			frags := cut(t, plain(), nil, pattern(n), mtu)
			if n+20 <= mtu {
				if len(frags) != 1 || frags[0].h.IsFragment() {
					t.Fatalf("%d octets at MTU %d were cut into %d", n, mtu, len(frags))
				}
				continue
			}
			r := NewReassembler(ReassemblerConfig{})
			whole, h, err := feed(r, t0, frags...)
			if err != nil || !bytes.Equal(whole, pattern(n)) || h != plain() {
				t.Fatalf("%d octets at MTU %d: %v, %d back, %+v", n, mtu, err, len(whole), h)
			}
			if r.Len() != 0 || r.Bytes() != 0 || !r.Deadline().IsZero() {
				t.Fatalf("%d datagrams and %d octets left behind", r.Len(), r.Bytes())
			}
		}
	}
}

// mirage-tcpip "simple fragment": 1030 octets in packets of 36.
func TestFragmentTiny(t *testing.T) {
	if frags := cut(t, plain(), nil, pattern(1030), 36); len(frags) != 65 {
		t.Errorf("%d fragments, want 65", len(frags))
	}
}

//rfc:791 do-not-fragment
//rfc:6864 do-not-fragment
func TestFragmentErrors(t *testing.T) {
	df := plain()
	df.DF = true
	for name, tc := range map[string]struct {
		h       Header
		n, mtu  int
		opts    []byte
		wantErr error
	}{
		"DF":           {df, 1481, 1500, nil, ErrNeedFrag},
		"too long":     {plain(), 65516, 1500, nil, ErrTooLong},
		"too narrow":   {plain(), 100, 27, nil, ErrMTUTooSmall},
		"44 options":   {plain(), 1, 1500, make([]byte, 44), ErrTooLong},
		"DF that fits": {df, 1480, 1500, nil, nil},
	} {
		emitted := 0
		err := Fragment(tc.h, tc.opts, make([]byte, tc.n), tc.mtu, func(Header, []byte, []byte) { emitted++ })
		if err != tc.wantErr || err != nil && emitted > 0 {
			t.Errorf("%s: %v after %d packets, want %v", name, err, emitted, tc.wantErr)
		}
	}
}

// RFC 791 §3.1: only options with the copied flag go into later fragments.
//
//rfc:791 copied-options
func TestFragmentOptions(t *testing.T) {
	opts := []byte{7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0} // record route, router alert
	frags := cut(t, plain(), opts, pattern(3000), 1500)
	for i, f := range frags {
		if route := bytes.Contains(f.opts, []byte{7, 7, 4}); route != (i == 0) {
			t.Errorf("fragment %d: record route %v", i, route)
		}
		if !bytes.Contains(f.opts, []byte{148, 4, 0, 0}) {
			t.Errorf("fragment %d lacks the router alert", i)
		}
	}
	if whole, _, err := feed(NewReassembler(ReassemblerConfig{}), t0, frags...); err != nil || len(whole) != 3000 {
		t.Errorf("%d octets, %v", len(whole), err)
	}
}

func permutations(n int, visit func([]int)) {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	var walk func(int)
	walk = func(k int) {
		if k == n {
			visit(p)
			return
		}
		for i := k; i < n; i++ {
			p[k], p[i] = p[i], p[k]
			walk(k + 1)
			p[k], p[i] = p[i], p[k]
		}
	}
	walk(0)
}

func TestReassembleEveryOrder(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5} {
		frags := cut(t, plain(), nil, pattern(n*16-3), 36)
		if len(frags) != n {
			t.Fatalf("%d fragments, want %d", len(frags), n)
		}
		permutations(n, func(p []int) {
			r := NewReassembler(ReassemblerConfig{})
			for i, j := range p {
				whole, _, err := feed(r, t0, frags[j])
				if err != nil || (whole != nil) != (i == n-1) {
					t.Fatalf("order %v, step %d: %v, %d octets", p, i, err, len(whole))
				}
				if whole != nil && !bytes.Equal(whole, pattern(n*16-3)) {
					t.Fatalf("order %v: bytes differ", p)
				}
			}
		})
	}
}

//rfc:791 same-flow
func TestReassembleInterleavedFlows(t *testing.T) {
	a, b := plain(), plain()
	b.ID++
	fa, fb := cut(t, a, nil, pattern(3000), 1500), cut(t, b, nil, pattern(2990), 1500)
	r := NewReassembler(ReassemblerConfig{})
	for i := range 2 {
		if w, _, _ := feed(r, t0, fa[i], fb[i]); w != nil {
			t.Fatal("complete too early")
		}
	}
	wa, _, _ := feed(r, t0, fa[2])
	wb, _, _ := feed(r, t0, fb[2])
	if !bytes.Equal(wa, pattern(3000)) || !bytes.Equal(wb, pattern(2990)) {
		t.Error("flows were mixed")
	}
}

// Holes: with any fragment missing nothing is returned.
func TestReassembleHoles(t *testing.T) {
	frags := cut(t, plain(), nil, pattern(80), 36)
	for skip := range frags {
		r := NewReassembler(ReassemblerConfig{})
		for i, f := range frags {
			if i != skip {
				if w, _, _ := feed(r, t0, f); w != nil {
					t.Fatalf("complete without fragment %d", skip)
				}
			}
		}
	}
}

// RFC 5722 §4 applied to IPv4.
//
//rfc:5722 overlap silent later
func TestReassembleOverlap(t *testing.T) {
	at := func(off, n int, more bool, fill byte) frag {
		h := plain()
		h.Offset, h.MF = uint16(off), more
		return frag{h, nil, bytes.Repeat([]byte{fill}, n)}
	}
	for name, seq := range map[string][]frag{
		"same place, other bytes":  {at(0, 16, true, 1), at(0, 16, true, 2)},
		"head":                     {at(8, 16, true, 1), at(0, 16, true, 1)},
		"tail":                     {at(0, 16, true, 1), at(8, 16, true, 1)},
		"inside":                   {at(0, 32, true, 1), at(8, 8, true, 1)},
		"around":                   {at(8, 8, true, 1), at(0, 32, true, 1)},
		"same place, longer":       {at(0, 8, true, 1), at(0, 16, true, 1)},
		"bridges two":              {at(0, 16, true, 1), at(24, 16, true, 1), at(8, 24, true, 1)},
		"same bytes, MF differs":   {at(0, 16, true, 1), at(0, 16, false, 1)},
		"two ends":                 {at(16, 8, false, 1), at(32, 8, false, 1)},
		"beyond the end":           {at(16, 8, false, 1), at(24, 8, true, 1)},
		"end before what is there": {at(32, 8, true, 1), at(16, 8, false, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReassembler(ReassemblerConfig{})
			if _, _, err := feed(r, t0, seq[:len(seq)-1]...); err != nil {
				t.Fatal(err)
			}
			if _, _, err := feed(r, t0, seq[len(seq)-1]); !errors.Is(err, ErrOverlap) && !errors.Is(err, ErrFragment) {
				t.Fatalf("got %v", err)
			}
			// A clean copy of the datagram is refused until the time-out...
			clean := []frag{at(0, 16, true, 9), at(16, 8, false, 9)}
			if w, _, err := feed(r, t0, clean...); w != nil || err == nil {
				t.Fatal("the datagram was taken after all")
			}
			if r.Bytes() != datagramCost {
				t.Errorf("%d octets held for a dropped datagram", r.Bytes())
			}
			r.Expire(t0.Add(DefaultReassemblyTimeout), func(Expired) { t.Error("time-out reported for a dropped datagram") })
			// ... and welcome afterwards.
			if w, _, err := feed(r, t0.Add(DefaultReassemblyTimeout), clean...); len(w) != 24 || err != nil {
				t.Errorf("%d octets, %v", len(w), err)
			}
		})
	}
}

func TestReassembleDuplicates(t *testing.T) {
	frags := cut(t, plain(), nil, pattern(4000), 1500)
	r := NewReassembler(ReassemblerConfig{})
	whole, _, err := feed(r, t0, frags[0], frags[0], frags[2], frags[2], frags[0], frags[1])
	if err != nil || !bytes.Equal(whole, pattern(4000)) {
		t.Errorf("%v, %d octets", err, len(whole))
	}
}

//rfc:792 reassembly-time
func TestReassembleTimeout(t *testing.T) {
	frags := cut(t, plain(), nil, pattern(4000), 1500)
	other := plain()
	other.ID++
	tail := cut(t, other, nil, pattern(4000), 1500)[1:]
	r := NewReassembler(ReassemblerConfig{Timeout: 10 * time.Second})
	feed(r, t0, frags[:2]...)
	feed(r, t0.Add(time.Second), tail...)
	// The clock runs from the first arrival, whatever comes later.
	feed(r, t0.Add(9*time.Second), frags[1])
	if want := t0.Add(10 * time.Second); !r.Deadline().Equal(want) {
		t.Fatalf("deadline %v, want %v", r.Deadline(), want)
	}
	var got []Expired
	collect := func(e Expired) { got = append(got, e) }
	if r.Expire(t0.Add(10*time.Second-1), collect); len(got) != 0 {
		t.Fatal("expired too early")
	}
	r.Expire(t0.Add(11*time.Second), collect)
	if len(got) != 2 || r.Len() != 0 || r.Bytes() != 0 {
		t.Fatalf("%d expired, %d left with %d octets", len(got), r.Len(), r.Bytes())
	}
	if !bytes.Equal(got[0].Payload, pattern(4000)[:1480]) || !got[0].Header.MF {
		t.Error("the first fragment is not there to be quoted")
	}
	if got[1].Payload != nil {
		t.Error("a datagram without its first fragment must not be reported")
	}
	if w, _, _ := feed(r, t0.Add(12*time.Second), frags[2]); w != nil {
		t.Error("completed from what had expired")
	}
}

// What is missing has a minute to come (RFC 1122 §3.3.2), and no more than two.
//
//rfc:1122 reassembly-minute
func TestReassembleWaitsAMinute(t *testing.T) {
	frags := cut(t, plain(), nil, pattern(2000), 1500)
	for wait, complete := range map[time.Duration]bool{time.Minute - time.Nanosecond: true, 2 * time.Minute: false} {
		r := NewReassembler(ReassemblerConfig{})
		feed(r, t0, frags[0])
		if w, _, _ := feed(r, t0.Add(wait), frags[1]); (w != nil) != complete {
			t.Errorf("after %v: complete %t, want %t", wait, w != nil, complete)
		}
	}
}

// A fragment that comes when the time is up but before Expire ran starts anew.
func TestReassembleLateFragment(t *testing.T) {
	frags := cut(t, plain(), nil, pattern(2000), 1500)
	r := NewReassembler(ReassemblerConfig{})
	feed(r, t0, frags[0])
	if w, _, _ := feed(r, t0.Add(DefaultReassemblyTimeout), frags[1]); w != nil {
		t.Error("completed after its time")
	}
}

func TestReassemblerCaps(t *testing.T) {
	from := func(a string, id uint16) Header {
		h := plain()
		h.Src, h.ID, h.MF = netip.MustParseAddr(a), id, true
		return h
	}
	r := NewReassembler(ReassemblerConfig{MaxBytes: 100_000, MaxBytesPerSource: 40_000, MaxDatagrams: 50})
	victim := from("192.0.2.99", 7)
	r.Input(t0, 1, victim, nil, pattern(8))
	for id := range uint16(2000) {
		r.Input(t0, 1, from("192.0.2.66", id), nil, pattern(8192))
		if r.Bytes() > 100_000 || r.sources[netip.MustParseAddr("192.0.2.66")].bytes > 40_000+datagramCost || r.Len() > 50 {
			t.Fatalf("%d octets in %d datagrams", r.Bytes(), r.Len())
		}
	}
	last := victim
	last.MF, last.Offset = false, 8
	if _, _, w, err := r.Input(t0, 1, last, nil, pattern(8)); len(w) != 16 {
		t.Errorf("a flood from one source displaced another's datagram: %v", err)
	}
	if r.Evicted() == 0 {
		t.Error("nothing was counted")
	}
	if _, _, _, err := r.Input(t0, 1, from("192.0.2.3", 1), nil, pattern(41_000&^7)); err != ErrFragLimit {
		t.Errorf("a fragment beyond the cap: %v", err)
	}
	for i := range 2000 { // many sources: the total holds
		r.Input(t0, 1, from(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), 1), nil, pattern(8192))
		if r.Bytes() > 100_000+50*datagramCost || r.Len() > 50 {
			t.Fatalf("%d octets in %d datagrams", r.Bytes(), r.Len())
		}
	}
	r.Expire(t0.Add(time.Hour), func(Expired) {})
	if r.Bytes() != 0 || len(r.sources) != 0 {
		t.Errorf("%d octets and %d sources leak", r.Bytes(), len(r.sources))
	}
}

// A flood from invented sources fills the table; a host that sends several
// datagrams at a time, in pieces that cross, is still heard.
func TestReassembleUnderFlood(t *testing.T) {
	r := NewReassembler(ReassemblerConfig{})
	flood := func(n int) {
		for i := range n {
			h := plain()
			h.Src, h.MF = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), true
			r.Input(t0, 1, h, nil, pattern(8))
		}
	}
	flood(2 * DefaultMaxDatagrams)
	var frags [8][]frag
	for i := range frags {
		h := plain()
		h.ID = uint16(100 + i)
		frags[i] = cut(t, h, nil, pattern(2000), 1500)
		feed(r, t0, frags[i][1])
		flood(10)
	}
	for i := range frags {
		if w, _, err := feed(r, t0, frags[i][0]); len(w) != 2000 {
			t.Errorf("datagram %d: %d octets, %v", i, len(w), err)
		}
	}
	h := plain()
	h.MF = true
	for h.ID = 0; h.ID < 2*DefaultMaxDatagrams; h.ID++ { // one source, which gets no more than its share
		r.Input(t0, 1, h, nil, pattern(8))
	}
	if n, share := r.sources[h.Src].datagrams, DefaultMaxDatagrams/fairShare; n != share || r.Len() != DefaultMaxDatagrams {
		t.Errorf("one source has %d datagrams, not %d, of %d", n, share, r.Len())
	}
}

func FuzzReassembler(f *testing.F) {
	f.Add(uint64(1), []byte("\x00\x02\x01\x02\x02\x00"))
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := NewReassembler(ReassemblerConfig{MaxBytes: 4096, MaxBytesPerSource: 2048, MaxDatagrams: 8})
		now := t0
		for ; len(script) >= 2; script = script[2:] {
			h := plain()
			h.ID, h.Offset, h.MF = uint16(script[0]&3), uint16(script[0]>>2)*8, script[1]&0x80 != 0
			// Every octet says where it belongs, in one of two versions.
			body := make([]byte, script[1]&0x7f)
			for i := range body {
				body[i] = byte(int(h.Offset)+i)&^1 | byte(h.ID&1)
			}
			first, _, whole, err := r.Input(now, uint32(script[0]&1), h, nil, body)
			if len(whole) > MaxLen || whole != nil && (err != nil || first.IsFragment() || first.ID != h.ID) {
				t.Fatalf("%d octets of %+v, %v", len(whole), first, err)
			}
			for i, b := range whole {
				if b != byte(i)&^1|byte(h.ID&1) {
					t.Fatalf("octet %d of datagram %d is %#x", i, h.ID, b)
				}
			}
			if rng.IntN(8) == 0 {
				now = now.Add(time.Duration(rng.IntN(20)) * time.Second)
				r.Expire(now, func(Expired) {})
			}
			if r.Bytes() > 4096+8*datagramCost || r.Bytes() < 0 || r.Len() > 8 {
				t.Fatalf("%d octets in %d datagrams", r.Bytes(), r.Len())
			}
		}
		r.Expire(now.Add(time.Hour), func(Expired) {})
		if r.Bytes() != 0 || len(r.sources) != 0 || r.head != nil || r.tail != nil {
			t.Fatal("leak")
		}
	})
}

// RFC 3168 §5.3: a mark on one fragment is a mark on the datagram, unless another
// fragment says that the sender knows no ECN.
//
//rfc:3168 fragments fragments-unaware fragments-alike
func TestReassembleECN(t *testing.T) {
	for _, tc := range []struct {
		marks [3]uint8
		want  uint8
		err   error
	}{
		{[3]uint8{0, 0, 0}, 0, nil},
		{[3]uint8{2, 2, 2}, 2, nil},
		{[3]uint8{1, 1, 1}, 1, nil},
		{[3]uint8{2, 3, 2}, 3, nil},
		{[3]uint8{1, 2, 3}, 3, nil},
		{[3]uint8{3, 3, 3}, 3, nil},
		{[3]uint8{2, 1, 2}, 2, nil},
		{[3]uint8{2, 0, 2}, 2, nil},
		{[3]uint8{3, 0, 3}, 0, ErrFragECN},
		{[3]uint8{0, 0, 3}, 0, ErrFragECN},
	} {
		permutations(3, func(p []int) {
			r := NewReassembler(ReassemblerConfig{})
			frags := cut(t, plain(), nil, pattern(4000), 1500)
			for i := range frags {
				frags[i].h.TOS |= tc.marks[i]
			}
			whole, h, err := feed(r, t0, frags[p[0]], frags[p[1]], frags[p[2]])
			if err != tc.err || (whole != nil) != (err == nil) {
				t.Fatalf("%v: %v", tc.marks, err)
			}
			if err == nil && h.TOS != plain().TOS|tc.want {
				t.Errorf("%v in order %v: TOS %#x, want ECN %d", tc.marks, p, h.TOS, tc.want)
			}
			if r.Len() != 0 || r.Bytes() != 0 {
				t.Errorf("%d octets left", r.Bytes())
			}
		})
	}
}

// Two links with the same addresses: fragments do not meet.
func TestReassembleLinks(t *testing.T) {
	frags := cut(t, plain(), nil, pattern(2000), 1500)
	r := NewReassembler(ReassemblerConfig{})
	for i, link := range []uint32{1, 2, 2, 1} {
		_, _, whole, err := r.Input(t0, link, frags[i%2].h, nil, frags[i%2].data)
		if err != nil || (whole != nil) != (i >= 2) {
			t.Fatalf("step %d: %d octets, %v", i, len(whole), err)
		}
	}
}

// Many tiny fragments, the last ones first, are no datagram of a real path: they are
// given up before it takes long to sort them in.
func TestReassembleTooManyParts(t *testing.T) {
	r := NewReassembler(ReassemblerConfig{})
	h := plain()
	h.MF = true
	limited := 0
	for n := range 8000 {
		h.Offset = uint16(8000-n) * 8
		if _, _, _, err := r.Input(t0, 1, h, nil, pattern(8)); err == ErrFragLimit {
			limited++
		}
		if d := r.head; d != nil && len(d.parts) > 1365 {
			t.Fatalf("%d parts", len(d.parts))
		}
	}
	if limited != 1 || r.Bytes() != datagramCost {
		t.Errorf("given up %d times, %d octets left behind", limited, r.Bytes())
	}
}
