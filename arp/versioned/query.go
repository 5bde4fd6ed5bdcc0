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
	id, err := t.repo.Head(t.cfg.Branch)
	for err == nil && !id.IsZero() {
		if err = ctx.Err(); err != nil {
			break
		}
		var c *vcs.Commit
		if c, err = t.repo.Store().ReadJoined(id); err != nil {
			break
		}
		if !c.Time().After(at) {
			return t.repo.AtCommit(id)
		}
		id = vcs.ID{}
		if len(c.Parents) > 0 {
			id = c.Parents[0] // where the branch was before
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: nothing was recorded before %v", vcs.ErrNotFound, at)
	}
	return nil, err
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
