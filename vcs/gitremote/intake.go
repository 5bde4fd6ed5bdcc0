package gitremote

import (
	"context"
	"errors"
	"fmt"
	"os"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// intake takes packs of others into a store.
type intake struct {
	into Target
	from string // for messages
}

// intakeLimits bound a pack. Whoever takes it in chose where it comes from, and
// it lies in a file; only what a store takes as one object is a rule.
var intakeLimits = packfile.Limits{
	PackBytes:  64 << 30,
	Objects:    1 << 26,
	TotalBytes: 1 << 40,
	CacheBytes: 32 << 20,
}

// groupBytes is how much goes into the store at a time.
const groupBytes = 1 << 20

// take checks the pack that lies in a file: its checksum, the form of each
// object and that nothing is missing. Then it stores what tips lead to; tips is
// asked once for what they are, and nil means all of the pack. It returns how
// many objects were new.
func (t *intake) take(ctx context.Context, file *os.File, tips func(*packfile.Pack, *packfile.Checked) ([]vcs.Ref, error)) (int, error) {
	if _, err := file.Seek(0, 0); err != nil {
		return 0, fmt.Errorf("gitremote: %w", err)
	}
	pack, err := packfile.Index(ctx, file, packfile.Config{Limits: intakeLimits, Bases: t.into, Scratch: inPlace{file}})
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.Is(err, packfile.ErrUnresolved):
		return 0, fmt.Errorf("%w: %s holds differences to objects that are not there: %w", ErrIncomplete, t.from, err)
	case err != nil:
		return 0, fmt.Errorf("%w: %s: %w", ErrBadPack, t.from, err)
	}
	var want []vcs.Ref
	stored := 0
	for asked := false; ; asked = true {
		settled, err := t.settled(ctx)
		if err != nil {
			return stored, err
		}
		checked, err := pack.Check(ctx, t.into)
		if err != nil {
			return stored, fmt.Errorf("%w: %s: %w", ErrBadPack, t.from, err)
		}
		if !asked && tips != nil {
			want, err = tips(pack, checked)
		} else if !asked {
			for id := range pack.IDs {
				want = append(want, vcs.Ref{Target: id})
			}
		}
		if err != nil {
			return stored, err
		}
		ids := make([]vcs.ID, 0, len(want))
		for _, r := range want {
			if err := t.isComplete(checked, r); err != nil {
				return stored, err
			}
			ids = append(ids, r.Target)
		}
		n, err := t.store(ctx, checked, ids, settled)
		if stored += n; !errors.Is(err, vcs.ErrLeft) {
			return stored, err
		}
		// An epoch has left meanwhile, perhaps with something that is needed.
	}
}

// settler is the ability of a Target of which parts may leave to add objects
// unless one has left since they were looked at; a vcs.Store has it.
type settler interface {
	Settled(ctx context.Context) (int64, error)
	AddObjectsSettled(ctx context.Context, objs []vcs.Object, settled int64) error
}

func (t *intake) settled(ctx context.Context) (int64, error) {
	if s, ok := t.into.(settler); ok {
		return s.Settled(ctx)
	}
	return 0, nil
}

func (t *intake) add(ctx context.Context, objs []vcs.Object, settled int64) error {
	if s, ok := t.into.(settler); ok {
		return s.AddObjectsSettled(ctx, objs, settled)
	}
	return t.into.AddObjects(ctx, objs)
}

func (t *intake) isComplete(checked *packfile.Checked, r vcs.Ref) error {
	var missing *packfile.MissingError
	err := checked.Complete(r.Target)
	switch {
	case !errors.As(err, &missing):
		return err
	case missing.From.IsZero():
		return fmt.Errorf("%w: %s lacks %s, which %s names", ErrIncomplete, t.from, missing.ID, r.Name)
	}
	return fmt.Errorf("%w: %s lacks %s, which %s names", ErrIncomplete, t.from, missing.ID, missing.From)
}

// store keeps what the tips lead to, unless something has left since settled.
func (t *intake) store(ctx context.Context, checked *packfile.Checked, tips []vcs.ID, settled int64) (int, error) {
	var group []vcs.Object
	size, stored := 0, 0
	flush := func() error {
		err := t.add(ctx, group, settled)
		if err == nil {
			stored += len(group)
		}
		group, size = nil, 0
		return err
	}
	for o, err := range checked.New(ctx, tips...) {
		if err != nil {
			return stored, err
		}
		group = append(group, o)
		if size += len(o.Content) + 64; size >= groupBytes {
			if err := flush(); err != nil {
				return stored, err
			}
		}
	}
	return stored, flush()
}
