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

// index returns the index of HEAD's record, as of now, and keeps what is new in it
// beside the repository where that can be written.
func (s *session) index(ctx context.Context) (*versioned.RecordIndex, error) {
	head, err := s.Head()
	if err != nil {
		return nil, err
	}
	branch := ""
	if s.Detached.IsZero() {
		branch = history.ShortRef(s.Store.Head())
	}
	x := versioned.OpenRecordIndex(versioned.RecordIndexPath(s.repo.Directory(), branch))
	err = x.Update(ctx, s.Store, head)
	if errors.Is(err, vcs.ErrNotFound) {
		return nil, nil // the history has gaps: what there is can be walked
	}
	if err != nil {
		return nil, err
	}
	if err := x.Save(); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		note("%v; questions about MAC addresses and events take longer", err)
	}
	return x, nil
}
