package gitremote

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// logOf lists the commits that changed a path, by the store.
func logOf(t testing.TB, dir, path string) string {
	t.Helper()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := vcs.OpenStore(t.Context(), d, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	head, _ := s.Ref("refs/heads/primary")
	var out []string
	for c, err := range s.LogPath(path, head) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.ID.String())
	}
	return strings.Join(out, "\n")
}

// TestLogPathWithGraph: the log of a path is what stock git says, with every
// form of commit-graph that it writes, also where the graph knows only a part.
func TestLogPathWithGraph(t *testing.T) {
	r := newStore(t)
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 11})
	write(t, r, "primary", 0, 40)
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	files := strings.Fields(vcstest.Git(t, dir, "ls-tree", "-r", "--name-only", "primary"))
	var paths []string
	for _, f := range files {
		if paths = append(paths, f); strings.Contains(f, "/") {
			paths = append(paths, filepath.Dir(f))
		}
	}
	slices.Sort(paths)
	paths = append(slices.Compact(paths), "no/such/file")
	compare := func(t *testing.T) {
		t.Helper()
		for _, p := range paths {
			if got, want := logOf(t, dir, p), vcstest.Git(t, dir, "log", "--format=%H", "primary", "--", p); got != want {
				t.Fatalf("log of %s:\n%s\nwant:\n%s", p, got, want)
			}
		}
	}
	info := filepath.Join(dir, "objects", "info")
	compare(t) // with the graph of the snapshot
	for _, args := range [][]string{
		nil,
		{"--reachable"},
		{"--reachable", "--changed-paths"},
	} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			os.Remove(filepath.Join(info, graphFile))
			if args != nil {
				vcstest.Git(t, dir, append([]string{"commit-graph", "write"}, args...)...)
			}
			compare(t)
			if d, err := OpenDir(dir); err != nil || (d.PathIndex("x") != nil) != (args != nil) {
				t.Errorf("the graph is not used: %v", err)
			} else {
				d.Close()
			}
		})
	}
	write(t, r, "primary", 40, 10)
	snapshot(t, dir, r.Store())
	t.Run("behind", compare)
	os.Remove(filepath.Join(info, graphFile))
	for i := range 3 {
		vcstest.Git(t, dir, "commit-graph", "write", "--reachable", "--changed-paths", "--split=no-merge")
		write(t, r, "primary", 50+10*i, 10)
		snapshot(t, dir, r.Store())
	}
	if chain, err := os.ReadFile(filepath.Join(info, graphChain)); err != nil || len(strings.Fields(string(chain))) != 3 {
		t.Fatalf("chain %q, %v", chain, err)
	}
	t.Run("chain", compare)
	// A damaged graph is none.
	graphs, err := filepath.Glob(filepath.Join(info, "commit-graphs", "*.graph"))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range graphs {
		b, err := os.ReadFile(g)
		if err != nil {
			t.Fatal(err)
		}
		os.Chmod(g, 0o644)
		for i := len(b) / 2; i < len(b); i += 7 {
			b[i] ^= 0xff
		}
		if err := os.WriteFile(g, b[:len(b)-len(b)/3], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range paths {
		logOf(t, dir, p)
	}
}

// TestFindPrefix: as git rev-parse --disambiguate, packed and loose.
func TestFindPrefix(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 60)
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	write(t, r, "primary", 60, 5)
	snapshot(t, dir, r.Store())
	loose := vcstest.GitInput(t, dir, []byte("loose\n"), "hash-object", "-w", "--stdin")
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all := strings.Fields(vcstest.Git(t, dir, "cat-file", "--batch-check=%(objectname)", "--batch-all-objects"))
	for i, name := range append(all, loose, strings.Repeat("0", 40)) {
		prefix := name[:2+i%6]
		var want []string
		for _, other := range all {
			if strings.HasPrefix(other, prefix) {
				want = append(want, other)
			}
		}
		ids, ok, err := d.FindPrefix(strings.ToUpper(prefix))
		var got []string
		for _, id := range ids {
			got = append(got, id.String())
		}
		if err != nil || !ok || !slices.Equal(got, want) {
			t.Fatalf("%s: %v, %v, %v, want %v", prefix, got, ok, err, want)
		}
	}
	if ids, ok, err := d.FindPrefix("12xy"); len(ids) > 0 || !ok || err != nil {
		t.Errorf("no digits: %v, %v, %v", ids, ok, err)
	}
}
