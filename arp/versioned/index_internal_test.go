package versioned

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// indexOf has rows with numbers for ids.
func indexOf(path string, from, to int) *RecordIndex {
	x := &RecordIndex{path: path}
	for i := from; i < to; i++ {
		x.push(numberedRow(i))
	}
	return x
}

func numberedRow(i int) indexRow {
	return indexRow{id: vcs.ID{byte(i >> 16), byte(i >> 8), byte(i), 1}, time: int64(1000 + i/3), flags: rowCut,
		types: fmt.Sprint("type-", i%300), macs: []ethernet.Addr{{2, 0, 0, 0, byte(i % 500 >> 8), byte(i % 500)}}, addrs: []uint64{uint64(i % 70)}}
}

// TestIndexBlocks: rows are found in whatever blocks they are, of which there are
// few, and those that were cut off are not.
func TestIndexBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "arp-index")
	const n = 200_000
	x := indexOf(path, 0, n)
	if err := x.Save(); err != nil {
		t.Fatal(err)
	}
	check := func(x *RecordIndex, n int) {
		t.Helper()
		if x.Len() != n {
			t.Fatalf("%d rows, want %d", x.Len(), n)
		}
		head := numberedRow(n - 1)
		if x.Head() != head.id {
			t.Fatal("another head")
		}
		if len(x.blocks) > 8+n/maxRows {
			t.Errorf("%d blocks", len(x.blocks))
		}
		for _, want := range []int{n - 1, n / 2, 4096, 1, 0} {
			r := numberedRow(want)
			b, row, ok := x.place(r.id, r.time)
			if !ok || b.start+uint64(row) != uint64(want) || b.set(row) != moreSets && b.sets[b.set(row)] != r.types {
				t.Errorf("row %d: %v", want, ok)
			}
		}
		count := 0
		for _, b := range x.blocks {
			count += len(b.find(false, []uint64{macTerm(ethernet.Addr{2, 0, 0, 0, 0, 7})}))
		}
		if want := (n - 7 + 499) / 500; count != want {
			t.Errorf("%d rows have the MAC, want %d", count, want)
		}
	}
	check(x, n)
	check(OpenRecordIndex(path), n)
	x.cut(150_001)
	check(x, 150_001)
	for i := 150_001; i < 150_100; i++ { // one by one, as commits come
		x.push(numberedRow(i))
		if err := x.Save(); err != nil {
			t.Fatal(err)
		}
	}
	check(x, 150_100)
	check(OpenRecordIndex(path), 150_100)
	if info, err := os.Stat(path); err != nil || info.Size() > 3*50*n {
		t.Errorf("a file of %d octets, %v", info.Size(), err)
	}
}

// FuzzOpenRecordIndex: no file makes the index more than what it was, or fail.
func FuzzOpenRecordIndex(f *testing.F) {
	path := filepath.Join(f.TempDir(), "arp-index")
	x := indexOf(path, 0, 40)
	x.Save()
	for i := 40; i < 50; i++ {
		x.push(numberedRow(i))
		x.Save()
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte(indexMagic))
	f.Add(x.blocks[0].raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "arp-index")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		x := OpenRecordIndex(path)
		for i := range 3 {
			x.push(numberedRow(1000 + i))
		}
		head := numberedRow(1002)
		for _, at := range []int64{-1, 1003, 1 << 40} {
			at := time.Unix(at, 0)
			if f, ok := x.After(head.id, time.Unix(head.time, 0), at); ok && !f.Time.After(at) {
				t.Fatalf("a commit of %v comes after %v", f.Time, at)
			}
			if found, ok := x.Search(head.id, time.Unix(head.time, 0), IndexQuery{Until: at, MACs: numberedRow(7).macs}); ok {
				for f := range found {
					if f.Time.After(at) {
						t.Fatalf("found a commit of %v until %v", f.Time, at)
					}
				}
			}
		}
		n := x.Len()
		if err := x.Save(); err != nil {
			t.Fatal(err)
		}
		if again := OpenRecordIndex(path); again.Len() != n || again.Head() != x.Head() {
			t.Fatalf("%d rows, want %d", again.Len(), n)
		}
		// Without checksums the parser meets what it never should.
		if b, err := parseBlock(bytes.Clone(data)); err == nil {
			y := RecordIndex{}
			y.add(b)
			y.cut(b.start + uint64(b.n)/2)
			y.push(numberedRow(1))
			y.seal()
			b.find(true, []uint64{1, 2})
			b.times()
		}
	})
}

// TestJournalFeedsIndex: what a journal tells the index is what Update reads, and
// the commit of a flood is left to that.
func TestJournalFeedsIndex(t *testing.T) {
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := OpenRecordIndex("")
	j, err := OpenJournal(t.Context(), s, JournalConfig{Index: x})
	if err != nil {
		t.Fatal(err)
	}
	write := func(i int, folded bool) {
		t.Helper()
		o := Observation{Op: arp.OpLearned, Key: arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 7)})},
			MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(i % 5)}, Time: time.Unix(int64(1_700_000_000+i-20*(i%3)), 0), Events: []string{"changed"}, Folded: folded}
		if i%4 == 0 {
			o.Op, o.Events = arp.OpRefused, []string{"spoof", "dup-ip"}
		}
		if _, err := j.Write(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
	}
	same := func() {
		t.Helper()
		y := OpenRecordIndex("")
		if err := y.Update(t.Context(), s, j.Head()); err != nil {
			t.Fatal(err)
		}
		whole := func(x *RecordIndex) []byte {
			x.seal()
			var w blockBuilder
			for _, b := range x.blocks {
				w.addBlock(b, 0)
			}
			return w.block().raw
		}
		if !bytes.Equal(whole(x), whole(y)) {
			t.Error("the index that was fed is another one")
		}
	}
	for i := range 60 {
		write(i, false)
		if x.Head() != j.Head() {
			t.Fatalf("commit %d is not in the index", i)
		}
	}
	same()
	write(100, true)
	write(200, false)
	if x.Head() == j.Head() {
		t.Error("the index knows what only the trees of a flood tell")
	}
	if err := x.Update(t.Context(), s, j.Head()); err != nil {
		t.Fatal(err)
	}
	write(201, false)
	if x.Head() != j.Head() {
		t.Error("after Update the index learns no more")
	}
	same()
}

// FuzzOfferStates: whatever is in a file of old tables, what is kept of it is whole,
// and its frames are of use again.
func FuzzOfferStates(f *testing.F) {
	s, err := vcs.OpenStore(f.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	j, err := OpenJournal(f.Context(), s, JournalConfig{})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 2500 {
		o := Observation{Op: arp.OpLearned, Key: arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 7)})},
			MAC: ethernet.Addr{2, 0, 0, 0, byte(i >> 8), byte(i)}, Time: time.Unix(int64(1_700_000_000+i), 0)}
		if _, err := j.Write(f.Context(), &o); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.Sync(f.Context()); err != nil {
		f.Fatal(err)
	}
	good := []byte(statesMagic)
	err = s.WriteStates(f.Context(), j.Head(), func(state []byte) error {
		good = appendStateFrame(good, state)
		return nil
	})
	if err != nil || len(good) < 100 {
		f.Fatal(len(good), err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(statesMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		have, whole := offerStates(s, file)
		if len(have) > len(file) || whole && len(file) > 0 && len(have) != len(file)-len(statesMagic) {
			t.Fatalf("%d octets of %d are of use, whole: %v", len(have), len(file), whole)
		}
		if again, ok := offerStates(s, append([]byte(statesMagic), have...)); !ok || !bytes.Equal(again, have) {
			t.Error("what was of use is of none")
		}
	})
}
