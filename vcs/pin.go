package vcs

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Bounds of what stays in memory for the sake of readers.
const (
	// MaxHeldEpochs is how many dropped epochs are held, the newest ones, however
	// large they are.
	MaxHeldEpochs = 2
	// MaxHeldBytes is what more than MaxHeldEpochs may take of the log together.
	MaxHeldBytes = 4 << 20
	// MaxHeldFor is how long a dropped epoch is held at most.
	MaxHeldFor = 10 * time.Minute
)

// Pinner is the ability of a repository of which parts may be dropped while they
// are read; a Store has it.
type Pinner interface {
	// Pin returns a view in which all that is here now stays until Release.
	Pin() *Pin
}

var (
	_ Pinner         = (*Store)(nil)
	_ ObjectReader   = (*Pin)(nil)
	_ BulkReader     = (*Pin)(nil)
	_ CommitReader   = (*Pin)(nil)
	_ TreeReader     = (*Pin)(nil)
	_ AdditionReader = (*Pin)(nil)
)

// Pin is a view of a store for somebody who reads for a while, a clone say: an
// epoch that is dropped meanwhile is held in memory for those who began before,
// and let go when the last of them has released his pin. Others do not see it, or
// they could write commits that lead to it. Commits that come later are seen.
//
// What is held is bounded, for a slow reader must not defeat the store's bound:
// at most the MaxHeldEpochs newest epochs that were dropped, each for at most
// MaxHeldFor. Beyond that a reader gets ErrNotFound after all. A pin that sees no
// epoch leave costs nothing.
//
// The iterators of Store and Repo (Log, LogPath, LogKey, Diff) hold a pin while
// they run. A Pin is safe for concurrent use.
type Pin struct {
	s     *Store
	from  int
	once  sync.Once
	roots map[ID]*graftPoint // as they were
	made  map[ID][]byte
}

// Pin implements Pinner.
func (s *Store) Pin() *Pin {
	p := &Pin{s: s}
	if s.log != nil {
		p.from = s.log.pins.take()
	}
	p.roots, p.made = s.epochs.joints()
	return p
}

// Release ends the view: what was dropped meanwhile is no longer found. Further
// calls do nothing.
func (p *Pin) Release() {
	p.once.Do(func() {
		if p.s.log != nil {
			p.s.log.pins.release(p.from)
		}
	})
}

// held returns the logs that are held for p, newest first.
func (p *Pin) held() []*oplog {
	if p.s.log == nil {
		return nil
	}
	return p.s.log.pins.after(p.from)
}

// ReadObject implements ObjectReader.
func (p *Pin) ReadObject(id ID) (Kind, []byte, error) {
	held := p.held()
	if len(held) > 0 {
		// The store would look through all of its history first.
		if kind, content, err := readEach(held, (*oplog).known, id); !errors.Is(err, ErrNotFound) {
			return kind, content, err
		}
	}
	kind, content, err := p.s.ReadObject(id)
	if !errors.Is(err, ErrNotFound) {
		return kind, content, err
	}
	if content, ok := p.made[id]; ok {
		return KindCommit, content, nil
	}
	if content, ok := p.madeSince(id); ok {
		return KindCommit, content, nil
	}
	// Again: an epoch may have left just now.
	if held = p.held(); len(held) > 0 {
		for _, read := range []func(*oplog, ID) (Kind, []byte, error){(*oplog).known, (*oplog).searched} {
			if kind, content, err := readEach(held, read, id); !errors.Is(err, ErrNotFound) {
				return kind, content, err
			}
		}
	}
	return 0, nil, err
}

// ReadAtHand implements BulkReader.
func (p *Pin) ReadAtHand(ids []ID, found []Object) { p.s.ReadAtHand(ids, found) }

// ReadTree returns the decoded tree.
func (p *Pin) ReadTree(id ID) (*Tree, error) {
	if len(p.held()) == 0 {
		if t, err := p.s.ReadTree(id); !errors.Is(err, ErrNotFound) {
			return t, err
		}
	}
	if t, ok := p.s.cache.tree(id); ok {
		return t, nil
	}
	return loadTree(p, id)
}

// ReadCommit returns the decoded commit, which must not be modified.
func (p *Pin) ReadCommit(id ID) (*Commit, error) {
	if len(p.held()) == 0 {
		if c, err := p.s.ReadCommit(id); !errors.Is(err, ErrNotFound) {
			return c, err
		}
	}
	if c, ok := p.s.cache.commit(id); ok {
		return c, nil
	}
	return loadCommit(p, id)
}

// ReadJoined is ReadCommit with the epochs joined, as Store.ReadJoined does.
func (p *Pin) ReadJoined(id ID) (*Commit, error) {
	c, err := p.ReadCommit(id)
	if err != nil {
		return nil, err
	}
	return joinedAt(c, p.roots[id]), nil
}

// madeSince returns a replacement that was there for a while since the pin was
// taken.
func (p *Pin) madeSince(id ID) ([]byte, bool) {
	if p.s.log == nil {
		return nil, false // they are objects like others
	}
	return p.s.log.pins.madeAfter(p.from, id)
}

// logs returns those of the store and those that are held, newest first.
func (p *Pin) logs() []*oplog {
	all := p.s.log.newestFirst()
	for _, l := range p.held() {
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}
