package gitremote

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// TestGraphWritten: a snapshot, a mirror, an imported bundle and a pruned
// directory have the commit-graph that stock git would write. It is written anew
// when the history has grown by a share, not before.
func TestGraphWritten(t *testing.T) {
	r := newStore(t)
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 5})
	write(t, r, "primary", 0, 60)
	dir := t.TempDir()
	graph := func(dir string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, "objects", "info", graphFile))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	asGit := func(t *testing.T, dir string) {
		t.Helper()
		mine := graph(dir)
		vcstest.Git(t, dir, "commit-graph", "verify")
		other := filepath.Join(t.TempDir(), "other.git")
		vcstest.Git(t, "", "clone", "-q", "--mirror", "file://"+dir, other)
		vcstest.Git(t, other, "-c", "commitGraph.changedPathsVersion=1", "commit-graph", "write", "--reachable", "--changed-paths")
		if !bytes.Equal(mine, graph(other)) {
			t.Error("stock git writes another graph")
		}
	}
	snapshot(t, dir, r.Store())
	asGit(t, dir)
	first := graph(dir)
	write(t, r, "primary", 60, 3)
	snapshot(t, dir, r.Store())
	if !bytes.Equal(first, graph(dir)) {
		t.Error("written anew for three commits")
	}
	write(t, r, "primary", 63, 200)
	snapshot(t, dir, r.Store())
	asGit(t, dir)

	if _, err := Repack(dir, RepackOptions{Prune: true}); err != nil {
		t.Fatal(err)
	}
	asGit(t, dir)

	mirror := filepath.Join(t.TempDir(), "mirror.git")
	if _, err := Fetch(t.Context(), dir, mirror, RemoteOptions{}); err != nil {
		t.Fatal(err)
	}
	asGit(t, mirror)

	bundle := filepath.Join(t.TempDir(), "all.bundle")
	vcstest.Git(t, dir, "bundle", "create", "-q", bundle, "--all")
	f, err := os.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	imported := filepath.Join(t.TempDir(), "imported.git")
	if _, err := ImportBundle(f, imported); err != nil {
		t.Fatal(err)
	}
	asGit(t, imported)

	// Files of a chain give way to the one file.
	other := t.TempDir()
	snapshot(t, other, r.Store())
	if err := os.Remove(filepath.Join(other, "objects", "info", graphFile)); err != nil {
		t.Fatal(err)
	}
	vcstest.Git(t, other, "commit-graph", "write", "--reachable", "--split")
	write(t, r, "primary", 263, 200)
	snapshot(t, other, r.Store())
	asGit(t, other)
	if exists(filepath.Join(other, "objects", "info", "commit-graphs")) {
		t.Error("the chain is still there")
	}
	vcstest.Git(t, other, "fsck", "--strict")
}

// TestGraphOfEpochs: refs that join epochs lead to commits of the graph, too.
func TestGraphOfEpochs(t *testing.T) {
	r := newStore(t)
	for i := range 3 {
		write(t, r, "primary", 10*i, 10)
		if _, err := r.Store().EndEpoch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write(t, r, "primary", 30, 5)
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	chain := d.openChain()
	if chain == nil {
		t.Fatal("no graph")
	}
	refs, err := d.Refs()
	if err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for _, ref := range refs {
		id, err := vcs.PeelCommit(d, ref.Target)
		if err != nil {
			t.Fatal(err)
		}
		if has, err := chain.Has(id); !has || err != nil {
			t.Errorf("%s is not in the graph: %v", ref.Name, err)
		}
		if ref.Name > "refs/replace/" && ref.Name < "refs/replace0" {
			replaced++
		}
	}
	if replaced == 0 {
		t.Error("no ref joins epochs")
	}
	vcstest.Git(t, dir, "--no-replace-objects", "commit-graph", "verify")
}
