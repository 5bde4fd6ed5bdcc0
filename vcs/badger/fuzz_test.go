package badger

import (
	"bytes"
	"testing"
)

// FuzzReadWAL: whatever is in a log, its end is within it, and the part before
// the end reads as it did.
func FuzzReadWAL(f *testing.F) {
	entry := []byte("\x80\x00\x13\x01\x00!badger!txn\xff\xff\xff\xff\xff\xff\xff\xfe1")
	f.Add(append(make([]byte, walHeader), entry...))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := readWAL("x", b)
		if w.end > len(b) && len(b) >= walHeader {
			t.Fatalf("end %d of %d bytes", w.end, len(b))
		}
		if len(b) < walHeader {
			return
		}
		if again := readWAL("x", b[:w.end]); again.end != w.end || again.last != w.last || again.tail != 0 && w.end > walHeader {
			t.Errorf("read again: %+v, before %+v", again, w)
		}
	})
}

// FuzzScanTable: no bytes make the scan of a table panic or invent entries that
// do not look like ours.
func FuzzScanTable(f *testing.F) {
	whole := buildTable([]entry{
		{append(logKey(7), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0), []byte("\x00\x00\x00record")},
		{append([]byte(metaKey), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf1), append(make([]byte, 3), meta{}.encode()...)},
	})
	f.Add(whole, uint16(0), byte(0))
	f.Add(whole, uint16(30), byte(1))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, flip byte) {
		b = bytes.Clone(b)
		if len(b) > 0 {
			b[int(at)%len(b)] ^= flip
		}
		intact := bytes.Equal(b, whole)
		n := 0
		s := scanTable(b, func(e entry) { n++ })
		if intact && (n != 2 || s.bad != 0 || s.newest == 0) {
			t.Errorf("a whole table: %+v and %d entries", s, n)
		}
	})
}
