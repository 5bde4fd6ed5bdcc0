package vcs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Prefixes of the refs that the store makes from its epochs.
const (
	epochPrefix   = "refs/epochs/"
	replacePrefix = "refs/replace/"
	historyPrefix = branchPrefix + "history/"
)

// ledgerRef is the full name of LedgerBranch.
const ledgerRef = branchPrefix + LedgerBranch

// EpochRef returns the name of the ref through which an ended epoch is read
// while it is in the store: the head branch as it was when the epoch ended.
func EpochRef(number int) string { return fmt.Sprintf("%s%d", epochPrefix, number) }

// reserved reports whether a ref is the store's own to write.
func reserved(name string) bool {
	return strings.HasPrefix(name, epochPrefix) || strings.HasPrefix(name, replacePrefix) || strings.HasPrefix(name, historyPrefix)
}

// keepsEpochs reports whether a store has epochs, or will have them by itself.
// One that has not, a hub say, may hold those refs of others.
func (s *Store) keepsEpochs() bool { return s.cfg.Retention.bounded() || s.epochs.number() > 1 }

// epochTable knows a store's epochs. It is safe for concurrent use.
type epochTable struct {
	head string // full name of the head branch

	mu    sync.RWMutex
	list  []Epoch // oldest first; the last one is current
	roots map[ID]*graftPoint
	stand map[ID]ID // from a commit to the newest root that stands for it
	olds  map[ID]ID // from a root to the commit that it stands for
	made  map[ID][]byte
	refs  []Ref // sorted by name
}

// graftPoint is a root as those see it who walk through it.
type graftPoint struct {
	EpochRoot
	epoch   int
	parents []ID // the old commit and the root's own
}

func newEpochTable(head string) *epochTable {
	t := &epochTable{head: head, list: []Epoch{{Number: 1}}}
	t.index(func(ID) ([]byte, error) { return nil, ErrNotFound })
	return t
}

// index makes everything else from the list. Content reads a root.
func (t *epochTable) index(content func(ID) ([]byte, error)) {
	had := t.roots
	t.roots, t.stand, t.olds = make(map[ID]*graftPoint), make(map[ID]ID), make(map[ID]ID)
	t.made, t.refs = make(map[ID][]byte), nil
	for i := range t.list {
		e := &t.list[i]
		if e.State == EpochLive {
			for _, r := range e.Heads {
				if r.Name == t.head {
					t.refs = append(t.refs, Ref{EpochRef(e.Number), r.Target})
				}
			}
		}
		for _, r := range e.Roots {
			if !r.Old.IsZero() {
				t.stand[r.Old], t.olds[r.Root] = r.Root, r.Old
			}
		}
		if i == 0 || e.State > EpochLive || t.list[i-1].State != EpochLive {
			continue
		}
		for k := range e.Roots {
			r := &e.Roots[k]
			if r.apart {
				continue
			}
			g := had[r.Root]
			if g == nil {
				raw, err := content(r.Root)
				if err != nil {
					continue
				}
				if g = newGraft(*r, raw); g == nil {
					continue
				}
			}
			g.epoch = e.Number
			*r = g.EpochRoot
			t.roots[r.Root] = g
			t.made[r.Replacement] = r.ReplacementBytes
			t.refs = append(t.refs, Ref{replacePrefix + r.Root.String(), r.Replacement})
		}
	}
	slices.SortFunc(t.refs, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
}

// newGraft makes a root's replacement, nil for a root that is no commit.
func newGraft(r EpochRoot, content []byte) *graftPoint {
	c, err := ParseCommit(content)
	if err != nil {
		return nil
	}
	g := &graftPoint{EpochRoot: r, parents: append([]ID{r.Old}, c.Parents...)}
	rest := content[len(appendCommitHead(nil, c.Tree, c.Parents)):]
	g.ReplacementBytes = append(appendCommitHead(nil, c.Tree, g.parents), rest...)
	g.Replacement = HashObject(KindCommit, g.ReplacementBytes)
	return g
}

// graft returns the parents with which a root is joined to the epoch before,
// while that is in the store.
func (t *epochTable) graft(root ID) ([]ID, bool) {
	g := t.graftAt(root)
	if g == nil {
		return nil, false
	}
	return g.parents, true
}

// graftAt returns a root that can be joined, nil for any other commit.
func (t *epochTable) graftAt(id ID) *graftPoint {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.roots[id]
}

// rootOf returns the newest root that stands for a commit of an epoch before.
func (t *epochTable) rootOf(old ID) (root ID, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for next, found := t.stand[old]; found; next, found = t.stand[next] {
		root, ok = next, true
	}
	return root, ok
}

// grafts returns the roots that can be joined.
func (t *epochTable) grafts() map[ID]*graftPoint {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.roots
}

// joints returns the roots that can be joined, and the replacements, for good:
// when they change others take their place.
func (t *epochTable) joints() (roots map[ID]*graftPoint, made map[ID][]byte) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.roots, t.made
}

// set takes a new list over.
func (t *epochTable) set(list []Epoch, content func(ID) ([]byte, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = list
	t.index(content)
}

// joined reports whether some root can be joined to the epoch before.
func (t *epochTable) joined() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.roots) > 0
}

// ended reports whether a root stands for a commit.
func (t *epochTable) ended(id ID) bool {
	_, ok := t.rootOf(id)
	return ok
}

// object returns a replacement.
func (t *epochTable) object(id ID) ([]byte, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	content, ok := t.made[id]
	return content, ok
}

// madeCommits returns the commits that are made from the epochs.
func (t *epochTable) madeCommits() (ids []ID) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for id := range t.made {
		ids = append(ids, id)
	}
	return ids
}

// snapshot returns the epochs and the refs.
func (t *epochTable) snapshot() ([]Epoch, []Ref) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.list), t.refs
}

// number returns that of the current epoch.
func (t *epochTable) number() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.list[len(t.list)-1].Number
}

// ref returns the target of a ref that is made from the epochs.
func (t *epochTable) ref(name string) (ID, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := slices.BinarySearchFunc(t.refs, name, func(r Ref, name string) int { return strings.Compare(r.Name, name) })
	if !ok {
		return ID{}, false
	}
	return t.refs[i].Target, true
}

// Epochs implements EpochReader. The slices in it must not be modified.
func (s *Store) Epochs() []Epoch {
	list, _ := s.epochs.snapshot()
	if s.log != nil {
		for _, l := range s.log.newestFirst() {
			for i := range list {
				if list[i].Number == l.epoch {
					list[i].Commits, list[i].LogBytes = l.size()
				}
			}
		}
	}
	cur := &list[len(list)-1]
	s.mu.RLock()
	for name, id := range s.refs {
		if !strings.HasPrefix(name, epochPrefix) && !strings.HasPrefix(name, replacePrefix) {
			cur.Heads = append(cur.Heads, Ref{name, id})
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(cur.Heads, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// size returns the commits of a log, without roots and what was carried over,
// and its bytes.
func (l *oplog) size() (commits int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, int(l.n)-l.opened.commits), l.bytes
}

// Joined reads commits with the epochs joined, as Log does: the root of an epoch
// has the commits that it stands for as parents, while those are here.
func (s *Store) Joined() CommitReader { return grafted{s: s} }

// StandsFor reports whether a commit is a root that stands for another one,
// through one epoch or several. So somebody who remembers the head of a branch
// that only he moves can tell whether it was an epoch that moved it since.
func (s *Store) StandsFor(root, old ID) bool {
	s.epochs.mu.RLock()
	defer s.epochs.mu.RUnlock()
	for {
		next, ok := s.epochs.olds[root]
		if !ok {
			return false
		}
		if next == old {
			return true
		}
		root = next
	}
}

// ReadJoined is ReadCommit with the epochs joined: the root of an epoch has, as
// its first parent, the commit that it stands for, while that is in the store.
func (s *Store) ReadJoined(id ID) (*Commit, error) { return grafted{s: s}.ReadCommit(id) }

// standsFor returns the commit that a root stands for, through all epochs, and any
// other commit as it is.
func (t *epochTable) standsFor(id ID) ID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for old, ok := t.olds[id]; ok; old, ok = t.olds[id] {
		id = old
	}
	return id
}
