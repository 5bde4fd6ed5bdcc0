package main

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"arpeggio/arp/versioned"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

// oldTables lets the store make old tables without going through the whole history,
// by a file beside it, which takes one walk the first time.
func (s *session) oldTables(ctx context.Context, c *vcs.Commit) error {
	head, err := s.Head()
	if err != nil || !s.Store.Logged() || c == nil || c.ID == head {
		return err
	}
	err = versioned.OldStates(ctx, s.Store, head, versioned.OldStatesPath(s.repo.Directory(), s.headBranch()))
	if err != nil && ctx.Err() == nil {
		note("%v; old tables take longer", err)
	}
	return ctx.Err()
}

// headBranch is the branch of HEAD, empty when it names none.
func (s *session) headBranch() string {
	if !s.Detached.IsZero() {
		return ""
	}
	return history.ShortRef(s.Store.Head())
}

// index returns the index of HEAD's record, as of now, and keeps what is new in it
// beside the repository where that can be written.
func (s *session) index(ctx context.Context) (*versioned.RecordIndex, error) {
	head, err := s.Head()
	if err != nil {
		return nil, err
	}
	return s.update(ctx, versioned.OpenRecordIndex(versioned.RecordIndexPath(s.repo.Directory(), s.headBranch())), head)
}

// update brings an index to a commit; it returns nil for a history that has gaps:
// what there is can be walked.
func (s *session) update(ctx context.Context, x *versioned.RecordIndex, head vcs.ID) (*versioned.RecordIndex, error) {
	err := x.Update(ctx, s.Store, head)
	if errors.Is(err, vcs.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := x.Save(); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		note("%v; questions about MAC addresses and events take longer", err)
	}
	return x, nil
}
