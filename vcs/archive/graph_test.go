package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
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

// The files of many epochs become fewer, those of epochs that leave leave nothing
// behind, and commits that many epochs have are in one file of whichever are left.
func TestManyEpochs(t *testing.T) {
	p := newPast(t)
	d := openDir(t, memoryDir(t), Config{})
	const n = maxLayers + 3
	var shared []vcs.ID
	for i := range n {
		if i > 0 { // a branch of the first epoch is known to be old
			shared = p.more(shared)
		}
		ids := vcstest.RandomHistory(t, p.repo, vcstest.HistoryConfig{Seed: uint64(i), Steps: 1})
		for _, r := range p.roots {
			ids = append(ids, r.Root)
		}
		p.archive(d, p.end(append(ids, shared...)))
	}
	if got, want := len(layerFiles(t, d)), n-maxLayers/2+1; got != want {
		t.Errorf("%d files of the commit-graph, want %d", got, want)
	}
	check := func(left map[int]bool) {
		t.Helper()
		seen := map[vcs.ID]string{}
		var all []vcs.ID
		for _, path := range layerFiles(t, d) {
			for _, id := range graphIDs(t, path) {
				if seen[id] != "" {
					t.Errorf("%v is in %s and %s", id, filepath.Base(seen[id]), filepath.Base(path))
				}
				seen[id] = path
				all = append(all, id)
			}
		}
		var want []vcs.ID
		for e := range left {
			want = append(want, p.acked[e-1]...)
		}
		for _, list := range [][]vcs.ID{all, want} {
			slices.SortFunc(list, func(a, b vcs.ID) int { return bytes.Compare(a[:], b[:]) })
		}
		if want = slices.Compact(want); !slices.Equal(all, want) {
			t.Errorf("the commit-graph has %d commits, the epochs have %d", len(all), len(want))
		}
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
	left := map[int]bool{}
	for e := range n {
		left[e+1] = true
	}
	check(left)
	for _, gone := range []int{1, maxLayers/2 + 4, 2, n} { // in the first file, behind it, and the last one
		if err := d.removeEpoch(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		delete(left, gone)
		check(left)
	}
	for e := range n {
		if left[e+1] && len(left) > 2 {
			if err := d.removeEpoch(t.Context(), e+1); err != nil {
				t.Fatal(err)
			}
			delete(left, e+1)
		}
	}
	check(left)
}

// graphIDs returns the commits of one file of a commit-graph.
func graphIDs(t *testing.T, path string) (ids []vcs.ID) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := func(chunk string) int {
		e := b[8:] // the table of chunks
		for string(e[:4]) != chunk {
			e = e[12:]
		}
		return int(binary.BigEndian.Uint64(e[4:]))
	}
	n := int(binary.BigEndian.Uint32(b[at("OIDF")+255*4:]))
	for names := b[at("OIDL"):]; len(ids) < n; names = names[20:] {
		ids = append(ids, vcs.ID(names[:20]))
	}
	return ids
}
