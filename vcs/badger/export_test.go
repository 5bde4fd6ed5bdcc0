package badger

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Small returns a configuration for a store that turns its files over every few
// hundred kilobytes.
func Small(cfg Config) Config {
	cfg.memTable = 1 << 20
	return cfg
}

// Magic is the application's number in the manifest.
const Magic = magic | version

// MendTable and MendLog set flipped bits right.
var MendTable, MendLog = mendTable, mendWAL

// OutOfOrder reports whether a log misses parts of one transaction and has later
// ones: a batch that takes several of them syncs each before the next.
func OutOfOrder(dir string) bool {
	names, _ := filepath.Glob(filepath.Join(dir, "*.mem"))
	var before uint64
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return false
		}
		w := readWAL(name, b)
		before = max(before, w.last)
		for _, n := range w.fins {
			if before > 0 && n > before+1 {
				return true
			}
		}
	}
	return false
}

// AtRest waits until badger has nothing left to move: no log of writes waits to
// become a table, no table waits for a compaction or is in one, and what was
// compacted has left the directory. Files alone do not tell: between two tables
// of a compaction the directory looks as if it were over.
func AtRest(b *Backend, atMost time.Duration) error {
	for end := time.Now().Add(atMost); ; time.Sleep(10 * time.Millisecond) {
		busy := b.busy()
		if busy == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not at rest after %v: %s", atMost, busy)
		}
	}
}

// busy says what there is left to do.
func (b *Backend) busy() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readOnly { // opened on a full disk: nothing moves
		return ""
	}
	// In the order in which data moves, so that nothing slips through between
	// two looks: a log goes when its table is there, a table when those that it
	// went into are.
	if logs, _ := filepath.Glob(filepath.Join(b.dir, "*.mem")); len(logs) > 1 {
		return fmt.Sprintf("%d logs", len(logs))
	}
	tables := 0
	for _, l := range b.db.Levels() {
		if l.Level == 0 && l.NumTables > 0 || l.Score >= 1 {
			return fmt.Sprintf("level %d has %d tables, score %.1f", l.Level, l.NumTables, l.Score)
		}
		tables += l.NumTables
	}
	if files, _ := filepath.Glob(filepath.Join(b.dir, "*.sst")); len(files) != tables {
		return fmt.Sprintf("%d files for %d tables", len(files), tables)
	}
	return ""
}

// Where KeepState leaves its first chunk, and the heads.
var (
	StateKey   = stateKey(0)
	WrittenKey = []byte(writtenKey)
)
