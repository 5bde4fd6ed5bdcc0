package packfile

import (
	"fmt"
	"slices"

	"arpeggio/vcs"
)

// maxDepth bounds the recursion over folders.
const maxDepth = 1024

// tree selects a tree and what it holds, except what the previous versions of
// the folder, which the receiver gets or has, hold under the same name.
func (w *walker) tree(id vcs.ID, previous []vcs.ID, depth int) error {
	if slices.Contains(previous, id) || w.set.Has(id) {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: folders deeper than %d", vcs.ErrBadObject, maxDepth)
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.sel.Progress(len(w.marks) + len(w.set.items))
	t, err := w.read(id)
	if err != nil {
		return err
	}
	olds := make([]cursor, 0, len(previous))
	for _, p := range previous {
		old, err := w.read(p)
		if err != nil {
			return err
		}
		olds = append(olds, cursor{rest: old})
	}
	var base vcs.ID
	if len(previous) > 0 {
		base = previous[0]
	}
	w.set.add(vcs.KindTree, id, base)
	for len(t) > 0 {
		var e entry
		if e, t, err = nextEntry(t); err != nil {
			return fmt.Errorf("tree %v: %w", id, err)
		}
		if e.kind() == vcs.KindCommit {
			continue // a submodule's commit lies elsewhere
		}
		same := false
		var was []vcs.ID
		for i := range olds {
			if o, ok := olds[i].find(e); ok {
				same = same || o == e.id
				was = append(was, o)
			}
		}
		switch {
		case same:
		case e.kind() == vcs.KindTree:
			err = w.tree(e.id, was, depth+1)
		default:
			err = w.blob(e.id, was)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) blob(id vcs.ID, was []vcs.ID) error {
	if w.sel.OmitBlobs {
		if w.set.Has(id) {
			return nil
		}
		if w.sel.BlobLimit <= 0 {
			return nil
		}
		_, content, err := w.r.ReadObject(id)
		if err != nil || int64(len(content)) >= w.sel.BlobLimit {
			return err
		}
	}
	var base vcs.ID
	if len(was) > 0 {
		base = was[0]
	}
	w.set.add(vcs.KindBlob, id, base)
	return nil
}

// read returns a tree's content. A commit's trees are the next one's previous
// trees, so the last few thousand stay at hand.
func (w *walker) read(id vcs.ID) ([]byte, error) { return w.trees.read(w.r, id) }

// treeCache keeps tree contents in two generations of at most half of
// treeCacheBytes.
type treeCache struct {
	young, old map[vcs.ID][]byte
	size       int
}

const treeCacheBytes = 4 << 20

// read returns a tree's content.
func (c *treeCache) read(r vcs.ObjectReader, id vcs.ID) ([]byte, error) {
	if id == vcs.EmptyTree {
		return nil, nil
	}
	if b, ok := c.get(id); ok {
		return b, nil
	}
	kind, content, err := r.ReadObject(id)
	if err == nil && kind != vcs.KindTree {
		err = fmt.Errorf("%w: %v is a %v, not a tree", vcs.ErrWrongKind, id, kind)
	}
	if err != nil {
		return nil, err
	}
	c.put(id, content)
	return content, nil
}

func (c *treeCache) get(id vcs.ID) ([]byte, bool) {
	if b, ok := c.young[id]; ok {
		return b, true
	}
	b, ok := c.old[id]
	if ok {
		c.put(id, b)
	}
	return b, ok
}

func (c *treeCache) put(id vcs.ID, b []byte) {
	if c.size > treeCacheBytes/2 || c.young == nil {
		c.old, c.young, c.size = c.young, make(map[vcs.ID][]byte), 0
	}
	c.young[id] = b
	c.size += len(b) + 64
}
