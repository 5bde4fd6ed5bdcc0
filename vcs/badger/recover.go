package badger

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
)

// recover reads the meta record, verifies what the refs lead to, and remembers
// the verified heads.
func (b *Backend) recover(ctx context.Context, found *repair) error {
	var refs []vcs.Ref
	var vouched []byte
	err := b.view(func(txn *badger.Txn) (err error) {
		if b.meta, err = readMeta(txn); err != nil {
			return err
		}
		if vouched, err = getOptional(txn, []byte(verifiedKey)); err != nil {
			return err
		}
		if b.written, err = getOptional(txn, []byte(writtenKey)); err != nil {
			return err
		}
		refs, err = readRefs(txn)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, b.dir, err)
	}
	st, err := b.Load(ctx)
	if err != nil {
		return err
	}
	if b.cfg.VerifyAll {
		st.Kept = nil
	}
	objects, err := vcs.OpenLog(ctx, st, b)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, b.dir, err)
	}
	last, known := readVerified(vouched)
	_, written := readVerified(b.written)
	maps.Copy(known, written)
	if b.cfg.VerifyAll || vcs.LogDamage(objects) != nil || len(found.damage) > 0 || found.doubt {
		known = nil
	}
	refs = slices.DeleteFunc(refs, func(r vcs.Ref) bool { return strings.HasPrefix(r.Name, vcs.DamagedPrefix) })
	if b.report, err = vcs.Verify(ctx, objects, refs, func(id vcs.ID) bool { return known[id] }); err != nil {
		return err
	}
	if !b.report.OK() {
		if err := b.salvage(ctx, objects, refs, last); err != nil {
			return err
		}
	}
	b.report.Notes = append(found.notes, b.report.Notes...)
	b.report.Problems = append(found.damage, b.report.Problems...)
	for _, p := range b.report.Problems {
		b.cfg.Logger.Error("badger: damaged", "dir", b.dir, "problem", p.String())
	}
	b.cfg.Logger.Info("badger: opened", "dir", b.dir, "report", b.report.String())
	b.opened = objects
	if b.readOnly {
		return nil
	}
	if err := b.prune(); err != nil {
		return err
	}
	if !b.report.OK() {
		return nil
	}
	heads := encodeVerified(objects, refs)
	if bytes.Equal(heads, vouched) || b.room() != nil { // a full disk can be read all the same
		return nil
	}
	err = b.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(verifiedKey), heads) })
	if err != nil {
		return fmt.Errorf("badger: %s: %w", b.dir, err)
	}
	return nil
}

// salvage lets branches that cannot be read go on from what is intact of them.
func (b *Backend) salvage(ctx context.Context, objects vcs.ObjectReader, refs []vcs.Ref, last map[string]vcs.ID) error {
	updates, notes := vcs.Salvage(ctx, objects, refs, b.report, last)
	if len(updates) == 0 {
		return ctx.Err()
	}
	if err := b.room(); err != nil {
		b.report.Notes = append(b.report.Notes, "branches that cannot be read stay where they are: "+err.Error())
		return nil
	}
	if err := b.Apply(ctx, &vcs.Batch{Refs: updates}); err != nil {
		return err
	}
	b.report.Notes = append(b.report.Notes, notes...)
	return nil
}
