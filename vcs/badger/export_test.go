package badger

import (
	"os"
	"path/filepath"
)

// Small returns a configuration for a store that turns its files over every few
// hundred kilobytes.
func Small(cfg Config) Config {
	cfg.memTable = 1 << 20
	return cfg
}

// Magic is the application's number in the manifest.
const Magic = magic | version

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
