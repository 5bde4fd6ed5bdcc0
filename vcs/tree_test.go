package vcs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestEditTree compares incremental edits with trees built from scratch.
func TestEditTree(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "a-", "a.b", "a0", "b", "ab", "b/x", "a/b/c", "a/b/d", "c/d", "c/e", "c-d"}
	s := newScratch(nothing{})
	for range 300 {
		files := make(map[string]ID)
		root := EmptyTree
		for range 12 {
			var edits []edit
			for range 1 + rnd.IntN(5) {
				e := edit{path: names[rnd.IntN(len(names))]}
				if rnd.IntN(3) > 0 {
					e.content = fmt.Appendf(nil, "%d", rnd.IntN(5))
					e.id = HashObject(KindBlob, e.content)
				}
				edits = append(edits, e)
			}
			next, err := s.editTree(root, append([]edit(nil), edits...))
			want, ok := editMap(files, edits)
			if ok != (err == nil) {
				t.Fatalf("edits %v of %v: %v", edits, files, err)
			}
			if err != nil {
				continue
			}
			files, root = want, next
			if built := build(t, s, files); built != root {
				t.Fatalf("edits %v: %v, built from scratch %v", edits, root, built)
			}
		}
	}
}

// nothing is a source without objects.
type nothing struct{}

func (nothing) ReadObject(id ID) (Kind, []byte, error) { return 0, nil, ErrNotFound }
func (nothing) ReadTree(id ID) (*Tree, error)          { return loadTree(nothing{}, id) }

// editMap applies edits to a map; ok is false when a file would be a folder.
func editMap(files map[string]ID, edits []edit) (map[string]ID, bool) {
	out := make(map[string]ID)
	for k, v := range files {
		out[k] = v
	}
	for _, e := range edits {
		if e.id.IsZero() {
			delete(out, e.path)
		} else {
			out[e.path] = e.id
		}
	}
	for a := range out {
		for b := range out {
			if strings.HasPrefix(b, a+"/") {
				return nil, false
			}
		}
	}
	return out, true
}

func build(t *testing.T, s *scratch, files map[string]ID) ID {
	t.Helper()
	var entries []TreeEntry
	folders := make(map[string]map[string]ID)
	for path, id := range files {
		dir, rest, nested := strings.Cut(path, "/")
		if !nested {
			entries = append(entries, TreeEntry{path, ModeFile, id})
			continue
		}
		if folders[dir] == nil {
			folders[dir] = make(map[string]ID)
		}
		folders[dir][rest] = id
	}
	for dir, sub := range folders {
		entries = append(entries, TreeEntry{dir, ModeDir, build(t, s, sub)})
	}
	tree, err := NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseTree(tree.Content())
	if err != nil || !bytes.Equal(parsed.Content(), tree.Content()) {
		t.Fatalf("a tree we built does not parse: %v", err)
	}
	return s.putTree(tree)
}

// TestOneEntryCommitTouchesItsPathOnly: the objects of a one-entry change are
// the blob and one tree per level.
func TestOneEntryCommitTouchesItsPathOnly(t *testing.T) {
	s := newScratch(nothing{})
	var edits []edit
	for i := range 4096 {
		edits = append(edits, edit{path: fmt.Sprintf("lan/%x/%x/%x/%d", i>>8, i>>4&15, i&15, i), id: HashObject(KindBlob, nil)})
	}
	root, err := s.editTree(EmptyTree, edits)
	if err != nil {
		t.Fatal(err)
	}
	w := newScratch(s)
	content := []byte("new")
	if _, err := w.editTree(root, []edit{{"lan/7/3/1/1841", ModeFile, HashObject(KindBlob, content), content}}); err != nil {
		t.Fatal(err)
	}
	if len(w.objs) != 6 {
		t.Errorf("%d new objects, want a blob and five trees", len(w.objs))
	}
}
