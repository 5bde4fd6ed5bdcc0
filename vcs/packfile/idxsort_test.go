package packfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"arpeggio/vcs"
)

// An index of many runs, and one with offsets beyond 2 GiB, is what a Pack, which
// sorts in memory, writes.
func TestIndexWriterSortsRuns(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	p := &Pack{sum: vcs.ID{1}}
	x := NewIndexWriter(nil)
	for i := range 3*idxRun + 77 {
		var o packed
		binary.BigEndian.PutUint64(o.id[:], rnd.Uint64())
		o.crc, o.off = rnd.Uint32(), int64(i)*20_000
		p.objects = append(p.objects, o)
		p.visit = append(p.visit, int32(i))
		if err := x.Add(Entry{ID: o.id, CRC: o.crc, Offset: o.off}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.sort(); err != nil {
		t.Fatal(err)
	}
	if x.Len() != len(p.objects) || len(x.ends) != 3 {
		t.Fatalf("%d objects in %d runs", x.Len(), len(x.ends))
	}
	var got, want bytes.Buffer
	if err := x.WriteTo(&got, p.sum); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteIndex(&want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes differ from the %d of Pack.WriteIndex", got.Len(), want.Len())
	}
}

func TestIndexWriterRefusesDuplicates(t *testing.T) {
	x := NewIndexWriter(nil)
	for range 2 {
		if err := x.Add(Entry{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.WriteTo(&bytes.Buffer{}, vcs.ID{}); !errors.Is(err, ErrDuplicate) {
		t.Errorf("%v, want %v", err, ErrDuplicate)
	}
}
