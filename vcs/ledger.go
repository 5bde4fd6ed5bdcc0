package vcs

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxLedger is the length at which the ledger's branch begins again, with a
// commit that has all its files. Older ones go with their epochs.
const maxLedger = 128

// loadEpochs reads the table of epochs from the ledger and from what is here.
// When the ledger is damaged, the rest can be read all the same.
func (s *Store) loadEpochs() {
	t := newEpochTable(s.Head())
	s.epochs = t
	list, err := s.readLedger()
	if err != nil {
		s.cfg.Logger.Error("vcs: the ledger of epochs cannot be read", "err", err)
	}
	if s.log != nil {
		// The log tells which epochs are here, should the ledger not.
		for _, l := range slices.Backward(s.log.newestFirst()) {
			if !slices.ContainsFunc(list, func(e Epoch) bool { return e.Number == l.epoch }) {
				list = append(list, Epoch{Number: l.epoch, Began: l.began, State: EpochLive})
			}
		}
	}
	if len(list) == 0 {
		list = t.list
	}
	slices.SortFunc(list, func(a, b Epoch) int { return a.Number - b.Number })
	for i := range list {
		e := &list[i]
		switch {
		case i == len(list)-1:
			e.State = EpochCurrent
		case s.log != nil && e.State <= EpochLive && s.log.of(e.Number) == nil:
			e.State, e.Reason = EpochLost, "its part of the log is damaged"
		case e.State == EpochCurrent:
			e.State = EpochLive
		}
	}
	for i := range list {
		if list[i].State > EpochLive || i == 0 || list[i-1].State != EpochLive {
			continue
		}
		for k := range list[i].Roots {
			r := &list[i].Roots[k]
			_, err := s.commitContent(r.Old)
			r.apart = errors.Is(err, ErrNotFound)
		}
	}
	t.list = list
	t.index(s.commitContent)
}

func (s *Store) commitContent(id ID) ([]byte, error) { return readKind(s, id, KindCommit) }

// readLedger returns the epochs that the ledger has.
func (s *Store) readLedger() (list []Epoch, err error) {
	head, ok := s.refs[ledgerRef]
	if !ok {
		return nil, nil
	}
	c, err := s.ReadCommit(head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ledgerRef, err)
	}
	for f, err := range files(s, c.Tree) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ledgerRef, err)
		}
		number, ok := ledgerNumber(f.path)
		if !ok && f.path != lostName {
			continue
		}
		content, err := readKind(s, f.entry.ID, KindBlob)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ledgerRef, err)
		}
		var e Epoch
		if ok {
			e, err = parseLedger(number, content)
		} else {
			e, err = parseLost(content)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// record makes the next commit of the ledger: some epochs as they now are, and
// perhaps a sum that takes the place of others. Its parent is the newest one
// unless that is zero.
func (s *Store) record(w *scratch, parent ID, message string, epochs []*Epoch, sum *Epoch, gone []int) (ID, error) {
	c := Commit{Tree: EmptyTree, Message: message}
	c.Author = epochAuthor(s.cfg.Retention.Author, time.Now().UTC())
	last, ok := s.Ref(ledgerRef)
	if ok {
		old, err := s.ReadCommit(last)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return ID{}, err
		}
		if err == nil {
			c.Tree = old.Tree
			if t := old.Time().UTC(); t.After(c.Author.When) {
				c.Author.When = t
			}
		}
	}
	c.Committer = c.Author
	if !parent.IsZero() {
		c.Parents = []ID{parent}
	}
	edits := make([]edit, len(epochs))
	for i, e := range epochs {
		text := ledgerText(e)
		edits[i] = edit{ledgerName(e.Number), ModeFile, HashObject(KindBlob, text), text}
	}
	if len(gone) > 0 {
		text := lostText(sum)
		edits = append(edits, edit{lostName, ModeFile, HashObject(KindBlob, text), text})
		for _, number := range gone {
			edits = append(edits, edit{path: ledgerName(number)})
		}
	}
	if s.log != nil && ok {
		// By the commit: among millions a tree is not found by its id.
		if root, err := s.log.root(last); err == nil && root.id == c.Tree {
			w.adopt(root)
		}
	}
	var err error
	if c.Tree, err = w.editTree(c.Tree, edits); err != nil {
		return ID{}, err
	}
	return w.put(KindCommit, c.Encode(nil)), nil
}
