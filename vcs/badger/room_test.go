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
			// A sum that is taken while files come and go may count what was there
			// at no time; twice in a row it does not.
			most.Store(max(most.Load(), min(diskUse(dir), diskUse(dir))))
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

// diskUse returns the bytes that a directory's files take.
func diskUse(dir string) (sum int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		sum += fileUse(filepath.Join(dir, e.Name()))
	}
	return sum
}
