package igmp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"arpeggio/stack/checksum"
)

func a(s string) netip.Addr { return netip.MustParseAddr(s) }

var (
	g1, g2     = a("239.1.2.3"), a("239.1.2.4")
	s1, s2, s3 = a("10.0.0.1"), a("10.0.0.2"), a("10.0.0.3")
)

func sealed(b ...byte) []byte {
	c := checksum.Checksum(checksum.Sum(b, 0))
	b[2], b[3] = byte(c>>8), byte(c)
	return b
}

//rfc:3376 types checksum-sent float no-auxiliary exact version-1-time
//rfc:2236 checksum-sent version-1-time
func TestMessages(t *testing.T) {
	for name, tc := range map[string]struct {
		m    Message
		wire []byte
	}{
		"general query, version 1": {Message{Type: Query, Version: 1, Group: a("0.0.0.0"), MaxResp: 10 * time.Second}, sealed(0x11, 0, 0, 0, 0, 0, 0, 0)},
		"group query, version 2":   {Message{Type: Query, Version: 2, Group: g1, MaxResp: time.Second}, sealed(0x11, 10, 0, 0, 239, 1, 2, 3)},
		"query, version 3": {Message{Type: Query, Version: 3, Group: g1, MaxResp: 12800 * time.Millisecond, Suppress: true, Robustness: 3,
			Interval: 31744 * time.Second, Sources: []netip.Addr{s1, s2}},
			sealed(0x11, 0x80, 0, 0, 239, 1, 2, 3, 0x0b, 0xff, 0, 2, 10, 0, 0, 1, 10, 0, 0, 2)},
		"report, version 1": {Message{Type: ReportV1, Group: g1}, sealed(0x12, 0, 0, 0, 239, 1, 2, 3)},
		"report, version 2": {Message{Type: ReportV2, Group: g1}, sealed(0x16, 0, 0, 0, 239, 1, 2, 3)},
		"leave":             {Message{Type: Leave, Group: g1}, sealed(0x17, 0, 0, 0, 239, 1, 2, 3)},
		"report, version 3": {Message{Type: ReportV3, Records: []Record{{ToExclude, g1, nil}, {Block, g2, []netip.Addr{s1}}}},
			sealed(0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 2, 3, 6, 0, 0, 1, 239, 1, 2, 4, 10, 0, 0, 1)},
	} {
		if got := tc.m.AppendTo([]byte("x"))[1:]; !bytes.Equal(got, tc.wire) {
			t.Errorf("%s: % x, want % x", name, got, tc.wire)
		}
		got, err := Parse(tc.wire)
		if err != nil || !reflect.DeepEqual(got, tc.m) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tc.m)
		}
	}
}

//rfc:3376 checksum unknown-type query-length
//rfc:2236 checksum
func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"short":                   {sealed(0x11, 0, 0, 0, 0, 0, 0), ErrShort},
		"checksum":                {[]byte{0x11, 0, 0, 0, 0, 0, 0, 0}, ErrChecksum},
		"type":                    {sealed(0x13, 0, 0, 0, 239, 1, 2, 3), ErrType},
		"query of 9 octets":       {sealed(0x11, 0, 0, 0, 0, 0, 0, 0, 0), ErrShort},
		"sources run over":        {sealed(0x11, 1, 0, 0, 239, 1, 2, 3, 0, 0, 0, 2, 10, 0, 0, 1), ErrShort},
		"sources without a group": {sealed(0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 1), ErrGroup},
		"query for a host":        {sealed(0x11, 1, 0, 0, 10, 0, 0, 1), ErrGroup},
		"report of a host":        {sealed(0x16, 0, 0, 0, 10, 0, 0, 1), ErrGroup},
		"record missing":          {sealed(0x22, 0, 0, 0, 0, 0, 0, 1), ErrShort},
		"record runs over":        {sealed(0x22, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 239, 1, 2, 3), ErrShort},
		"auxiliary data run over": {sealed(0x22, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 239, 1, 2, 3), ErrShort},
	} {
		if _, err := Parse(tc.b); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// RFC 3376 §4.1.1: the floating-point form.
func TestFloat(t *testing.T) {
	for c := range 256 {
		if got := encode(decode(byte(c))); got != byte(c) {
			t.Errorf("%#x is %d, which is %#x", c, decode(byte(c)), got)
		}
	}
	if encode(1<<30) != 255 || decode(encode(129)) > 129 {
		t.Error("not rounded down")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sealed(0x11, 0x80, 0, 0, 239, 1, 2, 3, 0x0b, 0xff, 0, 1, 10, 0, 0, 1))
	f.Add(sealed(0x22, 0, 0, 0, 0, 0, 0, 1, 6, 1, 0, 1, 239, 1, 2, 4, 10, 0, 0, 1, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			b = bytes.Clone(b)
			b[2], b[3] = 0, 0
			b = sealed(b...)
		}
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(m.AppendTo(nil))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
		// A host with groups takes it and stays sane.
		h := NewHost(HostConfig{})
		now := time.Unix(0, 0)
		h.Set(now, g1, Everyone)
		h.Set(now, g2, NewFilter(false, s1))
		_ = h.Input(now, b)
		for range 10 {
			now = now.Add(time.Hour)
			h.Emit(now, func(p Packet) {
				if _, err := Parse(p.Payload); err != nil || len(p.Payload) > 576-ipHeader {
					t.Errorf("emitted % x: %v", p.Payload, err)
				}
			})
		}
		if !h.Deadline().IsZero() {
			t.Error("it never ends")
		}
	})
}

func Example() {
	h := NewHost(HostConfig{})
	now := time.Now()
	h.Set(now, netip.MustParseAddr("239.1.2.3"), Everyone)
	h.Emit(now, func(p Packet) {
		m, _ := Parse(p.Payload)
		fmt.Println(p.Dst, m.Records[0].Type == ToExclude, m.Records[0].Group)
	})
	// Output:
	// 224.0.0.22 true 239.1.2.3
}

// RFC 3376 §4.1.10, §4.2.6, §4.2.11: what stands behind the fields counts for the
// checksum and for nothing else, and so do auxiliary data and records of an unknown
// type.
//
//rfc:3376 additional additional-report auxiliary unknown-record
//rfc:2236 longer
func TestWhatIsSkipped(t *testing.T) {
	q, err := Parse(sealed(0x11, 10, 0, 0, 239, 1, 2, 3, 2, 125, 0, 0, 9, 9, 9, 9))
	if err != nil || q.Group != g1 || q.Sources != nil {
		t.Errorf("%+v, %v", q, err)
	}
	m, err := Parse(sealed(0x22, 0, 0, 0, 0, 0, 0, 2,
		4, 1, 0, 0, 239, 1, 2, 3, 9, 9, 9, 9,
		6, 0, 0, 1, 239, 1, 2, 4, 10, 0, 0, 1))
	if want := []Record{{ToExclude, g1, nil}, {Block, g2, []netip.Addr{s1}}}; err != nil || !reflect.DeepEqual(m.Records, want) {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := Parse(sealed(0x22, 0, 0, 0, 0, 0, 0, 1, 99, 0, 0, 0, 239, 1, 2, 3)); err != nil {
		t.Errorf("a record of type 99: %v", err)
	}
	m, err = Parse(sealed(0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 2, 3, 9, 9, 9, 9))
	if want := []Record{{ToExclude, g1, nil}}; err != nil || !reflect.DeepEqual(m.Records, want) {
		t.Errorf("behind the records: %+v, %v", m, err)
	}
	for _, typ := range []Type{ReportV1, ReportV2, Leave} {
		if m, err := Parse(sealed(byte(typ), 0, 0, 0, 239, 1, 2, 3, 9, 9, 9, 9)); err != nil || m.Group != g1 {
			t.Errorf("longer than 8 octets: %+v, %v", m, err)
		}
	}
}
