package vcs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// workTree is the state of one commit, at which the next ones are made: each
// patches the folders on the paths that it changes and hashes those, nothing
// else. It is for whoever holds mu.
type workTree struct {
	mu   sync.Mutex
	dead bool   // not used any more
	head ID     // the commit; zero for none
	seq  uint64 // of the group that the commit is in, or of a later one
	time int64
	root *node
	own  *owner // of what was changed since the last freeze
	load loader

	cur     edit         // what leaf is to do
	changes []leafChange // of the commit in the making
	leaves  []leafChange // room for changes
	note    note         // of the commit in the making
	room    noteRoom     // for commits
	parents []ID         // room for those
}

// maxWorkTrees bounds the commits at which a store is ready to go on.
const maxWorkTrees = 16

// errNoState says that the state of a commit is not at hand: its objects have
// come from somebody else and are not in the log yet.
var errNoState = errors.New("vcs: no state")

// workTrees are those of a store, last used first.
type workTrees struct {
	mu   sync.Mutex
	list []workEntry
	// frozen holds states of commits that are not saved yet.
	frozen map[ID]frozenState
}

type workEntry struct {
	head ID
	w    *workTree
}

type frozenState struct {
	root *node
	seq  uint64 // of the commit's group
	cost int
}

// find returns the tree at a commit, not locked.
func (t *workTrees) find(head ID) *workTree {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range t.list {
		if e.head == head {
			if i > 0 {
				copy(t.list[1:i+1], t.list[:i])
				t.list[0] = e
			}
			return e.w
		}
	}
	return nil
}

// moved keeps a tree under the commit at which it is now, and drops it when the
// commit is nobody's. It returns one that has to go.
func (t *workTrees) moved(w *workTree, head ID) (victim *workTree) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.list, func(e workEntry) bool { return e.w == w })
	if i < 0 {
		if len(t.list) >= maxWorkTrees {
			victim = t.list[len(t.list)-1].w
			t.list = t.list[:len(t.list)-1]
		}
		t.list = slices.Insert(t.list, 0, workEntry{})
		i = 0
	}
	t.list[i] = workEntry{head, w}
	return victim
}

func (t *workTrees) drop(w *workTree) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.DeleteFunc(t.list, func(e workEntry) bool { return e.w == w })
}

func (t *workTrees) all() []*workTree {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*workTree, len(t.list))
	for i, e := range t.list {
		out[i] = e.w
	}
	return out
}

// handOver makes the states of roots known, which are in the group of a number,
// and forgets the trees at the commits that they stand for: nobody goes on there.
func (t *workTrees) handOver(roots []EpochRoot, states map[ID]*node, seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frozen == nil {
		t.frozen = make(map[ID]frozenState)
	}
	for _, r := range roots {
		if root := states[r.Root]; root != nil {
			t.frozen[r.Root] = frozenState{root, seq, 1}
		}
		t.list = slices.DeleteFunc(t.list, func(e workEntry) bool { return e.head == r.Old })
	}
}

// frozenAt returns the state of a commit, if it is frozen.
func (t *workTrees) frozenAt(id ID) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.frozen[id].root
}

// saved forgets frozen states that the log has now.
func (t *workTrees) saved(states []stagedState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range states {
		delete(t.frozen, x.id)
	}
}

// workAt returns the tree at a commit, locked. While it waits for another
// commit there, a ref, unless empty, may move away; then the error wraps
// ErrRefMoved.
func (s *Store) workAt(head ID, ref string) (*workTree, error) {
	for {
		w := s.work.find(head)
		if w == nil {
			break
		}
		w.mu.Lock()
		if w.head == head && !w.dead {
			return w, nil
		}
		if w.dead {
			s.work.drop(w)
		}
		w.mu.Unlock()
		if have, _ := s.Ref(ref); ref != "" && have != head {
			return nil, fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, ref, have, head)
		}
	}
	root, err := s.rootOf(head)
	if err != nil {
		return nil, err
	}
	w := &workTree{head: head, seq: s.newest(), root: root, own: &owner{collect: true, marks: true}, load: s.log.native.load}
	if !head.IsZero() {
		c, err := s.links(head)
		if err != nil {
			return nil, err
		}
		w.time = c.Time().Unix()
	}
	w.mu.Lock()
	return w, nil
}

// newest returns the number of the newest group.
func (s *Store) newest() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.seq
}

// keep makes a tree, which is locked, known under its commit, and unlocks it.
func (s *Store) keep(w *workTree) {
	victim := s.work.moved(w, w.head)
	w.mu.Unlock()
	if victim != nil {
		victim.mu.Lock()
		victim.dead = true
		s.freeze(victim)
		victim.mu.Unlock()
	}
}

// freeze lets others see a tree, which is locked, as it is: from now on changes
// go to copies.
func (s *Store) freeze(w *workTree) {
	made := w.own.made
	if len(made) == 0 {
		return
	}
	w.own.made = nil // or each of its nodes would keep all others
	w.own = &owner{collect: true, marks: true}
	if n := len(made); n >= manyNodes {
		w.own.made = make([]*node, 0, n+n/8) // so many again, likely
	}
	if w.head.IsZero() {
		return
	}
	s.work.mu.Lock()
	if s.work.frozen == nil {
		s.work.frozen = make(map[ID]frozenState)
	}
	s.work.frozen[w.head] = frozenState{w.root, w.seq, len(made)}
	s.work.mu.Unlock()
	l := s.log.current()
	l.mu.Lock()
	l.pool.add(made)
	l.mu.Unlock()
}

// collect freezes all trees in which so many nodes have changed.
func (s *Store) collect(changed int) {
	for _, w := range s.work.all() {
		w.mu.Lock()
		if len(w.own.made) >= changed {
			s.freeze(w)
		}
		w.mu.Unlock()
	}
}

// dropStrays lets go of trees at commits that no ref names: a writer that met the
// beginning of an epoch leaves one behind, with a whole state of its own.
func (s *Store) dropStrays() {
	for _, w := range s.work.all() {
		if !w.mu.TryLock() {
			continue // somebody goes on there
		}
		if !s.named(w.head) {
			w.dead = true
			s.freeze(w)
			s.work.drop(w)
		}
		w.mu.Unlock()
	}
}

// named reports whether a ref points to a commit.
func (s *Store) named(id ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, target := range s.refs {
		if target == id {
			return true
		}
	}
	return false
}

// rootOf returns the state of a commit.
func (s *Store) rootOf(id ID) (*node, error) {
	if id.IsZero() {
		root := newFolder(nil)
		root.hash()
		return root, nil
	}
	if root := s.work.frozenAt(id); root != nil {
		return root, nil
	}
	if root := s.workRoot(id); root != nil {
		return root, nil
	}
	root, err := s.unsavedRoot(id)
	if root != nil || err != nil {
		return root, err
	}
	return s.log.root(id)
}

// workRoot returns the state of a commit at which a work tree is.
func (s *Store) workRoot(id ID) *node {
	w := s.work.find(id)
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.freeze(w)
	if w.head != id {
		return nil
	}
	return w.root
}

// root returns the state of a commit of the log; errNoState when it is not there.
func (l *oplog) root(id ID) (*node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errNoState
	}
	return l.state(num)
}
