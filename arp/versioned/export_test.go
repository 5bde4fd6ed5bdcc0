package versioned

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// export leaves a node's repository under test_results/TEST/NODE in the
// module's root, checked by git fsck --strict, and returns the directory.
func export(t *testing.T, node string, s *vcs.Store) string {
	t.Helper()
	dir := filepath.Join("..", "..", "test_results", filepath.FromSlash(t.Name()), node)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	vcstest.ExportTo(t, dir, s)
	return dir
}

// lines runs stock git in an exported repository.
func lines(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	out := vcstest.Git(t, dir, args...)
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

func wantLine(t *testing.T, lines []string, part string) {
	t.Helper()
	for _, l := range lines {
		if strings.Contains(l, part) {
			return
		}
	}
	t.Errorf("no line with %q in\n%s", part, strings.Join(lines, "\n"))
}
