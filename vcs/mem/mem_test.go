package mem_test

import (
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

func TestBackend(t *testing.T) {
	vcstest.TestBackend(t, func(t *testing.T) vcs.Backend { return mem.New() })
}

func TestReopen(t *testing.T) {
	vcstest.TestReopen(t, func(t *testing.T, closed vcs.Backend) vcs.Backend {
		if closed != nil {
			return closed
		}
		return mem.New()
	})
}

// TestIsolated: irmin's in-memory stores shared one table between "separate"
// nodes.
func TestIsolated(t *testing.T) {
	a, b := mem.New(), mem.New()
	o := vcs.Object{ID: vcs.HashObject(vcs.KindBlob, []byte("x")), Kind: vcs.KindBlob, Content: []byte("x")}
	err := a.Apply(t.Context(), &vcs.Batch{
		Refs:    []vcs.RefUpdate{{Name: "refs/heads/a", New: o.ID}},
		Objects: func(yield func(vcs.Object) bool) { yield(o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ReadObject(o.ID); err == nil {
		t.Error("an object of one backend shows in another")
	}
	if st, _ := b.Load(t.Context()); len(st.Refs) > 0 {
		t.Error("a ref of one backend shows in another")
	}
}

func TestNative(t *testing.T) {
	vcstest.TestBackend(t, func(*testing.T) vcs.Backend { return mem.NewNative() })
}

func TestFaults(t *testing.T) {
	vcstest.TestFaults(t, func(*testing.T) vcs.Backend { return mem.New() })
}
