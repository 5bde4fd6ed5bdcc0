package versioned

import (
	"context"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// openMem opens a Table in a store of its own, in memory, and closes both with
// the test.
func openMem(t *testing.T, cfg Config) *Table {
	t.Helper()
	return openOn(t, mem.New(), cfg)
}

func openOn(t *testing.T, b vcs.Backend, cfg Config) *Table {
	t.Helper()
	tab, s := openStore(t, b, cfg)
	t.Cleanup(func() { closeBoth(t, tab, s) })
	return tab
}

func openStore(t testing.TB, b vcs.Backend, cfg Config) (*Table, *vcs.Store) {
	t.Helper()
	watch(t)
	s, err := vcs.OpenStore(context.Background(), b, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tab, err := Open(context.Background(), s, cfg)
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	return tab, s
}

// closeBoth closes a Table and its store and leaves the repository to browse.
func closeBoth(t testing.TB, tab *Table, s *vcs.Store) {
	t.Helper()
	watch(t)
	if err := tab.Close(); err != nil {
		t.Error(err)
	}
	leave(t, tab.cfg.Node, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if st := tab.Stats(); st.Failed != 0 {
		t.Errorf("%d commits failed", st.Failed)
	}
}
