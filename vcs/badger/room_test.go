package badger_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// TestRoom moves a window of 16 MB over a log, 4 MB at a time: the directory
// stays within what the package promises, while it is written and afterwards.
func TestRoom(t *testing.T) {
	const (
		record = vcs.MaxRecord
		step   = 4 << 20 / record // records of a cycle
		window = 16 << 20 / record
		peak   = 2*(window+step)*record + 56<<20
		rest   = (window+step)*record + 24<<20
	)
	dir := t.TempDir()
	b := open(t, dir)
	var most atomic.Int64
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			most.Store(max(most.Load(), togetherUse(fileUses(dir), fileUses(dir))))
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	rnd := rand.NewChaCha8([32]byte{1})
	live := 0
	for cycle := range 20 {
		var batch vcs.Batch
		for range step {
			rec := make([]byte, record)
			if _, err := rnd.Read(rec); err != nil {
				t.Fatal(err)
			}
			batch.Log = append(batch.Log, rec)
		}
		if live == window {
			batch.Drop = step
		}
		live += step - batch.Drop
		if err := b.Apply(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if cycle%7 == 6 { // what a crash or a close leaves behind is given back, too
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = open(t, dir)
		}
	}
	if err := badger.AtRest(b, 2*time.Minute); err != nil {
		t.Error(err)
	}
	atRest := diskUse(dir)
	close(stop)
	<-done
	t.Logf("live %d bytes, on disk %d, at most %d", live*record, atRest, most.Load())
	if n := most.Load(); n > peak {
		t.Errorf("the directory took %d bytes, more than %d", n, peak)
	}
	if atRest > rest {
		t.Errorf("the directory takes %d bytes, more than %d", atRest, rest)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// togetherUse returns the bytes of files that were there between two looks, one
// after the other. A sum of one look may have files that were never there together,
// when it takes long.
func togetherUse(before, after map[string]int64) (sum int64) {
	for name, n := range before {
		sum += min(n, after[name])
	}
	return sum
}

// diskUse returns the bytes that a directory's files take.
func diskUse(dir string) (sum int64) {
	for _, n := range fileUses(dir) {
		sum += n
	}
	return sum
}

// fileUses returns the bytes that each of a directory's files takes.
func fileUses(dir string) map[string]int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	uses := make(map[string]int64, len(entries))
	for _, e := range entries {
		uses[e.Name()] = fileUse(filepath.Join(dir, e.Name()))
	}
	return uses
}
