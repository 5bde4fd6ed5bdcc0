package vcs_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// randomDAG adds commits with up to three parents each, most of them drawn from
// the layer before, so that pairs with many merge bases are common. Skewed commit
// times say nothing about who came first.
func randomDAG(t *testing.T, s *vcs.Store, rnd *rand.Rand, n int, skewed bool) []vcs.ID {
	t.Helper()
	tree := must(vcs.NewTree(nil))(t)
	objs := []vcs.Object{{Kind: vcs.KindTree, Content: tree.Content()}}
	const width = 6
	ids := make([]vcs.ID, 0, n)
	times := map[vcs.ID]int64{}
	for i := range n {
		c := vcs.Commit{Tree: vcs.EmptyTree, Message: fmt.Sprint("commit ", i, "\n")}
		when := int64(1_700_000_000)
		for range []int{0, 1, 2, 2, 2, 2, 3, 3}[rnd.IntN(8)] {
			back := i%width + 1 + rnd.IntN(width) // in the layer before
			if rnd.IntN(12) == 0 {
				back += width * rnd.IntN(3)
			}
			if back > i {
				continue
			}
			if p := ids[i-back]; !slices.Contains(c.Parents, p) {
				c.Parents = append(c.Parents, p)
				when = max(when, times[p]+int64(rnd.IntN(2)))
			}
		}
		if skewed {
			when = 1_700_000_000 + int64(rnd.IntN(50))
		}
		c.Author = vcs.Signature{Name: "n", Email: "n@lan", When: time.Unix(when, 0).UTC()}
		c.Committer = c.Author
		content := c.Encode(nil)
		id := vcs.HashObject(vcs.KindCommit, content)
		objs = append(objs, vcs.Object{ID: id, Kind: vcs.KindCommit, Content: content})
		ids, times[id] = append(ids, id), when
	}
	if err := s.AddObjects(t.Context(), objs); err != nil {
		t.Fatal(err)
	}
	var refs []vcs.RefUpdate
	for i, id := range ids {
		refs = append(refs, vcs.RefUpdate{Name: vcs.BranchRef(fmt.Sprint("c", i)), New: id})
	}
	if err := s.UpdateRefs(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	return ids
}

// gitCode runs git and returns its output and exit code, which must be 0 or 1.
func gitCode(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	code := cmd.ProcessState.ExitCode()
	if code != 0 && code != 1 {
		t.Fatalf("git %v: %v", args, err)
	}
	return strings.TrimSpace(string(out)), code
}

// Merge bases and ancestry on graphs that no store would make, with three and
// more lowest common ancestors, and with clocks that run backwards.
func TestRandomGraphsAgainstGit(t *testing.T) {
	most, many := 0, 0
	for seed := range uint64(8) {
		skewed := seed%2 == 1
		s := open(t, vcs.Config[string, string]{}).Store()
		rnd := rand.New(rand.NewPCG(seed, 11))
		ids := randomDAG(t, s, rnd, 60, skewed)
		dir := t.TempDir()
		vcstest.ExportTo(t, dir, s)
		for i := range 40 {
			a, b := ids[len(ids)-1-rnd.IntN(25)], ids[rnd.IntN(len(ids))]
			if i%4 > 0 {
				b = ids[len(ids)-1-rnd.IntN(25)]
			}
			ours := must(s.MergeBases(a, b))(t)
			out, _ := gitCode(t, dir, "merge-base", "--all", a.String(), b.String())
			want := strings.Fields(out)
			slices.Sort(want)
			if got := fmt.Sprint(ours); got != fmt.Sprint(want) {
				t.Errorf("seed %d: merge bases of %v and %v: %v, git says %v", seed, a, b, got, want)
			}
			most = max(most, len(ours))
			if len(ours) >= 3 {
				many++
			}
			is := must(s.IsAncestor(b, a))(t)
			if _, code := gitCode(t, dir, "merge-base", "--is-ancestor", b.String(), a.String()); is != (code == 0) {
				t.Errorf("seed %d: %v in %v: %v, git exits %d", seed, b, a, is, code)
			}
			if skewed {
				continue
			}
			st := must(s.Status(a, b))(t)
			if out, _ := gitCode(t, dir, "rev-list", "--left-right", "--count", a.String()+"..."+b.String()); fmt.Sprintf("%d\t%d", st.Ahead, st.Behind) != out {
				t.Errorf("seed %d: status of %v and %v: %v, git says %s", seed, a, b, st, out)
			}
		}
	}
	t.Logf("at most %d merge bases; %d pairs with three or more", most, many)
	if many < 5 {
		t.Errorf("%d pairs with three or more merge bases: too few to compare anything", many)
	}
}

// randomTree adds a tree whose names sort differently as files and folders, with
// every sort of file.
func randomTree(t *testing.T, rnd *rand.Rand, objs *[]vcs.Object, depth int) vcs.ID {
	t.Helper()
	var entries []vcs.TreeEntry
	for _, name := range []string{"a", "a-", "a.b", "a0", "ab", "b", "é"} {
		e := vcs.TreeEntry{Name: name, Mode: vcs.ModeFile}
		switch n := rnd.IntN(10); {
		case n < 4:
			continue
		case n < 6 && depth < 3:
			e.Mode, e.ID = vcs.ModeDir, randomTree(t, rnd, objs, depth+1)
		case n == 6:
			e.Mode = vcs.ModeExecutable
		case n == 7:
			e.Mode = vcs.ModeSymlink
		}
		if e.Mode != vcs.ModeDir {
			content := []byte(fmt.Sprint(rnd.IntN(3)))
			e.ID = vcs.HashObject(vcs.KindBlob, content)
			*objs = append(*objs, vcs.Object{ID: e.ID, Kind: vcs.KindBlob, Content: content})
		}
		if e.ID != vcs.EmptyTree {
			entries = append(entries, e)
		}
	}
	tree := must(vcs.NewTree(entries))(t)
	id := vcs.HashObject(vcs.KindTree, tree.Content())
	*objs = append(*objs, vcs.Object{ID: id, Kind: vcs.KindTree, Content: tree.Content()})
	return id
}

// Every file with its modes and ids, in git's order, for 800 pairs of trees.
func TestDiffOfRandomTreesAgainstGit(t *testing.T) {
	s := open(t, vcs.Config[string, string]{}).Store()
	rnd := rand.New(rand.NewPCG(5, 5))
	var objs []vcs.Object
	var trees []vcs.ID
	var refs []vcs.RefUpdate
	for i := range 40 {
		tree := randomTree(t, rnd, &objs, 0)
		c := vcs.Commit{Tree: tree, Message: "tree\n", Author: vcs.Signature{Name: "n", Email: "n@lan", When: time.Unix(1_700_000_000+int64(i), 0)}}
		c.Committer = c.Author
		content := c.Encode(nil)
		id := vcs.HashObject(vcs.KindCommit, content)
		objs = append(objs, vcs.Object{ID: id, Kind: vcs.KindCommit, Content: content})
		refs = append(refs, vcs.RefUpdate{Name: vcs.BranchRef(fmt.Sprint("t", i)), New: id})
		trees = append(trees, tree)
	}
	if err := s.AddObjects(t.Context(), objs); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateRefs(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	vcstest.ExportTo(t, dir, s)
	var in, want strings.Builder
	sorts := map[string]int{}
	for i, a := range trees {
		for j, b := range trees {
			if i == j || (i+j)%2 == 1 {
				continue
			}
			fmt.Fprintf(&in, "%v %v\n", a, b)
			fmt.Fprintf(&want, "%v %v\n", a, b)
			for ch, err := range vcs.DiffTrees(s, a, b) {
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&want, ":%06o %06o %v %v\t%s\n", uint32(ch.Old.Mode), uint32(ch.New.Mode), ch.Old.ID, ch.New.ID, ch.Path)
				sorts[ch.Old.Mode.String()+" "+ch.New.Mode.String()]++
			}
		}
	}
	out := vcstest.GitInput(t, dir, []byte(in.String()), "-c", "core.quotePath=false", "diff-tree", "--stdin", "-r", "--no-renames", "--no-abbrev")
	var got strings.Builder
	for line := range strings.Lines(out + "\n") {
		if head, path, ok := strings.Cut(line, "\t"); ok { // the letter before the path says nothing new
			line = head[:len(head)-2] + "\t" + path
		}
		got.WriteString(line)
	}
	if got.String() != want.String() {
		g, w := strings.Split(got.String(), "\n"), strings.Split(want.String(), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("line %d: %s\ngit says %s", i, w[i], g[i])
			}
		}
		t.Fatalf("%d lines, git has %d", len(w), len(g))
	}
	if len(sorts) < 12 {
		t.Errorf("too few sorts of changes: %v", sorts)
	}
}
