package gitremote

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/memory"
)

var (
	_ storage.Storer        = (*Storer)(nil)
	_ storer.PackfileWriter = (*Storer)(nil)
)

// Storer is a live store as go-git's programs know repositories: git.Open(s,
// worktree) works on it, and git.Init and git.Clone on an empty one. Objects and refs are the
// store's own: what either side writes, the other one sees at once, and a ref
// moves only from the value that go-git read.
//
// What belongs to somebody's work and not to the store is kept here, in memory:
// HEAD, which begins as the store's, other symbolic refs, the index, the
// configuration and submodules. So two Storers on one store have different
// branches checked out. Shallow clones are refused, since a store has no commit
// without its parents.
//
// A ref that was set is durable where the store has Sync, as a vcs.Store has. A
// Storer is safe for concurrent use.
type Storer struct {
	store Target

	mu      sync.Mutex
	local   map[plumbing.ReferenceName]*plumbing.Reference // HEAD and the like
	own     memory.Storage                                 // index and configuration
	modules map[string]storage.Storer
}

// NewStorer returns a Storer on a store, whatever its backend.
func NewStorer(store Target) *Storer {
	return &Storer{store: store, own: *memory.NewStorage(), modules: map[string]storage.Storer{},
		local: map[plumbing.ReferenceName]*plumbing.Reference{}}
}

// head returns HEAD. There is none where nobody set it and the store is empty.
func (s *Storer) head() (*plumbing.Reference, error) {
	s.mu.Lock()
	r := s.local[plumbing.HEAD]
	s.mu.Unlock()
	if r != nil {
		return r, nil
	}
	refs, err := s.store.Refs()
	if err == nil && len(refs) == 0 {
		err = plumbing.ErrReferenceNotFound
	}
	if err != nil {
		return nil, err
	}
	head := s.store.Head()
	if head == "" {
		head = defaultHead
	}
	return plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.ReferenceName(head)), nil
}

// isShared reports whether a reference is the store's.
func isShared(name plumbing.ReferenceName) bool { return vcs.CheckRefName(name.String()) == nil }

// Reference implements storer.ReferenceStorer.
func (s *Storer) Reference(name plumbing.ReferenceName) (*plumbing.Reference, error) {
	if name == plumbing.HEAD {
		return s.head()
	}
	s.mu.Lock()
	r, ok := s.local[name]
	s.mu.Unlock()
	if ok {
		return r, nil
	}
	id, ok, err := s.ref(name)
	if err == nil && !ok {
		err = plumbing.ErrReferenceNotFound
	}
	if err != nil {
		return nil, err
	}
	return plumbing.NewHashReference(name, plumbing.Hash(id)), nil
}

// ref looks a ref of the store up.
func (s *Storer) ref(name plumbing.ReferenceName) (id vcs.ID, ok bool, err error) {
	if one, is := s.store.(interface{ Ref(string) (vcs.ID, bool) }); is {
		id, ok = one.Ref(name.String())
		return id, ok, nil
	}
	refs, err := s.store.Refs()
	id, ok = refMap(refs)[name.String()]
	return id, ok, err
}

// IterReferences implements storer.ReferenceStorer.
func (s *Storer) IterReferences() (storer.ReferenceIter, error) {
	refs, err := s.store.Refs()
	if err != nil {
		return nil, err
	}
	head, err := s.head()
	if err != nil && !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*plumbing.Reference
	if head != nil {
		list = append(list, head)
	}
	for name, r := range s.local {
		if name != plumbing.HEAD {
			list = append(list, r)
		}
	}
	for _, r := range refs {
		name := plumbing.ReferenceName(r.Name)
		if s.local[name] == nil {
			list = append(list, plumbing.NewHashReference(name, plumbing.Hash(r.Target)))
		}
	}
	return storer.NewReferenceSliceIter(list), nil
}

// SetReference implements storer.ReferenceStorer: whatever the ref is now.
func (s *Storer) SetReference(r *plumbing.Reference) error {
	if s.setLocal(r) {
		return nil
	}
	return s.change(r.Name(), vcs.ID(r.Hash()))
}

// setLocal keeps what is not the store's.
func (s *Storer) setLocal(r *plumbing.Reference) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Type() == plumbing.HashReference && isShared(r.Name()) {
		delete(s.local, r.Name())
		return false
	}
	s.local[r.Name()] = r
	return true
}

// CheckAndSetReference implements storer.ReferenceStorer. The error is
// storage.ErrReferenceHasChanged when old is not what the ref holds.
func (s *Storer) CheckAndSetReference(r, old *plumbing.Reference) error {
	if r == nil {
		return nil
	}
	if old == nil {
		return s.SetReference(r)
	}
	if r.Type() == plumbing.HashReference && isShared(r.Name()) && old.Type() == plumbing.HashReference && old.Name() == r.Name() {
		err := s.update(vcs.RefUpdate{Name: r.Name().String(), Old: vcs.ID(old.Hash()), New: vcs.ID(r.Hash())})
		if errors.Is(err, vcs.ErrRefMoved) {
			return storage.ErrReferenceHasChanged
		}
		return err
	}
	now, err := s.Reference(old.Name())
	if err != nil && !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return err
	}
	if err == nil && now.Strings() != old.Strings() {
		return storage.ErrReferenceHasChanged
	}
	return s.SetReference(r)
}

// RemoveReference implements storer.ReferenceStorer. One that does not exist is
// no error.
func (s *Storer) RemoveReference(name plumbing.ReferenceName) error {
	s.mu.Lock()
	_, ok := s.local[name]
	delete(s.local, name)
	s.mu.Unlock()
	if ok || !isShared(name) {
		return nil
	}
	return s.change(name, vcs.ID{})
}

// change moves a ref from whatever it is.
func (s *Storer) change(name plumbing.ReferenceName, to vcs.ID) error {
	for {
		id, _, err := s.ref(name)
		if err != nil || id == to {
			return err
		}
		err = s.update(vcs.RefUpdate{Name: name.String(), Old: id, New: to})
		if !errors.Is(err, vcs.ErrRefMoved) {
			return err
		}
	}
}

// update moves a ref of the store, durably.
func (s *Storer) update(u vcs.RefUpdate) error {
	ctx := context.Background() // go-git has none to give
	if isPrivate(u.Name) {
		return fmt.Errorf("%w: %s belongs to the store", vcs.ErrBadRefName, u.Name)
	}
	if err := s.store.UpdateRefs(ctx, []vcs.RefUpdate{u}); err != nil {
		return err
	}
	if d, ok := s.store.(interface{ Sync(context.Context) error }); ok {
		return d.Sync(ctx)
	}
	return nil
}

// CountLooseRefs implements storer.ReferenceStorer: there are none.
func (*Storer) CountLooseRefs() (int, error) { return 0, nil }

// PackRefs implements storer.ReferenceStorer: nothing is to be packed.
func (*Storer) PackRefs() error { return nil }

// SetShallow implements storer.ShallowStorer. The error wraps ErrUnsupported.
func (*Storer) SetShallow(commits []plumbing.Hash) error {
	if len(commits) == 0 {
		return nil
	}
	return fmt.Errorf("%w: a store holds no shallow history: clone without a depth", ErrUnsupported)
}

// Shallow implements storer.ShallowStorer: there is nothing shallow.
func (*Storer) Shallow() ([]plumbing.Hash, error) { return nil, nil }

// Index implements storer.IndexStorer.
func (s *Storer) Index() (*index.Index, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own.Index()
}

// SetIndex implements storer.IndexStorer.
func (s *Storer) SetIndex(i *index.Index) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own.SetIndex(i)
}

// Config implements config.ConfigStorer.
func (s *Storer) Config() (*config.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own.Config()
}

// SetConfig implements config.ConfigStorer.
func (s *Storer) SetConfig(c *config.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own.SetConfig(c)
}

// Module implements storage.ModuleStorer: submodules live in memory.
func (s *Storer) Module(name string) (storage.Storer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modules[name]
	if m == nil {
		m = memory.NewStorage()
		s.modules[name] = m
	}
	return m, nil
}
