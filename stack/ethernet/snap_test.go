package ethernet

import (
	"bytes"
	"testing"
)

// framed is a frame with an 802.3 length field.
func framed(length int, body ...byte) []byte {
	h := Header{Dst: dst, Src: src, Type: EtherType(length)}
	return append(h.AppendTo(nil), body...)
}

//rfc:1122 ieee802-receive
func TestSNAP(t *testing.T) {
	snap := func(rest ...byte) []byte { return append([]byte{0xaa, 0xaa, 3, 0, 0, 0}, rest...) }
	for name, tc := range map[string]struct {
		frame []byte
		typ   EtherType
		want  string
		ok    bool
	}{
		"IPv4":               {framed(11, snap(8, 0, 'a', 'b', 'c')...), TypeIPv4, "abc", true},
		"ARP":                {framed(9, snap(8, 6, 'x')...), TypeARP, "x", true},
		"padding":            {framed(9, snap(8, 0, 'x', 0, 0, 0)...), TypeIPv4, "x", true},
		"nothing":            {framed(8, snap(8, 0)...), TypeIPv4, "", true},
		"longer than it is":  {framed(12, snap(8, 0, 'a', 'b', 'c')...), 0, "", false},
		"shorter than SNAP":  {framed(7, snap(8, 0, 'a', 'b', 'c')...), 0, "", false},
		"cut":                {framed(8, snap(8)...), 0, "", false},
		"empty":              {framed(0), 0, "", false},
		"too long":           {framed(1501, append(snap(8, 0), make([]byte, 1500)...)...), 0, "", false},
		"spanning tree":      {framed(10, 0x42, 0x42, 3, 0, 0, 0, 0, 0, 0, 0), 0, "", false},
		"other organization": {framed(10, 0xaa, 0xaa, 3, 0, 0, 0xc, 0x20, 0, 0, 0), 0, "", false},
		"other control":      {framed(10, 0xaa, 0xaa, 0xaf, 0, 0, 0, 8, 0, 0, 0), 0, "", false},
		"no EtherType":       {framed(10, snap(5, 0xdc, 0, 0)...), 0x5dc, "\x00\x00", false},
	} {
		h, body, err := Parse(tc.frame)
		if err != ErrLength {
			t.Fatalf("%s: %v", name, err)
		}
		typ, payload, ok := SNAP(&h, body)
		if typ != tc.typ || string(payload) != tc.want || ok != tc.ok {
			t.Errorf("%s: %v, %q, %v", name, typ, payload, ok)
		}
	}
}

func FuzzSNAP(f *testing.F) {
	f.Add(framed(11, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 'a', 'b', 'c'))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := Parse(b)
		if err != ErrLength {
			return
		}
		if _, payload, ok := SNAP(&h, body); ok && (!bytes.Contains(b, payload) || len(payload)+snapLen != int(h.Type)) {
			t.Errorf("% x of a length of %d", payload, h.Type)
		}
	})
}
