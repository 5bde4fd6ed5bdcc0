package versioned

import (
	"context"
	"path/filepath"
	"testing"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
)

// backends are the stores that a Table is tested on.
var backends = map[string]func(t *testing.T) vcs.Backend{
	"memory": func(*testing.T) vcs.Backend { return mem.New() },
	"badger": func(t *testing.T) vcs.Backend {
		b, err := badger.Open(context.Background(), t.TempDir(), badger.Config{MinFree: -1})
		if err != nil {
			t.Fatal(err)
		}
		return b
	},
	"git directory": func(t *testing.T) vcs.Backend {
		dir, err := gitremote.CreateDir(filepath.Join(t.TempDir(), "arp.git"), vcs.BranchRef(Primary))
		if err != nil {
			t.Fatal(err)
		}
		return dir
	},
}

func TestTableConformance(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for the disk
			arptest.TestTable(t, func(t *testing.T) arp.Table { return openOn(t, backend(t), Config{}) })
		})
	}
}

// recorder is a Service whose Table is a repository of its own.
type recorder struct {
	*arp.Service
	t   *testing.T
	tab *Table
	s   *vcs.Store
}

func (r *recorder) Close() error {
	err := r.Service.Close()
	if !r.tab.closed {
		closeBoth(r.t, r.tab, r.s)
	}
	return err
}

// The whole resolver suite again, with a repository behind the cache, on each
// backend.
func TestServiceOnARepository(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for the disk
			arptest.TestResolver(t, func(t *testing.T, cfg arp.Config) arptest.Resolver {
				s, err := vcs.OpenStore(context.Background(), backend(t), vcs.StoreConfig{})
				if err != nil {
					t.Fatal(err)
				}
				tab, err := Open(context.Background(), s, Config{})
				if err != nil {
					t.Fatal(err)
				}
				if seeds, ok := cfg.Table.(arp.Lister); ok {
					for k, b := range seeds.All() {
						tab.Put(arp.Change{Op: arp.OpLearned, Key: k, MAC: b.MAC, Time: b.Since})
					}
				}
				cfg.Table = tab
				return &recorder{Service: arp.NewService(cfg), t: t, tab: tab, s: s}
			})
		})
	}
}

func TestNewTableIsEmptyAndConsistent(t *testing.T) {
	b := mem.New()
	tab, s := openStore(t, b, Config{})
	snap := mustSnap(t, tab)
	if len(tab.Entries()) != 0 || snap.Tree() != vcs.EmptyTree {
		t.Errorf("%d entries, tree %v", len(tab.Entries()), snap.Tree())
	}
	if got := subjects(t, tab); len(got) != 1 || got[0] != "arp: initial empty cache" {
		t.Errorf("history: %q", got)
	}
	closeBoth(t, tab, s)
	again, s := openStore(t, b, Config{})
	if mustSnap(t, again).Commit() != snap.Commit() {
		t.Error("a second Open made another commit")
	}
	closeBoth(t, again, s)
}
