package gitremote_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/vcstest"
)

// TestFileFaults lets every call fail with which a bare Git directory is made
// and written.
func TestFileFaults(t *testing.T) {
	f := vcstest.BackendFileFaults(func(_ context.Context, dir string) (vcs.Backend, error) {
		return gitremote.CreateDir(dir, "refs/heads/primary")
	})
	f.Tolerated = func(c vcstest.FileCall) bool {
		// Go-git takes a pack or an object that cannot be opened for one that is
		// not there: then it is written again. A temporary file is removed when
		// its directory is opened again.
		return c.Reads || c.Name == "unlinkat" && strings.HasPrefix(filepath.Base(c.Path), "tmp_")
	}
	f.Points = 40
	if os.Getenv("SOAK") != "" {
		f.Points = 0
	}
	f.Run(t)
}
