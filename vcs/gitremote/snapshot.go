package gitremote

import (
	"errors"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// Source is what a snapshot is taken of: any vcs store.
type Source interface {
	vcs.ObjectReader
	vcs.RefReader
}

// WriteSnapshot makes dir a bare Git repository that holds what src holds at
// this moment: all its refs and what they lead to. dir is created when it is
// missing and updated when it exists; an update writes one pack with what is new
// and now and then merges small packs, so that periodic snapshots neither grow
// without bound nor rewrite everything. So it is with the commit-graph, which
// makes the log of a path quick, for stock git and here; it is written last.
//
// The error wraps ErrNotRepository when dir holds something else,
// ErrForeignHistory when a ref of dir would be moved off or deleted from history
// that src does not have, and ErrLocked when another snapshot is under way.
func WriteSnapshot(dir string, src Source) (Report, error) {
	return writeSnapshot(dir, src, func(changes []vcs.RefUpdate) error { return onlyKnown(dir, src, changes) })
}

// UpdateSnapshot is WriteSnapshot for a directory of which the caller knows that
// it holds an earlier state of src: its refs may leave history that src no
// longer has, because an epoch was dropped.
func UpdateSnapshot(dir string, src Source) (Report, error) { return writeSnapshot(dir, src, nil) }

func writeSnapshot(dir string, src Source, allow func([]vcs.RefUpdate) error) (Report, error) {
	objects := vcs.ObjectReader(src)
	if r, ok := src.(vcs.Pinner); ok { // what the refs lead to must stay
		p := r.Pin()
		defer p.Release()
		objects = p
	}
	refs, err := src.Refs()
	if err != nil {
		return Report{}, fmt.Errorf("gitremote: list refs: %w", err)
	}
	return update(dir, change{
		refs:  refs,
		head:  src.Head(),
		trust: trustPack,
		graph: true,
		tell:  tellGraph(objects, refs),
		write: func(w io.Writer, have vcs.ObjectReader, old []vcs.Ref) error {
			return encodeNew(w, objects, have, refs, old)
		},
		allow: allow,
	})
}

// onlyKnown refuses changes that take history away which objects does not hold.
func onlyKnown(dir string, objects vcs.ObjectReader, changes []vcs.RefUpdate) error {
	for _, u := range changes {
		if u.Old.IsZero() {
			continue
		}
		_, _, err := objects.ReadObject(u.Old)
		if errors.Is(err, vcs.ErrNotFound) {
			return fmt.Errorf("%w: %s holds %s at %s, which is not part of this store; choose another directory",
				ErrForeignHistory, dir, u.Name, u.Old)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
