package archive

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// layerFiles returns the commit-graph's files, the base first.
func layerFiles(t *testing.T, d *Dir) (paths []string) {
	t.Helper()
	text, err := os.ReadFile(d.at(chainName))
	if err != nil {
		t.Fatal(err)
	}
	for _, sum := range strings.Fields(string(text)) {
		paths = append(paths, d.at(graphDir+"/graph-"+sum+".graph"))
	}
	return paths
}

// What the log tells of an epoch's commits, merges among them, is the commit-graph
// that stock git makes of their trees.
func TestGraphFromTheLog(t *testing.T) {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{Head: "b0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 5, Steps: 250})
	if _, err := r.Store().EndEpoch(ctx); err != nil {
		t.Fatal(err)
	}
	e := r.Store().Epochs()[0]
	src, err := r.Store().OpenEpoch(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := openDir(t, filepath.Join(t.TempDir(), "a"), Config{})
	if _, err := d.Archive(ctx, e, src.(vcs.Source)); err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(layerFiles(t, d)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.at(graphDir)); err != nil {
		t.Fatal(err)
	}
	vcstest.Git(t, d.path, "-c", "core.commitGraph=true", "commit-graph", "write", "--reachable", "--changed-paths")
	gits, err := os.ReadFile(d.at("objects/info/commit-graph"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, gits) {
		t.Errorf("the commit-graph has %d bytes and is not git's, which has %d", len(ours), len(gits))
	}
}

// The files of many epochs become fewer, and those of epochs that leave leave
// nothing behind.
func TestManyEpochs(t *testing.T) {
	p := newPast(t)
	d := openDir(t, memoryDir(t), Config{})
	n := maxLayers + 3
	for i := range n {
		p.archive(d, p.live(uint64(i), 2))
	}
	if got, want := len(layerFiles(t, d)), n-maxLayers/2+1; got != want {
		t.Errorf("%d files of the commit-graph, want %d", got, want)
	}
	verify := func() {
		t.Helper()
		vcstest.Git(t, d.path, "--no-replace-objects", "commit-graph", "verify")
		vcstest.Git(t, d.path, "log", "--format=%H", "--glob=refs/epochs*")
		list, err := d.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range []int{0, len(list) / 2, len(list) - 1} {
			if _, err := d.Verify(t.Context(), list[in].Epoch); err != nil {
				t.Error(err)
			}
		}
	}
	verify()
	for _, gone := range []int{1, 2, maxLayers/2 + 4, n} { // in the first file, behind it, and the last one
		if err := d.removeEpoch(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		verify()
	}
}
