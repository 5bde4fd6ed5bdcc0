package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// gated is a backend whose Apply waits while somebody holds the gate.
type gated struct {
	*mem.Backend
	gate sync.Mutex
}

func (g *gated) Apply(ctx context.Context, b *vcs.Batch) error {
	g.gate.Lock()
	defer g.gate.Unlock()
	return g.Backend.Apply(ctx, b)
}

// TestOldObjectsOfHeads reads what a head has had for longer than objects are
// looked for, when nothing of it is at hand any more: of a head that is saved and
// of one that is not.
func TestOldObjectsOfHeads(t *testing.T) {
	ctx := t.Context()
	g := &gated{Backend: mem.New()}
	r := must(vcs.Open(ctx, g, vcs.Config[string, string]{Merge: vcstest.Larger}))(t)
	defer r.Close()
	s := r.Store()
	put := func(k, v string) vcs.ID {
		t.Helper()
		return must(r.Set(ctx, "primary", k, v, vcs.CommitInfo{Message: k}))(t)
	}
	put("old/x", "1")
	put("old/y/z", "2")
	for i := range 40 {
		put(fmt.Sprintf("new/%d", i%7), fmt.Sprint(i))
	}
	if err := s.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	for _, saved := range []bool{true, false} {
		if !saved {
			g.gate.Lock()
		}
		for i := range 3 {
			head, _ := r.Head("primary")
			if !saved {
				head = put("new/0", fmt.Sprintf("unsaved %d", i))
			}
			vcs.ForgetReach(s, 5)
			v := must(r.AtCommit(head))(t)
			if have, ok, err := v.Get("old/x"); err != nil || !ok || have != "1" {
				t.Errorf("saved %v: Get: %q, %v, %v", saved, have, ok, err)
			}
			vcs.ForgetReach(s, 5)
			e, ok, err := v.Stat("old/y/z")
			if err != nil || !ok {
				t.Fatalf("saved %v: Stat: %v, %v", saved, ok, err)
			}
			vcs.ForgetReach(s, 5)
			if _, content, err := s.ReadObject(e.ID); err != nil || string(content) != "2" {
				t.Errorf("saved %v: ReadObject: %q, %v", saved, content, err)
			}
		}
		none := vcs.HashObject(vcs.KindBlob, []byte("nobody's"))
		if _, _, err := s.ReadObject(none); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("an object that never was: %v", err)
		}
		if !saved {
			g.gate.Unlock()
		}
	}
	if err := s.Sync(ctx); err != nil {
		t.Fatal(err)
	}
}
