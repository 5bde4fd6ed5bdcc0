package vcs

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Bounds of what stays in memory for the sake of readers.
const (
	// MaxHeldEpochs is how many dropped epochs are held at most: the newest ones.
	MaxHeldEpochs = 2
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

// pins counts those who read, and holds the epochs that leave while they do. The
// zero value is ready.
type pins struct {
	mu   sync.Mutex
	left int         // epochs that have left
	from map[int]int // pins by how many had left before
	held []heldEpoch // newest last
}

// heldEpoch is the log of an epoch that has left as one of many.
type heldEpoch struct {
	number int
	log    *oplog
	timer  *time.Timer
}

func (p *pins) take() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == nil {
		p.from = make(map[int]int)
	}
	p.from[p.left]++
	return p.left
}

func (p *pins) release(from int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from[from]--; p.from[from] == 0 {
		delete(p.from, from)
	}
	oldest := p.left
	for n := range p.from {
		oldest = min(oldest, n)
	}
	p.forget(oldest)
}

// forget lets the first so many epochs that have left go.
func (p *pins) forget(upTo int) {
	for len(p.held) > 0 && p.held[0].number <= upTo {
		p.held[0].timer.Stop()
		p.held[0] = heldEpoch{}
		p.held = p.held[1:]
	}
}

// leave takes over the logs of epochs that leave.
func (p *pins) leave(logs []*oplog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range logs {
		p.left++
		if len(p.from) == 0 {
			continue
		}
		number := p.left
		p.held = append(p.held, heldEpoch{number, l, time.AfterFunc(MaxHeldFor, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.forget(number)
		})})
		p.forget(number - MaxHeldEpochs)
	}
}

// after returns the logs that are held and left after so many others, newest
// first.
func (p *pins) after(from int) (logs []*oplog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.held) - 1; i >= 0 && p.held[i].number > from; i-- {
		logs = append(logs, p.held[i].log)
	}
	return logs
}
