package packfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// dag is a random history whose commits have any dates, octopus merges, and
// changes from none to many.
type dag struct {
	objects
	rnd     *rand.Rand
	commits []vcs.ID
	files   []map[string]string // of the commits
	name    func(*rand.Rand) string
}

func newDAG(seed uint64, n int) *dag {
	d := &dag{objects: objects{}, rnd: rand.New(rand.NewPCG(seed, 3)), name: func(r *rand.Rand) string {
		parts := []string{"lan", "v4", "10.0.0.0_16", "x.y", "ab", "long name of a file"}
		path := ""
		for range 1 + r.IntN(4) {
			path += parts[r.IntN(len(parts))] + fmt.Sprint(r.IntN(3)) + "/"
		}
		return path[:len(path)-1]
	}}
	for range n {
		d.commit()
	}
	return d
}

func (d *dag) commit() {
	files := map[string]string{}
	var parents []vcs.ID
	if n := len(d.commits); n > 0 && d.rnd.IntN(20) > 0 {
		for range 1 + []int{0, 0, 0, 1, 1, 4}[d.rnd.IntN(6)] {
			k := max(0, n-1-d.rnd.IntN(5))
			if !slices.Contains(parents, d.commits[k]) {
				parents = append(parents, d.commits[k])
				for name, v := range d.files[k] {
					put(files, name, v)
				}
			}
		}
	}
	changes := []int{0, 1, 1, 1, 1, 2, 2, 5, 5, 20, 600}[d.rnd.IntN(11)]
	for range changes {
		name := d.name(d.rnd)
		if changes > 100 {
			name = fmt.Sprint("many/", d.rnd.IntN(1000))
		}
		if d.rnd.IntN(3) == 0 {
			delete(files, name)
			continue
		}
		put(files, name, fmt.Sprint(d.rnd.IntN(50)))
	}
	date := []int64{0, 1, 1_700_000_000, 1_700_000_000 + int64(len(d.commits)), 1_900_000_000, 5_000_000_000, 12_000_000_000}[d.rnd.IntN(7)]
	text := fmt.Sprintf("tree %v\n", d.tree(files))
	for _, p := range parents {
		text += fmt.Sprintf("parent %v\n", p)
	}
	text += fmt.Sprintf("author a <a@b> %d +0000\ncommitter a <a@b> %d +0000\n\n%d\n", date, date, len(d.commits))
	d.commits = append(d.commits, d.add(vcs.KindCommit, text))
	d.files = append(d.files, files)
}

// put writes a file, also where a folder was, and below what was a file.
func put(files map[string]string, name, value string) {
	if _, ok := files[name]; !ok {
		for other := range files {
			if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
				delete(files, other)
			}
		}
	}
	files[name] = value
}

func (d *dag) tree(files map[string]string) vcs.ID {
	below := map[string]map[string]string{}
	type entry struct{ key, text string }
	var list []entry
	for name, v := range files {
		folder, rest, deeper := strings.Cut(name, "/")
		if !deeper {
			id := d.add(vcs.KindBlob, v)
			mode := "100644"
			if v == "7" {
				mode = "100755"
			}
			list = append(list, entry{name, mode + " " + name + "\x00" + string(id[:])})
			continue
		}
		if below[folder] == nil {
			below[folder] = map[string]string{}
		}
		below[folder][rest] = v
	}
	for folder, files := range below {
		id := d.tree(files)
		list = append(list, entry{folder + "/", "40000 " + folder + "\x00" + string(id[:])})
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	var text strings.Builder
	for _, e := range list {
		text.WriteString(e.text)
	}
	return d.add(vcs.KindTree, text.String())
}

// Refs and Head make it a repository whose branches are all commits.
func (d *dag) Refs() ([]vcs.Ref, error) {
	var refs []vcs.Ref
	for i, id := range d.commits {
		refs = append(refs, vcs.Ref{Name: fmt.Sprintf("refs/heads/b%05d", i), Target: id})
	}
	return refs, nil
}

func (d *dag) Head() string { return "refs/heads/b00000" }

func graph(t testing.TB, r vcs.ObjectReader, commits []vcs.ID) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := packfile.WriteCommitGraph(t.Context(), &b, r, commits, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openGraph(t testing.TB, b []byte) *packfile.CommitGraph {
	t.Helper()
	g, err := packfile.OpenCommitGraph(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// stockGraph has stock git write the commit-graph of a directory.
func stockGraph(t testing.TB, dir string) []byte {
	t.Helper()
	vcstest.Git(t, dir, "commit-graph", "write", "--reachable", "--changed-paths", "--no-progress")
	b, err := os.ReadFile(filepath.Join(dir, "objects/info/commit-graph"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCommitGraphIsStockGits(t *testing.T) {
	for seed := range uint64(3) {
		d := newDAG(seed, 70)
		dir := t.TempDir()
		vcstest.ExportTo(t, dir, d)
		got, want := graph(t, d, d.commits), stockGraph(t, dir)
		if !bytes.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			t.Fatalf("seed %d: %d bytes, stock git writes %d; they differ from %d on", seed, len(got), len(want), at)
		}
		g := openGraph(t, got)
		if err := g.Verify(t.Context()); err != nil || g.Len() != len(d.commits) {
			t.Errorf("seed %d: %d commits, %v", seed, g.Len(), err)
		}
		for _, id := range d.commits {
			if ok, err := g.Has(id); !ok || err != nil {
				t.Fatalf("%v: %v %v", id, ok, err)
			}
		}
		if ok, err := g.Has(vcs.ID{9}); ok || err != nil {
			t.Error(ok, err)
		}
	}
}

// Graphs of parts of a history merge into the graph of all of it, and a merge
// leaves out what is not wanted.
func TestMergeCommitGraphs(t *testing.T) {
	a, b := newDAG(10, 60), newDAG(11, 40)
	both := objects{}
	for _, d := range []*dag{a, b} {
		for id, o := range d.objects {
			both[id] = o
		}
	}
	shared := a.commits[:30] // closed under parents
	graphs := []*packfile.CommitGraph{
		openGraph(t, graph(t, a, a.commits)), openGraph(t, graph(t, a, shared)), openGraph(t, graph(t, b, b.commits)),
	}
	merged := func(keep func(vcs.ID) (bool, error)) []byte {
		var out bytes.Buffer
		if err := packfile.MergeCommitGraphs(t.Context(), &out, graphs, keep); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	all := slices.Concat(a.commits, b.commits)
	if got, want := merged(nil), graph(t, both, all); !bytes.Equal(got, want) {
		t.Errorf("merged graphs have %d bytes, the graph of all %d", len(got), len(want))
	}
	got := merged(func(id vcs.ID) (bool, error) {
		return slices.Contains(shared, id) || slices.Contains(b.commits, id), nil
	})
	if want := graph(t, both, slices.Concat(shared, b.commits)); !bytes.Equal(got, want) {
		t.Errorf("filtered graphs have %d bytes, the graph of these %d", len(got), len(want))
	}
	err := packfile.MergeCommitGraphs(t.Context(), &bytes.Buffer{}, graphs, func(id vcs.ID) (bool, error) { return id != a.commits[0], nil })
	if !errors.Is(err, packfile.ErrMissing) {
		t.Errorf("without a parent: %v, want %v", err, packfile.ErrMissing)
	}
}

func TestCommitGraphNeedsParents(t *testing.T) {
	d := newDAG(12, 30)
	err := packfile.WriteCommitGraph(t.Context(), &bytes.Buffer{}, d, d.commits[20:], nil)
	if !errors.Is(err, packfile.ErrMissing) {
		t.Errorf("%v, want %v", err, packfile.ErrMissing)
	}
}

// Stock git finds every commit of a path outside of ASCII.
func TestCommitGraphOfOddPaths(t *testing.T) {
	d := &dag{objects: objects{}, rnd: rand.New(rand.NewPCG(1, 1)), name: func(r *rand.Rand) string {
		return []string{"größe/ärger", "größe/x", "plain/x"}[r.IntN(3)]
	}}
	for range 60 {
		d.commit()
	}
	dir := t.TempDir()
	vcstest.ExportTo(t, dir, d)
	log := func() (s string) {
		for _, path := range []string{"größe", "größe/ärger", "plain", "plain/x"} {
			s += vcstest.Git(t, dir, "log", "--all", "--format=%H", "--", path) + "\n"
		}
		return s
	}
	want := log()
	if err := os.WriteFile(filepath.Join(dir, "objects/info/commit-graph"), graph(t, d, d.commits), 0o644); err != nil {
		t.Fatal(err)
	}
	vcstest.Git(t, dir, "commit-graph", "verify")
	if got := log(); got != want {
		t.Errorf("log with the graph:\n%s\nwithout:\n%s", got, want)
	}
}

func FuzzCommitGraph(f *testing.F) {
	d := newDAG(13, 20)
	f.Add(graph(f, d, d.commits))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := packfile.OpenCommitGraph(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, id := range d.commits {
			if _, err := g.Has(id); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := packfile.MergeCommitGraphs(t.Context(), &out, []*packfile.CommitGraph{g, g}, nil); err != nil {
			return
		}
		if err := openGraph(t, out.Bytes()).Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
