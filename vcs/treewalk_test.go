package vcs

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// plainTree is a tree as maps, for implementations that are easily seen to be
// right.
type plainTree map[string]plainEntry

type plainEntry struct {
	treeRef
	sub plainTree // of a folder, never empty
}

// treeMaker makes random trees with names that sort around a folder's slash.
type treeMaker struct {
	*rand.Rand
	w *scratch
}

func (m treeMaker) name() string {
	b := []byte{"ab"[m.IntN(2)]}
	for m.IntN(2) == 0 && len(b) < 4 {
		b = append(b, "-.0a\x01\xff"[m.IntN(6)])
	}
	return string(b)
}

func (m treeMaker) entry(depth int) plainEntry {
	if m.IntN(3) == 0 && depth < 4 {
		return plainEntry{sub: m.tree(nil, depth+1, 1+m.IntN(6))}
	}
	modes := []Mode{ModeFile, ModeFile, ModeFile, ModeExecutable, ModeSymlink, ModeSubmodule}
	return plainEntry{treeRef: treeRef{modes[m.IntN(len(modes))], HashObject(KindBlob, []byte{byte(m.IntN(4))})}}
}

// tree returns a tree with some names set anew.
func (m treeMaker) tree(t plainTree, depth, changes int) plainTree {
	t = maps.Clone(t)
	if t == nil {
		t = plainTree{}
	}
	for range changes {
		t[m.name()] = m.entry(depth)
	}
	return t
}

// edit returns a tree with some names set, removed or edited further down.
func (m treeMaker) edit(t plainTree, depth int) plainTree {
	t = m.tree(t, depth, m.IntN(3))
	for _, name := range slices.Sorted(maps.Keys(t)) {
		switch k := m.IntN(10); {
		case k == 0:
			delete(t, name)
		case k == 1:
			t[name] = m.entry(depth)
		case k < 6 && t[name].sub != nil:
			if sub := m.edit(t[name].sub, depth+1); len(sub) > 0 {
				t[name] = plainEntry{sub: sub}
			} else {
				delete(t, name)
			}
		}
	}
	return t
}

func (m treeMaker) put(t testing.TB, p plainTree) ID {
	t.Helper()
	entries := make([]TreeEntry, 0, len(p))
	for name, e := range p {
		if e.sub != nil {
			e.treeRef = treeRef{ModeDir, m.put(t, e.sub)}
		}
		entries = append(entries, e.entry(name))
	}
	tree, err := NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m.w.putTree(tree)
}

// pick is a leaf of merges that does every thing that a leaf may do.
func pick(_ string, base, ours, theirs TreeEntry) (TreeEntry, error) {
	switch (int(base.ID[0]) + int(ours.ID[0]) + int(theirs.ID[0])) % 4 {
	case 0:
		return TreeEntry{}, nil
	case 1:
		return base, nil
	case 2:
		return ours, nil
	}
	return theirs, nil
}

// plainMerge merges three trees name by name, without a glance at their ids.
func plainMerge(dir string, side [3]plainTree, calls *[]string) plainTree {
	keys := map[string]bool{} // names in Git's order
	for _, t := range side {
		for name := range t {
			keys[name] = true
		}
	}
	order := make([]string, 0, len(keys))
	for name := range keys {
		file := slices.ContainsFunc(side[:], func(t plainTree) bool { e, ok := t[name]; return ok && e.sub == nil })
		if !file {
			name += "/"
		}
		order = append(order, name)
	}
	slices.Sort(order)
	out := plainTree{}
	for _, key := range order {
		name := strings.TrimSuffix(key, "/")
		var files sides
		var folders [3]plainTree
		for i, t := range side {
			files[i], folders[i] = t[name].treeRef, t[name].sub
		}
		file, ok := files.threeWay()
		if !ok {
			*calls = append(*calls, dir+name)
			e, _ := pick("", files[0].entry(name), files[1].entry(name), files[2].entry(name))
			file = treeRef{e.Mode, e.ID}
		}
		folder := plainMerge(dir+name+"/", folders, calls)
		switch {
		case len(folder) > 0:
			out[name] = plainEntry{sub: folder}
			if !file.id.IsZero() {
				*calls = append(*calls, "clash "+dir+name)
			}
		case !file.id.IsZero():
			out[name] = plainEntry{treeRef: file}
		}
	}
	return out
}

// TestMergeWalk compares merges of random trees with plainMerge: the trees, and
// what the leaves and clashes were, in order.
func TestMergeWalk(t *testing.T) {
	clashes, leaves := 0, 0
	for seed := range uint64(4000) {
		m := treeMaker{rand.New(rand.NewPCG(seed, 3)), newScratch(nothing{})}
		base := m.tree(nil, 0, m.IntN(12))
		side := [3]plainTree{base, m.edit(base, 0), m.edit(base, 0)}
		if m.IntN(8) == 0 {
			side[0] = m.edit(plainTree{}, 0) // unrelated
		}
		var got, want []string
		merged := plainMerge("", side, &want)
		g := merger{w: m.w, leaf: func(path string, b, o, th TreeEntry) (TreeEntry, error) {
			got = append(got, path)
			return pick(path, b, o, th)
		}, clash: func(path string) error {
			got = append(got, "clash "+path)
			clashes++
			return nil
		}}
		id, err := g.trees(m.put(t, side[0]), m.put(t, side[1]), m.put(t, side[2]), 0)
		if err != nil {
			t.Fatal(err)
		}
		leaves += len(got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: the merge of %v asked about\n%q, want\n%q", seed, side, got, want)
		}
		checkTrees(t, m.w)
		if wanted := m.put(t, merged); id != wanted {
			t.Fatalf("seed %d: the merge of %v is %v, want %v, %v", seed, side, id, wanted, merged)
		}
	}
	if clashes < 100 || leaves < 1000 {
		t.Errorf("%d clashes, %d leaves: too few to compare anything", clashes, leaves)
	}
}

// checkTrees: all trees made are as if they were read from a store.
func checkTrees(t *testing.T, w *scratch) {
	t.Helper()
	for id, tree := range w.trees {
		read, err := ParseTree(tree.Content())
		if err != nil || !slices.Equal(read.off, tree.off) || HashObject(KindTree, bytes.Clone(tree.raw)) != id {
			t.Fatalf("tree %v: %v, entries at %v, should be at %v", id, err, tree.off, read.off)
		}
	}
}

// plainDiff lists the files that differ, in Git's order.
func plainDiff(dir string, a, b plainTree, out []TreeChange) []TreeChange {
	keys := map[string]bool{}
	for _, t := range []plainTree{a, b} {
		for name, e := range t {
			if e.sub != nil {
				name += "/"
			}
			keys[name] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if name, isFolder := strings.CutSuffix(key, "/"); isFolder {
			out = plainDiff(dir+key, a[name].sub, b[name].sub, out)
		} else if x, y := a[key].treeRef, b[key].treeRef; x != y {
			out = append(out, TreeChange{dir + key, x.entry(key), y.entry(key)})
		}
	}
	return out
}

// TestDiffWalk compares differences of random trees with plainDiff.
func TestDiffWalk(t *testing.T) {
	for seed := range uint64(3000) {
		m := treeMaker{rand.New(rand.NewPCG(seed, 4)), newScratch(nothing{})}
		a := m.tree(nil, 0, m.IntN(12))
		b := m.edit(a, 0)
		var got []TreeChange
		for ch, err := range DiffTrees(m.w, m.put(t, a), m.put(t, b)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ch)
		}
		if want := plainDiff("", a, b, nil); !slices.Equal(got, want) {
			t.Fatalf("seed %d: diff of %v and %v:\n%v, want\n%v", seed, a, b, got, want)
		}
	}
}

// TestMergeKeepsEmptyFolders: trees of others may hold empty ones; what no side
// touched stays as it is.
func TestMergeKeepsEmptyFolders(t *testing.T) {
	w := newScratch(nothing{})
	put := func(entries ...TreeEntry) ID {
		tree, err := NewTree(entries)
		if err != nil {
			t.Fatal(err)
		}
		return w.putTree(tree)
	}
	empty := TreeEntry{"empty", ModeDir, EmptyTree}
	file := func(name string) TreeEntry { return TreeEntry{name, ModeFile, HashObject(KindBlob, []byte(name))} }
	m := merger{w: w}
	id, err := m.trees(put(empty), put(empty, file("a")), put(empty, file("b")), 0)
	if want := put(empty, file("a"), file("b")); err != nil || id != want {
		t.Errorf("%v, %v, want %v", id, err, want)
	}
	if id, err = m.trees(put(empty, file("a")), put(empty), put(file("a")), 0); err != nil || id != EmptyTree {
		t.Errorf("%v, %v, want the empty tree", id, err)
	}
}
