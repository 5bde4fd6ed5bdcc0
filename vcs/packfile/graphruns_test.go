package packfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"arpeggio/vcs"
)

// Records come back in the order of their names, whichever run they are in, those
// of one name with the first one ahead, each with what belongs to it.
func TestGraphRunsSort(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	x := &graphRuns{scratch: new(memory)}
	filterOf := func(k uint32) []byte { return bytes.Repeat([]byte{byte(k)}, int(k%7)*int(k%97)) }
	var ids []vcs.ID
	for k := range uint32(15_000) {
		var id vcs.ID
		if binary.BigEndian.PutUint64(id[:], rnd.Uint64()); k%10 == 9 {
			id = ids[rnd.IntN(len(ids))]
		}
		ids = append(ids, id)
		r := graphRecord{id: id, tree: vcs.ID{byte(k), byte(k >> 8)}, number: k, date: uint64(k) << 17}
		if err := x.add(r, func(b []byte) []byte { return append(b, filterOf(k)...) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.done(); err != nil {
		t.Fatal(err)
	}
	if len(x.ends) < 3 {
		t.Fatalf("only %d runs", len(x.ends))
	}
	want := make([]uint32, len(ids))
	for k := range want {
		want[k] = uint32(k)
	}
	slices.SortStableFunc(want, func(a, b uint32) int { return bytes.Compare(ids[a][:], ids[b][:]) })
	var got []uint32
	err := x.each(func(r *graphRecord) error {
		k := r.number
		again := len(got) > 0 && ids[got[len(got)-1]] == r.id
		if r.id != ids[k] || r.tree != (vcs.ID{byte(k), byte(k >> 8)}) || r.date != uint64(k)<<17 || !bytes.Equal(r.filter, filterOf(k)) || r.again != again {
			t.Fatalf("record %d is %v, a tree %v, date %d, %d bytes of filter, again %v", k, r.id, r.tree, r.date, len(r.filter), r.again)
		}
		got = append(got, k)
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the records are not in the order of their names: %v", err)
	}
	x.ends[1]-- // a run that is cut
	if err := x.each(func(*graphRecord) error { return nil }); err == nil || err == io.EOF {
		t.Errorf("a record that is cut: %v", err)
	}
}

func TestPieces(t *testing.T) {
	p := makePieces[int](pieceLen)
	if len(p.list) != 1 || *p.at(pieceLen - 1) != 0 {
		t.Errorf("%d values lie in %d pieces", p.n, len(p.list))
	}
	for i := range 2*pieceLen + 1 {
		*p.at(i) = i
		p.push(-1)
		if *p.at(i) != i || *p.at(p.n - 1) != -1 {
			t.Fatalf("value %d is %d, the last one %d", i, *p.at(i), *p.at(p.n - 1))
		}
	}
}
