package vcs_test

import (
	"errors"
	"strconv"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// A writer whose epoch ends, and is dropped, while it is at work starts again at
// the root instead of failing.
func TestWriterLeftBehind(t *testing.T) {
	ctx := t.Context()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main", CacheBytes: 1,
		Retention: vcs.Retention{MaxCommits: 1 << 30, Chains: []vcs.Chain{}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := r.Store()
	for i := range 3000 {
		must(r.Set(ctx, "main", "k"+strconv.Itoa(i%700), strconv.Itoa(i), vcs.CommitInfo{}))(t)
	}
	epoch := 0
	// leave ends the epoch and drops it.
	leave := func() {
		epoch++
		must(s.EndEpoch(ctx))(t)
		if err := errors.Join(r.Sync(ctx), vcs.DropEpoch(s, epoch, "test")); err != nil {
			t.Fatal(err)
		}
	}
	head := must(r.Head("main"))(t)
	times := 0
	if _, err := r.Update(ctx, "main", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		if times++; times == 1 {
			leave()
			for i := range 3000 { // what is at hand of the epoch that is gone makes room
				must(r.Set(ctx, "main", "k"+strconv.Itoa(i%700), strconv.Itoa(i), vcs.CommitInfo{}))(t)
			}
			leave()
		}
		v, ok, err := tx.Get("k1")
		if err == nil && !ok {
			t.Error("k1 is gone")
		}
		tx.Set("k1", v+"!")
		return err
	}); err != nil {
		t.Errorf("after %d times: %v", times, err)
	}
	snap := must(r.At("main"))(t)
	if v, ok, err := snap.Get("k1"); err != nil || !ok || v != "2801!" {
		t.Errorf("k1 is %q, %v", v, err)
	}
	if _, err := r.Commit(ctx, "main", head, []vcs.Change[string, string]{{Key: "k2", Value: vcs.Some("x")}}, vcs.CommitInfo{}); !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("a commit on what was dropped: %v", err)
	}
}
