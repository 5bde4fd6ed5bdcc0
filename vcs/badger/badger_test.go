package badger_test

import (
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/vcstest"
)

func open(t testing.TB, dir string) *badger.Backend {
	t.Helper()
	b, err := badger.Open(t.Context(), dir, badger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBackend(t *testing.T) {
	vcstest.TestBackend(t, func(t *testing.T) vcs.Backend { return open(t, t.TempDir()) })
}

func TestReopen(t *testing.T) {
	vcstest.TestReopen(t, func(t *testing.T, closed vcs.Backend) vcs.Backend {
		dir := t.TempDir()
		if closed != nil {
			dir = closed.(*badger.Backend).Dir()
		}
		return open(t, dir)
	})
}

func TestFaults(t *testing.T) {
	vcstest.TestFaults(t, func(t *testing.T) vcs.Backend { return open(t, t.TempDir()) })
}
