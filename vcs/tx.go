package vcs

import (
	"context"
	"errors"
	"fmt"
)

// OnMove says what a transaction does when its branch moved while it ran.
type OnMove int

const (
	// Retry runs the function again on the new head. The default.
	Retry OnMove = iota
	// Merge keeps the function's result as a commit on the head it saw and
	// merges that into the branch: a merge commit with two parents. Conflicts
	// end the transaction with ErrConflict.
	Merge
	// Fail ends the transaction with ErrRefMoved.
	Fail
)

// TxOptions configures Update. The zero value works.
type TxOptions struct {
	CommitInfo
	OnMove OnMove
	// Retries bounds how often Retry and Merge try again before they give up
	// with ErrRefMoved. Default 100.
	Retries int
	// MergeInfo describes the merge commit of OnMove Merge; its zero value is
	// the CommitInfo with the subject "merge into BRANCH".
	MergeInfo CommitInfo
}

// Tx is a transaction: a snapshot of a branch's head and the changes made to
// it so far, which its own reads see. It is for one goroutine, and not valid
// after the function it was given to returns.
type Tx[K comparable, V any] struct {
	r       *Repo[K, V]
	base    *Snapshot[K, V]
	changes []Change[K, V]
	index   map[K]int
	info    *CommitInfo
}

// Base returns the snapshot on which the transaction runs.
func (tx *Tx[K, V]) Base() *Snapshot[K, V] { return tx.base }

// Info returns the description of the commit to come, which may be modified: so
// a message can say what the function found out.
func (tx *Tx[K, V]) Info() *CommitInfo { return tx.info }

// Get returns the value of k as the transaction sees it.
func (tx *Tx[K, V]) Get(k K) (v V, ok bool, err error) {
	if i, ok := tx.index[k]; ok {
		o := tx.changes[i].Value
		return o.Value, o.Present, nil
	}
	return tx.base.Get(k)
}

// Has reports whether k is present as the transaction sees it.
func (tx *Tx[K, V]) Has(k K) (bool, error) {
	if i, ok := tx.index[k]; ok {
		return tx.changes[i].Value.Present, nil
	}
	return tx.base.Has(k)
}

// Set gives k a value.
func (tx *Tx[K, V]) Set(k K, v V) { tx.put(k, Some(v)) }

// Remove makes k absent.
func (tx *Tx[K, V]) Remove(k K) { tx.put(k, None[V]()) }

func (tx *Tx[K, V]) put(k K, o Opt[V]) {
	if i, ok := tx.index[k]; ok {
		tx.changes[i].Value = o
		return
	}
	if tx.index == nil {
		tx.index = make(map[K]int)
	}
	tx.index[k] = len(tx.changes)
	tx.changes = append(tx.changes, Change[K, V]{k, o})
}

// Update runs fn on the head of a branch, which is created when it does not
// exist, and commits what fn changed. It returns the branch's head after that;
// when fn changed nothing there is no commit, unless the info allows empty ones.
// An error of fn ends the transaction and is returned as it is. Without OnMove
// Merge fn may run several times.
func (r *Repo[K, V]) Update(ctx context.Context, branch string, opt TxOptions, fn func(*Tx[K, V]) error) (ID, error) {
	if err := CheckRefName(BranchRef(branch)); err != nil {
		return ID{}, err
	}
	for try := 0; ; try++ {
		id, err := r.try(ctx, branch, opt, fn)
		if !errors.Is(err, errTryAgain) {
			return id, err
		}
		if opt.OnMove == Fail || try >= retries(opt.Retries) {
			return ID{}, fmt.Errorf("%w: %s, %d times during one update", ErrRefMoved, branch, try+1)
		}
	}
}

// errTryAgain says that the branch moved, as distinct from an ErrRefMoved that
// the caller's function returned.
var errTryAgain = errors.New("vcs: branch moved")

func retries(n int) int {
	if n <= 0 {
		return 100
	}
	return n
}

// try runs a transaction once.
func (r *Repo[K, V]) try(ctx context.Context, branch string, opt TxOptions, fn func(*Tx[K, V]) error) (ID, error) {
	if err := ctx.Err(); err != nil {
		return ID{}, err
	}
	ref := BranchRef(branch)
	head, _ := r.s.Ref(ref)
	base, err := r.AtCommit(head)
	if err != nil {
		if r.s.leftBehind(err, ref, head) {
			err = errTryAgain
		}
		return ID{}, err
	}
	info := opt.CommitInfo
	tx := &Tx[K, V]{r: r, base: base, info: &info}
	if err := fn(tx); err != nil {
		if r.s.leftBehind(err, ref, head) {
			err = errTryAgain
		}
		return ID{}, err
	}
	id, err := r.commitTx(ctx, ref, head, tx.changes, &info, opt.OnMove == Merge)
	if r.s.leftBehind(err, ref, head) {
		return ID{}, errTryAgain
	}
	if !errors.Is(err, ErrRefMoved) {
		return id, err
	}
	if opt.OnMove != Merge || r.s.epochs.ended(head) {
		return ID{}, errTryAgain
	}
	mi := opt.MergeInfo
	if mi.Message == "" {
		mi = info
		mi.Message = "merge into " + branch
	}
	res, err := r.Merge(ctx, branch, id, MergeOptions{CommitInfo: mi, Retries: opt.Retries})
	if errors.Is(err, ErrNotFound) {
		// No ref leads to what was kept: it has left, perhaps.
		if gone, lerr := r.s.left(id); gone && lerr == nil {
			err = errTryAgain
		}
	}
	return res.Head, err
}

// leftBehind reports whether a commit or what it holds was not found because its
// epoch ended, and was dropped, while somebody was at work there: the ref has
// moved to the root of another.
func (s *Store) leftBehind(err error, ref string, head ID) bool {
	if !errors.Is(err, ErrNotFound) || ref == "" {
		return false
	}
	have, _ := s.Ref(ref)
	return have != head
}

// commitTx commits changes and moves the branch there. When it has moved away
// the error wraps ErrRefMoved, and with keep the commit is made nevertheless,
// unless it was the beginning of an epoch that moved the branch.
func (r *Repo[K, V]) commitTx(ctx context.Context, ref string, head ID, changes []Change[K, V], info *CommitInfo, keep bool) (ID, error) {
	wait := ref
	if keep {
		wait = ""
	}
	d, err := r.prepare(ctx, head, wait, changes, info)
	if err != nil || d.id == head {
		return head, err
	}
	defer r.s.release(&d)
	err = r.s.publishDraft(ctx, &d, []RefUpdate{{ref, head, d.id}})
	if keep && errors.Is(err, ErrRefMoved) && !r.s.epochs.ended(head) {
		if err := r.s.publishDraft(ctx, &d, nil); err != nil {
			return ID{}, err
		}
	}
	return d.id, err
}

// Set is an Update that sets one key.
func (r *Repo[K, V]) Set(ctx context.Context, branch string, k K, v V, info CommitInfo) (ID, error) {
	return r.Update(ctx, branch, TxOptions{CommitInfo: info}, func(tx *Tx[K, V]) error {
		tx.Set(k, v)
		return nil
	})
}

// Remove is an Update that removes one key.
func (r *Repo[K, V]) Remove(ctx context.Context, branch string, k K, info CommitInfo) (ID, error) {
	return r.Update(ctx, branch, TxOptions{CommitInfo: info}, func(tx *Tx[K, V]) error {
		tx.Remove(k)
		return nil
	})
}

// TestAndSet sets k to a value, or removes it, if it has the expected one by
// comparison of the encoded bytes; otherwise the error wraps ErrTestFailed.
func (r *Repo[K, V]) TestAndSet(ctx context.Context, branch string, k K, expect, value Opt[V], info CommitInfo) (ID, error) {
	path := r.cfg.Layout.Path(k)
	var want ID
	if expect.Present {
		content, err := r.encode(path, expect.Value)
		if err != nil {
			return ID{}, err
		}
		want = HashObject(KindBlob, content)
	}
	return r.Update(ctx, branch, TxOptions{CommitInfo: info}, func(tx *Tx[K, V]) error {
		e, ok, err := tx.base.Stat(path)
		if err != nil {
			return err
		}
		if ok && e.ID != want || !ok && expect.Present {
			return fmt.Errorf("%w: %s on %s", ErrTestFailed, path, branch)
		}
		tx.put(k, value)
		return nil
	})
}
