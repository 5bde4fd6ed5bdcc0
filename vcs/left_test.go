package vcs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// tiny is a store whose epochs have a few commits each and leave soon.
func tiny(t testing.TB, commits int) *vcs.Repo[string, string] {
	r, err := vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{Merge: larger, StoreConfig: vcs.StoreConfig{Head: "main",
		CacheBytes: 1, FlushDelay: -1, Retention: vcs.Retention{MaxCommits: commits, Epochs: 2, Chains: []vcs.Chain{}}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// larger is a merge function that every order agrees on.
func larger(_ string, _ vcs.Opt[string], a, b vcs.Opt[string]) (vcs.Opt[string], error) {
	if a.Value < b.Value {
		return b, nil
	}
	return a, nil
}

// complete checks what all refs lead to.
func complete(t testing.TB, s *vcs.Store) {
	t.Helper()
	pin := s.Pin() // the keeper may still be at work
	defer pin.Release()
	refs, err := s.Refs()
	if err != nil {
		t.Fatal(err)
	}
	rep, err := vcs.Verify(t.Context(), pin, refs, nil)
	if err != nil || !rep.OK() {
		t.Errorf("%s: %v", rep.String(), err)
	}
}

// A branch that somebody set back into an old epoch comes into the current one
// before that epoch leaves.
func TestBranchInOldEpoch(t *testing.T) {
	ctx := t.Context()
	r := tiny(t, 1<<30)
	defer r.Close()
	s := r.Store()
	var ids []vcs.ID
	write := func(n int) {
		for range n {
			ids = append(ids, must(r.Set(ctx, "main", fmt.Sprint("k", len(ids)%7), fmt.Sprint(len(ids)), vcs.CommitInfo{}))(t))
		}
	}
	write(10)
	must(s.EndEpoch(ctx))(t)
	write(10)
	must(s.EndEpoch(ctx))(t)
	if err := r.CreateBranch(ctx, "back", ids[4]); err != nil {
		t.Fatal(err)
	}
	on := must(r.Set(ctx, "back", "on", "top", vcs.CommitInfo{}))(t)
	must(s.EndEpoch(ctx))(t)
	if err := r.CreateBranch(ctx, "again", ids[5]); err != nil {
		t.Fatal(err)
	}
	if err := vcs.LetGo(s, 1); err != nil {
		t.Fatal(err)
	}
	complete(t, s)
	snap := must(r.At("back"))(t)
	if v, ok, err := snap.Get("on"); !ok || v != "top" || err != nil {
		t.Errorf("on is %q, %t, %v", v, ok, err)
	}
	if head := must(r.Head("again"))(t); !s.StandsFor(head, ids[5]) {
		t.Errorf("the branch is at %v", head)
	}
	for _, id := range []vcs.ID{ids[4], on} {
		if err := r.CreateBranch(ctx, "late", id); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("a branch at a commit that has left: %v", err)
		}
	}
	// What ended before names nothing that has left.
	for _, e := range s.Epochs() {
		for _, h := range e.Heads {
			if _, err := s.ReadCommit(h.Target); e.State == vcs.EpochLive && err != nil {
				t.Errorf("epoch %d, %s: %v", e.Number, h.Name, err)
			}
		}
	}
}

// What comes to stand on an epoch when it is settled that it leaves does not stand
// there afterwards, also if no ref leads to it yet.
func TestCommitWhileEpochLeaves(t *testing.T) {
	ctx := t.Context()
	r := tiny(t, 1<<30)
	defer r.Close()
	s := r.Store()
	old := must(r.Set(ctx, "main", "k", "v", vcs.CommitInfo{}))(t)
	must(s.EndEpoch(ctx))(t)
	must(r.Set(ctx, "main", "k", "w", vcs.CommitInfo{}))(t)
	var stray vcs.ID
	err := vcs.DropMeanwhile(s, 1, func() {
		stray = must(vcs.KeepCommit(r, old, []vcs.Change[string, string]{{Key: "s", Value: vcs.Some("x")}}))(t)
	})
	if err != nil {
		t.Fatal(err)
	}
	whole := func() {
		t.Helper()
		c, err := s.ReadCommit(stray)
		if errors.Is(err, vcs.ErrNotFound) {
			return // with its parent
		}
		if err == nil {
			_, err = s.ReadCommit(c.Parents[0])
		}
		if err != nil {
			t.Errorf("a commit that was made while the epoch left: %v", err)
		}
	}
	whole()
	if err := vcs.LetGo(s, 1); err != nil {
		t.Fatal(err)
	}
	whole()
	if err := r.CreateBranch(ctx, "late", stray); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("a branch there: %v", err)
	}
	complete(t, s)
}

// What somebody else made on top of commits that have left meanwhile gets no ref.
func TestPushedOntoEpochThatLeft(t *testing.T) {
	ctx := t.Context()
	r := tiny(t, 1<<30)
	defer r.Close()
	s := r.Store()
	old := must(r.Set(ctx, "main", "k", "v", vcs.CommitInfo{}))(t)
	must(s.EndEpoch(ctx))(t)
	root := must(r.Set(ctx, "main", "k", "w", vcs.CommitInfo{}))(t)
	p := &pushed{t: t, s: s}
	on := p.odd("on what leaves", old)
	tag := p.tag(on, vcs.KindCommit, "on")
	stays := p.odd("on what stays", root)
	p.send()
	if err := vcs.LetGo(s, 1); err != nil {
		t.Fatal(err)
	}
	late := p.odd("on top, and not saved yet", on)
	if err := s.AddObjects(ctx, p.objs); err != nil {
		t.Fatal(err)
	}
	for range 2 { // before and after it is saved
		for _, u := range []vcs.RefUpdate{{Name: "refs/heads/on", New: on}, {Name: "refs/tags/on", New: tag}, {Name: "refs/heads/late", New: late}} {
			if err := s.UpdateRefs(ctx, []vcs.RefUpdate{u}); !errors.Is(err, vcs.ErrNotFound) {
				t.Errorf("%s: %v", u.Name, err)
			}
		}
		if err := s.Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Merge(ctx, "main", on, vcs.MergeOptions{}); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("a merge of it: %v", err)
	}
	if err := s.UpdateRefs(ctx, []vcs.RefUpdate{{Name: "refs/heads/stays", New: stays}}); err != nil {
		t.Error(err)
	}
	complete(t, s)
}

// Objects are added if nothing has left since somebody looked whether they are
// complete.
func TestAddObjectsSettled(t *testing.T) {
	ctx := t.Context()
	r := tiny(t, 1<<30)
	defer r.Close()
	s := r.Store()
	must(r.Set(ctx, "main", "k", "v", vcs.CommitInfo{}))(t)
	must(s.EndEpoch(ctx))(t)
	must(r.Set(ctx, "main", "k", "w", vcs.CommitInfo{}))(t)
	p := &pushed{t: t, s: s}
	p.odd("early")
	seen := must(s.Settled(ctx))(t)
	if err := s.AddObjectsSettled(ctx, p.objs, seen); err != nil {
		t.Error(err)
	}
	if err := vcs.LetGo(s, 1); err != nil {
		t.Fatal(err)
	}
	late := p.odd("late")
	if err := s.AddObjectsSettled(ctx, p.objs, seen); !errors.Is(err, vcs.ErrLeft) {
		t.Errorf("after an epoch has left: %v", err)
	}
	if _, _, err := s.ReadObject(late); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("an object that was not added: %v", err)
	}
	if err := s.AddObjectsSettled(ctx, p.objs, must(s.Settled(ctx))(t)); err != nil {
		t.Error(err)
	}
}

// Epochs of a few commits leave all the time while writers commit, merge, branch
// and go back, and readers read. Nothing that a ref leads to is ever missing, and
// nobody fails for want of an object that he was told of.
func TestEpochsLeaveAtWork(t *testing.T) {
	ctx := t.Context()
	r := tiny(t, 60)
	defer r.Close()
	s := r.Store()
	must(r.Set(ctx, "main", "k", "0", vcs.CommitInfo{}))(t)
	end := time.Now().Add(2 * time.Second)
	var workers sync.WaitGroup
	work := func(name string, do func(rnd *rand.Rand, n int) error) {
		for w := range 2 {
			workers.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(w), 7))
				for n := 0; time.Now().Before(end) && !t.Failed(); n++ {
					if err := do(rnd, n); err != nil && !errors.Is(err, vcs.ErrRefMoved) {
						t.Errorf("%s %d: %v", name, w, err)
					}
				}
			})
		}
	}
	key := func(rnd *rand.Rand) string { return fmt.Sprintf("d%d/k%d", rnd.IntN(5), rnd.IntN(9)) }
	work("set", func(rnd *rand.Rand, n int) error {
		_, err := r.Set(ctx, "main", key(rnd), fmt.Sprint(n), vcs.CommitInfo{})
		return err
	})
	work("keep and merge", func(rnd *rand.Rand, n int) error {
		_, err := r.Update(ctx, "main", vcs.TxOptions{OnMove: vcs.Merge}, func(tx *vcs.Tx[string, string]) error {
			_, _, err := tx.Get(key(rnd))
			tx.Set(key(rnd), fmt.Sprint("m", n))
			return err
		})
		return err
	})
	work("branch and merge", func(rnd *rand.Rand, n int) error {
		name := fmt.Sprint("side", rnd.Uint32())
		head, err := r.Head("main")
		if err == nil {
			err = r.CreateBranch(ctx, name, head)
		}
		if errors.Is(err, vcs.ErrNotFound) {
			return nil // left since
		}
		if err == nil {
			_, err = r.Set(ctx, name, key(rnd), fmt.Sprint("b", n), vcs.CommitInfo{})
		}
		if err != nil {
			return err
		}
		for {
			from, err := r.Head(name)
			if err == nil {
				_, err = r.Merge(ctx, "main", from, vcs.MergeOptions{})
			}
			if now, _ := s.Ref("refs/heads/" + name); errors.Is(err, vcs.ErrNotFound) && now != from {
				continue // its epoch has left, the branch is at a root
			}
			if err != nil {
				return err
			}
			break
		}
		for {
			head, err := r.Head(name)
			if err != nil {
				return err
			}
			if err := r.DeleteBranch(ctx, name, head); !errors.Is(err, vcs.ErrRefMoved) {
				return err
			}
		}
	})
	work("go back", func(rnd *rand.Rand, n int) error {
		head, err := r.Head("main")
		if err != nil {
			return err
		}
		at, steps := head, rnd.IntN(70)
		for c, err := range r.Log(head) {
			if errors.Is(err, vcs.ErrNotFound) && at == head {
				return nil // left since
			}
			if err != nil {
				return fmt.Errorf("log: %w", err)
			}
			if at = c.ID; steps == 0 {
				break
			}
			steps--
		}
		old, _ := s.Ref("refs/heads/back")
		if err := r.SetBranch(ctx, "back", old, at); !errors.Is(err, vcs.ErrNotFound) {
			return err
		}
		return nil // left since
	})
	work("read", func(*rand.Rand, int) error {
		pin := s.Pin()
		defer pin.Release()
		refs, err := s.Refs()
		if err != nil {
			return err
		}
		rep, err := vcs.Verify(ctx, pin, refs, nil)
		if err == nil && !rep.OK() { // what left is within vcs.MaxHeldBytes
			err = errors.New(rep.String())
		}
		return err
	})
	workers.Wait()
	if err := r.Sync(ctx); err != nil {
		t.Error(err)
	}
	complete(t, s)
	t.Logf("%d epochs", len(s.Epochs()))
}
