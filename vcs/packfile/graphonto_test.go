package packfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// pile puts copies of layers on one another and returns the files.
func pile(t testing.TB, layers [][]byte) (*packfile.GraphChain, [][]byte) {
	t.Helper()
	on, files := new(packfile.GraphChain), [][]byte(nil)
	for _, alone := range layers {
		var out bytes.Buffer
		if err := chain(t, alone).CopyLayer(t.Context(), &out, 0, on); err != nil {
			t.Fatal(err)
		}
		files = append(files, out.Bytes())
		if err := on.Grow(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
			t.Fatal(err)
		}
	}
	return on, files
}

// Histories that share commits lie on one another in a chain with each commit
// once, which stock git finds right; and each can be had again alone, byte for
// byte, whichever files were below it.
func TestCopyLayer(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		one, two := newDAG(20+seed, 80), newDAG(40+seed, 30)
		both := &dag{objects: objects{}, commits: slices.Concat(one.commits, two.commits)}
		maps.Copy(both.objects, one.objects)
		maps.Copy(both.objects, two.objects)
		var parts [][]byte
		var sets [][]vcs.ID
		for range 7 {
			ids := slices.Clone(one.commits[:rnd.IntN(len(one.commits)+1)]) // with all ancestors
			if rnd.IntN(2) == 0 {
				ids = append(ids, two.commits[:rnd.IntN(len(two.commits))]...)
			}
			if len(ids) == 0 {
				ids = append(ids, one.commits[0])
			}
			sets, parts = append(sets, ids), append(parts, graph(t, both, slices.Clone(ids)))
		}
		whole, files := pile(t, parts)
		checkPile(t, both, sets, whole, files)
		for i := range parts {
			own := both.ancestors(t, onlyNew(sets, i))
			if len(own) == 0 {
				continue
			}
			want := graph(t, both, own)
			var out bytes.Buffer
			if err := whole.CopyLayer(t.Context(), &out, i, new(packfile.GraphChain)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("seed %d: layer %d alone is not the graph of what it leads to", seed, i)
			}
		}
		// Without some files, the others take in what they need.
		on, left, files := new(packfile.GraphChain), [][]vcs.ID(nil), [][]byte(nil)
		for i := range parts {
			if rnd.IntN(2) == 0 {
				continue
			}
			var out bytes.Buffer
			if err := whole.CopyLayer(t.Context(), &out, i, on); err != nil {
				t.Fatal(err)
			}
			if err := on.Grow(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
				t.Fatal(err)
			}
			left, files = append(left, onlyNew(sets, i)), append(files, out.Bytes())
		}
		if len(left) > 0 {
			checkPile(t, both, left, on, files)
		}
	}
}

// ancestors returns commits and all that they lead to.
func (d *dag) ancestors(t *testing.T, ids []vcs.ID) (all []vcs.ID) {
	seen := map[vcs.ID]bool{}
	for todo := ids; len(todo) > 0; {
		id := todo[0]
		todo = todo[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		all = append(all, id)
		_, content, err := d.ReadObject(id)
		if err != nil {
			t.Fatal(err)
		}
		c, err := vcs.ParseCommit(content)
		if err != nil {
			t.Fatal(err)
		}
		todo = append(todo, c.Parents...)
	}
	return all
}

// onlyNew returns what no set before the i-th has: what its file must lead to.
func onlyNew(sets [][]vcs.ID, i int) (ids []vcs.ID) {
	for _, id := range sets[i] {
		if !slices.ContainsFunc(sets[:i], func(s []vcs.ID) bool { return slices.Contains(s, id) }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// checkPile looks at the files of a chain that has the sets.
func checkPile(t *testing.T, all *dag, sets [][]vcs.ID, c *packfile.GraphChain, files [][]byte) {
	t.Helper()
	seen := map[vcs.ID]bool{}
	for _, id := range all.commits {
		has := 0
		for i := range c.Layers() {
			ok, err := c.Layer(i).Has(id)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				has++
				seen[id] = true
			}
		}
		if has > 1 {
			t.Errorf("%v is in %d files", id, has)
		}
	}
	if len(seen) != c.Len() {
		t.Errorf("%d commits of %d are known", len(seen), c.Len())
	}
	for _, ids := range sets {
		for _, id := range ids {
			if !seen[id] {
				t.Errorf("%v is in no file", id)
			}
		}
	}
	dir := t.TempDir()
	vcstest.ExportTo(t, dir, all)
	graphs := filepath.Join(dir, "objects/info/commit-graphs")
	if err := os.MkdirAll(graphs, 0o755); err != nil {
		t.Fatal(err)
	}
	var names bytes.Buffer
	for i, b := range files {
		sum, err := c.Layer(i).Sum()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&names, sum)
		if err := os.WriteFile(filepath.Join(graphs, fmt.Sprintf("graph-%v.graph", sum)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(graphs, "commit-graph-chain"), names.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	vcstest.Git(t, dir, "commit-graph", "verify")
}

// A file in which commits are their own ancestors is refused.
func TestCopyLayerOfACircle(t *testing.T) {
	one, two := newDAG(1, 3), newDAG(2, 20)
	both := &dag{objects: objects{}, commits: slices.Concat(one.commits, two.commits)}
	maps.Copy(both.objects, one.objects)
	maps.Copy(both.objects, two.objects)
	base, _ := pile(t, [][]byte{graph(t, both, slices.Clone(one.commits))})
	names := slices.Clone(both.commits)
	slices.SortFunc(names, func(a, b vcs.ID) int { return bytes.Compare(a[:], b[:]) })
	names = slices.Compact(names)
	for _, k := range []int{0, 1} {
		b := graph(t, both, slices.Clone(both.commits))
		table := b[8:]
		for string(table[:4]) != "CDAT" {
			table = table[12:]
		}
		row := b[binary.BigEndian.Uint64(table[4:]):][36*slices.Index(names, two.commits[0]):]
		if binary.BigEndian.Uint32(row[20:]) != 0x70000000 {
			t.Fatal("the first commit has parents")
		}
		binary.BigEndian.PutUint32(row[20:], uint32(slices.Index(names, two.commits[k])))
		err := chain(t, b).CopyLayer(t.Context(), io.Discard, 0, base)
		if !errors.Is(err, packfile.ErrGraph) {
			t.Errorf("the first commit has commit %d as a parent: %v", k, err)
		}
	}
}

// Broken files give errors, and no endless walk.
func FuzzCopyLayer(f *testing.F) {
	d := newDAG(13, 30)
	base, top := graph(f, d, slices.Clone(d.commits[:12])), graph(f, d, slices.Clone(d.commits))
	_, files := pile(f, [][]byte{base, top})
	f.Add(files[1])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := packfile.OpenGraphChain([]io.ReaderAt{bytes.NewReader(base), bytes.NewReader(b)}, []int64{int64(len(base)), int64(len(b))})
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := c.CopyLayer(t.Context(), &out, 1, new(packfile.GraphChain)); err != nil {
			if !errors.Is(err, packfile.ErrGraph) && !errors.Is(err, packfile.ErrLimit) {
				t.Error(err)
			}
			return
		}
		if err := openGraph(t, out.Bytes()).Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
