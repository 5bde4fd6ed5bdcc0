package ipv4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/checksum"
)

var (
	src = netip.MustParseAddr("192.0.2.1")
	dst = netip.MustParseAddr("198.51.100.7")
)

func plain() Header {
	return Header{TOS: 0x2e << 2, ID: 0x1234, TTL: 64, Proto: ProtoUDP, Src: src, Dst: dst}
}

func packet(h Header, opts, payload []byte) []byte {
	return append(h.AppendTo(nil, opts, len(payload)), payload...)
}

func TestHeaderRoundTrip(t *testing.T) {
	routerAlert := []byte{148, 4, 0, 0}
	for name, tc := range map[string]struct {
		h    Header
		opts []byte
		body string
	}{
		"without options":     {plain(), nil, "abcdef"},
		"with options":        {plain(), routerAlert, "abcdef"},
		"hlen>5, no payload":  {plain(), routerAlert, ""},
		"empty":               {plain(), nil, ""},
		"reserved flag":       {Header{RF: true, TTL: 1, Proto: ProtoTCP, Src: src, Dst: dst}, nil, "x"},
		"don't fragment":      {Header{DF: true, TTL: 1, Proto: ProtoTCP, Src: src, Dst: dst}, nil, "x"},
		"first fragment":      {Header{ID: 1, MF: true, TTL: 1, Proto: ProtoTCP, Src: src, Dst: dst}, nil, "12345678"},
		"last fragment":       {Header{ID: 1, Offset: 65504, TTL: 1, Src: src, Dst: dst}, nil, "x"},
		"options of 3 octets": {plain(), []byte{1, 1, 1}, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			b := packet(tc.h, tc.opts, []byte(tc.body))
			padded := append(bytes.Clone(b), "link padding"...)
			h, opts, payload, err := Parse(padded)
			if err != nil {
				t.Fatal(err)
			}
			if h != tc.h || string(payload) != tc.body {
				t.Errorf("got %+v %q, want %+v %q", h, payload, tc.h, tc.body)
			}
			if !bytes.HasPrefix(opts, tc.opts) || len(opts) != (len(tc.opts)+3)&^3 {
				t.Errorf("options % x, want % x padded", opts, tc.opts)
			}
		})
	}
}

//rfc:791 lengths version ihl checksum mf-length beyond option-length
func TestParseRefuses(t *testing.T) {
	// fix makes the checksum right again after an edit.
	fix := func(b []byte, edit func(b []byte)) []byte {
		edit(b)
		n := int(b[0]&15) * 4
		if n < 20 || n > len(b) {
			n = 20
		}
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], checksum.Checksum(checksum.Sum(b[:n], 0)))
		return b
	}
	good := func() []byte { return packet(plain(), nil, []byte("12345678")) }
	withOpts := func(o ...byte) []byte { return packet(plain(), o, nil) }
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":               {nil, ErrShort},
		"19 octets":             {good()[:19], ErrShort},
		"version 6":             {fix(good(), func(b []byte) { b[0] = 0x65 }), ErrVersion},
		"header of 4 words":     {fix(good(), func(b []byte) { b[0] = 0x44 }), ErrHeaderLen},
		"header beyond packet":  {fix(good(), func(b []byte) { b[0] = 0x4f }), ErrHeaderLen},
		"total beyond packet":   {fix(good(), func(b []byte) { b[3] = 29 }), ErrTotalLen},
		"total below header":    {fix(good(), func(b []byte) { b[3] = 19 }), ErrTotalLen},
		"bad checksum":          {func() []byte { b := good(); b[8]--; return b }(), ErrChecksum},
		"MF of odd length":      {fix(append(good(), 1), func(b []byte) { b[3]++; b[6] = 0x20 }), ErrFragment},
		"MF of no length":       {fix(good(), func(b []byte) { b[3] = 20; b[6] = 0x20 }), ErrFragment},
		"fragment beyond 65535": {fix(good(), func(b []byte) { b[6], b[7] = 0x1f, 0xff }), ErrFragment},
		"option length 0":       {withOpts(7, 0, 4, 0), ErrOption},
		"option length 1":       {withOpts(148, 1, 0, 0), ErrOption},
		"option beyond header":  {withOpts(148, 5, 0, 0), ErrOption},
		"route pointer 3":       {withOpts(7, 7, 3, 0, 0, 0, 0, 0), ErrOption},
		"route not whole":       {withOpts(131, 6, 4, 0, 0, 0, 0, 0), ErrOption},
		"timestamp flag 2":      {withOpts(68, 8, 5, 2, 0, 0, 0, 0), ErrOption},
		"timestamp pointer 4":   {withOpts(68, 8, 4, 0, 0, 0, 0, 0), ErrOption},
		"option's length cut":   {withOpts(1, 1, 1, 7), ErrOption},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := Parse(tc.b); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

//rfc:791 end-of-options
func TestOptionsPosition(t *testing.T) {
	for _, tc := range []struct {
		opts []byte
		pos  int
	}{
		{[]byte{1, 7, 3, 3}, 3},
		{[]byte{1, 7, 4, 4}, 2},
		{[]byte{1, 1, 148, 9}, 3},
		{[]byte{1, 1, 1, 148}, 3},
		{[]byte{68, 8, 5, 2, 0, 0, 0, 0}, 3},
	} {
		if pos, err := CheckOptions(tc.opts); err != ErrOption || pos != tc.pos {
			t.Errorf("% x: got %d, %v, want %d", tc.opts, pos, err, tc.pos)
		}
	}
	if _, err := CheckOptions([]byte{0, 7, 0, 0}); err != nil {
		t.Errorf("octets behind the end of the list count: %v", err)
	}
}

func TestSourceRoute(t *testing.T) {
	for _, tc := range []struct {
		opts            []byte
		found, complete bool
	}{
		{[]byte{1, 131, 7, 4, 1, 2, 3, 4}, true, false},
		{[]byte{131, 7, 8, 1, 2, 3, 4}, true, true},
		{[]byte{137, 3, 4}, true, true},
		{[]byte{148, 4, 131, 137}, false, false},
		{[]byte{7, 3, 4, 0}, false, false},
		{[]byte{131, 2}, false, false},
	} {
		if found, complete := SourceRoute(tc.opts); found != tc.found || complete != tc.complete {
			t.Errorf("% x: found %v, complete %v", tc.opts, found, complete)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packet(plain(), []byte{148, 4, 0, 0}, []byte("abc")))
	f.Add(packet(plain(), []byte{7, 7, 4, 0, 0, 0, 0}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, opts, payload, err := Parse(b)
		if err != nil {
			return
		}
		again := packet(h, opts, payload)
		want := b[:len(again)]
		if !bytes.Equal(again[:10], want[:10]) || !bytes.Equal(again[12:], want[12:]) {
			t.Errorf("% x\nbecame\n% x", want, again)
		}
		SourceRoute(opts)
		if out, pos, err := Record(opts, dst, time.Unix(1e9, 0)); err == nil {
			if _, err := CheckOptions(out); err != nil || len(out) > len(opts) {
				t.Errorf("% x became % x", opts, out)
			}
		} else if pos <= 0 || pos >= len(opts) {
			t.Errorf("% x: fault at %d", opts, pos)
		}
	})
}
