package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestFindObjects: every object of a history is found by its id alone, also what
// an old commit made, on branches, in merges and in epochs before.
func TestFindObjects(t *testing.T) {
	ctx := t.Context()
	native, back := mem.NewNative(), mem.New()
	var all []vcs.ID
	cfg := vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{CacheBytes: 1, Retention: vcs.Retention{MaxCommits: 1 << 30, Chains: []vcs.Chain{}}}}
	for seed := range uint64(2) {
		var same string
		for _, b := range []vcs.Backend{native, back} {
			r := must(vcs.Open(ctx, b, vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{Retention: cfg.Retention}}))(t)
			ids := fmt.Sprint(vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Steps: 300, Branches: 6, Seed: seed}))
			if same != "" && ids != same {
				t.Fatal("the histories differ")
			}
			same = ids
			if b == vcs.Backend(native) {
				for _, o := range everything(t, r.Store()) {
					if o.Kind != vcs.KindCommit { // who has seen those knows more
						all = append(all, o.ID)
					}
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := must(vcs.Open(ctx, back, cfg))(t)
	defer r.Close()
	s := r.Store()
	must(s.EndEpoch(ctx))(t)
	must(r.Set(ctx, "b0", "k", "in another epoch", vcs.CommitInfo{}))(t)
	if err := s.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	vcs.LimitScan(s, 5)
	missing := 0
	for _, id := range all {
		if _, _, err := s.ReadObject(id); errors.Is(err, vcs.ErrNotFound) {
			missing++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if missing < len(all)/4 {
		t.Fatalf("%d of %d objects have to be looked for", missing, len(all))
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.FindObjects(ended, all...); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
	none := vcs.HashObject(vcs.KindBlob, []byte("nobody's"))
	if err := s.FindObjects(ctx, append(all, none)...); err != nil {
		t.Fatal(err)
	}
	for _, id := range all {
		kind, content, err := s.ReadObject(id)
		if err != nil || vcs.HashObject(kind, content) != id {
			t.Fatalf("%v: %v", id, err)
		}
	}
	if _, _, err := s.ReadObject(none); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("an object that never was: %v", err)
	}
}

// TestFindObjectsFarBack: an object of the first commits of many, 400,000 with
// SOAK, where ReadObject looks through as many as it always does.
func TestFindObjectsFarBack(t *testing.T) {
	commits := 10_000
	if os.Getenv("SOAK") != "" {
		commits = 400_000
	}
	ctx := t.Context()
	back := mem.New()
	r := must(vcs.Open(ctx, back, vcs.Config[string, string]{}))(t)
	const keys = 2_000
	for i := range commits {
		must(r.Set(ctx, "primary", fmt.Sprintf("d%d/d%d/k%d", i%keys/1000, i%keys/50, i%keys), fmt.Sprint("value ", i), vcs.CommitInfo{Message: "m"}))(t)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(vcs.Open(ctx, back, vcs.Config[string, string]{}))(t)
	defer r.Close()
	s := r.Store()
	if commits < 150_000 {
		vcs.LimitScan(s, 2_000)
	}
	id := vcs.HashObject(vcs.KindBlob, []byte("value 77"))
	at := time.Now()
	if _, _, err := s.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
		t.Fatalf("it need not be looked for: %v", err)
	}
	t.Logf("the newest commits: %v", time.Since(at))
	at = time.Now()
	if err := s.FindObjects(ctx, id, vcs.HashObject(vcs.KindBlob, []byte("nobody's"))); err != nil {
		t.Fatal(err)
	}
	t.Logf("all of %d: %v", commits, time.Since(at))
	at = time.Now()
	if _, content, err := s.ReadObject(id); err != nil || string(content) != "value 77" {
		t.Errorf("%q, %v", content, err)
	}
	t.Logf("the object: %v", time.Since(at))
}
