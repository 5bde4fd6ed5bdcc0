package gitremote

import (
	"context"
	"errors"
	"io"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// encodeNew writes a pack of what the refs of src lead to and have lacks, or
// nothing when have lacks nothing. Old are the refs that have is complete for.
func encodeNew(w io.Writer, src, have vcs.ObjectReader, refs, old []vcs.Ref) error {
	var sel packfile.Selection
	for _, r := range refs {
		_, _, err := have.ReadObject(r.Target)
		if errors.Is(err, vcs.ErrNotFound) {
			sel.Wants = append(sel.Wants, r.Target)
		} else if err != nil {
			return err
		}
	}
	if len(sel.Wants) == 0 {
		return nil
	}
	for _, r := range old {
		sel.Haves = append(sel.Haves, r.Target)
	}
	set, err := packfile.Select(context.Background(), src, sel)
	if err != nil {
		return err
	}
	_, err = set.Write(w, packfile.Options{})
	return err
}

// encodeList writes a pack of given objects. Where they form a stretch of
// history they are stored as differences to each other.
func encodeList(w io.Writer, objects vcs.ObjectReader, ids []vcs.ID) error {
	if len(ids) == 0 {
		return nil
	}
	sel, err := stretch(objects, ids)
	if err != nil {
		return err
	}
	set, err := packfile.Select(context.Background(), objects, sel)
	if errors.Is(err, vcs.ErrNotFound) {
		// Not a whole stretch: store each object by itself.
		set, err = packfile.Select(context.Background(), objects, packfile.Selection{})
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !set.Has(id) {
			if err := set.Add(id); err != nil {
				return err
			}
		}
	}
	_, err = set.Write(w, packfile.Options{})
	return err
}

// stretch finds the ends of the history among ids: commits that no other one of
// them has as parent, and the parents that are not among them.
func stretch(objects vcs.ObjectReader, ids []vcs.ID) (packfile.Selection, error) {
	among := make(map[vcs.ID]bool, len(ids))
	for _, id := range ids {
		among[id] = true
	}
	inner := map[vcs.ID]bool{}
	var commits []vcs.ID
	var sel packfile.Selection
	for _, id := range ids {
		c, err := readCommit(objects, id)
		if errors.Is(err, vcs.ErrWrongKind) || errors.Is(err, vcs.ErrBadObject) {
			continue
		}
		if err != nil {
			return sel, err
		}
		commits = append(commits, id)
		for _, p := range c.Parents {
			if among[p] {
				inner[p] = true
			} else {
				sel.Haves = append(sel.Haves, p)
			}
		}
	}
	for _, id := range commits {
		if !inner[id] {
			sel.Wants = append(sel.Wants, id)
		}
	}
	return sel, nil
}
