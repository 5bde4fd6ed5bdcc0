package vcs

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
)

// CommitChange is a commit of some additions and what it changed.
type CommitChange struct {
	ID      ID
	Tree    ID
	Parents []ID  // valid until the visit ends
	Time    int64 // the committer's, in seconds since 1970
	// Paths are the files that differ from the first parent, or from nothing
	// where there is none: as git diff-tree lists them, in no order. They are
	// valid until the visit ends.
	Paths []string
	// Unknown says that the log tells the commit by another one than its first
	// parent, and Paths are missing.
	Unknown bool
}

// Changes visits the commits with the files that they changed, as the log tells
// it: parents before children, and those that several epochs have more than once.
// No tree is made. The error wraps errors.ErrUnsupported when there are commits
// among them that join epochs, which no log has.
func (a *Additions) Changes(ctx context.Context, visit func(*CommitChange) error) error {
	if !a.TellsChanges() {
		return fmt.Errorf("vcs: changes of commits that join epochs: %w", errors.ErrUnsupported)
	}
	for _, x := range a.stretches {
		if err := x.eachChanges(ctx, visit); err != nil {
			return err
		}
	}
	return nil
}

// TellsChanges reports whether Changes can be used.
func (a *Additions) TellsChanges() bool { return len(a.joints) == 0 }

// eachChanges is Changes for one log.
func (a *stretch) eachChanges(ctx context.Context, visit func(*CommitChange) error) error {
	c := cursor{log: a.log}
	var out CommitChange
	var parents []ID
	for k, w := range a.selected {
		if w != 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		for ; w != 0; w &= w - 1 {
			v, i, err := c.at(uint32(k*64) + uint32(bits.TrailingZeros64(w)))
			if err != nil {
				return err
			}
			if out.ID, err = a.log.idOf(v, i); err != nil {
				return err
			}
			told, err := v.parentsOf(i)
			if err != nil {
				return err
			}
			parents = parents[:0]
			for _, p := range told {
				if !p.native && p.num >= v.first {
					if p.id, err = a.log.idOf(v, p.num-v.first); err != nil {
						return err
					}
				}
				parents = append(parents, p.id)
			}
			rec := v.rec(i)
			out.Tree, out.Parents, out.Time = v.tree(i), parents, rec.time
			out.Paths, out.Unknown = out.Paths[:0], rec.based
			if !out.Unknown {
				err = v.eachChange(i, func(c viewChange) error {
					path, err := a.log.key(c.key)
					out.Paths = append(out.Paths, path)
					return err
				})
			}
			if err == nil {
				err = visit(&out)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
