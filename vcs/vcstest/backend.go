package vcstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

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

// testDropReopen moves a window over a log, as epochs do.
func testDropReopen(t *testing.T, open func(t *testing.T, closed vcs.Backend) vcs.Backend) {
	b := open(t, nil)
	if k, ok := b.(vcs.LogKeeper); !ok || !k.KeepsLog() {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return // there are no records to drop
	}
	var m model
	for i := range 40 {
		batch := &vcs.Batch{Log: [][]byte{bytes.Repeat([]byte{byte(i)}, vcs.MaxRecord), {}, fmt.Appendf(nil, "record %d", i)}}
		if i%5 == 4 {
			batch.Drop = len(m.log) / 2
		}
		if i%3 == 2 {
			batch.Fold = 2
		}
		m.apply(t, b, batch)
		if i%4 != 0 {
			continue
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open(t, b)
		want(t, b, m)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func openRepo(t testing.TB, b vcs.Backend) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(context.Background(), b, vcs.Config[string, string]{Merge: Larger})
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

// model is what a backend should remember.
type model struct {
	refs       map[string]vcs.ID
	checkpoint []byte
	log        [][]byte
}

// apply applies a batch to a backend and to the model.
func (m *model) apply(t testing.TB, b vcs.Backend, batch *vcs.Batch) {
	t.Helper()
	if err := b.Apply(context.Background(), batch); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if m.refs == nil {
		m.refs = make(map[string]vcs.ID)
	}
	for _, u := range batch.Refs {
		if u.New.IsZero() {
			delete(m.refs, u.Name)
		} else {
			m.refs[u.Name] = u.New
		}
	}
	if batch.Checkpoint != nil {
		m.checkpoint, m.log = slices.Clone(batch.Checkpoint), nil
	}
	m.log = append(m.log[batch.Drop:len(m.log)-batch.Fold:len(m.log)-batch.Fold], batch.Log...)
}

// want compares what a backend remembers with a model.
func want(t testing.TB, b vcs.Backend, m model) {
	t.Helper()
	st, err := b.Load(context.Background())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	var refs []vcs.Ref
	for name, id := range m.refs {
		refs = append(refs, vcs.Ref{Name: name, Target: id})
	}
	slices.SortFunc(refs, func(x, y vcs.Ref) int { return bytes.Compare([]byte(x.Name), []byte(y.Name)) })
	if !slices.Equal(st.Refs, refs) {
		t.Errorf("refs %v, want %v", st.Refs, refs)
	}
	if !bytes.Equal(st.Checkpoint, m.checkpoint) || (st.Checkpoint == nil) != (m.checkpoint == nil) {
		t.Errorf("checkpoint of %d bytes, want %d", len(st.Checkpoint), len(m.checkpoint))
	}
	for range 2 {
		var log [][]byte
		for rec, err := range st.Log {
			if err != nil {
				t.Fatalf("Log: %v", err)
			}
			log = append(log, slices.Clone(rec))
		}
		if len(log)+len(m.log) > 0 && !reflect.DeepEqual(log, m.log) {
			t.Errorf("log has %d records, want %d with their contents", len(log), len(m.log))
		}
	}
}

func blob(s string) vcs.Object {
	return vcs.Object{ID: vcs.HashObject(vcs.KindBlob, []byte(s)), Kind: vcs.KindBlob, Content: []byte(s)}
}

// randomBatch returns the i-th of some batches that follow each other.
func randomBatch(m *model, i int) *vcs.Batch {
	o := blob(fmt.Sprint("object ", i))
	ref := fmt.Sprint("refs/heads/b", i%3)
	b := &vcs.Batch{
		Refs:    []vcs.RefUpdate{{Name: ref, Old: m.refs[ref], New: o.ID}},
		Log:     [][]byte{fmt.Appendf(nil, "record %d", i), {}, bytes.Repeat([]byte{byte(i)}, 300)},
		Objects: slices.Values([]vcs.Object{o}),
	}
	if i%3 == 2 {
		b.Checkpoint = bytes.Repeat([]byte{byte(i)}, 200_000)
	}
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

func testLog(t *testing.T, b vcs.Backend) {
	var m model
	for i := range 12 {
		m.apply(t, b, randomBatch(&m, i))
		want(t, b, m)
	}
	m.apply(t, b, &vcs.Batch{Checkpoint: []byte{}})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Log: [][]byte{bytes.Repeat([]byte("r"), vcs.MaxRecord)}})
	want(t, b, m)
}

// testFold puts records in the place of others. It concerns backends that keep
// the log; for others there is nothing to do.
func testFold(t *testing.T, b vcs.Backend) {
	if k, ok := b.(vcs.LogKeeper); !ok || !k.KeepsLog() {
		return
	}
	var m model
	record := func(n int) []byte { return fmt.Appendf(nil, "record %d", n) }
	for round := range 4 {
		for i := range 70 {
			m.apply(t, b, &vcs.Batch{Log: [][]byte{record(i)}})
		}
		m.apply(t, b, &vcs.Batch{Fold: 64 + round, Log: [][]byte{bytes.Repeat([]byte{byte(round)}, vcs.MaxRecord), record(70)}})
		want(t, b, m)
		m.apply(t, b, &vcs.Batch{Fold: 1, Log: [][]byte{record(71), record(72), record(73)}})
		want(t, b, m)
	}
	x := blob("x").ID
	before := m
	err := b.Apply(context.Background(), &vcs.Batch{Fold: 2, Log: [][]byte{record(1)},
		Refs: []vcs.RefUpdate{{Name: "refs/heads/a", Old: x, New: x}}})
	if !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("stale update: %v, want ErrRefMoved", err)
	}
	want(t, b, before)
	if err := b.Apply(context.Background(), &vcs.Batch{Fold: len(m.log) + 1}); err == nil {
		t.Error("folded more records than there are")
	}
	want(t, b, before)
	m.apply(t, b, &vcs.Batch{Checkpoint: []byte("c"), Log: [][]byte{record(1)}})
	m.apply(t, b, &vcs.Batch{Fold: 1})
	want(t, b, m)
}

// testDrop lets the oldest records go, alone and with all else that a batch can
// hold. It concerns backends that keep the log.
func testDrop(t *testing.T, b vcs.Backend) {
	if k, ok := b.(vcs.LogKeeper); !ok || !k.KeepsLog() {
		return
	}
	var m model
	record := func(n int) []byte { return fmt.Appendf(nil, "record %d", n) }
	for i := range 30 {
		m.apply(t, b, &vcs.Batch{Log: [][]byte{record(i), record(-i)}})
	}
	m.apply(t, b, &vcs.Batch{Drop: 7})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Drop: 1, Log: [][]byte{record(60)}})
	m.apply(t, b, &vcs.Batch{Fold: 4, Drop: 3, Log: [][]byte{record(61)}})
	want(t, b, m)
	x, y := blob("x").ID, blob("y").ID
	m.apply(t, b, &vcs.Batch{Drop: 2, Log: [][]byte{record(62)}, Refs: []vcs.RefUpdate{{Name: "refs/heads/a", New: x}}})
	want(t, b, m)
	err := b.Apply(context.Background(), &vcs.Batch{Drop: 2, Refs: []vcs.RefUpdate{{Name: "refs/heads/a", New: y}}})
	if !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("stale update: %v, want ErrRefMoved", err)
	}
	for _, bad := range []vcs.Batch{
		{Drop: len(m.log) + 1},
		{Drop: len(m.log), Fold: 1},
		{Drop: 1, Fold: len(m.log)},
		{Drop: -1},
		{Fold: -1},
		{Drop: 1, Checkpoint: []byte("c")},
		{Fold: 1, Checkpoint: []byte("c")},
	} {
		if err := b.Apply(context.Background(), &bad); err == nil {
			t.Errorf("a log of %d records took Drop %d and Fold %d, checkpoint %t", len(m.log), bad.Drop, bad.Fold, bad.Checkpoint != nil)
		}
		want(t, b, m)
	}
	m.apply(t, b, &vcs.Batch{Drop: len(m.log) - 5, Fold: 5})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Log: [][]byte{record(63)}})
	m.apply(t, b, &vcs.Batch{Drop: 1})
	want(t, b, m)
	m.apply(t, b, &vcs.Batch{Checkpoint: []byte("c"), Log: [][]byte{record(64), record(65)}})
	m.apply(t, b, &vcs.Batch{Drop: 1, Log: [][]byte{record(66)}})
	want(t, b, m)
}

// testLarge applies a batch that is larger than most transactions may be.
func testLarge(t *testing.T, b vcs.Backend) {
	var m model
	var objs []vcs.Object
	batch := &vcs.Batch{Checkpoint: bytes.Repeat([]byte("checkpoint"), 200_000)}
	for i := range 40 {
		objs = append(objs, blob(fmt.Sprint(i)+string(bytes.Repeat([]byte{byte(i)}, 100_000))))
		batch.Log = append(batch.Log, bytes.Repeat([]byte{byte(i)}, vcs.MaxRecord))
	}
	objs = append(objs, blob(string(make([]byte, vcs.MaxObject))))
	batch.Objects = slices.Values(objs)
	for _, o := range objs {
		batch.Refs = append(batch.Refs, vcs.RefUpdate{Name: "refs/objects/" + o.ID.String(), New: o.ID})
	}
	m.apply(t, b, batch)
	want(t, b, m)
	if r, ok := b.(vcs.ObjectReader); ok {
		for _, o := range objs {
			wantObject(t, r, o)
		}
	}
}

func testManyRefs(t *testing.T, b vcs.Backend) {
	var m model
	create, remove := &vcs.Batch{}, &vcs.Batch{}
	for i := range vcs.MaxBatchRefs {
		o := blob(fmt.Sprint(i))
		name := fmt.Sprintf("refs/heads/%0380d", i)
		create.Refs = append(create.Refs, vcs.RefUpdate{Name: name, New: o.ID})
		remove.Refs = append(remove.Refs, vcs.RefUpdate{Name: name, Old: o.ID})
	}
	m.apply(t, b, create)
	want(t, b, m)
	m.apply(t, b, remove)
	want(t, b, m)
}

func testCancelled(t *testing.T, b vcs.Backend) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := b.Apply(ctx, &vcs.Batch{Refs: []vcs.RefUpdate{{Name: "refs/heads/a", New: blob("x").ID}}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Apply with a cancelled context: %v", err)
	}
	want(t, b, model{})
}

func wantObject(t testing.TB, r vcs.ObjectReader, o vcs.Object) {
	t.Helper()
	kind, content, err := r.ReadObject(o.ID)
	if err != nil || kind != o.Kind || !bytes.Equal(content, o.Content) {
		t.Errorf("object %v: %v of %d bytes, %v; want %v of %d", o.ID, kind, len(content), err, o.Kind, len(o.Content))
	}
}

func testObjects(t *testing.T, b vcs.Backend) {
	r, ok := b.(vcs.ObjectReader)
	if !ok {
		t.Skip("the backend does not store objects")
	}
	objs := []vcs.Object{blob(""), blob("x"), {ID: vcs.EmptyTree, Kind: vcs.KindTree}}
	if _, _, err := r.ReadObject(objs[1].ID); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("object before it was added: %v, want ErrNotFound", err)
	}
	var m model
	for range 2 { // adding again is harmless
		m.apply(t, b, &vcs.Batch{Objects: slices.Values(objs)})
		for _, o := range objs {
			wantObject(t, r, o)
		}
	}
	if _, _, err := r.ReadObject(vcs.ID{1}); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("object that was never added: %v, want ErrNotFound", err)
	}
	done := make(chan bool)
	for range 4 {
		go func() {
			for range 50 {
				wantObject(t, r, objs[1])
			}
			done <- true
		}()
	}
	for i := range 20 {
		m.apply(t, b, randomBatch(&m, i))
	}
	for range 4 {
		<-done
	}
	want(t, b, m)
}

// testStore runs a random history on a store over the backend.
func testStore(t *testing.T, b vcs.Backend) {
	if _, ok := b.(vcs.ObjectReader); !ok {
		b.Close()
		t.Skip("the backend does not store objects")
	}
	r := openRepo(t, b)
	RandomHistory(t, r, HistoryConfig{Seed: 7})
	if err := r.Sync(context.Background()); err != nil {
		t.Error(err)
	}
	Export(t, r.Store())
	refs, _ := r.Store().Refs()
	st, err := b.Load(context.Background())
	if err != nil || !slices.Equal(st.Refs, refs) {
		t.Errorf("after Sync the backend has %v (%v), the store %v", st.Refs, err, refs)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
