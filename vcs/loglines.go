package vcs

import (
	"container/heap"
	"errors"
	"slices"
	"time"
)

// LinesAt returns where the lines of history that lead to some commits were at a
// time, over epochs too: the commits not later than at that have a later child
// among the ancestors, and those of from that are not later themselves. All that
// was recorded by then is among them and their ancestors, also what a later merge
// brought in. It is empty when all are later.
//
// Times must not go backwards along a line, as for HeldAt. On an operation log it
// passes over stretches without merges.
func (s *Store) LinesAt(at time.Time, from ...ID) ([]ID, error) {
	p := s.Pin()
	defer p.Release()
	w := lines{t: at.Unix(), roots: p.roots, seen: make(map[ID]bool)}
	if s.log != nil {
		for _, l := range p.logs() {
			w.logs = append(w.logs, &logLines{oplog: l})
		}
	}
	for _, id := range from {
		if err := w.add(id); err != nil {
			return nil, err
		}
	}
	for {
		for _, l := range w.logs {
			if err := l.run(&w); err != nil {
				return nil, err
			}
		}
		if len(w.todo) == 0 {
			return w.out, nil
		}
		id := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		c, err := p.ReadJoined(id)
		if errors.Is(err, ErrNotFound) && !slices.Contains(from, id) {
			continue // its epoch has left
		}
		if err != nil {
			return nil, err
		}
		if c.Committer.When.Unix() <= w.t {
			w.out = append(w.out, id)
			continue
		}
		for _, parent := range c.Parents {
			if err := w.add(parent); err != nil {
				return nil, err
			}
		}
	}
}

// lines is a walk of LinesAt.
type lines struct {
	t     int64
	roots map[ID]*graftPoint // of epochs
	logs  []*logLines
	seen  map[ID]bool // what was met by id: not all commits
	todo  []ID        // to be read: in no log, or where one ends
	out   []ID
}

// add takes up a commit.
func (w *lines) add(id ID) error {
	if w.seen[id] {
		return nil
	}
	w.seen[id] = true
	for _, l := range w.logs {
		if found, err := l.add(id); found || err != nil {
			return err
		}
	}
	w.todo = append(w.todo, id)
	return nil
}

// logLines is the part of a walk in one operation log, by number: from the newest
// commit on, so that each is visited once.
type logLines struct {
	*oplog
	pending numHeap
}

func (l *logLines) add(id ID) (found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if ok {
		heap.Push(&l.pending, num)
	}
	return ok, err
}

// run goes back as far as the log tells.
func (l *logLines) run(w *lines) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) > 0 {
		num := heap.Pop(&l.pending).(uint32)
		for len(l.pending) > 0 && l.pending[0] == num {
			heap.Pop(&l.pending)
		}
		if s, ok := l.segmentOf(num); ok && s.first > 0 && s.base > w.t && s.isLinear() && (len(l.pending) == 0 || l.pending[0] < s.first) {
			heap.Push(&l.pending, s.first-1) // all of it came later
			continue
		}
		if err := l.visit(num, w); err != nil {
			return err
		}
	}
	return nil
}

// visit goes from one commit to its parents.
func (l *logLines) visit(num uint32, w *lines) error {
	v, i, err := l.at(num)
	if err != nil {
		return err
	}
	rec := v.rec(i)
	root, err := l.isRoot(v, i, w.roots)
	if err != nil {
		return err
	}
	later := rec.time > w.t && !root
	if later && rec.flags&parentsMask == parentsPrev {
		heap.Push(&l.pending, num-1)
		return nil
	}
	var parents []logParent
	if later {
		if parents, err = v.parentsOf(i); err != nil {
			return err
		}
	}
	if len(parents) == 0 {
		id, err := l.idOf(v, i)
		switch {
		case err != nil:
			return err
		case rec.time <= w.t:
			w.out = append(w.out, id)
		default:
			w.todo = append(w.todo, id) // it may stand for a commit of another epoch
		}
		return nil
	}
	for _, p := range parents {
		switch {
		case !p.native:
			heap.Push(&l.pending, p.num)
		case !w.seen[p.id]:
			w.seen[p.id] = true
			w.todo = append(w.todo, p.id)
		}
	}
	return nil
}

// numHeap is a heap of numbers, the largest first.
type numHeap []uint32

func (h numHeap) Len() int           { return len(h) }
func (h numHeap) Less(i, j int) bool { return h[i] > h[j] }
func (h numHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *numHeap) Push(x any)        { *h = append(*h, x.(uint32)) }
func (h *numHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
