package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"arpeggio/vcs"
)

// History is a store and its archived epochs as one: commits that begin an epoch
// have those that they stand for as parents, wherever these are to be had, as in
// a repository of stock git with refs/replace. It implements vcs.ObjectReader,
// for the objects as they are, and vcs.CommitReader and vcs.TreeReader, so that
// vcs.MergeBases, vcs.IsAncestor and vcs.DiffTrees work across epochs. It is safe
// for concurrent use.
type History struct {
	vcs.Decoding
	parents map[vcs.ID][]vcs.ID // of roots whose past is there
	sources *sources
}

// Join joins a store, or whatever else has newer objects, with an archive: with
// the epochs that are there now. Epochs that the store knows of by itself, as a
// vcs.EpochReader, are joined, too. A nil store is an empty one. Close the result;
// the store stays open.
func (d *Dir) Join(ctx context.Context, store vcs.ObjectReader) (*History, error) {
	list, err := d.List()
	if err != nil {
		return nil, err
	}
	s := &sources{dir: d, store: store}
	var roots []vcs.EpochRoot
	for _, in := range slices.Backward(list) {
		s.epochs = append(s.epochs, &lazyEpoch{epoch: in.Epoch})
		roots = append(roots, in.Roots...)
	}
	if r, ok := store.(vcs.EpochReader); ok {
		for _, e := range r.Epochs() {
			roots = append(roots, e.Roots...)
		}
	}
	h := &History{Decoding: vcs.Decoding{ObjectReader: s}, parents: map[vcs.ID][]vcs.ID{}, sources: s}
	for _, r := range roots {
		if err := ctx.Err(); err != nil {
			h.Close()
			return nil, err
		}
		if err := h.graft(r); err != nil {
			h.Close()
			return nil, err
		}
	}
	return h, nil
}

// graft notes what a root's parents are, if both ends are there.
func (h *History) graft(r vcs.EpochRoot) error {
	root, err := h.Decoding.ReadCommit(r.Root)
	if err == nil {
		_, err = h.Decoding.ReadCommit(r.Old)
	}
	if errors.Is(err, vcs.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("archive: join at %v: %w", r.Root, err)
	}
	h.parents[r.Root] = append([]vcs.ID{r.Old}, root.Parents...)
	if vcs.HashObject(vcs.KindCommit, r.ReplacementBytes) == r.Replacement {
		if c, err := vcs.ParseCommit(r.ReplacementBytes); err == nil {
			h.parents[r.Root] = c.Parents
		}
	}
	return nil
}

// ReadCommit implements vcs.CommitReader. The commit of a root has other parents
// than its object.
func (h *History) ReadCommit(id vcs.ID) (*vcs.Commit, error) {
	c, err := h.Decoding.ReadCommit(id)
	if err != nil {
		return nil, err
	}
	if parents, ok := h.parents[id]; ok {
		c.Parents = slices.Clone(parents)
	}
	return c, nil
}

// Joined reports whether a commit begins an epoch and its past is there.
func (h *History) Joined(root vcs.ID) bool {
	_, ok := h.parents[root]
	return ok
}

// Log yields the commits that some commits lead to across epochs, newest commit
// time first, in the order of plain git log. It holds some 40 bytes for each.
func (h *History) Log(from ...vcs.ID) iter.Seq2[*vcs.Commit, error] {
	from = slices.Clone(from)
	return func(yield func(*vcs.Commit, error) bool) {
		seen := map[vcs.ID]bool{}
		var queue []*vcs.Commit // newest last; of equal times the first come last
		add := func(ids []vcs.ID) error {
			for _, id := range ids {
				if seen[id] {
					continue
				}
				seen[id] = true
				c, err := h.ReadCommit(id)
				if err != nil {
					return err
				}
				at, _ := slices.BinarySearchFunc(queue, c, func(q, c *vcs.Commit) int { return q.Time().Compare(c.Time()) })
				queue = slices.Insert(queue, at, c)
			}
			return nil
		}
		err := add(from)
		for err == nil && len(queue) > 0 {
			c := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			if !yield(c, nil) {
				return
			}
			err = add(c.Parents)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// Close closes the archive's files.
func (h *History) Close() error { return h.sources.close() }

// sources looks for objects in a store, and then in the epochs, newest first,
// which it opens when they are asked for the first time.
type sources struct {
	dir    *Dir
	store  vcs.ObjectReader
	epochs []*lazyEpoch
}

type lazyEpoch struct {
	epoch int
	once  sync.Once
	r     *opened
	err   error
}

func (l *lazyEpoch) open(d *Dir) (*opened, error) {
	l.once.Do(func() { l.r, l.err = d.open(context.Background(), l.epoch) })
	return l.r, l.err
}

// ReadObject implements vcs.ObjectReader.
func (s *sources) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if s.store != nil {
		if kind, content, err := s.store.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
			return kind, content, err
		}
	}
	for _, l := range s.epochs {
		r, err := l.open(s.dir)
		if err != nil {
			return 0, nil, fmt.Errorf("epoch %d: %w", l.epoch, err)
		}
		if kind, content, err := r.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
			return kind, content, err
		}
	}
	return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
}

func (s *sources) close() error {
	var errs []error
	for _, l := range s.epochs {
		l.once.Do(func() { l.err = vcs.ErrClosed })
		if l.r != nil {
			errs = append(errs, l.r.Close())
		}
	}
	return errors.Join(errs...)
}
