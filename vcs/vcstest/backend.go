package vcstest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
)

// TestBackend runs the conformance suite. Open returns a backend on fresh, empty
// storage; it is closed by the suite. Storage that outlives the backend is tested
// by TestReopen.
func TestBackend(t *testing.T, open func(t *testing.T) vcs.Backend) {
	t.Run("Empty", func(t *testing.T) {
		b := start(t, open)
		want(t, b, model{})
	})
	t.Run("Refs", func(t *testing.T) { testRefs(t, start(t, open)) })
	t.Run("StaleRefAppliesNothing", func(t *testing.T) { testStale(t, start(t, open)) })
	t.Run("Log", func(t *testing.T) { testLog(t, start(t, open)) })
	t.Run("Fold", func(t *testing.T) { testFold(t, start(t, open)) })
	t.Run("Drop", func(t *testing.T) { testDrop(t, start(t, open)) })
	t.Run("LargeBatch", func(t *testing.T) { testLarge(t, start(t, open)) })
	t.Run("ManyRefs", func(t *testing.T) { testManyRefs(t, start(t, open)) })
	t.Run("Cancelled", func(t *testing.T) { testCancelled(t, start(t, open)) })
	t.Run("Objects", func(t *testing.T) { testObjects(t, start(t, open)) })
	t.Run("Store", func(t *testing.T) { testStore(t, open(t)) })
}

// TestReopen runs the part of the suite that closes a backend and opens it
// again on the same storage. Open makes the storage when reopen is nil, else it
// opens the storage of that closed backend again.
func TestReopen(t *testing.T, open func(t *testing.T, closed vcs.Backend) vcs.Backend) {
	t.Run("State", func(t *testing.T) {
		b := open(t, nil)
		var m model
		for i := range 5 {
			m.apply(t, b, randomBatch(&m, i))
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = open(t, b)
			want(t, b, m)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("Drop", func(t *testing.T) { testDropReopen(t, open) })
	t.Run("ForgetReopen", func(t *testing.T) { testForgetReopen(t, open) })
	t.Run("Store", func(t *testing.T) {
		b := open(t, nil)
		for seed := range uint64(3) {
			r := openRepo(t, b)
			RandomHistory(t, r, HistoryConfig{Seed: seed, Steps: 40})
			before, _ := r.Store().Refs()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			b = open(t, b)
			r = openRepo(t, b)
			after, _ := r.Store().Refs()
			if !slices.Equal(before, after) {
				t.Errorf("refs before %v, after %v", before, after)
			}
			rep, err := vcs.Verify(t.Context(), r.Store(), after, nil)
			if err != nil || !rep.OK() {
				t.Errorf("%v, %v", rep.String(), err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			b = open(t, b)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func openRepo(t testing.TB, b vcs.Backend) *vcs.Repo[string, string] {
	t.Helper()
	return openFlushing(t, b, 0)
}

// openFlushing is openRepo with a delay of group commits, for tests that want
// nothing saved before they say Sync.
func openFlushing(t testing.TB, b vcs.Backend, delay time.Duration) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(context.Background(), b, vcs.Config[string, string]{Merge: Larger, StoreConfig: vcs.StoreConfig{FlushDelay: delay}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func start(t *testing.T, open func(*testing.T) vcs.Backend) vcs.Backend {
	t.Helper()
	b := open(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func testRefs(t *testing.T, b vcs.Backend) {
	var m model
	x, y := blob("x").ID, blob("y").ID
	m.apply(t, b, &vcs.Batch{Refs: []vcs.RefUpdate{
		{Name: "refs/heads/z", New: x}, {Name: "refs/heads/a/b", New: y}, {Name: "refs/tags/t", New: x},
	}})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Refs: []vcs.RefUpdate{
		{Name: "refs/heads/z", Old: x, New: y}, {Name: "refs/tags/t", Old: x},
	}})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Refs: []vcs.RefUpdate{{Name: "refs/tags/t", New: y}}})
	want(t, b, m)
}

func testStale(t *testing.T, b vcs.Backend) {
	var m model
	x, y := blob("x").ID, blob("y").ID
	m.apply(t, b, &vcs.Batch{Refs: []vcs.RefUpdate{{Name: "refs/heads/a", New: x}}, Log: [][]byte{[]byte("1")}})
	for _, u := range []vcs.RefUpdate{
		{Name: "refs/heads/a", Old: y, New: y},
		{Name: "refs/heads/a", New: y},
		{Name: "refs/heads/none", Old: x, New: y},
		{Name: "refs/heads/none", Old: x},
	} {
		err := b.Apply(context.Background(), &vcs.Batch{
			Refs:       []vcs.RefUpdate{{Name: "refs/heads/other", New: y}, u},
			Log:        [][]byte{[]byte("2")},
			Checkpoint: []byte("c"),
			Objects:    slices.Values([]vcs.Object{blob("x"), blob("y")}),
		})
		if !errors.Is(err, vcs.ErrRefMoved) {
			t.Errorf("stale update %v: %v, want ErrRefMoved", u, err)
		}
		want(t, b, m)
	}
}
