package vcstest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"arpeggio/vcs"
)

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
