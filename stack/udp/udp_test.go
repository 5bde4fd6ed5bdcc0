package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"arpeggio/stack/checksum"
)

func pseudo(n int) uint32 {
	return checksum.Pseudo(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), 17, n)
}

//rfc:768 length-sent
func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1472, MaxPayload4} {
		h := Header{1234, 53}
		body := bytes.Repeat([]byte{0xa5}, n)
		b := h.AppendTo(nil, body, pseudo(HeaderLen+n))
		if !Verify(b, pseudo(len(b))) {
			t.Errorf("%d octets: checksum does not match", n)
		}
		got, payload, err := Parse(append(b, 0, 0, 0)) // with padding behind
		if err != nil || got != h || !bytes.Equal(payload, body) {
			t.Errorf("%d octets: %+v, %d back, %v", n, got, len(payload), err)
		}
	}
}

//rfc:768 length
func TestParseRefuses(t *testing.T) {
	h := Header{1, 2}
	b := h.AppendTo(nil, []byte("abc"), pseudo(11))
	short, long := bytes.Clone(b), bytes.Clone(b)
	short[5], long[5] = 7, 12
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing": {nil, ErrShort}, "7 octets": {b[:7], ErrShort},
		"length 7": {short, ErrLength}, "length beyond the datagram": {long, ErrLength},
	} {
		if _, _, err := Parse(tc.b); err != tc.want {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

//rfc:768 zero-sum checked
func TestChecksum(t *testing.T) {
	h := Header{7, 7}
	b := h.AppendTo(nil, []byte("hello"), pseudo(13))
	b[9] ^= 1
	if Verify(b, pseudo(13)) {
		t.Error("a changed octet went unnoticed")
	}
	// RFC 768: no checksum was computed.
	b[6], b[7] = 0, 0
	if !Verify(b, pseudo(13)) {
		t.Error("the zero checksum was refused")
	}
	// RFC 768: a sum of zero is sent as 0xffff.
	sum := checksum.Fold(pseudo(10) + 10)
	body := binary.BigEndian.AppendUint16(nil, ^sum)
	z := (&Header{}).AppendTo(nil, body, pseudo(10))
	if z[6] != 0xff || z[7] != 0xff || !Verify(z, pseudo(10)) {
		t.Errorf("sum of zero sent as %x", z[6:8])
	}
	if Verify(b[:5], 0) {
		t.Error("a datagram without a header verifies")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 9, 0, 0, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := Parse(b)
		Verify(b, 1)
		if err != nil {
			return
		}
		again := append(h.AppendHeader(nil, len(payload)), payload...)
		if !bytes.Equal(again[:6], b[:6]) || !bytes.Equal(again[8:], b[8:len(again)]) {
			t.Errorf("% x became % x", b, again)
		}
	})
}
