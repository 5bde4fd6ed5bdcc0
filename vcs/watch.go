package vcs

import (
	"context"
	"iter"
	"sync"
)

// Event is one change of one ref. A zero Old means created, a zero New deleted.
type Event struct {
	Ref      string
	Old, New ID
}

// Watcher delivers ref changes in the order in which they happened, each
// exactly once: nothing is dropped and nothing is coalesced. So its queue is
// unbounded, and a watcher that nobody reads must be closed. Events are of
// visible changes; they may not be durable yet.
//
// A Watcher is safe for concurrent use, but the order is only meaningful to one
// reader.
type Watcher struct {
	s    *Store
	ref  string // "" for all
	more chan struct{}

	mu    sync.Mutex
	queue []Event
	ended bool
}

// Watch starts to watch all refs, or one when ref is not empty (a full name,
// such as BranchRef("primary")). It sees each change that happens after the
// call. On a closed store the watcher has ended already.
func (s *Store) Watch(ref string) *Watcher {
	w := &Watcher{s: s, ref: ref, more: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		w.ended = true
		return w
	}
	s.watchers[w] = struct{}{}
	return w
}

// push is called under the store's lock, which orders the events.
func (w *Watcher) push(e Event) {
	if w.ref != "" && w.ref != e.Ref {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, e)
	w.mu.Unlock()
	signal(w.more)
}

func (w *Watcher) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	signal(w.more)
}

// Next returns the next event and waits for it when there is none. After Close,
// or the store's, it returns what is queued and then ErrClosed. It returns the
// context's error when that ends first.
func (w *Watcher) Next(ctx context.Context) (Event, error) {
	for {
		w.mu.Lock()
		if len(w.queue) > 0 {
			e := w.queue[0]
			w.queue = w.queue[1:]
			if len(w.queue) == 0 {
				w.queue = nil
			} else {
				signal(w.more)
			}
			w.mu.Unlock()
			return e, nil
		}
		ended := w.ended
		w.mu.Unlock()
		if ended {
			signal(w.more) // for other readers
			return Event{}, ErrClosed
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// All yields events until the context ends or the watcher is closed.
func (w *Watcher) All(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for {
			e, err := w.Next(ctx)
			if err != nil || !yield(e) {
				return
			}
		}
	}
}

// Close ends the watcher.
func (w *Watcher) Close() {
	w.s.mu.Lock()
	delete(w.s.watchers, w)
	w.s.mu.Unlock()
	w.end()
}
