package packfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// names is an index of names alone.
func names(ids []vcs.ID) []byte {
	slices.SortFunc(ids, func(a, b vcs.ID) int { return bytes.Compare(a[:], b[:]) })
	b := []byte("\xfftOc\x00\x00\x00\x02")
	for first := range 256 {
		n := 0
		for _, id := range ids {
			if int(id[0]) <= first {
				n++
			}
		}
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func TestIndexPrefix(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var ids []vcs.ID
	for range 200 {
		var id vcs.ID
		for i := range id {
			id[i] = byte(rnd.IntN(3)) * 0x55 // many with a common beginning
		}
		ids = append(ids, id)
	}
	b := names(ids)
	for _, id := range ids {
		for _, digits := range []int{1, 2, 3, 4, 7, 12, 39, 40} {
			prefix := vcs.ID{}
			copy(prefix[:], id[:digits/2])
			if digits%2 == 1 {
				prefix[digits/2] = id[digits/2] & 0xf0
			}
			var want []vcs.ID
			for _, other := range ids {
				if other.String()[:digits] == id.String()[:digits] {
					want = append(want, other)
				}
			}
			got, err := packfile.IndexPrefix(bytes.NewReader(b), prefix, digits)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%.*s: %v, %v, want %v", digits, id, got, err, want)
			}
		}
	}
	if got, err := packfile.IndexPrefix(bytes.NewReader(b), vcs.ID{0x12, 0x34}, 4); err != nil || len(got) != 0 {
		t.Errorf("nothing begins so: %v, %v", got, err)
	}
}

func FuzzIndexPrefix(f *testing.F) {
	f.Add(names([]vcs.ID{{1}, {1, 2}, {0xff}}), []byte{1, 2}, uint8(3))
	f.Fuzz(func(t *testing.T, b, prefix []byte, digits uint8) {
		var id vcs.ID
		copy(id[:], prefix)
		if _, err := packfile.IndexPrefix(bytes.NewReader(b), id, int(digits%41)); err != nil && !errors.Is(err, packfile.ErrIndex) {
			t.Fatal(err)
		}
	})
}
