package packfile

import (
	"bytes"
	"testing"

	"arpeggio/vcs"
)

// A delta that saves little is left out, unless the pack is to be small.
func TestGain(t *testing.T) {
	tree := func(entries int, last byte) []byte {
		var b []byte
		for i := range entries {
			b = append(b, "100644 a"...)
			b = append(b, byte('a'+i), 0)
			b = append(b, bytes.Repeat([]byte{byte(i + 1)}, 19)...)
			b = append(b, last)
		}
		return b
	}
	for _, tc := range []struct {
		level, entries int
		want           byte
	}{
		{0, 1, byte(vcs.KindTree)}, {9, 1, typeOfsDelta},
		{0, 5, typeOfsDelta}, {9, 5, typeOfsDelta},
	} {
		was, now := tree(tc.entries, 1), tree(tc.entries, 1)
		now[len(now)-1] = 9
		p := writer{opt: Options{Level: tc.level}}
		typ, stored := p.encode(vcs.KindTree, now, was, true)
		if typ != tc.want || typ == typeOfsDelta && len(stored)+1 > len(now) {
			t.Errorf("level %d, %d entries: type %d of %d octets for %d", tc.level, tc.entries, typ, len(stored), len(now))
		}
	}
}
