package packfile

import (
	"container/heap"
	"context"
	"errors"
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
	// Progress, when not nil, is called every now and then while a long
	// selection goes on, with a number that grows with the work done.
	Progress func(n int)
}

// Select works out the objects of a selection. The error wraps vcs.ErrNotFound
// when the reader lacks one of them.
//
// A reader that is a vcs.AdditionReader and can tell is asked what the wanted
// commits added, unless the selection has a Cut or omits blobs: the set then
// counts the objects (vcs.Additions), and Write makes them as it goes.
// Else the trees are compared, and the set takes about forty bytes an object.
func Select(ctx context.Context, r vcs.ObjectReader, sel Selection) (*Set, error) {
	if sel.Progress == nil {
		sel.Progress = func(int) {}
	}
	if set, err := selectAdditions(ctx, r, sel); !errors.Is(err, errors.ErrUnsupported) {
		return set, err
	}
	w := &walker{ctx: ctx, sel: sel, r: r, marks: make(map[vcs.ID]*mark)}
	w.set = &Set{ctx: ctx, r: r, whole: sel.Cut == nil && !sel.OmitBlobs}
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

// selectAdditions is Select for readers that know what commits added. The error
// wraps errors.ErrUnsupported when that does not go.
func selectAdditions(ctx context.Context, r vcs.ObjectReader, sel Selection) (*Set, error) {
	adds, ok := r.(vcs.AdditionReader)
	if !ok || sel.Cut != nil || sel.OmitBlobs {
		return nil, errors.ErrUnsupported
	}
	set := &Set{ctx: ctx, r: r}
	var tips, known []vcs.ID
	for _, id := range sel.Wants {
		err := peel(r, id, func(id vcs.ID, k vcs.Kind) error {
			switch k {
			case vcs.KindTag:
				set.add(k, id, vcs.ID{})
			case vcs.KindCommit:
				tips = append(tips, id)
			default:
				return errors.ErrUnsupported
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range sel.Haves {
		err := peel(r, id, func(id vcs.ID, k vcs.Kind) error {
			if k == vcs.KindCommit {
				known = append(known, id)
			}
			return nil
		})
		if err != nil && !isNotFound(err) && !errors.Is(err, vcs.ErrBadObject) {
			return nil, err
		}
	}
	var err error
	set.adds, err = adds.Additions(ctx, tips, known, sel.Progress)
	return set, err
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
func (w *walker) want(id vcs.ID) (t target, err error) {
	err = peel(w.r, id, func(id vcs.ID, k vcs.Kind) error {
		switch k {
		case vcs.KindCommit:
			return w.push(id, false)
		case vcs.KindTag:
			w.set.add(k, id, vcs.ID{})
		default:
			t = target{k, id}
		}
		return nil
	})
	return t, err
}

// have queues what the receiver holds.
func (w *walker) have(id vcs.ID) error {
	var commit vcs.ID
	err := peel(w.r, id, func(id vcs.ID, k vcs.Kind) error {
		if k == vcs.KindCommit {
			commit = id
		}
		return nil
	})
	if err != nil && !isNotFound(err) && !errors.Is(err, vcs.ErrBadObject) {
		return err
	}
	if commit.IsZero() {
		return nil
	}
	return w.push(commit, true)
}

// peel visits an object and, as long as they are tags, what it leads to.
func peel(r vcs.ObjectReader, id vcs.ID, visit func(vcs.ID, vcs.Kind) error) error {
	for range 64 {
		kind, content, err := r.ReadObject(id)
		if err == nil {
			err = visit(id, kind)
		}
		if err != nil || kind != vcs.KindTag {
			return err
		}
		if id, err = tagTarget(content); err != nil {
			return fmt.Errorf("%w: tag %v: %w", vcs.ErrBadObject, id, err)
		}
	}
	return fmt.Errorf("%w: tags of tags deeper than 64", vcs.ErrBadObject)
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
		w.sel.Progress(len(w.marks))
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
	// Parents go first, whatever the dates: what a tree leaves out because a
	// parent's has it must not be left out of that one because of this one.
	done := make(map[vcs.ID]bool, len(order))
	var todo []vcs.ID
	for i := len(order) - 1; i >= 0; i-- {
		todo = append(todo, order[i])
		for len(todo) > 0 {
			id := todo[len(todo)-1]
			m := w.marks[id]
			ready := true
			for _, p := range m.links.parents {
				if !m.had && !done[p] && !w.marks[p].had {
					todo, ready = append(todo, p), false
				}
			}
			if !ready {
				continue
			}
			todo = todo[:len(todo)-1]
			if m.had || done[id] {
				continue
			}
			done[id] = true
			if err := w.commitTree(m.links); err != nil {
				return fmt.Errorf("commit %v: %w", id, err)
			}
		}
	}
	return nil
}

// commitTree selects the trees and blobs of a commit.
func (w *walker) commitTree(l links) error {
	var previous []vcs.ID
	for _, p := range l.parents {
		previous = append(previous, w.marks[p].links.tree)
	}
	return w.tree(l.tree, previous, 0)
}
