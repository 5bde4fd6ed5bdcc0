package ipv4

import (
	"bytes"
	"testing"
	"time"
)

// RFC 791 §3.1: what a host adds to record route and timestamp options.
func TestRecord(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 7e6, time.UTC)
	const h, m, l1, l0 = 0x02, 0x93, 0x2e, 0x07 // 43,200,007 ms
	a := dst.As4()
	for name, tc := range map[string]struct {
		in, want []byte
	}{
		"record route":                {[]byte{7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{7, 11, 8, a[0], a[1], a[2], a[3], 0, 0, 0, 0}},
		"record route, second":        {[]byte{7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0}, []byte{7, 11, 12, 9, 9, 9, 9, a[0], a[1], a[2], a[3]}},
		"record route, full":          {[]byte{7, 7, 8, 9, 9, 9, 9}, []byte{7, 7, 8, 9, 9, 9, 9}},
		"record route of no room":     {[]byte{7, 3, 4}, []byte{7, 3, 4}},
		"timestamp only":              {[]byte{68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{68, 12, 9, 0, h, m, l1, l0, 0, 0, 0, 0}},
		"timestamp with address":      {[]byte{68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{68, 12, 13, 1, a[0], a[1], a[2], a[3], h, m, l1, l0}},
		"timestamp, named":            {[]byte{68, 12, 5, 3, a[0], a[1], a[2], a[3], 0, 0, 0, 0}, []byte{68, 12, 13, 3, a[0], a[1], a[2], a[3], h, m, l1, l0}},
		"timestamp, another named":    {[]byte{68, 12, 5, 3, 9, 9, 9, 9, 0, 0, 0, 0}, []byte{68, 12, 5, 3, 9, 9, 9, 9, 0, 0, 0, 0}},
		"timestamp, full":             {[]byte{68, 8, 9, 0x10, 1, 2, 3, 4}, []byte{68, 8, 9, 0x20, 1, 2, 3, 4}},
		"named, all have answered":    {[]byte{68, 12, 13, 0xf3, 9, 9, 9, 9, 1, 2, 3, 4}, []byte{68, 12, 13, 0xf3, 9, 9, 9, 9, 1, 2, 3, 4}},
		"others are left out":         {[]byte{1, 148, 4, 0, 0, 7, 3, 4, 130, 3, 0, 0}, []byte{7, 3, 4}},
		"nothing behind the end":      {[]byte{0, 7, 3, 4}, nil},
		"both":                        {[]byte{7, 3, 4, 68, 8, 9, 0, 1, 2, 3, 4}, []byte{7, 3, 4, 68, 8, 9, 0x10, 1, 2, 3, 4}},
		"route and padding behind it": {[]byte{7, 7, 4, 0, 0, 0, 0, 0}, []byte{7, 7, 8, a[0], a[1], a[2], a[3]}},
	} {
		before := bytes.Clone(tc.in)
		got, _, err := Record(tc.in, dst, noon)
		if err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: % x, %v, want % x", name, got, err, tc.want)
		}
		if !bytes.Equal(before, tc.in) {
			t.Errorf("%s: the received options were changed", name)
		}
	}
	for name, tc := range map[string]struct {
		in  []byte
		pos int
	}{
		"record route, half an address":     {[]byte{1, 7, 7, 6, 0, 0, 0, 0}, 3},
		"timestamp, half of one":            {[]byte{68, 8, 7, 0, 0, 0, 0, 0}, 2},
		"timestamp, address without time":   {[]byte{68, 8, 5, 1, 0, 0, 0, 0}, 2},
		"timestamp, overflow of the counts": {[]byte{68, 8, 9, 0xf0, 1, 2, 3, 4}, 3},
	} {
		if _, pos, err := Record(tc.in, dst, noon); err != ErrOption || pos != tc.pos {
			t.Errorf("%s: fault at %d, %v, want %d", name, pos, err, tc.pos)
		}
	}
}
