package vcs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CollectReport says what Collect did. The epochs are as they were afterwards.
type CollectReport struct {
	Ended    []int   // numbers of the epochs that were ended
	Archived []Epoch // put away
	Dropped  []Epoch // left the store: for their archives, or lost
	Gone     []Epoch // were archived, and their archives are no longer there
	// Current is the epoch that is being written, its commits counted also for a
	// backend of objects, where Epochs does not, because it takes a walk.
	Current Epoch
}

// fill sets the defaults.
func (r *Retention) fill() error {
	if r.MaxBytes < 0 || r.MaxCommits < 0 || r.MaxAge < 0 || r.Epochs < 0 || r.Epochs == 1 {
		return fmt.Errorf("%w: Retention: limits must not be negative, and Epochs at least 2", ErrConfig)
	}
	if r.Epochs == 0 {
		r.Epochs = 4
	}
	if r.Chains == nil {
		r.Chains = DefaultChains()
	}
	for _, c := range r.Chains {
		if err := CheckRefName(BranchRef(c.Branch)); err != nil || !reserved(BranchRef(c.Branch)) || c.Branch == LedgerBranch || c.Period < time.Second || c.Limit < 2 {
			return fmt.Errorf("%w: Retention: chain %q: want a branch under history/, a period of a second or more, and a limit of 2 or more", ErrConfig, c.Branch)
		}
	}
	return nil
}

// bounded reports whether the store has to look after its history by itself.
func (r *Retention) bounded() bool {
	return r.MaxBytes > 0 || r.MaxCommits > 0 || r.MaxAge > 0 || r.Archive != nil
}

// extent is what a store's log holds.
type extent struct {
	bytes   int64
	commits int
}

func (a extent) plus(b extent) extent { return extent{a.bytes + b.bytes, a.commits + b.commits} }

// share is what the current epoch may take.
func (r *Retention) share() extent {
	return extent{r.MaxBytes / int64(r.Epochs), r.MaxCommits / r.Epochs}
}

// limit is how many bytes the current epoch may take: its share. One whose roots
// take much of that may grow by as much again, within an eighth of the bound, so
// that roots are not most of what is written and archived.
func (r *Retention) limit(opened int64) int64 {
	share := r.share().bytes
	return max(share, opened+max(share/4, min(opened, r.MaxBytes/8)))
}

// full reports whether an epoch has reached its limit.
func (r *Retention) full(now, opened extent, age time.Duration) bool {
	return r.MaxBytes > 0 && now.bytes >= r.limit(opened.bytes) ||
		r.MaxCommits > 0 && now.commits >= max(r.share().commits, 1) ||
		r.MaxAge > 0 && age >= r.MaxAge/time.Duration(r.Epochs)
}

// over reports whether ended epochs take more than the bound leaves them beside
// the current one, which may grow until it is full. What an epoch was opened with
// is in its bytes and not in its commits.
func (r *Retention) over(ended, opened extent) bool {
	return r.MaxBytes > 0 && ended.bytes > max(0, r.MaxBytes-r.limit(opened.bytes)) ||
		r.MaxCommits > 0 && ended.commits > max(0, r.MaxCommits-max(r.share().commits, 1))
}

// Collect applies the policy of StoreConfig.Retention now, to all that was written
// before the call, as the store does by itself when a bound is reached: it ends
// the current epoch when that has its share, puts ended epochs away, and drops the
// oldest ones while the bound is exceeded. What it did is durable when it returns.
// The error is that of the archive, of the backend or of the context; what was done
// before is in the report.
func (s *Store) Collect(ctx context.Context) (CollectReport, error) {
	if err := s.keeping.take(ctx); err != nil {
		return CollectReport{}, err
	}
	defer s.keeping.give()
	var rep CollectReport
	err := s.Sync(ctx) // only the log knows how much there is
	for pass, again := 0, err == nil; again; pass++ {
		done := len(rep.Ended) + len(rep.Dropped)
		if err = s.collectNow(ctx, &rep); err == nil {
			err = s.Sync(ctx)
		}
		// What was recorded took room, too. What others write meanwhile is for the
		// next call: they may be faster than the archive.
		again = pass < collectPasses && ctx.Err() == nil && len(rep.Ended)+len(rep.Dropped) > done && s.exceeds()
	}
	if s.log != nil {
		s.log.restIdle()
	}
	list := s.Epochs()
	rep.Current = list[len(list)-1]
	if s.log == nil {
		rep.Current.Commits = s.countCommits(rep.Current)
	}
	return rep, err
}

// collectPasses is how often Collect looks again after it has done something.
const collectPasses = 2

// exceeds reports whether there is something to end or to drop.
func (s *Store) exceeds() bool {
	r := &s.cfg.Retention
	cur, ended, opened, began := s.extents()
	return r.full(cur, opened, time.Since(began)) || r.over(ended, opened)
}

func (s *Store) collectNow(ctx context.Context, rep *CollectReport) error {
	r := &s.cfg.Retention
	cur, ended, opened, began := s.extents()
	if r.full(cur, opened, time.Since(began)) {
		did, err := s.endInto(ctx, rep)
		if err != nil {
			return err
		}
		if did {
			// What is to be read from the log has to be there.
			if err := s.Sync(ctx); err != nil {
				return err
			}
			_, ended, opened, _ = s.extents()
		}
	}
	// Those that will not go at once are put away, oldest first.
	failed := s.archiveAll(ctx, rep)
	for {
		oldest, ok := s.oldestEnded()
		if !ok {
			break
		}
		over := r.over(ended, opened)
		if !over && !(r.MaxAge > 0 && time.Since(oldest.Ended) > r.MaxAge) {
			break
		}
		reason := "no archive is configured"
		if r.Archive != nil {
			if err := s.sure(ctx, oldest, rep); err != nil {
				failed = err
				if !over || ctx.Err() != nil {
					break // there is room: it may work later
				}
				s.freeCaches()
				reason = err.Error()
			}
		}
		size := extent{oldest.LogBytes, oldest.Commits}
		if err := s.letGo(ctx, oldest.Number, reason, rep); err != nil {
			return errors.Join(failed, err)
		}
		ended = extent{ended.bytes - size.bytes, ended.commits - size.commits}
	}
	return errors.Join(failed, s.checkArchives(ctx, rep), s.collectNatives(ctx))
}

// endInto is endEpoch, which the report hears of.
func (s *Store) endInto(ctx context.Context, rep *CollectReport) (bool, error) {
	number := s.epochs.number()
	did, err := s.endEpoch(ctx)
	if did {
		rep.Ended = append(rep.Ended, number)
	}
	return did, err
}

// extents returns what the current epoch and the ended ones take, what the
// current one took when it began, and when that was by the wall clock.
func (s *Store) extents() (cur, ended, opened extent, began time.Time) {
	list := s.Epochs()
	for i := range list {
		e := extent{list[i].LogBytes, list[i].Commits}
		switch list[i].State {
		case EpochCurrent:
			cur, began = e, list[i].Began
		case EpochLive:
			ended = ended.plus(e)
		}
	}
	if s.log != nil {
		l := s.log.current()
		l.mu.Lock()
		opened = l.opened
		if !l.began.IsZero() {
			began = l.began
		}
		l.mu.Unlock()
	} else {
		if n := len(list); n > 1 {
			began = list[n-2].Ended
		}
		if s.cfg.Retention.MaxCommits > 0 {
			cur.commits = s.countCommits(list[len(list)-1])
		}
	}
	if began.IsZero() {
		began = s.firstTime()
	}
	if began.IsZero() {
		began = time.Now()
	}
	return cur, ended, opened, began
}

// countCommits counts the commits of the current epoch, without its roots, for a
// backend of objects, as far as they can be read.
func (s *Store) countCommits(e Epoch) int {
	var ids []ID
	for _, h := range e.Heads {
		if strings.HasPrefix(h.Name, branchPrefix) && !reserved(h.Name) {
			ids = append(ids, h.Target)
		}
	}
	d := &epochDAG{s: s}
	if _, err := d.reach(ids); err != nil {
		s.cfg.Logger.Error("vcs: the commits cannot be counted", "err", err)
	}
	n := len(d.ids)
	for _, r := range e.Roots {
		if _, ok := d.nodes[r.Root]; ok {
			n--
		}
	}
	return n
}

// oldestEnded returns the oldest epoch that has ended and is here.
func (s *Store) oldestEnded() (Epoch, bool) {
	for _, e := range s.Epochs() {
		if e.State == EpochLive {
			return e, true
		}
	}
	return Epoch{}, false
}

// letGo drops an epoch, with the history of its head branch put into the chains
// before. When the current epoch cannot do without it, that is ended first.
func (s *Store) letGo(ctx context.Context, number int, reason string, rep *CollectReport) error {
	if err := s.extendChains(number); err != nil {
		return fmt.Errorf("vcs: chains of epoch %d: %w", number, err)
	}
	err := s.drop(number, reason)
	if errors.Is(err, errNeedsEpoch) {
		var did bool
		if did, err = s.endInto(ctx, rep); err == nil && !did {
			err = errNeedsEpoch
		}
		if err == nil {
			err = s.Sync(ctx)
		}
		if err == nil {
			err = s.drop(number, reason)
		}
	}
	if err != nil {
		return err
	}
	for _, e := range s.Epochs() {
		if e.Number >= number && e.State > EpochLive && !slices.ContainsFunc(rep.Dropped, func(d Epoch) bool { return d.Number == e.Number }) {
			rep.Dropped = append(rep.Dropped, e)
			s.cfg.Logger.Info("vcs: an epoch has left the store", "epoch", e.Number, "state", e.State.String(), "archive", e.Archive.Name, "reason", e.Reason)
		}
	}
	return s.Sync(ctx)
}

// freeCaches gives back what can be read again.
func (s *Store) freeCaches() {
	s.cache.clear()
	if s.log != nil {
		s.log.restAll()
	}
}
