package vcs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// logs is the operation logs of the epochs that are here: the current one, to
// which commits are added, and those that have ended. Each has its own numbers,
// keys and lock, so that the oldest can be dropped and nobody who reads one
// waits for another. It is safe for concurrent use.
type logs struct {
	native objectSource
	pins   pins

	mu     sync.RWMutex
	all    []*oplog // oldest first; the last one is current
	damage error    // of the first record that could not be read
	kept   uint32   // number of the commit whose state the backend keeps; 0 for none
}

func newLogs(native objectSource) *logs {
	first := newOplog(native)
	first.epoch = 1
	return &logs{native: native, all: []*oplog{first}}
}

// current returns the log of the epoch that is being written.
func (ls *logs) current() *oplog {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.all[len(ls.all)-1]
}

// newestFirst returns the logs as they are now.
func (ls *logs) newestFirst() []*oplog {
	ls.mu.RLock()
	all := slices.Clone(ls.all)
	ls.mu.RUnlock()
	slices.Reverse(all)
	return all
}

// of returns the log of an epoch, nil when it is not here.
func (ls *logs) of(epoch int) *oplog {
	for _, l := range ls.newestFirst() {
		if l.epoch == epoch {
			return l
		}
	}
	return nil
}

// near reads an object that is at hand.
func (ls *logs) near(id ID) (Kind, []byte, error) {
	return readEach(ls.newestFirst(), (*oplog).near, id)
}

// known reads an object that can be told without going through history.
func (ls *logs) known(id ID) (Kind, []byte, error) {
	kind, content, err := readEach(ls.newestFirst(), (*oplog).known, id)
	if errors.Is(err, ErrNotFound) {
		return ls.native(id)
	}
	return kind, content, err
}

// ReadObject implements ObjectReader: over the heads' objects, the commits of
// the logs, those that are kept natively, and the objects of history.
func (ls *logs) ReadObject(id ID) (Kind, []byte, error) {
	kind, content, err := ls.known(id)
	if errors.Is(err, ErrNotFound) {
		return readEach(ls.newestFirst(), (*oplog).searched, id)
	}
	return kind, content, err
}

// readEach reads from the first of some logs that has an object.
func readEach(all []*oplog, read func(*oplog, ID) (Kind, []byte, error), id ID) (Kind, []byte, error) {
	if id == EmptyTree {
		return KindTree, nil, nil
	}
	for _, l := range all {
		l.mu.Lock()
		kind, content, err := read(l, id)
		l.mu.Unlock()
		if !errors.Is(err, ErrNotFound) {
			return kind, content, err
		}
	}
	return 0, nil, fmt.Errorf("%w: %v", ErrNotFound, id)
}

// root returns the state of a commit, also of one that is kept natively.
func (ls *logs) root(id ID) (*node, error) {
	for _, l := range ls.newestFirst() {
		root, err := l.root(id)
		if err != errNoState {
			return root, err
		}
	}
	kind, content, err := ls.native(id)
	if err != nil || kind != KindCommit {
		return nil, errNoState
	}
	c, err := ParseCommit(content)
	if err != nil {
		return nil, errNoState
	}
	return ls.native.load(ModeDir, c.Tree)
}

// load takes the next whole record in, as the backend remembers it: a segment,
// or the beginning of an epoch.
func (ls *logs) load(lead byte, raw []byte, records int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.all[len(ls.all)-1]
	var err error
	if lead == recordEpoch {
		var head epochHead
		if head, err = parseEpochHead(raw); err != nil || head.number <= l.epoch && l.records > 0 {
			head.number = l.epoch + 1 // of what follows we know where it starts
			if err == nil {
				err = fmt.Errorf("%w: log: epochs out of order", ErrCorrupt)
			}
		}
		if l.records > 0 {
			l.sleep()
			l = newOplog(ls.native)
			ls.all = append(ls.all, l)
		}
		l.epoch, l.began, l.opened = head.number, head.began, head.opened
	} else {
		err = l.load(raw, records)
	}
	l.records += records
	if err != nil && ls.damage == nil {
		ls.damage = err
	}
	if l.damage != nil && ls.damage == nil {
		ls.damage = l.damage
	}
}

// stage turns a group into log records, on top of the current epoch or as the
// beginning of the next.
func (ls *logs) stage(g *group, frozen []stagedState, src groupSource) (*stagedLog, error) {
	all := ls.newestFirst()
	l, older := all[0], all[1:]
	if g.epoch != nil {
		l, older = newOplog(ls.native), all
		l.epoch, l.began, l.natives = g.epoch.number, g.epoch.began, all[0].natives
		l.messages, l.values = all[0].messages, all[0].values
	}
	st, err := l.stage(g, frozen, src, older)
	if err != nil || g.epoch == nil {
		return st, err
	}
	st.opens = l
	g.epoch.opened.commits = len(st.ids)
	for _, x := range st.segs {
		g.epoch.opened.bytes += int64(len(x.raw))
	}
	l.opened = g.epoch.opened
	st.records = slices.Insert(st.records, 0, g.epoch.record())
	return st, nil
}

// inLog returns those of some states whose commits are saved.
func (ls *logs) inLog(states []stagedState) (out []stagedState) {
	for _, x := range states {
		if in, err := ls.epochOf(x.id); err == nil && in > 0 {
			out = append(out, x)
		}
	}
	return out
}

// publish takes over what the backend has taken.
func (ls *logs) publish(g *group) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, st := ls.all[len(ls.all)-1], g.log
	if st.opens != nil {
		old := l
		l = st.opens
		old.mu.Lock()
		for name, id := range old.heads {
			l.heads[name] = id
		}
		old.sleep()
		old.mu.Unlock()
		ls.all = append(ls.all, l)
	}
	err := l.publish(st, g.refs)
	l.mu.Lock()
	l.records += len(st.records) - st.fold
	if st.opens != nil {
		l.adoptHeads()
	}
	l.mu.Unlock()
	if g.drop > 0 {
		ls.pins.leave(ls.all[:g.drop]) // before nobody finds them
		ls.pins.steps.Add(1)
		ls.all = slices.Delete(ls.all, 0, g.drop)
		ls.pins.steps.Add(1)
	}
	return err
}

// restIdle lets ended epochs sleep that nobody has read since it was called last.
func (ls *logs) restIdle() {
	for _, l := range ls.newestFirst()[1:] {
		l.mu.Lock()
		if !l.awoke {
			l.sleep()
		}
		l.awoke = false
		l.mu.Unlock()
	}
}

// restAll lets all ended epochs sleep.
func (ls *logs) restAll() {
	for _, l := range ls.newestFirst()[1:] {
		l.mu.Lock()
		l.sleep()
		l.mu.Unlock()
	}
}

// recordsOf returns how many log records the oldest epochs take.
func (ls *logs) recordsOf(epochs int) (n int) {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	for _, l := range ls.all[:epochs] {
		n += l.records
	}
	return n
}
