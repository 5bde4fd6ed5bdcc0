package packfile

import (
	"container/heap"
	"context"
	"fmt"
	"math"

	"arpeggio/vcs"
)

// Selection says which objects a pack holds: everything reachable from Wants
// that is not reachable from Haves.
type Selection struct {
	// Wants are objects of any kind; tags are followed.
	Wants []vcs.ID
	// Haves are commits (or tags of commits) that the receiver holds with all
	// they reach. Ones that the reader lacks are ignored.
	Haves []vcs.ID
	// Cut, when not nil, reports commits that count as parentless: the ends of
	// a shallow history, the receiver's own included.
	Cut func(commit vcs.ID) bool
	// OmitBlobs leaves out blobs of BlobLimit bytes or more (the filters
	// blob:none, with a zero BlobLimit, and blob:limit), unless they are wanted
	// by name.
	OmitBlobs bool
	BlobLimit int64
}

// maxChain is the longest chain of deltas that Write makes, as git's own.
const maxChain = 50

// item is one object of a pack. Items of one kind lie in one list, and a delta
// base comes before what is based on it.
type item struct {
	id    vcs.ID
	base  int32 // index in the same list, -1 for none
	depth uint8 // of the delta chain
}

// Set is an ordered selection of objects. It is for one goroutine.
type Set struct {
	r     vcs.ObjectReader
	items [vcs.KindTag + 1][]item // by kind
	index map[vcs.ID]int32
}

// Len returns the number of objects.
func (s *Set) Len() int { return len(s.index) }

// Has reports whether an object is selected.
func (s *Set) Has(id vcs.ID) bool {
	_, ok := s.index[id]
	return ok
}

// IDs yields the objects in the order of the pack: tags, commits newest first,
// trees, blobs.
func (s *Set) IDs(yield func(vcs.ID) bool) {
	for _, k := range packOrder {
		for _, it := range s.items[k] {
			if !yield(it.id) {
				return
			}
		}
	}
}

var packOrder = [...]vcs.Kind{vcs.KindTag, vcs.KindCommit, vcs.KindTree, vcs.KindBlob}

// Add selects one more object, alone, with nothing that it reaches: for tags of
// selected commits.
func (s *Set) Add(id vcs.ID) error {
	kind, _, err := s.r.ReadObject(id)
	if err == nil {
		s.add(kind, id, vcs.ID{})
	}
	return err
}

// add appends an object, based on an earlier version if that is selected too.
func (s *Set) add(k vcs.Kind, id, previous vcs.ID) bool {
	if _, ok := s.index[id]; ok {
		return false
	}
	list := s.items[k]
	it := item{id: id, base: -1}
	if i, ok := s.index[previous]; ok && !previous.IsZero() && int(i) < len(list) && list[i].id == previous && list[i].depth < maxChain {
		it.base, it.depth = i, list[i].depth+1
	}
	s.index[id] = int32(len(list))
	s.items[k] = append(list, it)
	return true
}

// Select works out the objects of a selection. The error wraps vcs.ErrNotFound
// when the reader lacks one of them.
func Select(ctx context.Context, r vcs.ObjectReader, sel Selection) (*Set, error) {
	w := &walker{ctx: ctx, sel: sel, r: r, marks: make(map[vcs.ID]*mark)}
	w.set = &Set{r: r, index: make(map[vcs.ID]int32)}
	for _, id := range sel.Haves {
		if err := w.have(id); err != nil {
			return nil, err
		}
	}
	var rest []target
	for _, id := range sel.Wants {
		t, err := w.want(id)
		if err != nil {
			return nil, err
		}
		if t.kind != 0 {
			rest = append(rest, t)
		}
	}
	if err := w.commits(); err != nil {
		return nil, err
	}
	for _, t := range rest {
		if t.kind == vcs.KindBlob {
			w.set.add(vcs.KindBlob, t.id, vcs.ID{})
		} else if err := w.tree(t.id, nil, 0); err != nil {
			return nil, err
		}
	}
	return w.set, nil
}

// target is a wanted tree or blob.
type target struct {
	kind vcs.Kind
	id   vcs.ID
}

// mark is what the walk knows of a commit.
type mark struct {
	links  links
	had    bool // reachable from a have
	queued bool
}

type walker struct {
	ctx   context.Context
	sel   Selection
	r     vcs.ObjectReader
	set   *Set
	marks map[vcs.ID]*mark
	queue commitHeap
	live  int // queued commits that are not had
	trees treeCache
}

// want queues a commit or returns a tree or blob for later.
func (w *walker) want(id vcs.ID) (target, error) {
	for range 64 {
		kind, content, err := w.r.ReadObject(id)
		if err != nil {
			return target{}, err
		}
		switch kind {
		case vcs.KindCommit:
			return target{}, w.push(id, false)
		case vcs.KindTag:
			w.set.add(vcs.KindTag, id, vcs.ID{})
			if id, err = tagTarget(content); err != nil {
				return target{}, fmt.Errorf("tag %v: %w", id, err)
			}
		default:
			return target{kind, id}, nil
		}
	}
	return target{}, fmt.Errorf("%w: tags of tags deeper than 64", vcs.ErrBadObject)
}

// have queues what the receiver holds.
func (w *walker) have(id vcs.ID) error {
	for range 64 {
		kind, content, err := w.r.ReadObject(id)
		switch {
		case isNotFound(err):
			return nil
		case err != nil:
			return err
		case kind == vcs.KindCommit:
			return w.push(id, true)
		case kind != vcs.KindTag:
			return nil
		}
		if id, err = tagTarget(content); err != nil {
			return nil
		}
	}
	return nil
}

// push queues a commit, or hears that the receiver has a known one.
func (w *walker) push(id vcs.ID, had bool) error {
	m := w.marks[id]
	if m == nil {
		kind, content, err := w.r.ReadObject(id)
		if err == nil && kind != vcs.KindCommit {
			err = fmt.Errorf("%w: %v is a %v, not a commit", vcs.ErrWrongKind, id, kind)
		}
		if err != nil {
			return err
		}
		m = &mark{had: had}
		if m.links, err = parseLinks(content); err != nil {
			return fmt.Errorf("commit %v: %w", id, err)
		}
		if w.sel.Cut != nil && w.sel.Cut(id) {
			m.links.parents = nil
		}
		w.marks[id] = m
	} else {
		if m.had || !had {
			return nil
		}
		m.had = true
		if m.queued {
			w.live--
			return nil
		}
	}
	m.queued = true
	if !m.had {
		w.live++
	}
	heap.Push(&w.queue, queued{id, m.links.time, len(w.marks)})
	return nil
}

// commits walks newest first until everything left is the receiver's, then
// selects the others' trees, oldest first.
func (w *walker) commits() error {
	var order []vcs.ID
	once := make(map[vcs.ID]bool)
	oldest := int64(math.MaxInt64) // of those in order
	// Where commits have equal times, a have may be met after what it leads to.
	for w.live > 0 || len(w.queue) > 0 && w.queue[0].time >= oldest {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		id := heap.Pop(&w.queue).(queued).id
		m := w.marks[id]
		m.queued = false
		if !m.had {
			w.live--
			if !once[id] {
				once[id] = true
				order = append(order, id)
				oldest = min(oldest, m.links.time)
			}
		}
		for _, p := range m.links.parents {
			if err := w.push(p, m.had); err != nil {
				return err
			}
		}
	}
	for _, id := range order {
		if !w.marks[id].had {
			w.set.add(vcs.KindCommit, id, vcs.ID{})
		}
	}
	for i := len(order) - 1; i >= 0; i-- {
		m := w.marks[order[i]]
		if m.had {
			continue
		}
		var previous []vcs.ID
		for _, p := range m.links.parents {
			previous = append(previous, w.marks[p].links.tree)
		}
		if err := w.tree(m.links.tree, previous, 0); err != nil {
			return fmt.Errorf("commit %v: %w", order[i], err)
		}
	}
	return nil
}
