package badger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	upstream "github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/vcstest"
)

// TestImages opens what crashes and bad disks leave of a store.
func TestImages(t *testing.T) {
	images, limit := 4000, 20*time.Second
	if os.Getenv("SOAK") != "" {
		images, limit = 30_000, 0
	}
	vcstest.Crash{
		Open: func(dir string) (vcs.Backend, vcstest.Found, error) {
			b, err := badger.Open(context.Background(), dir, badger.Small(badger.Config{VerifyAll: true, MinFree: -1}))
			if err != nil {
				return nil, vcstest.Found{}, err
			}
			rep := b.Report()
			found := vcstest.Found{Note: strings.Join(rep.Notes, "; "), Report: &rep}
			if !rep.OK() {
				found.Damage = rep.String()
			}
			return b, found, nil
		},
		Refused: func(err error) bool {
			return errors.Is(err, badger.ErrForeign) || errors.Is(err, badger.ErrNewer)
		},
		// Badger writes tables and logs, then names them in the manifest, then
		// removes what they replace.
		Stage: func(name string) int {
			if name == "MANIFEST" {
				return 1
			}
			return 0
		},
		Impossible: func(dir string) bool { return missesTables(dir) || badger.OutOfOrder(dir) },
		Spare:      func(name string) bool { return name == "LOCK" },
		Value:      20_000,
		Groups:     110,
		Images:     images,
		Limit:      limit,
	}.Run(t)
}

// missesTables reports whether the manifest names a table that is not there:
// one that came and went between two group commits.
func missesTables(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "MANIFEST"))
	if err != nil {
		return false
	}
	defer f.Close()
	m, _, err := upstream.ReplayManifestFile(f, badger.Magic, upstream.DefaultOptions(dir))
	if err != nil {
		return false
	}
	for id := range m.Tables {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%06d.sst", id))); err != nil {
			return true
		}
	}
	return false
}
