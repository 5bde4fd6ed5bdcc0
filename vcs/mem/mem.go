// Package mem is the vcs backend that lives in memory: for tests, for
// simulations and for appliances without a disk. Every Backend is isolated; it
// outlives the stores opened on it, so that a test can reopen it.
package mem

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"arpeggio/vcs"
)

// Backend keeps refs, log and objects in maps. The zero value is empty and
// ready. It is safe for concurrent use.
type Backend struct {
	mu         sync.RWMutex
	refs       map[string]vcs.ID
	objects    map[vcs.ID]vcs.Object
	log        [][]byte
	checkpoint []byte
	native     bool
}

// New returns an empty backend. It keeps commits in a log.
func New() *Backend { return &Backend{} }

// NewNative returns an empty backend that keeps commits, trees and blobs as
// objects: it needs a hundred times the memory and makes nothing again.
func NewNative() *Backend { return &Backend{native: true} }

// KeepsLog implements vcs.LogKeeper.
func (b *Backend) KeepsLog() bool { return !b.native }

// Load implements vcs.Backend.
func (b *Backend) Load(ctx context.Context) (vcs.State, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	st := vcs.State{Checkpoint: slices.Clone(b.checkpoint)}
	for name, id := range b.refs {
		st.Refs = append(st.Refs, vcs.Ref{Name: name, Target: id})
	}
	slices.SortFunc(st.Refs, func(x, y vcs.Ref) int { return strings.Compare(x.Name, y.Name) })
	records := b.log[:len(b.log):len(b.log)]
	st.Log = func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
	return st, ctx.Err()
}

// Apply implements vcs.Backend.
func (b *Backend) Apply(ctx context.Context, batch *vcs.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range batch.Refs {
		if have := b.refs[u.Name]; have != u.Old {
			return fmt.Errorf("%w: %s is at %v, not at %v", vcs.ErrRefMoved, u.Name, have, u.Old)
		}
	}
	if batch.Checkpoint != nil && (batch.Fold != 0 || batch.Drop != 0) {
		return fmt.Errorf("%w: a batch with a checkpoint drops %d and folds %d log records", vcs.ErrCorrupt, batch.Drop, batch.Fold)
	}
	if batch.Drop < 0 || batch.Fold < 0 || batch.Fold+batch.Drop > len(b.log) {
		return fmt.Errorf("%w: drops %d and folds %d of %d log records", vcs.ErrCorrupt, batch.Drop, batch.Fold, len(b.log))
	}
	if b.refs == nil {
		b.refs = make(map[string]vcs.ID)
		b.objects = make(map[vcs.ID]vcs.Object)
	}
	if batch.Objects != nil {
		for o := range batch.Objects {
			b.objects[o.ID] = o
		}
	}
	for _, id := range batch.Forget {
		delete(b.objects, id)
	}
	for _, u := range batch.Refs {
		if u.New.IsZero() {
			delete(b.refs, u.Name)
		} else {
			b.refs[u.Name] = u.New
		}
	}
	if batch.Checkpoint != nil {
		b.checkpoint, b.log = slices.Clone(batch.Checkpoint), nil
	}
	if batch.Fold > 0 {
		b.log = b.log[: len(b.log)-batch.Fold : len(b.log)-batch.Fold]
	}
	if batch.Drop > 0 {
		b.log = append([][]byte(nil), b.log[batch.Drop:]...)
	}
	b.log = append(b.log, batch.Log...)
	return nil
}

// Objects implements vcs.ObjectLister.
func (b *Backend) Objects() iter.Seq2[vcs.ID, error] {
	return func(yield func(vcs.ID, error) bool) {
		b.mu.RLock()
		ids := slices.Collect(maps.Keys(b.objects))
		b.mu.RUnlock()
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// Close implements vcs.Backend. The content stays for the next store.
func (b *Backend) Close() error { return nil }

// ReadObject implements vcs.ObjectReader.
func (b *Backend) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	b.mu.RLock()
	o, ok := b.objects[id]
	b.mu.RUnlock()
	if !ok {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	return o.Kind, o.Content, nil
}
