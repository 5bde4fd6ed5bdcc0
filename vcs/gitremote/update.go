package gitremote

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"arpeggio/vcs"
)

// change is a transition of a whole repository from its old refs to new ones.
type change struct {
	refs []vcs.Ref // all refs afterwards, sorted
	head string    // the branch that HEAD names afterwards, "" for no change
	// write produces a pack with what have lacks of the refs' history, or
	// nothing when it lacks nothing; old are the refs before.
	write func(w io.Writer, have vcs.ObjectReader, old []vcs.Ref) error
	trust trust
	// graph keeps the directory's commit-graph up to date, from tell when that is
	// not nil.
	graph bool
	tell  graphTeller
	// allow, when not nil, may veto the changes before anything is written.
	allow func([]vcs.RefUpdate) error
}

// trust says how far a change's source is believed.
type trust uint8

const (
	trustNothing trust = iota // check every object and every link
	trustPack                 // believe the objects, check that refs find theirs
	trustAll                  // believe the refs too: a backend's caller knows
)

// update brings a directory to c's refs, creating it when it is missing.
func update(dir string, c change) (Report, error) {
	head := c.head
	if head == "" {
		head = defaultHead
	}
	unlock, err := openForWriting(dir, head)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	d, err := OpenDir(dir)
	if err != nil {
		return Report{}, err
	}
	defer d.Close()
	old, err := readRefs(dir)
	if err != nil {
		return Report{}, err
	}
	return d.apply(old, c)
}

// apply makes the change in the order that a crash may interrupt: pack, refs,
// HEAD. The caller holds the writers' lock.
func (d *Dir) apply(old []vcs.Ref, c change) (Report, error) {
	report := Report{Changes: diffRefs(old, c.refs)}
	if c.allow != nil {
		if err := c.allow(report.Changes); err != nil {
			return Report{}, err
		}
	}
	err := d.addPack(old, c, &report)
	if err != nil {
		return Report{}, err
	}
	if c.trust < trustAll {
		if report.Forced, err = forced(d, report.Changes, c.refs); err != nil {
			return Report{}, err
		}
	}
	if len(report.Changes) > 0 {
		if err := writeRefs(d.path, c.refs, d); err != nil {
			return Report{}, err
		}
	}
	if report.Head, err = d.setHead(c.head); err != nil {
		return Report{}, err
	}
	if report.Packs, err = d.consolidate(); err != nil || !c.graph {
		return report, err
	}
	return report, d.writeGraph(c.refs, c.tell)
}

// addPack stores what the change adds and makes sure that every ref will find
// its target.
func (d *Dir) addPack(old []vcs.Ref, c change, report *Report) error {
	s, err := stagePack(d, func(w io.Writer) error { return c.write(w, d, old) })
	if errors.Is(err, errNoPack) {
		return checkTips(d, c)
	}
	if err != nil {
		return err
	}
	if c.trust == trustNothing {
		err = s.verify(d, c.refs)
	} else {
		err = checkTips(overlay{s, d}, c)
	}
	if err != nil {
		s.discard()
		return err
	}
	report.Objects = s.Len()
	if err := s.publish(); err != nil {
		return err
	}
	d.refresh()
	return nil
}

// checkTips looks for the objects that the refs name.
func checkTips(objects vcs.ObjectReader, c change) error {
	if c.trust == trustAll {
		return nil
	}
	for _, r := range c.refs {
		if _, _, err := objects.ReadObject(r.Target); err != nil {
			if errors.Is(err, vcs.ErrNotFound) {
				return fmt.Errorf("%w: %s, which %s names", ErrIncomplete, r.Target, r.Name)
			}
			return err
		}
	}
	return nil
}

// setHead makes HEAD name the branch head, "" for no change, and returns what it
// names then.
func (d *Dir) setHead(head string) (string, error) {
	now, err := readHead(d.path)
	if err != nil || head == "" || head == now {
		return now, err
	}
	return head, writeFile(filepath.Join(d.path, "HEAD"), []byte(headText(head)))
}
