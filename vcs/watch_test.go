package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"arpeggio/vcs"
)

// TestWatchLosesNothing: with many writers each watcher sees every change of a
// ref once and in order, so that the events chain.
func TestWatchLosesNothing(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	all, one := r.Watch(), r.WatchBranch("b1")
	const writers, writes = 6, 60
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				branch := fmt.Sprint("b", i%3)
				if _, err := r.Set(ctx, branch, fmt.Sprint("k", w), fmt.Sprint(i), info("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	at := make(map[string]vcs.ID)
	for range writers * writes {
		e := must(all.Next(ctx))(t)
		if at[e.Ref] != e.Old {
			t.Fatalf("event %v does not follow %v", e, at[e.Ref])
		}
		at[e.Ref] = e.New
	}
	for _, b := range r.Branches() {
		if at[vcs.BranchRef(b.Name)] != b.Head {
			t.Errorf("events of %s end at %v", b.Name, at[b.Name])
		}
	}
	last := vcs.ID{}
	for range writers * writes / 3 {
		e := must(one.Next(ctx))(t)
		if e.Ref != "refs/heads/b1" || e.Old != last {
			t.Fatalf("event %v does not follow %v", e, last)
		}
		last = e.New
	}
	all.Close()
	if _, err := all.Next(ctx); !errors.Is(err, vcs.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

func TestWatchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := openFaulty(t, vcs.Config[string, string]{})
		w := r.Watch()
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		go func() {
			_, err := w.Next(ctx)
			results <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		var got []vcs.Event
		go func() {
			for e := range w.All(t.Context()) {
				got = append(got, e)
			}
			results <- nil
		}()
		head := must(r.Set(t.Context(), "primary", "k", "v", info("x")))(t)
		must(r.CreateTag(t.Context(), "v1", head, info("")))(t)
		if err := r.DeleteBranch(t.Context(), "primary", head); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil { // ends the watcher after what is queued
			t.Error(err)
		}
		<-results
		want := []vcs.Event{
			{Ref: "refs/heads/primary", New: head},
			{Ref: "refs/tags/v1", New: head},
			{Ref: "refs/heads/primary", Old: head},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("events %v, want %v", got, want)
		}
		if _, err := r.Watch().Next(t.Context()); !errors.Is(err, vcs.ErrClosed) {
			t.Errorf("watch of a closed store: %v", err)
		}
	})
}

func TestWatchKey(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	w := r.WatchKey("primary", "a/k")
	must(r.Set(ctx, "primary", "a/other", "1", info("no")))(t)
	must(r.Set(ctx, "elsewhere", "a/k", "1", info("no")))(t)
	must(r.Set(ctx, "primary", "a/k", "1", info("yes")))(t)
	must(r.Set(ctx, "primary", "a/other", "2", info("no")))(t)
	head := must(r.Remove(ctx, "primary", "a/k", info("yes")))(t)
	e := must(w.Next(ctx))(t)
	if e.Old.Present || e.New != vcs.Some("1") {
		t.Errorf("first event %+v", e)
	}
	e = must(w.Next(ctx))(t)
	if e.Old != vcs.Some("1") || e.New.Present || e.NewHead != head {
		t.Errorf("second event %+v", e)
	}
	w.Close()
	if _, err := w.Next(ctx); !errors.Is(err, vcs.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}
