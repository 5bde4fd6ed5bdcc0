package packfile

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
)

// told is a history as a log would tell it.
type told struct {
	objects map[vcs.ID]vcs.Object
	changes []vcs.CommitChange
}

func (h *told) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	o, ok := h.objects[id]
	if !ok {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	return o.Kind, o.Content, nil
}

func (h *told) put(k vcs.Kind, content string) vcs.ID {
	id := vcs.HashObject(k, []byte(content))
	h.objects[id] = vcs.Object{ID: id, Kind: k, Content: []byte(content)}
	return id
}

// commit adds a commit with one file that may have changed.
func (h *told) commit(parents []vcs.ID, blob byte, when int64, unknown bool) vcs.ID {
	tree := h.put(vcs.KindTree, "100644 file\x00"+strings.Repeat(string(rune('a'+blob)), 20))
	text := fmt.Sprintf("tree %v\n", tree)
	for _, p := range parents {
		text += fmt.Sprintf("parent %v\n", p)
	}
	who := fmt.Sprintf("a <a@b> %d +0000\n", when)
	c := vcs.CommitChange{Tree: tree, Parents: parents, Time: when, Unknown: unknown}
	c.ID = h.put(vcs.KindCommit, text+"author "+who+"committer "+who+fmt.Sprintf("\n%d\n", len(h.changes)))
	if len(parents) == 0 || !bytes.Contains(h.objects[parents[0]].Content, []byte(tree.String())) {
		c.Paths = []string{"file"}
	}
	if unknown {
		c.Paths = nil
	}
	h.changes = append(h.changes, c)
	return c.ID
}

// Commits with many parents, of dates that a corrected one is far from, that come
// twice, and whose changes are not told, make the graph that reading them makes.
func TestGraphFeed(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		h := &told{objects: make(map[vcs.ID]vcs.Object)}
		var ids []vcs.ID
		for i := range 600 {
			var parents []vcs.ID
			switch k := rnd.IntN(20); {
			case i == 0 || k == 0:
			case k < 12:
				parents = ids[i-1:]
			default:
				for range 1 + rnd.IntN(5) {
					if p := ids[rnd.IntN(i)]; !slices.Contains(parents, p) {
						parents = append(parents, p)
					}
				}
			}
			when := int64(1_700_000_000 + i)
			if rnd.IntN(5) == 0 {
				when = []int64{0, 1, 1<<34 - 1, 1 << 33}[rnd.IntN(4)]
			}
			ids = append(ids, h.commit(slices.Clone(parents), byte(rnd.IntN(5)), when, rnd.IntN(10) == 0))
		}
		come := slices.Clone(h.changes)
		for range 40 { // again, behind the first time
			i := rnd.IntN(len(h.changes))
			at := i + rnd.IntN(len(h.changes)-i)
			come = slices.Insert(come, slices.IndexFunc(come, func(c vcs.CommitChange) bool { return c.ID == h.changes[at].ID })+1, h.changes[i])
		}
		f := newGraphFeed(t.Context(), h, new(memory))
		for i := range come {
			if err := f.add(&come[i]); err != nil {
				t.Fatal(err)
			}
		}
		var got, want bytes.Buffer
		if err := f.finish(&got); err != nil {
			t.Fatal(err)
		}
		if err := WriteCommitGraph(t.Context(), &want, h, ids, nil); err != nil {
			t.Fatal(err)
		}
		if f.n != len(ids) || f.edges == 0 || len(f.far) == 0 || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("seed %d: %d commits, %d edges, %d far: %d bytes that are not the %d expected ones", seed, f.n, f.edges, len(f.far), got.Len(), want.Len())
		}
	}
}

// A parent that is missing, or that comes later, is named.
func TestGraphFeedNeedsParents(t *testing.T) {
	h := &told{objects: make(map[vcs.ID]vcs.Object)}
	a := h.commit(nil, 1, 1, false)
	b := h.commit([]vcs.ID{a}, 2, 2, false)
	c := h.commit([]vcs.ID{b, a}, 3, 3, false)
	for _, come := range [][]int{{0, 2}, {0, 2, 1}} {
		f := newGraphFeed(t.Context(), h, new(memory))
		for _, i := range come {
			if err := f.add(&h.changes[i]); err != nil {
				t.Fatal(err)
			}
		}
		var missing *MissingError
		if err := f.finish(new(bytes.Buffer)); !errors.As(err, &missing) || missing.ID != b || missing.From != c {
			t.Errorf("%v: %v, want that %v lacks %v", come, err, c, b)
		}
	}
}
