package vcs

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// epochSource is an epoch as an archiver reads it.
type epochSource struct {
	s *Store
	e Epoch
}

// ReadObject implements ObjectReader.
func (x epochSource) ReadObject(id ID) (Kind, []byte, error) {
	if x.s.log != nil {
		if l := x.s.log.of(x.e.Number); l != nil {
			kind, content, err := readEach([]*oplog{l}, (*oplog).known, id)
			if errors.Is(err, ErrNotFound) {
				kind, content, err = readEach([]*oplog{l}, (*oplog).searched, id)
			}
			if !errors.Is(err, ErrNotFound) {
				return kind, content, err
			}
		}
	}
	return x.s.ReadObject(id)
}

// Refs implements RefReader.
func (x epochSource) Refs() ([]Ref, error) { return slices.Clone(x.e.Heads), nil }

// Head implements RefReader.
func (x epochSource) Head() string { return x.s.Head() }

// Additions implements AdditionReader.
func (x epochSource) Additions(ctx context.Context, tips, known []ID, progress func(commits int)) (*Additions, error) {
	return x.s.Additions(ctx, tips, known, progress)
}

// FirstOf returns the last commit that an epoch's log has on the way from a
// commit along first parents; the commit itself when it is not in that log. No
// object is made on the way.
func (x epochSource) FirstOf(id ID) (ID, error) {
	if x.s.log == nil {
		return id, nil
	}
	l := x.s.log.of(x.e.Number)
	if l == nil {
		return id, nil
	}
	c := cursor{log: l.frozen()}
	num, ok, err := c.log.find(id)
	for ok && err == nil {
		var v *segView
		var i uint32
		if v, i, err = c.at(num); err != nil {
			break
		}
		if rec := v.rec(i); rec.parent == noParent || rec.based {
			return c.log.idOf(v, i)
		}
		num = v.rec(i).parent
	}
	return id, err
}

// OpenEpoch reads an epoch: from the store while it is here, from its archive
// afterwards. The error wraps ErrNotFound when neither has it.
func (s *Store) OpenEpoch(ctx context.Context, number int) (ObjectReader, error) {
	for _, e := range s.Epochs() {
		switch {
		case e.Number != number:
		case e.State == EpochCurrent || e.State == EpochLive:
			return epochSource{s, e}, nil
		case e.State == EpochArchived && s.cfg.Retention.Archive != nil:
			return s.cfg.Retention.Archive.OpenEpoch(ctx, e)
		case e.State == EpochArchived:
			return nil, fmt.Errorf("%w: epoch %d is in the archive %s, and none is configured", ErrNotFound, number, e.Archive.Name)
		default:
			return nil, fmt.Errorf("%w: epoch %d is lost: %s", ErrNotFound, number, e.Reason)
		}
	}
	return nil, fmt.Errorf("%w: epoch %d", ErrNotFound, number)
}

// archiveAll puts away what has ended and is not put away yet, as far as there is
// room for it beside the archives of what has left. It stops at the first error,
// so that archives come in order.
func (s *Store) archiveAll(ctx context.Context, rep *CollectReport) error {
	if s.cfg.Retention.Archive == nil {
		return nil
	}
	fitter, _ := s.cfg.Retention.Archive.(ArchiveFitter)
	for _, e := range s.Epochs() {
		if e.State != EpochLive || e.Archive.Name != "" {
			continue
		}
		if fitter != nil {
			if fits, err := fitter.Fits(ctx, e); err != nil {
				return fmt.Errorf("vcs: room for the archive of epoch %d: %w", e.Number, err)
			} else if !fits {
				return nil
			}
		}
		if err := s.putAway(ctx, e, rep); err != nil {
			return err
		}
	}
	return nil
}

// putAway archives one epoch and records the receipt.
func (s *Store) putAway(ctx context.Context, e Epoch, rep *CollectReport) error {
	ctx, done := s.patience(ctx, e.Commits)
	defer done()
	receipt, err := s.cfg.Retention.Archive.Archive(ctx, e, epochSource{s, e})
	if errors.Is(err, context.Canceled) && context.Cause(ctx) != nil {
		err = context.Cause(ctx) // the ledger is to say why
	}
	if err != nil {
		return fmt.Errorf("vcs: archive epoch %d: %w", e.Number, err)
	}
	if receipt.Name == "" {
		return fmt.Errorf("vcs: archive epoch %d: %w: a receipt without a name", e.Number, ErrConfig)
	}
	e.Archive = receipt
	if err := s.amend(e, fmt.Sprintf("epoch %d is archived as %s\n", e.Number, oneLine(receipt.Name))); err != nil {
		return err
	}
	rep.Archived = append(rep.Archived, e)
	return nil
}

// amend records an epoch as it now is.
func (s *Store) amend(e Epoch, message string) error {
	list, _ := s.epochs.snapshot()
	i := slices.IndexFunc(list, func(x Epoch) bool { return x.Number == e.Number })
	list[i] = e
	w := newScratch(s)
	old, _ := s.Ref(ledgerRef)
	list, folded := foldLost(list)
	id, err := s.record(w, old, message, []*Epoch{&e}, &list[0], folded)
	if err != nil {
		return err
	}
	return s.enterEpochs(list, w.objs, []RefUpdate{{ledgerRef, old, id}}, nil, nil)
}

// sure makes sure that an epoch which is about to go is in its archive.
func (s *Store) sure(ctx context.Context, e Epoch, rep *CollectReport) error {
	if e.Archive.Name != "" {
		missing, err := s.cfg.Retention.Archive.Missing(ctx, []Epoch{e})
		if err != nil {
			return fmt.Errorf("vcs: look for the archive of epoch %d: %w", e.Number, err)
		}
		if len(missing) == 0 {
			return nil
		}
		e.Archive = Receipt{}
		if err := s.amend(e, fmt.Sprintf("epoch %d is no longer in its archive\n", e.Number)); err != nil {
			return err
		}
	}
	return s.putAway(ctx, e, rep)
}

// checkArchives asks whether the archives of epochs that have left are still
// there, and records those that are not as lost.
func (s *Store) checkArchives(ctx context.Context, rep *CollectReport) error {
	if s.cfg.Retention.Archive == nil {
		return nil
	}
	var away []Epoch
	for _, e := range s.Epochs() {
		if e.State == EpochArchived {
			away = append(away, e)
		}
	}
	if len(away) == 0 {
		return nil
	}
	missing, err := s.cfg.Retention.Archive.Missing(ctx, away)
	if err != nil {
		return fmt.Errorf("vcs: look for archives: %w", err)
	}
	for _, e := range away {
		if !slices.Contains(missing, e.Number) {
			continue
		}
		e.State, e.Reason = EpochLost, fmt.Sprintf("its archive %s is gone", oneLine(e.Archive.Name))
		if err := s.amend(e, fmt.Sprintf("epoch %d is lost: %s\n", e.Number, e.Reason)); err != nil {
			return err
		}
		rep.Gone = append(rep.Gone, e)
	}
	return nil
}
