package tcp

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

func raw(options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, optEnd)
	}
	b := []byte{0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, byte(5+len(options)/4) << 4, byte(ACK), 1, 0, 0, 0, 0, 0}
	return append(append(b, options...), "text"...)
}

func TestParseSegmentErrors(t *testing.T) {
	offset := func(words byte) []byte {
		b := raw()
		b[12] = words << 4
		return b
	}
	zero := raw()
	zero[1] = 0
	for _, tc := range []struct {
		b    []byte
		want error
	}{
		{nil, ErrShort}, {raw()[:19], ErrShort}, {offset(4), ErrDataOffset}, {offset(7), ErrDataOffset},
		{zero, ErrPort}, {offset(6), nil}, {raw()[:20], nil},
	} {
		if _, err := ParseSegment(tc.b); err != tc.want {
			t.Errorf("%x: %v, want %v", tc.b, err, tc.want)
		}
	}
}

//rfc:9293 MUST-4 MUST-5 MUST-6 MUST-7 MUST-64
func TestRFC9293OptionsParsedLeniently(t *testing.T) { // MUST-5 to MUST-7
	mss := Options{MSS: 1460}
	for _, tc := range []struct {
		name string
		opt  []byte
		want Options
	}{
		{"none", nil, Options{}},
		{"MSS", []byte{2, 4, 5, 180}, mss},
		{"bogus length", []byte{2, 4, 5, 180, 8, 255, 1, 1}, mss},
		{"zero length", []byte{2, 4, 5, 180, 8, 0, 3, 3, 7}, mss},
		{"length one", []byte{2, 4, 5, 180, 99, 1, 3, 3, 7}, mss},
		{"cut off", []byte{2, 4, 5, 180, 1, 1, 1, 8}, mss},
		{"stops at end of list", []byte{2, 4, 5, 180, 0, 3, 3, 7}, mss},
		{"unknown skipped", []byte{99, 4, 0, 0, 2, 4, 5, 180}, mss},
		{"wrong length of a known kind", []byte{2, 3, 1, 1, 2, 4, 5, 180}, mss},
		{"NOP padding", []byte{1, 1, 1, 1, 2, 4, 5, 180}, mss},
		{"window scale clamped", []byte{3, 3, 20}, Options{HasWindowScale: true, WindowScale: 14}},
		{"timestamps unaligned", []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, Options{HasTimestamps: true, TSVal: 1, TSEcr: 2}},
		{"Fast Open, a request", []byte{34, 2}, Options{FastOpen: true}},
		{"Fast Open, a cookie", []byte{34, 6, 1, 2, 3, 4}, Options{FastOpen: true, Cookie: FastOpenCookie{4, [16]byte{1, 2, 3, 4}}}},
		{"Fast Open, an old request", []byte{254, 4, 0xf9, 0x89}, Options{FastOpen: true, FastOpenOld: true}},
		{"Fast Open, an old cookie", []byte{254, 8, 0xf9, 0x89, 1, 2, 3, 4}, Options{FastOpen: true, FastOpenOld: true, Cookie: FastOpenCookie{4, [16]byte{1, 2, 3, 4}}}},
		{"another experiment", []byte{254, 4, 0xf9, 0x88}, Options{}},
		{"an experiment without a name", []byte{254, 3, 0xf9}, Options{}},
		{"Fast Open, an odd length", []byte{34, 7, 1, 2, 3, 4, 5}, Options{}},
		{"Fast Open, too short", []byte{34, 4, 1, 2}, Options{}},
		{"Fast Open, too long", append([]byte{34, 20}, make([]byte, 18)...), Options{}},
		{"SACK", []byte{5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, Options{NSACK: 1, SACK: [4]SACKBlock{{1, 2}}}},
		{"half a SACK block", []byte{5, 6, 0, 0, 0, 1, 2, 4, 5, 180}, mss},
	} {
		s, err := ParseSegment(raw(tc.opt...))
		if err != nil || s.Options != tc.want || string(s.Payload) != "text" {
			t.Errorf("%s: %+v, %v", tc.name, s.Options, err)
		}
	}
}

//rfc:9293 MUST-68 MUST-69
func TestSegmentRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := Segment{SrcPort: 1, DstPort: 2, Seq: Seq(r.Uint32()), Ack: Seq(r.Uint32()), Flags: Flags(r.Uint32()), Window: uint16(r.Uint32()), Urgent: 9}
		o := &s.Options
		if r.IntN(2) == 0 {
			o.MSS, o.SACKPermitted = uint16(1+r.IntN(65535)), true
		}
		if r.IntN(2) == 0 {
			o.HasTimestamps, o.TSVal, o.TSEcr = true, r.Uint32(), r.Uint32()
		}
		switch {
		case r.IntN(2) == 0:
			o.HasWindowScale, o.WindowScale = true, uint8(r.IntN(15))
		case o.MSS == 0:
			for range 1 + r.IntN(3) {
				o.SACK[o.NSACK] = SACKBlock{Seq(r.Uint32()), Seq(r.Uint32())}
				o.NSACK++
			}
		}
		if n := 4 + 2*r.IntN(3); o.NSACK == 0 && r.IntN(2) == 0 {
			o.FastOpen, o.FastOpenOld = true, r.IntN(2) == 0
			o.Cookie, _ = NewFastOpenCookie(make([]byte, n))
		}
		b := s.AppendHeader(nil)
		if len(b) != s.HeaderLen() || len(b)%4 != 0 || len(b) > MaxHeaderLen {
			t.Fatalf("%d octets, HeaderLen %d", len(b), s.HeaderLen())
		}
		got, err := ParseSegment(append(b, 1, 2, 3))
		s.Payload = []byte{1, 2, 3}
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%v\n%v\n%v", &got, &s, err)
		}
	}
}

func TestSeqComparesAcrossTheWraps(t *testing.T) {
	for _, base := range []Seq{0, 1<<31 - 1, 1<<31 - 5, 1<<32 - 1, 1<<32 - 5} {
		a, b := base, base.Add(10)
		if !a.Before(b) || !b.After(a) || a.AfterEq(b) || b.BeforeEq(a) || b.Sub(a) != 10 || a.Sub(b) != -10 ||
			!a.BeforeEq(a) || !a.AfterEq(a) || !b.Add(-1).In(a, 10) || b.In(a, 10) || a.Add(-1).In(a, 10) ||
			maxSeq(a, b) != b || minSeq(a, b) != a {
			t.Errorf("around %#x", uint32(base))
		}
	}
}

func TestFlagsString(t *testing.T) {
	if s := (SYN | ACK).String(); s != "S." {
		t.Error(s)
	}
	if s := Flags(0xff).String(); s != "FSRP.UEW" {
		t.Error(s)
	}
	if !(SYN | ACK).Has(SYN) || SYN.Has(SYN|ACK) || Flags(0).String() != "none" {
		t.Error("Has or none")
	}
}

// FuzzParseSegment: no input panics, and what was understood survives a round
// trip.
func FuzzParseSegment(f *testing.F) {
	f.Add(raw(2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2))
	f.Add(raw(1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2))
	f.Add(raw()[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSegment(b)
		if err != nil {
			return
		}
		_ = s.String()
		h := s.AppendHeader(nil)
		if len(h) != s.HeaderLen() {
			t.Fatalf("%d octets, HeaderLen %d", len(h), s.HeaderLen())
		}
		if len(h) > MaxHeaderLen {
			return // one option of each kind need not fit
		}
		again, err := ParseSegment(append(h, s.Payload...))
		if err != nil || again.Options != s.Options || again.Seq != s.Seq || !bytes.Equal(again.Payload, s.Payload) {
			t.Fatalf("%v, %v, then %v", err, &s, &again)
		}
	})
}
