package vcstest

import (
	"context"
	"errors"
	"fmt"

	"arpeggio/vcs"
)

// BackendFileFaults is FileFaults for a backend that keeps its files in a
// directory: a store is opened, written in a few group commits, closed and
// opened again, while calls fail. Open makes a directory that does not exist.
func BackendFileFaults(open func(ctx context.Context, dir string) (vcs.Backend, error)) FileFaults {
	return FileFaults{
		Use: func(ctx context.Context, run *FileRun) error { return useBackend(ctx, run, open) },
		Check: func(ctx context.Context, dir string, acked []string) error {
			return checkBackend(ctx, dir, acked, open)
		},
	}
}

// insist calls fn until it works: twice, when the first failure was the injected
// one.
func insist(run *FileRun, fn func() error) error {
	err := fn()
	if err == nil {
		return nil
	}
	again := run.err != nil
	run.Failed(err)
	if again {
		return err
	}
	return fn()
}

// insistOpen opens a store, with a second try.
func insistOpen(ctx context.Context, run *FileRun, open func(context.Context, string) (vcs.Backend, error)) (r *vcs.Repo[string, string], err error) {
	err = insist(run, func() error {
		b, err := open(ctx, run.Dir)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if r, err = vcs.Open(ctx, b, vcs.Config[string, string]{Merge: Larger}); err != nil {
			return errors.Join(err, b.Close())
		}
		return nil
	})
	return r, err
}

func useBackend(ctx context.Context, run *FileRun, open func(context.Context, string) (vcs.Backend, error)) error {
	n := 0
	for range 2 {
		r, err := insistOpen(ctx, run, open)
		if err != nil {
			return err
		}
		// What nothing leads to, and came before it was opened, is deleted.
		err = insist(run, func() error {
			_, err := r.Store().Collect(ctx)
			return err
		})
		if err == nil {
			err = insist(run, func() error {
				if err := r.Store().AddObjects(ctx, []vcs.Object{blob("nobody's")}); err != nil {
					return err
				}
				return r.Sync(ctx)
			})
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		for range 3 {
			var head vcs.ID
			err := insist(run, func() (err error) {
				head, err = r.Set(ctx, "primary", Key(n), fmt.Sprint("value ", n), vcs.CommitInfo{Message: fmt.Sprint("set ", n)})
				if err != nil {
					return fmt.Errorf("set: %w", err)
				}
				if err := r.Sync(ctx); err != nil {
					return fmt.Errorf("sync: %w", err)
				}
				return nil
			})
			if err != nil {
				return errors.Join(err, r.Close())
			}
			run.Ack(head.String())
			n++
		}
		if err := r.Close(); err != nil {
			run.Failed(fmt.Errorf("close: %w", err))
		}
	}
	return nil
}

func checkBackend(ctx context.Context, dir string, acked []string, open func(context.Context, string) (vcs.Backend, error)) error {
	b, err := open(ctx, dir)
	if err != nil {
		return fmt.Errorf("open it again: %w", err)
	}
	r, err := vcs.Open(ctx, b, vcs.Config[string, string]{Merge: Larger})
	if err != nil {
		return errors.Join(fmt.Errorf("open the store again: %w", err), b.Close())
	}
	return errors.Join(checkAcked(ctx, r, acked), r.Close())
}

// checkAcked wants all that was acknowledged, whole, and room for more.
func checkAcked(ctx context.Context, r *vcs.Repo[string, string], acked []string) error {
	refs, err := r.Store().Refs()
	if err != nil {
		return err
	}
	rep, err := vcs.Verify(ctx, r.Store(), refs, nil)
	if err != nil || !rep.OK() {
		return fmt.Errorf("%s: %v", rep.String(), err)
	}
	if n := len(acked); n > 0 {
		id, err := vcs.ParseID(acked[n-1])
		if err != nil {
			return err
		}
		head, err := r.Head("primary")
		if err != nil {
			return fmt.Errorf("%v was acknowledged: %w", id, err)
		}
		if is, err := r.Store().IsAncestor(id, head); !is {
			return fmt.Errorf("%v was acknowledged and is lost; the head is %v (%v)", id, head, err)
		}
	}
	if _, err := r.Set(ctx, "primary", "after", fmt.Sprint(len(acked)), vcs.CommitInfo{Message: "after"}); err != nil {
		return fmt.Errorf("write more: %w", err)
	}
	return r.Sync(ctx)
}
