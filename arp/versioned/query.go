package versioned

import (
	"context"
	"fmt"
	"iter"
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// At returns the table as it was at a time, with the commit that held then. The
// time of a commit is in whole seconds: all changes of that second count. The
// error wraps vcs.ErrNotFound for a time before the first commit.
func (t *Table) At(ctx context.Context, at time.Time) (*vcs.Snapshot[arp.Key, Entry], error) {
	head, err := t.repo.Head(t.cfg.Branch)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	id, ok, err := t.repo.Store().HeldAt(head, at)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: nothing was recorded before %v", vcs.ErrNotFound, at)
	}
	return t.repo.AtCommit(id)
}

// Log yields the commits that changed the entry of k, newest first.
func (t *Table) Log(k arp.Key) iter.Seq2[*vcs.Commit, error] {
	return t.log(func(head vcs.ID) iter.Seq2[*vcs.Commit, error] { return t.repo.LogKey(k, head) })
}

// Commits yields all commits, newest first: refusals, conflicts, failed queries
// and merges too.
func (t *Table) Commits() iter.Seq2[*vcs.Commit, error] {
	return t.log(func(head vcs.ID) iter.Seq2[*vcs.Commit, error] { return t.repo.Log(head) })
}

func (t *Table) log(from func(vcs.ID) iter.Seq2[*vcs.Commit, error]) iter.Seq2[*vcs.Commit, error] {
	return func(yield func(*vcs.Commit, error) bool) {
		head, err := t.repo.Head(t.cfg.Branch)
		if err != nil {
			yield(nil, err)
			return
		}
		from(head)(yield)
	}
}
