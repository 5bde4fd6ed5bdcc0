package vcs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// archivePatience is how long writers wait, when the bound is exceeded, for an
// archive that is under way, and how much longer for each commit in it: slow
// storage, or a busy machine, is no reason to lose what can be saved.
const (
	archivePatience       = 30 * time.Second
	archivePatienceCommit = 300 * time.Microsecond
)

// keeper applies the policy whenever a bound is reached, and now and then.
func (s *Store) keeper(ctx context.Context) {
	defer close(s.kept)
	defer s.relax()
	every := time.Minute
	if age := s.cfg.Retention.MaxAge; age > 0 {
		every = max(time.Second, min(every, age/time.Duration(4*s.cfg.Retention.Epochs)))
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.due:
		case <-tick.C:
		}
		if _, err := s.Collect(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			s.cfg.Logger.Error("vcs: the history is not kept within its bound", "err", err)
		}
		s.relax()
	}
}

// checkBound wakes the keeper when there is something to do, and makes writers
// wait while there is more than the bound allows. It is called after each Apply.
func (s *Store) checkBound() {
	r := &s.cfg.Retention
	if s.log == nil || r.MaxBytes == 0 && r.MaxCommits == 0 {
		return
	}
	all := s.log.newestFirst()
	var cur, ended, opened extent
	for i, l := range all {
		l.mu.Lock()
		e := extent{l.bytes, max(0, int(l.n)-l.opened.commits)}
		if i == 0 {
			cur, opened = e, l.opened
		} else {
			ended = ended.plus(e)
		}
		l.mu.Unlock()
	}
	if !r.full(cur, opened, 0) && !r.over(ended, opened) {
		return
	}
	signal(s.due)
	share := r.share()
	tight := r.MaxBytes > 0 && cur.bytes-opened.bytes > share.bytes+share.bytes/4 || r.MaxCommits > 0 && cur.commits > 2*share.commits+1000
	if !tight {
		return
	}
	s.mu.Lock()
	if s.tight == nil && !s.closed {
		s.tight = make(chan struct{})
	}
	s.mu.Unlock()
}

// relax lets writers go on.
func (s *Store) relax() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tight != nil {
		close(s.tight)
		s.tight = nil
	}
}

// patience returns a context for an archive of so many commits, that ends when
// writers have waited for it too long.
func (s *Store) patience(ctx context.Context, commits int) (context.Context, context.CancelFunc) {
	limit := archivePatience + time.Duration(commits)*archivePatienceCommit
	ctx, cancel := context.WithCancelCause(ctx)
	end := make(chan struct{})
	go func() {
		waited := time.Duration(0)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			s.mu.RLock()
			tight := s.tight != nil
			s.mu.RUnlock()
			if !tight {
				waited = 0
				continue
			}
			if waited += time.Second; waited >= limit {
				cancel(fmt.Errorf("the archive took more than %v while writers waited", limit))
				return
			}
		}
	}()
	return ctx, func() {
		close(end)
		cancel(nil)
	}
}
