package versioned

import (
	"context"
	"errors"
	"slices"
	"time"

	"arpeggio/vcs"
)

// check drops the rows of epochs that have left the store, so that the index
// shrinks with the history. Where a log goes further back than it did, the index
// begins anew.
func (x *RecordIndex) check(ctx context.Context, s *vcs.Store) error {
	// What a log now ends at, or goes on from, must be what it did then.
	for _, e := range s.Epochs() {
		for _, root := range e.Roots {
			c, err := s.ReadJoined(root.Root)
			if errors.Is(err, vcs.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			joined, err := isJoined(s, c)
			if err != nil {
				return err
			}
			b, row, ok := x.place(c.ID, c.Committer.When.Unix())
			if ok && joined && b.flags(row)&rowJoint == 0 {
				x.reset()
				return nil
			}
		}
	}
	for i, b := range slices.Backward(x.blocks) {
		for row := b.n - 1; row >= 0; row-- {
			flags := b.flags(row)
			if flags&(rowEnd|rowJoint) == 0 {
				continue
			}
			s.Locate(b.id(row), time.Unix(b.time(row), 0), vcs.ID{})
			c, err := s.ReadJoined(b.id(row))
			if errors.Is(err, vcs.ErrNotFound) {
				continue // below a root that is looked at, too
			}
			if err != nil {
				return err
			}
			if flags&rowEnd != 0 {
				if len(c.Parents) > 0 {
					x.reset()
					return nil
				}
				continue
			}
			joined, err := isJoined(s, c)
			if err != nil {
				return err
			}
			if !joined {
				return x.shorten(ctx, s, i, row, c)
			}
		}
	}
	return nil
}

// isJoined reports whether a log goes on from a commit to others than its own
// parents.
func isJoined(s *vcs.Store, c *vcs.Commit) (bool, error) {
	own, err := s.ReadCommit(c.ID)
	return err == nil && !slices.Equal(own.Parents, c.Parents), err
}

// shorten takes over that the epoch before a root, the newest one of which that
// is so, has left: what is below the root is what a log finds there now.
func (x *RecordIndex) shorten(ctx context.Context, s *vcs.Store, i, row int, root *vcs.Commit) error {
	b := x.blocks[i]
	if b.flags(row)&rowCut == 0 {
		x.reset()
		return nil
	}
	above := x.blocks[i+1:]
	var none RecordIndex
	news, err := none.walk(ctx, s, root.ID)
	if err != nil {
		return err
	}
	place := b.start + uint64(row) + 1 // of the row above
	if uint64(len(news)) > place {
		x.reset()
		return nil
	}
	y := RecordIndex{first: place - uint64(len(news))}
	if err := eachRow(ctx, s, news, y.push); err != nil {
		return err
	}
	y.seal()
	y.pushBlock(b, row+1)
	for _, b := range above {
		y.pushBlock(b, 0)
	}
	x.blocks, x.tail, x.file = y.blocks, nil, 0
	return nil
}
