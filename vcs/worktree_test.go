package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// whole verifies a store's refs and some further commits.
func whole(t *testing.T, what string, s *vcs.Store, commits []vcs.ID) {
	t.Helper()
	refs := must(s.Refs())(t)
	for i, id := range commits {
		refs = append(refs, vcs.Ref{Name: fmt.Sprint("refs/heads/commit/", i), Target: id})
	}
	if rep := must(vcs.Verify(t.Context(), s, refs, nil))(t); !rep.OK() {
		t.Fatalf("%s: %s", what, rep.String())
	}
}

// TestUnsavedHistory: what a backend does not take yet is all there, whichever
// commit somebody asks for, and has the ids that a store of objects gives it.
func TestUnsavedHistory(t *testing.T) {
	for seed := range uint64(4) {
		// More branches than the store has work trees.
		h := vcstest.HistoryConfig{Steps: 300, Branches: 24, Seed: seed}
		cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
		objects := must(vcs.Open(t.Context(), mem.NewNative(), cfg))(t)
		want := vcstest.RandomHistory(t, objects, h)
		back := mem.New()
		f := vcstest.NewFaulty(back).KeepLog()
		r := must(vcs.Open(t.Context(), f, cfg))(t)
		f.FailApply(func(n int) vcstest.Fault { return vcstest.FailFirst })
		got := vcstest.RandomHistory(t, r, h)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: the histories differ", seed)
		}
		whole(t, "unsaved", r.Store(), got)
		f.FailApply(nil)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		whole(t, "saved", r.Store(), got)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = must(vcs.Open(t.Context(), back, cfg))(t)
		whole(t, "opened again", r.Store(), got)
		if err := errors.Join(r.Close(), objects.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestUnsavedOnRoot: while the beginning of an epoch waits to be saved, what stands
// on its root can be read, also when others have failed to commit there.
func TestUnsavedOnRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := vcstest.NewFaulty(mem.New()).KeepLog()
		r := must(vcs.Open(ctx, f, vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main", CacheBytes: 1, FlushDelay: -1,
			Retention: vcs.Retention{MaxCommits: 1 << 30, Chains: []vcs.Chain{}}}}))(t)
		defer r.Close()
		s := r.Store()
		set := func(v string) vcs.ID { return must(r.Set(ctx, "main", "d/k", v, vcs.CommitInfo{}))(t) }
		set("0")
		if err := r.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		saveOne := f.Hold()
		set("1") // is being saved
		synctest.Wait()
		set("2") // is next
		ended := make(chan error)
		go func() {
			_, err := s.EndEpoch(ctx)
			ended <- err
		}()
		synctest.Wait() // the root follows
		root := must(r.Head("main"))(t)
		if err := vcs.TryCommit(r, root, []vcs.Change[string, string]{{Key: "d/k", Value: vcs.Some("no")}}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.ReadObject(vcs.HashObject(vcs.KindBlob, []byte("no"))); err != nil && !errors.Is(err, vcs.ErrNotFound) {
			t.Fatal(err)
		}
		commits := []vcs.ID{set("3"), set("4")}
		f.FailApply(func(int) vcstest.Fault { return vcstest.FailFirst })
		saveOne()
		if err := <-ended; err == nil {
			t.Error("an epoch has begun on a backend that fails")
		}
		whole(t, "unsaved", s, commits)
		f.FailApply(nil)
		if err := r.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		whole(t, "saved", s, commits)
	})
}

// TestWritersAndReaders: writers of every kind share branches, some of which
// move away under them, while others read all that there is.
func TestWritersAndReaders(t *testing.T) {
	back := mem.New()
	r := must(vcs.Open(t.Context(), back, vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{FlushDelay: -1}}))(t)
	ctx := context.Background()
	first := must(r.Set(ctx, "primary", "k", "0", vcs.CommitInfo{Message: "first"}))(t)
	var writers, readers sync.WaitGroup
	var mu sync.Mutex
	made := []vcs.ID{first}
	for w := range 6 {
		writers.Go(func() {
			branch := []string{"primary", "side"}[w%2]
			for i := range 60 {
				opt := vcs.TxOptions{OnMove: vcs.OnMove(w / 2), CommitInfo: vcs.CommitInfo{Message: fmt.Sprint(w, " ", i)}}
				id, err := r.Update(ctx, branch, opt, func(tx *vcs.Tx[string, string]) error {
					if _, _, err := tx.Get("k"); err != nil {
						return err
					}
					tx.Set(fmt.Sprint("d", i%5, "/k", w), fmt.Sprint(i))
					if i%3 == 0 {
						tx.Remove(fmt.Sprint("d", (i+1)%5, "/k", w))
					}
					return nil
				})
				if err != nil && !(opt.OnMove == vcs.Fail && errors.Is(err, vcs.ErrRefMoved)) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					made = append(made, id)
					mu.Unlock()
				}
				if w == 0 && i%10 == 9 { // somebody sets a branch back
					if head, err := r.Head("side"); err == nil {
						if err := r.SetBranch(ctx, "side", head, first); err != nil && !errors.Is(err, vcs.ErrRefMoved) {
							t.Error(err)
						}
					}
				}
			}
		})
	}
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				id := made[len(made)*2/3]
				mu.Unlock()
				if _, err := must(r.AtCommit(id))(t).Map(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	whole(t, "before it is saved", r.Store(), made)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(vcs.Open(t.Context(), back, vcs.Config[string, string]{}))(t)
	whole(t, "opened again", r.Store(), made)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
