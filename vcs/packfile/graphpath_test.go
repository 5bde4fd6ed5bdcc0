package packfile_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

func chain(t testing.TB, b []byte) *packfile.GraphChain {
	t.Helper()
	c, err := packfile.OpenGraphChain([]io.ReaderAt{bytes.NewReader(b)}, []int64{int64(len(b))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// firstParent is a commit's place in the history, -1 for none.
func (d *dag) firstParent(t *testing.T, i int) int {
	t.Helper()
	_, content, err := d.ReadObject(d.commits[i])
	if err != nil {
		t.Fatal(err)
	}
	c, err := vcs.ParseCommit(content)
	if err != nil {
		t.Fatal(err)
	}
	for k, id := range d.commits {
		if len(c.Parents) > 0 && c.Parents[0] == id {
			return k
		}
	}
	return -1
}

// TestPathWalk: what a filter denies is not so, what it says is mostly so, and
// Skip takes the steps that one would take by hand.
func TestPathWalk(t *testing.T) {
	d := newDAG(17, 150)
	c := chain(t, graph(t, d, append([]vcs.ID(nil), d.commits...)))
	paths := map[string]bool{"no/such/file": true}
	for _, files := range d.files {
		for name := range files {
			if len(paths) < 400 {
				paths[name] = true
			}
		}
	}
	wrong, right := 0, 0
	for path := range paths {
		w := c.Walk(path)
		may := make([]bool, len(d.commits))
		for i, id := range d.commits {
			var before string
			p := d.firstParent(t, i)
			if p >= 0 {
				before = d.files[p][path]
			}
			changed := before != d.files[i][path]
			var err error
			if may[i], err = w.MayChange(id); err != nil {
				t.Fatal(err)
			}
			switch {
			case changed && !may[i]:
				t.Fatalf("commit %d changed %s, which its filter denies", i, path)
			case changed:
				right++
			case may[i]:
				wrong++
			}
		}
		for i, id := range d.commits {
			at := i
			for !may[at] && d.firstParent(t, at) >= 0 {
				at = d.firstParent(t, at)
			}
			if got, err := w.Skip(id); err != nil || got != d.commits[at] {
				t.Fatalf("skip from %d: %v, %v, want %v", i, got, err, d.commits[at])
			}
		}
	}
	// Commits of very many changes say of everything that they may have.
	if total := len(paths) * len(d.commits); wrong > total/8 || right == 0 {
		t.Errorf("%d of %d answers are wrong, %d are right", wrong, total, right)
	}
	// Of several paths any one will do.
	names := slices.Sorted(maps.Keys(paths))
	for len(names) >= 3 {
		w := c.Walk(names[:3]...)
		for i, id := range d.commits {
			at := i
			for {
				may, err := w.MayChange(d.commits[at])
				if err != nil {
					t.Fatal(err)
				}
				p := d.firstParent(t, at)
				if may || p < 0 {
					break
				}
				at = p
			}
			if got, err := w.Skip(id); err != nil || got != d.commits[at] {
				t.Fatalf("%q: skip from %d: %v, %v, want %v", names[:3], i, got, err, d.commits[at])
			}
		}
		names = names[max(3, len(names)/4):]
	}
	unknown := vcs.ID{1}
	if got, err := c.Walk("x").Skip(unknown); err != nil || got != unknown {
		t.Errorf("an unknown commit: %v, %v", got, err)
	}
	for _, path := range []string{"", "zürich", strings.Repeat("a/", 4096) + "b"} { // the root, what filters cannot tell, and too long
		if may, err := c.Walk(path).MayChange(d.commits[3]); err != nil || !may {
			t.Errorf("%q: %v, %v", path, may, err)
		}
	}
}

func FuzzPathWalk(f *testing.F) {
	d := newDAG(13, 20)
	f.Add(graph(f, d, append([]vcs.ID(nil), d.commits...)), "lan1/v40")
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		c, err := packfile.OpenGraphChain([]io.ReaderAt{bytes.NewReader(b)}, []int64{int64(len(b))})
		if err != nil {
			if !errors.Is(err, packfile.ErrGraph) {
				t.Fatal(err)
			}
			return
		}
		w := c.Walk(path)
		for _, id := range d.commits {
			if _, err := w.Skip(id); err != nil && !errors.Is(err, packfile.ErrGraph) {
				t.Fatal(err)
			}
			if _, err := w.MayChange(id); err != nil && !errors.Is(err, packfile.ErrGraph) {
				t.Fatal(err)
			}
		}
	})
}
