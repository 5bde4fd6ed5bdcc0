package badger_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// filled makes a store and returns the files of a kind, when it is closed and as
// a crash would leave it.
func filled(t *testing.T) (closed, crashed string, head vcs.ID) {
	t.Helper()
	closed, crashed = t.TempDir(), t.TempDir()
	r, _, err := openRepo(t.Context(), closed)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 300 { // groups small and large, tables of several blocks
		head = must(r.Set(t.Context(), "primary", fmt.Sprint("k", i%40), fmt.Sprintf("%x", rnd.Uint64()), vcs.CommitInfo{Message: fmt.Sprint(i)}))(t)
		if i < 3 || i%100 == 99 {
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyDir(t, closed, crashed, "LOCK")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return closed, crashed, head
}

func theFile(t *testing.T, dir, pattern string) (path string, data []byte) {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(found) == 0 {
		t.Fatalf("no %s", pattern)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return found[0], data
}

// TestFlippedBits: a flipped bit anywhere in a table, or in the transactions of a
// write-ahead log, the last one too, is set right.
func TestFlippedBits(t *testing.T) {
	closed, crashed, _ := filled(t)
	const walHeader = 20
	for _, x := range []struct {
		dir, pattern string
		from         int
		mend         func([]byte) int
	}{{closed, "*.sst", 0, badger.MendTable}, {crashed, "*.mem", walHeader, badger.MendLog}} {
		_, data := theFile(t, x.dir, x.pattern)
		data = bytes.TrimRight(data, "\x00")
		if x.from == 0 {
			_, data = theFile(t, x.dir, x.pattern)
		}
		if n := x.mend(bytes.Clone(data)); n != 0 {
			t.Fatalf("%s: %d bits are set right in an intact file", x.pattern, n)
		}
		t.Logf("%s: %d bytes", x.pattern, len(data))
		for bit := 8 * x.from; bit < 8*len(data); bit += 1 + bit%13 {
			b := bytes.Clone(data)
			b[bit/8] ^= 1 << (bit % 8)
			if n := x.mend(b); n != 1 || !bytes.Equal(b, data) {
				t.Fatalf("%s: bit %d of %d: %d set right, the file is as it was: %t", x.pattern, bit, 8*len(data), n, bytes.Equal(b, data))
			}
		}
		// Not what is damaged otherwise, or torn.
		rnd := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			b := bytes.Clone(data)
			at := x.from + rnd.IntN(len(b)-x.from-8)
			b[at] ^= 0x81
			b[at+1+rnd.IntN(6)] ^= byte(1 + rnd.IntN(255))
			was := bytes.Clone(b)
			if n := x.mend(b); n > 0 && !bytes.Equal(b, data) {
				t.Errorf("%s: %d bits set right in what has other damage at %d", x.pattern, n, at)
			} else if n == 0 && !bytes.Equal(b, was) {
				t.Errorf("%s: changed without a word", x.pattern)
			}
		}
		cut := bytes.Clone(data[:len(data)-9])
		if n := x.mend(cut); n != 0 {
			t.Errorf("%s: %d bits set right in what is cut off", x.pattern, n)
		}
	}
}

// TestOpenAfterFlip: a flipped bit costs nothing, and opening says what there was.
func TestOpenAfterFlip(t *testing.T) {
	closed, crashed, head := filled(t)
	for _, x := range []struct {
		dir, pattern string
		at           func([]byte) int
	}{
		{closed, "*.sst", func(b []byte) int { return len(b) / 3 }},
		{closed, "*.sst", func(b []byte) int { return len(b) - 20 }},
		{crashed, "*.mem", func(b []byte) int { return len(bytes.TrimRight(b, "\x00")) / 2 }},
		{crashed, "*.mem", func(b []byte) int { return len(bytes.TrimRight(b, "\x00")) - 3 }}, // of the last transaction
	} {
		dir := t.TempDir()
		copyDir(t, x.dir, dir, "LOCK")
		path, data := theFile(t, dir, x.pattern)
		at := x.at(data)
		data[at] ^= 8
		write(t, path, data)
		for again := range 2 {
			r, b, err := openRepo(t.Context(), dir)
			if err != nil {
				t.Fatalf("%s at %d: %v", x.pattern, at, err)
			}
			rep := b.Report()
			said := len(rep.Problems) == 1 && rep.Problems[0].Path == filepath.Base(path) && strings.Contains(rep.String(), "1 flipped bit was set right")
			if again == 0 && !said || again == 1 && !rep.OK() {
				t.Errorf("%s at %d: report %s", x.pattern, at, rep.String())
			}
			if got := checkWhole(t, r); got != head {
				t.Errorf("%s at %d: primary is at %v, want %v", x.pattern, at, got, head)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if kept, err := os.ReadFile(filepath.Join(dir, "damaged-1", filepath.Base(path))); err != nil || len(kept) <= at || kept[at] != data[at] {
			t.Errorf("%s at %d: the damaged file was not kept: %v", x.pattern, at, err)
		}
	}
}

// TestDamagedFormat: the version is in two files, and one of them that says more
// is damaged.
func TestDamagedFormat(t *testing.T) {
	closed, _, head := filled(t)
	for name, change := range map[string]func([]byte){
		"FORMAT":   func(b []byte) { b[len(b)-2] = '3' },
		"MANIFEST": func(b []byte) { b[5] = 9 },
	} {
		dir := t.TempDir()
		copyDir(t, closed, dir, "LOCK")
		path, data := theFile(t, dir, name)
		change(data)
		write(t, path, data)
		for again := range 2 {
			r, b, err := openRepo(t.Context(), dir)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			rep := b.Report()
			if told := strings.Contains(strings.Join(rep.Notes, " "), name); told != (again == 0) || !rep.OK() {
				t.Errorf("%s: report %s", name, rep.String())
			}
			if got := checkWhole(t, r); got != head {
				t.Errorf("%s: primary is at %v, want %v", name, got, head)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCutManifest: a table that a damaged manifest does not name any more is not
// taken for what a crash left, though there are newer writes; nor is one lost that
// the manifest names because the change is cut off by which it went.
func TestCutManifest(t *testing.T) {
	closed, _, head := filled(t)
	before := t.TempDir()
	copyDir(t, closed, before, "LOCK")
	r, b, err := openRepo(t.Context(), closed)
	if err != nil {
		t.Fatal(err)
	}
	must(r.Set(t.Context(), "side", "k", "newer", vcs.CommitInfo{}))(t)
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := badger.AtRest(b, time.Minute); err != nil {
		t.Fatal(err)
	}
	after := t.TempDir() // a compaction is the last that there was
	copyDir(t, closed, after, "LOCK")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(after, "*.mem"))
	if old, _ := filepath.Glob(filepath.Join(before, "*.mem")); len(logs) != 1 || len(old) != 0 {
		t.Fatalf("logs %v, and %v of the closed store", logs, old)
	}
	wal, data := theFile(t, after, "*.mem")
	write(t, filepath.Join(before, filepath.Base(wal)), data)
	for _, dir := range []string{before, after} {
		path, data := theFile(t, dir, "MANIFEST")
		if dir == before {
			data = data[:8+8+4+4] // in the first change: head, length and checksum, and a part of it
		}
		write(t, path, data[:len(data)-4])
		r, b, err := openRepo(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if rep := b.Report(); !rep.OK() || !strings.Contains(strings.Join(rep.Notes, " "), "made again from the tables") {
			t.Errorf("report %s", rep.String())
		}
		if got := checkWhole(t, r); got != head {
			t.Errorf("primary is at %v, want %v", got, head)
		}
		if v, ok, err := must(r.At("side"))(t).Get("k"); v != "newer" || !ok || err != nil {
			t.Errorf("the newer write: %q, %t, %v", v, ok, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
