package vcstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"arpeggio/vcs"
)

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

// testForgetReopen lists objects and lets some go. It concerns backends that list
// them.
func testForgetReopen(t *testing.T, open func(t *testing.T, closed vcs.Backend) vcs.Backend) {
	b := open(t, nil)
	l, ok := b.(vcs.ObjectLister)
	if !ok {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	const n = 10_000 // more than one look may list
	there := make(map[vcs.ID]vcs.Object)
	var objs []vcs.Object
	for i := range n {
		o := blob(fmt.Sprint("object ", i))
		there[o.ID], objs = o, append(objs, o)
	}
	check := func() {
		t.Helper()
		listed := make(map[vcs.ID]bool)
		for id, err := range l.Objects() {
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := there[id]; !ok || listed[id] {
				t.Fatalf("%v is listed; it is there: %t", id, ok)
			}
			listed[id] = true
		}
		if len(listed) != len(there) {
			t.Fatalf("%d objects are listed of %d", len(listed), len(there))
		}
		for range l.Objects() {
			break
		}
		for i, o := range objs {
			_, want := there[o.ID]
			if _, _, err := b.(vcs.ObjectReader).ReadObject(o.ID); i%7 == 0 && (err == nil) != want || err != nil && !errors.Is(err, vcs.ErrNotFound) {
				t.Fatalf("%v: %v, it is there: %t", o.ID, err, want)
			}
		}
	}
	var m model
	add := &vcs.Batch{Objects: slices.Values(objs), Refs: []vcs.RefUpdate{{Name: "refs/objects/a", New: objs[1].ID}}}
	m.apply(t, b, add)
	check()
	batch := &vcs.Batch{Log: [][]byte{[]byte("one")}, Forget: []vcs.ID{{7}}} // that was never there
	for i, o := range objs {
		if i%3 == 0 {
			batch.Forget = append(batch.Forget, o.ID)
			delete(there, o.ID)
		}
	}
	m.apply(t, b, batch)
	check()
	m.apply(t, b, &vcs.Batch{Objects: slices.Values(objs[:1])}) // once more
	there[objs[0].ID] = objs[0]
	check()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, b)
	l = b.(vcs.ObjectLister)
	check()
	want(t, b, m)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
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
