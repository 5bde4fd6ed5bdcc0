package archive

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"arpeggio/vcs"
)

// isFull reports whether an error says that there is no room.
func isFull(err error) bool {
	return errors.Is(err, vcs.ErrArchiveFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// retry does something for an epoch and, as long as there is no room for it,
// removes the oldest other archive and does it again.
func (d *Dir) retry(ctx context.Context, epoch int, do func() error) error {
	for {
		err := do()
		if err == nil || !isFull(err) {
			return err
		}
		ok, rerr := d.removeOldest(ctx, epoch)
		switch {
		case rerr != nil:
			return errors.Join(err, rerr)
		case ok:
			continue
		case errors.Is(err, vcs.ErrArchiveFull):
		default:
			err = fmt.Errorf("%w: %w", vcs.ErrArchiveFull, err)
		}
		return errors.Join(err, d.removeEpoch(ctx, epoch))
	}
}

// settle reconciles and then looks at the budget, which small files do not ask
// for.
func (d *Dir) settle(ctx context.Context) error {
	if err := d.reconcile(ctx); err != nil {
		return err
	}
	if d.cfg.MaxBytes > 0 && d.files.used > d.cfg.MaxBytes {
		return fmt.Errorf("%w: it may hold %d bytes", vcs.ErrArchiveFull, d.cfg.MaxBytes)
	}
	return nil
}

// refuse says no to an epoch that will not fit, before others are removed for
// it: when the newest archive's bytes a commit say so, with a quarter to spare.
func (d *Dir) refuse(e vcs.Epoch) error {
	list, err := d.List()
	if err != nil || d.cfg.MaxBytes <= 0 || len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	if last.Commits == 0 {
		return nil
	}
	need := last.Bytes / int64(last.Commits) * int64(e.Commits)
	if need > d.cfg.MaxBytes+d.cfg.MaxBytes/4 {
		return fmt.Errorf("%w: epoch %d of %d commits needs about %d bytes, and the archive may hold %d; let epochs be shorter or raise the bound",
			vcs.ErrArchiveFull, e.Number, e.Commits, need, d.cfg.MaxBytes)
	}
	return nil
}

// firstCommitBytes is what a commit is taken to need before anything is archived
// that would tell.
const firstCommitBytes = 860

// Fits implements vcs.ArchiveFitter: it goes by what the archives that are there
// take, with a quarter to spare.
func (d *Dir) Fits(_ context.Context, e vcs.Epoch) (bool, error) {
	if d.cfg.MaxBytes <= 0 && d.cfg.MinFree <= 0 {
		return true, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	unlock, err := lock(d.path)
	if err != nil {
		return false, err
	}
	defer unlock()
	list, err := d.List()
	if err != nil && !errors.Is(err, ErrDamaged) {
		return false, err
	}
	used, err := d.files.usage(d.path)
	if err != nil {
		return false, err
	}
	each, commits := int64(firstCommitBytes), 0
	for _, in := range list {
		commits += in.Commits
	}
	if commits > 0 {
		each = used / int64(commits)
	}
	need := each * int64(e.Commits) * 5 / 4
	if d.cfg.MaxBytes > 0 && used+need > d.cfg.MaxBytes {
		return false, nil
	}
	if d.cfg.MinFree <= 0 {
		return true, nil
	}
	left, err := free(d.path)
	return err == nil && left-need >= d.cfg.MinFree+freeStride, err
}

// freeStride is how many bytes are written between looks at the free space.
const freeStride = 1 << 20

// makeRoom sees to it that n more bytes may be written to a file.
func (d *Dir) makeRoom(ctx context.Context, w *room, n int64) error {
	for {
		why, err := d.lacks(w, n)
		if err != nil || why == nil {
			return err
		}
		if w.epoch == 0 {
			return why
		}
		ok, err := d.removeOldest(ctx, w.epoch)
		if err != nil {
			return err
		}
		if !ok {
			return why
		}
		w.looked = 0
	}
}

// lacks returns an error that wraps vcs.ErrArchiveFull as its first result when n
// more bytes would break a bound.
func (d *Dir) lacks(w *room, n int64) (full, err error) {
	if d.cfg.MaxBytes > 0 && d.files.used+n > d.cfg.MaxBytes {
		return fmt.Errorf("%w: it may hold %d bytes", vcs.ErrArchiveFull, d.cfg.MaxBytes), nil
	}
	if d.cfg.MinFree <= 0 || w.looked > 0 && w.n+n-w.looked < freeStride {
		return nil, nil
	}
	left, err := free(d.path)
	if err != nil {
		return nil, err
	}
	if left < d.cfg.MinFree+freeStride {
		return fmt.Errorf("%w: the file system has %d bytes left, and %d are to stay free", vcs.ErrArchiveFull, left, d.cfg.MinFree), nil
	}
	w.looked = w.n + 1
	return nil, nil
}

// removeOldest removes the oldest archive that is not of the given epoch, and
// reports whether there was one.
func (d *Dir) removeOldest(ctx context.Context, not int) (bool, error) {
	list, err := d.List()
	if err != nil && !errors.Is(err, ErrDamaged) {
		return false, err
	}
	for _, in := range list {
		if in.Epoch != not {
			d.cfg.Logger.Info("archive: the oldest epoch is removed to make room", "epoch", in.Epoch, "bytes", in.Bytes)
			return true, d.removeEpoch(ctx, in.Epoch)
		}
	}
	return false, nil
}

// removeEpoch removes an archive if it is there: its info file, after which it no
// longer counts, and then the rest.
func (d *Dir) removeEpoch(ctx context.Context, epoch int) error {
	if err := d.remove(d.at(infoName(epoch))); err != nil {
		return err
	}
	if err := d.files.syncDir(d.path); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return d.reconcile(ctx)
}
