package badger_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/vcstest"
)

// TestFileFaults lets every call fail with which badger makes and writes its
// files. Badger ends the process of some, and tries others again and again; what
// was acknowledged must be there in any case.
func TestFileFaults(t *testing.T) {
	f := vcstest.BackendFileFaults(func(ctx context.Context, dir string) (vcs.Backend, error) {
		return badger.Open(ctx, dir, badger.Config{MinFree: -1})
	})
	f.MayDie, f.MayWait = true, true
	f.Tolerated = func(c vcstest.FileCall) bool {
		name := filepath.Base(c.Path)
		switch filepath.Ext(name) {
		case ".vlog": // holds nothing
			return true
		case ".mem": // is synced before it is closed, and cut off when it is done with
			return c.Name == "ftruncate" || c.Name == "close" || c.Name == "unlinkat"
		}
		return c.Reads || name == "DISCARD"
	}
	f.Points = 12
	if os.Getenv("SOAK") != "" {
		f.Points = 0
	}
	f.Run(t)
}
