package vcs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A group is sealed, and the next one opened, when it reaches these sizes, so
// that one Apply stays small next to a guest's memory. What a busy store saves at
// once makes up for what an Apply takes besides its work: the way to the backend
// and back, past goroutines that do not rest.
const (
	groupBytes = 1 << 20        // of objects, messages and contents
	groupRoom  = 4 * groupBytes // of memory
	groupRefs  = MaxBatchRefs / 2
	// hurryBytes of memory are saved without waiting for company.
	hurryBytes = 1 << 20
)

// retryDelay is the pause between attempts while the backend fails.
const retryDelay = time.Second

// group is a batch in the making.
type group struct {
	seq  uint64
	objs []Object
	// foreign marks objects that somebody else made: they are kept whether or
	// not a commit leads to them.
	foreign map[int]bool
	index   map[ID]int32
	notes   []note // commits that were made here, for a log
	noted   noteIndex
	refs    []RefUpdate
	byRef   map[string]int
	bytes   int // of memory
	content int // of those, what the backend may be given
	// log is what the objects become in a log; nil until the first attempt to
	// save them.
	log *stagedLog
	// epoch, when not nil, is the one that begins with this group; drop says how
	// many of the oldest epochs go with it.
	epoch *epochHead
	drop  int
	// forget are natively kept objects that go.
	forget []ID
}

func newGroup(seq uint64) *group {
	return &group{seq: seq, index: make(map[ID]int32), byRef: make(map[string]int)}
}

func (g *group) object(id ID) (Object, bool) {
	i, ok := g.index[id]
	if !ok {
		return Object{}, false
	}
	return g.objs[i], true
}

func (g *group) add(o Object, foreign bool) int {
	i, known := g.index[o.ID]
	if !known {
		i = int32(len(g.objs))
	}
	if foreign {
		if g.foreign == nil {
			g.foreign = make(map[int]bool)
		}
		g.foreign[int(i)] = true
	}
	if known {
		return 0
	}
	g.index[o.ID] = i
	g.objs = append(g.objs, o)
	n := len(o.Content) + 64
	g.bytes += n
	g.content += n
	return n
}

// full reports whether the next change is for another group.
func (g *group) full() bool {
	return g.content >= groupBytes || g.bytes >= groupRoom || len(g.refs) >= groupRefs
}

func (g *group) addNote(n *note) int {
	n.at, n.seq = len(g.objs), g.seq
	if k := len(g.notes); k == cap(g.notes) && k >= 16 {
		g.notes = slices.Grow(g.notes, g.moreNotes())
	}
	g.notes = append(g.notes, *n)
	size, content := n.size()
	g.bytes += size
	g.content += content
	return size
}

// moreNotes returns for how many further notes there should be room: of a group
// that gets large, as many as fill it when they are like those before.
func (g *group) moreNotes() int {
	k := len(g.notes)
	if k < 256 {
		return 3 * k
	}
	left := func(size, full int) int { return k * max(full-size, 0) / max(size, 1) }
	return min(left(g.content, groupBytes)+k/8, left(g.bytes, groupRoom)+k/8, 4096)
}

func (g *group) update(u RefUpdate) {
	if n := len(g.refs); n > 0 && g.refs[n-1].Name == u.Name { // as for a busy branch
		g.refs[n-1].New = u.New
		return
	}
	if i, ok := g.byRef[u.Name]; ok {
		g.refs[i].New = u.New
		return
	}
	g.byRef[u.Name] = len(g.refs)
	g.refs = append(g.refs, u)
}

func (g *group) batch() *Batch {
	refs := slices.DeleteFunc(slices.Clone(g.refs), func(u RefUpdate) bool { return u.Old == u.New })
	if g.log == nil {
		return &Batch{Refs: refs, Objects: slices.Values(g.objs)}
	}
	return &Batch{Refs: refs, Log: g.log.records, Fold: g.log.fold, Objects: slices.Values(g.log.natives), Forget: g.forget}
}

type waiter struct {
	seq uint64
	ch  chan error
}

// open returns the group that takes new changes. The lock is held.
func (s *Store) openGroup() *group {
	if n := len(s.queue); n > 0 {
		g := s.queue[n-1]
		if g.seq == s.seq && !g.full() {
			return g
		}
	}
	s.seq++
	g := newGroup(s.seq)
	if n := len(s.queue); n > 0 && s.queue[n-1].bytes >= hurryBytes {
		g.notes = make([]note, 0, min(len(s.queue[n-1].notes)*17/16, 4096)) // a busy time
	}
	s.queue = append(s.queue, g)
	return g
}

// seal makes the next change start a new group. The lock is held.
func (s *Store) seal() {
	s.seq++
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Sync returns when everything that was written before the call is durable.
// It starts the group commit at once instead of waiting for FlushDelay. The
// error is the backend's when this attempt to write failed; the changes stay
// queued and the next Sync tries again.
func (s *Store) Sync(ctx context.Context) error {
	s.mu.Lock()
	if len(s.queue) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	w := waiter{seq: s.queue[len(s.queue)-1].seq, ch: make(chan error, 1)}
	s.waiters = append(s.waiters, w)
	s.mu.Unlock()
	signal(s.urgent)
	select {
	case err := <-w.ch:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flusher is the store's one goroutine: it turns groups into Applies.
func (s *Store) flusher() {
	defer close(s.done)
	delay := s.cfg.FlushDelay
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.wake:
			if delay > 0 {
				timer.Reset(delay)
				select {
				case <-timer.C:
				case <-s.urgent:
				case <-s.stop:
				}
			}
		case <-s.urgent:
		case <-s.stop:
			s.flush()
			return
		}
		delay = s.cfg.FlushDelay
		if err := s.flush(); err != nil {
			s.cfg.Logger.Error("vcs: changes are not saved yet", "err", err, "retry", retryDelay)
			delay = retryDelay
			s.answered()
			signal(s.wake)
		}
	}
}

// answered takes back the signal of a Sync that has had its error from a flush
// already under way when it came: to try again at once would be in nobody's name.
func (s *Store) answered() {
	select {
	case <-s.urgent:
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiters) > 0 {
		signal(s.urgent)
	}
}

// flush applies all queued groups, oldest first, and stops at the first error.
func (s *Store) flush() error {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.mu.Unlock()
			return nil
		}
		g := s.queue[0]
		if g.seq == s.seq {
			s.seal()
		}
		retry := s.saveErr != nil
		s.mu.Unlock()

		err := s.apply(g, retry)

		s.mu.Lock()
		s.saveErr = err
		if err == nil {
			s.saved = g.seq
			s.pending -= g.bytes
			s.queue = slices.Delete(s.queue, 0, 1)
		}
		if s.room != nil {
			close(s.room)
			s.room = nil
		}
		s.waiters = slices.DeleteFunc(s.waiters, func(w waiter) bool {
			if err == nil && w.seq > s.saved {
				return false
			}
			w.ch <- err
			return true
		})
		s.mu.Unlock()
		if err != nil {
			return err
		}
		s.checkBound()
	}
}

// apply writes one group. After a failed attempt it is unknown whether the
// batch was applied: then the backend's refs say which updates are in already.
func (s *Store) apply(g *group, retry bool) error {
	ctx := context.Background()
	if s.log != nil && g.log == nil {
		var err error
		if g.log, err = s.stage(g); err != nil {
			return fmt.Errorf("vcs: save: %w", err)
		}
	}
	if s.log != nil {
		s.natives.wrote(g.log.natives)
	}
	b := g.batch()
	if g.drop > 0 && s.log != nil {
		b.Drop = s.log.recordsOf(g.drop)
	}
	if retry {
		st, err := s.backend.Load(ctx)
		if err != nil {
			return fmt.Errorf("vcs: save: %w", err)
		}
		if len(b.Log) > 0 {
			switch last, err := lastRecord(st); {
			case err != nil:
				return fmt.Errorf("vcs: save: %w", err)
			case bytes.Equal(last, b.Log[len(b.Log)-1]):
				return s.applied(g)
			}
		}
		have := make(map[string]ID, len(st.Refs))
		for _, r := range st.Refs {
			have[r.Name] = r.Target
		}
		b.Refs = slices.DeleteFunc(b.Refs, func(u RefUpdate) bool { return have[u.Name] == u.New })
	}
	err := s.backend.Apply(ctx, b)
	if errors.Is(err, ErrRefMoved) {
		return fmt.Errorf("vcs: save: somebody else changed the backend: %w", err)
	}
	if err != nil {
		return fmt.Errorf("vcs: save: %w", err)
	}
	return s.applied(g)
}

// applied takes over what the backend now holds.
func (s *Store) applied(g *group) error {
	if s.log == nil {
		return nil
	}
	if g.forget != nil {
		s.natives.forgotten()
	}
	s.natives.setWhole(g.log.whole)
	for _, h := range g.log.holes {
		s.cfg.Logger.Error("vcs: a commit came without a part of its tree", "commit", h.commit, "object", h.object, "err", h.err)
	}
	err := s.log.publish(g)
	s.work.saved(g.log.states)
	return err
}

func lastRecord(st State) (last []byte, err error) {
	for rec, err := range st.Log {
		if err != nil {
			return nil, err
		}
		last = rec
	}
	return last, nil
}
