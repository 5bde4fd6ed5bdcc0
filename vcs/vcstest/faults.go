package vcstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
)

// TestFaults runs a store on backends whose calls fail, each of them in turn:
// the error comes out where somebody asks for what failed, the store is usable
// meanwhile and afterwards, and nothing is lost. Open returns a backend on fresh,
// empty storage.
func TestFaults(t *testing.T, open func(t *testing.T) vcs.Backend) {
	for _, log := range []bool{true, false} {
		start := func(t *testing.T) *Faulty {
			f := NewFaulty(open(t))
			if log {
				f.KeepLog()
			}
			return f
		}
		t.Run(fmt.Sprintf("Log=%t", log), func(t *testing.T) {
			t.Run("Load", func(t *testing.T) { testFaultyLoad(t, start(t)) })
			t.Run("LoadLog", func(t *testing.T) { testFaultyLog(t, start(t)) })
			for _, fault := range []Fault{FailFirst, FailAfter} {
				for n := range 4 {
					t.Run(fmt.Sprintf("Apply%d-%d", fault, n), func(t *testing.T) { testFaultyApply(t, start(t), fault, n) })
				}
			}
			t.Run("Read", func(t *testing.T) { testFaultyRead(t, start(t)) })
			t.Run("Forget", func(t *testing.T) {
				for _, fault := range []Fault{FailFirst, FailAfter} {
					testFaultyForget(t, start(t), fault)
				}
			})
			t.Run("Close", func(t *testing.T) { testFaultyClose(t, start(t)) })
		})
	}
}

func injected(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrInjected) {
		t.Errorf("%s: %v, want the injected error", what, err)
	}
}

func testFaultyLoad(t *testing.T, f *Faulty) {
	f.FailLoad(ErrInjected)
	_, err := vcs.Open(t.Context(), f, vcs.Config[string, string]{})
	injected(t, "opening", err)
}

// testFaultyLog lets the log fail at its first and at a later record, while a
// store is opened that has some.
func testFaultyLog(t *testing.T, f *Faulty) {
	if !f.KeepsLog() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		return // there is none that could fail
	}
	apply := func(rec string) {
		if err := f.Apply(t.Context(), &vcs.Batch{Log: [][]byte{[]byte(rec)}}); err != nil {
			t.Fatal(err)
		}
	}
	apply("\x00")
	apply("\x00")
	f.FailLog(func(n int) error {
		if n == 1 {
			return ErrInjected
		}
		return nil
	})
	_, err := vcs.Open(t.Context(), f, vcs.Config[string, string]{})
	injected(t, "opening", err)
}

func set(t *testing.T, r *vcs.Repo[string, string], n int) vcs.ID {
	t.Helper()
	id, err := r.Set(t.Context(), "primary", Key(n), fmt.Sprint("value ", n), vcs.CommitInfo{Message: fmt.Sprint("set ", n)})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// has wants the first n keys of a branch.
func has(t *testing.T, r *vcs.Repo[string, string], n int) {
	t.Helper()
	s, err := r.At("primary")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if v, ok, err := s.Get(Key(i)); v != fmt.Sprint("value ", i) || !ok || err != nil {
			t.Errorf("key %d: %q, %t, %v", i, v, ok, err)
		}
	}
}

// testFaultyApply lets one Apply fail, before or after it was made durable, and
// the Load with which the store finds out which of both.
func testFaultyApply(t *testing.T, f *Faulty, fault Fault, n int) {
	r := openFlushing(t, f, time.Hour)
	failed := 0
	f.FailApply(func(k int) Fault {
		if k == n {
			return fault
		}
		return NoFault
	})
	for i := range 5 {
		set(t, r, i)
		err := r.Sync(t.Context())
		if err == nil {
			continue
		}
		failed++
		injected(t, "Sync", err)
		has(t, r, i+1)
		f.FailLoad(ErrInjected)
		injected(t, "Sync when Load fails, too", r.Sync(t.Context()))
		f.FailLoad(nil)
		if err := r.Sync(t.Context()); err != nil {
			t.Errorf("Sync afterwards: %v", err)
		}
	}
	if failed != 1 {
		t.Errorf("%d calls of Sync failed", failed)
	}
	has(t, r, 5)
	refs, _ := r.Store().Refs()
	if st, err := f.Load(context.Background()); err != nil || fmt.Sprint(st.Refs) != fmt.Sprint(refs) {
		t.Errorf("the backend has %v (%v), the store %v", st.Refs, err, refs)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// testFaultyRead lets objects fail to be read: what needs them says so, and
// works afterwards.
func testFaultyRead(t *testing.T, f *Faulty) {
	r, err := vcs.Open(t.Context(), f, vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{CacheBytes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	foreign := blob("somebody else's")
	if err := r.Store().AddObjects(t.Context(), []vcs.Object{foreign}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		set(t, r, i)
	}
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.FailRead(func(vcs.ID) error { return ErrInjected })
	_, _, err = r.Store().ReadObject(foreign.ID)
	injected(t, "an object", err)
	if !f.KeepsLog() {
		_, err := r.Set(t.Context(), "primary", "key", "value", vcs.CommitInfo{})
		injected(t, "a change", err)
	}
	f.FailRead(nil)
	wantObject(t, r.Store(), foreign)
	set(t, r, 4)
	has(t, r, 5)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// testFaultyForget lets the listing of objects fail, and then the Apply that
// deletes those that nothing leads to. What is added again meanwhile stays.
func testFaultyForget(t *testing.T, f *Faulty, fault Fault) {
	names, stays, again, goes := blob("a branch's"), blob("read since the store is open"), blob("added again"), blob("nobody's")
	if err := f.Apply(t.Context(), &vcs.Batch{Objects: slices.Values([]vcs.Object{names, stays, again, goes})}); err != nil {
		t.Fatal(err)
	}
	kept := func() (ids []vcs.ID) {
		for id, err := range f.Objects() {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	r := openFlushing(t, f, time.Hour)
	s := r.Store()
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	if !f.KeepsLog() || len(kept()) == 0 {
		return // it deletes by itself, or never
	}
	if err := s.UpdateRefs(t.Context(), []vcs.RefUpdate{{Name: "refs/tags/names", New: names.ID}}); err != nil {
		t.Fatal(err)
	}
	set(t, r, 0)
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, stays)
	f.FailRead(func(vcs.ID) error { return ErrInjected })
	_, err := s.Collect(t.Context())
	injected(t, "looking for what nothing leads to", err)
	f.FailRead(nil)
	f.FailApply(func(n int) Fault { return fault })
	_, err = s.Collect(t.Context())
	injected(t, "deleting", err)
	if err := s.AddObjects(t.Context(), []vcs.Object{again}); err != nil {
		t.Fatal(err)
	}
	set(t, r, 1)
	has(t, r, 2)
	injected(t, "Sync", r.Sync(t.Context()))
	f.FailApply(nil)
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range []vcs.Object{names, stays, again} {
		wantObject(t, s, o)
	}
	if ids := kept(); slices.Contains(ids, goes.ID) || len(ids) != 3 {
		t.Errorf("%d objects are kept: %v", len(ids), ids)
	}
	has(t, r, 2)
}

func testFaultyClose(t *testing.T, f *Faulty) {
	r := openRepo(t, f)
	set(t, r, 0)
	f.FailClose(ErrInjected)
	injected(t, "Close", r.Close())
}
