package gitserve

import (
	"context"
	"errors"

	"arpeggio/vcs"
)

// settler is the ability of a Writer of which parts may leave to add objects
// unless one has left since they were looked at; a vcs.Store has it.
type settler interface {
	Settled(ctx context.Context) (int64, error)
	AddObjectsSettled(ctx context.Context, objs []vcs.Object, settled int64) error
}

// checkPack looks at the objects, and at what there is that they need.
func (p *push) checkPack() (err error) {
	if w, ok := p.h.cfg.Push.Writer.(settler); ok {
		if p.settled, err = w.Settled(p.ctx); err != nil {
			return err
		}
	}
	p.checked, err = p.pack.Check(p.ctx, p.reader())
	return err
}

func (p *push) reader() vcs.ObjectReader { return &cancelReader{p.ctx, p.h.cfg.Repository} }

// accepted returns what was not refused and has to be done.
func (p *push) accepted() (at []*result, updates []vcs.RefUpdate) {
	for i := range p.results {
		if r := &p.results[i]; r.refusal == nil && r.update.Old != r.update.New {
			at = append(at, r)
			updates = append(updates, r.update)
		}
	}
	return at, updates
}

// store takes what the accepted updates need out of quarantine. When an epoch
// leaves meanwhile it looks at all of it again, and refuses what has come to lack
// something.
func (p *push) store() error {
	if p.checked == nil {
		return nil
	}
	for {
		at, updates := p.accepted()
		var tips []vcs.ID
		for _, u := range updates {
			tips = append(tips, u.New)
		}
		err := p.storeObjects(tips)
		if !errors.Is(err, vcs.ErrLeft) {
			return err
		}
		if err := p.checkPack(); err != nil {
			return err
		}
		for _, r := range at {
			why, err := p.complete(r.update)
			if err != nil {
				return err
			}
			if why != nil {
				p.refuse(r, why)
			}
		}
	}
}

// groupBytes is how much goes to the Writer at a time.
const groupBytes = 1 << 20

// storeObjects adds what is new and some tips lead to.
func (p *push) storeObjects(tips []vcs.ID) error {
	var group []vcs.Object
	size := 0
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := p.addObjects(group)
		if err == nil {
			p.stored += len(group)
		}
		group, size = nil, 0
		return err
	}
	for o, err := range p.checked.New(p.ctx, tips...) {
		if err != nil {
			return err
		}
		group = append(group, o)
		if size += len(o.Content) + 64; size >= groupBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (p *push) addObjects(objs []vcs.Object) error {
	if w, ok := p.h.cfg.Push.Writer.(settler); ok {
		return w.AddObjectsSettled(p.ctx, objs, p.settled)
	}
	return p.h.cfg.Push.Writer.AddObjects(p.ctx, objs)
}
