package checksum

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// naive is RFC 1071 §4.1 word by word.
func naive(b []byte, sum uint32) uint16 {
	s := uint64(sum)
	for i := 0; i+1 < len(b); i += 2 {
		s += uint64(b[i])<<8 | uint64(b[i+1])
	}
	if len(b)%2 != 0 {
		s += uint64(b[len(b)-1]) << 8
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func random(seed uint64, n int) []byte {
	r, b := rand.New(rand.NewPCG(seed, 0)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

//rfc:1071 complement
func TestRFC1071Example(t *testing.T) { // §3
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if s := Sum(b, 0); s != 0xddf2 {
		t.Errorf("sum %#x", s)
	}
	if c := Checksum(Sum(b, 0)); c != ^uint16(0xddf2) {
		t.Errorf("checksum %#x", c)
	}
}

//rfc:1071 sum odd parallel
func TestSumAgainstNaive(t *testing.T) {
	for n := range 300 {
		b := random(uint64(n), n)
		for _, initial := range []uint32{0, 1, 0xffff, 0x10000, 0xffffffff} {
			if got, want := Sum(b, initial), naive(b, initial); got != uint32(want) {
				t.Fatalf("%d octets from %#x: %#x, want %#x", n, initial, got, want)
			}
		}
		ones := bytes.Repeat([]byte{0xff}, n)
		if got := Sum(ones, 0xffffffff); got != uint32(naive(ones, 0xffffffff)) {
			t.Fatalf("%d ones: %#x", n, got)
		}
	}
}

func TestSumIsZeroOnlyForZeros(t *testing.T) {
	if Sum(make([]byte, 100), 0) != 0 {
		t.Error("zeros")
	}
	// 0xffff is the other zero of one's complement; UDP tells them apart.
	if Sum([]byte{0xff, 0xff}, 0) != 0xffff || Sum([]byte{0x80, 0, 0x7f, 0xff}, 0) != 0xffff {
		t.Error("a sum of ones became zero")
	}
}

//rfc:1071 order
func TestCombineAtEveryOffset(t *testing.T) {
	b := random(7, 131)
	want := uint16(Sum(b, 0))
	for cut := range len(b) + 1 {
		if got := Fold(Combine(Sum(b[:cut], 0), cut, Sum(b[cut:], 0))); got != want {
			t.Fatalf("cut at %d: %#x, want %#x", cut, got, want)
		}
	}
	if got := Fold(SumSlices([][]byte{b[:3], nil, b[3:4], b[4:64], b[64:]}, 0x12345)); got != naive(b, 0x12345) {
		t.Fatalf("slices: %#x", got)
	}
}

func TestPseudo(t *testing.T) {
	for _, tc := range []struct{ src, dst string }{
		{"192.0.2.1", "198.51.100.7"}, {"255.255.255.255", "255.255.255.254"},
		{"2001:db8::1", "fe80::ffff:ffff:ffff:ffff"}, {"::", "ff02::1"},
	} {
		src, dst := netip.MustParseAddr(tc.src), netip.MustParseAddr(tc.dst)
		for _, length := range []int{0, 20, 65535, 100_000} {
			h := append(src.AsSlice(), dst.AsSlice()...)
			h = binary.BigEndian.AppendUint32(h, uint32(length))
			h = append(h, 0, 0, 0, 6)
			if got, want := Fold(Pseudo(src, dst, 6, length)), naive(h, 0); got != want {
				t.Errorf("%v, %d: %#x, want %#x", tc, length, got, want)
			}
		}
	}
	a := netip.MustParseAddr("10.1.2.3")
	if PseudoAddrs(a, a) != PseudoAddrs(netip.MustParseAddr("::ffff:10.1.2.3"), a) {
		t.Error("a mapped address counts as IPv4")
	}
}

//rfc:1071 incremental
//rfc:1624 update several
func TestRFC1624Update(t *testing.T) { // §4: the case that RFC 1141 gets wrong
	if got := Update(0xdd2f, 0x5555, 0x3285); got != 0 {
		t.Fatalf("%#04x, want 0", got)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		b := random(r.Uint64(), 40)
		binary.BigEndian.PutUint16(b[10:], 0)
		field := Checksum(Sum(b, 0))
		fresh := random(r.Uint64(), 8)
		got := UpdateSlice(field, b[12:20], fresh)
		word := Update(field, binary.BigEndian.Uint16(b[12:]), binary.BigEndian.Uint16(fresh))
		if want := UpdateSlice(field, b[12:14], fresh[:2]); word != want {
			t.Fatalf("word: %#x, want %#x", word, want)
		}
		copy(b[12:], fresh)
		if want := Checksum(Sum(b, 0)); got != want {
			t.Fatalf("slice: %#x, want %#x", got, want)
		}
		binary.BigEndian.PutUint16(b[10:], got)
		if Checksum(Sum(b, 0)) != 0 {
			t.Fatal("the updated packet does not verify")
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte("some octets"), uint32(0), 3)
	f.Add(bytes.Repeat([]byte{0xff}, 70), uint32(0xffffffff), 33)
	f.Fuzz(func(t *testing.T, b []byte, initial uint32, cut int) {
		want := naive(b, initial)
		if got := Sum(b, initial); got != uint32(want) {
			t.Fatalf("%#x, want %#x", got, want)
		}
		if cut < 0 || cut > len(b) {
			return
		}
		if got := Fold(Combine(Sum(b[:cut], initial), cut, Sum(b[cut:], 0))); got != want {
			t.Fatalf("cut at %d: %#x, want %#x", cut, got, want)
		}
	})
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 40, 576, 1460, 65536} {
		buf := random(1, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				Sum(buf, 0)
			}
		})
	}
}

func Example() {
	src, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	segment := []byte{0x00, 0x35, 0x00, 0x35, 0x00, 0x0a, 0x00, 0x00, 'h', 'i'} // UDP, checksum field zero
	sum := Pseudo(src, dst, 17, len(segment))
	field := Checksum(Sum(segment, sum))
	binary.BigEndian.PutUint16(segment[6:], field)
	fmt.Printf("%#04x, verified: %v\n", field, Checksum(Sum(segment, sum)) == 0)
	// Output: 0x1303, verified: true
}
