package vcstest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"arpeggio/vcs"
)

// HistoryConfig shapes RandomHistory. The zero value works.
type HistoryConfig struct {
	Steps    int // default 100
	Branches int // default 4, called b0, b1, …
	Keys     int // default 40
	Seed     uint64
}

// RandomHistory writes a random history with merges, criss-cross ones included,
// to the string repository, whose Merge must settle every conflict. The keys are
// paths of one to four folders, so that some folders empty. It returns all
// commits that were a head.
func RandomHistory(t testing.TB, r *vcs.Repo[string, string], cfg HistoryConfig) []vcs.ID {
	t.Helper()
	cfg.Steps, cfg.Branches, cfg.Keys = or(cfg.Steps, 100), or(cfg.Branches, 4), or(cfg.Keys, 40)
	rnd := rand.New(rand.NewPCG(cfg.Seed, 1))
	ctx := context.Background()
	when := time.Unix(1_700_000_000, 0)
	var all []vcs.ID
	name := func() string { return fmt.Sprint("b", rnd.IntN(cfg.Branches)) }
	for step := range cfg.Steps {
		if rnd.IntN(3) > 0 {
			when = when.Add(time.Duration(rnd.IntN(3)) * time.Second)
		}
		info := vcs.CommitInfo{Message: fmt.Sprintf("step %d", step), Time: when, Author: vcs.Signature{Name: "node", Email: "node@lan"}}
		branch := name()
		_, err := r.Head(branch)
		exists := err == nil
		from, err := r.Head(name())
		if err == nil && rnd.IntN(4) == 0 {
			res, err := r.Merge(ctx, branch, from, vcs.MergeOptions{CommitInfo: info, NoFastForward: rnd.IntN(2) == 0})
			if err != nil {
				t.Fatalf("step %d: merge: %v", step, err)
			}
			all = append(all, res.Head)
			continue
		}
		if err == nil && !exists && rnd.IntN(8) > 0 {
			if err := r.CreateBranch(ctx, branch, from); err != nil {
				t.Fatalf("step %d: branch: %v", step, err)
			}
		}
		id, err := r.Update(ctx, branch, vcs.TxOptions{CommitInfo: info}, func(tx *vcs.Tx[string, string]) error {
			for range 1 + rnd.IntN(4) {
				k := Key(rnd.IntN(cfg.Keys))
				if rnd.IntN(4) == 0 {
					tx.Remove(k)
				} else {
					tx.Set(k, fmt.Sprintf("value %d\n", rnd.IntN(50)))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("step %d: update: %v", step, err)
		}
		if !id.IsZero() {
			all = append(all, id)
		}
	}
	return all
}

// Key returns the n-th key of RandomHistory.
func Key(n int) string {
	switch n % 4 {
	case 0:
		return fmt.Sprintf("k%d", n)
	case 1:
		return fmt.Sprintf("d%d/k%d", n%3, n)
	case 2:
		return fmt.Sprintf("d%d/d%d.x/k%d", n%3, n%5, n)
	}
	return fmt.Sprintf("d%d/d%d/d%d-/d/k%d", n%3, n%5, n%2, n)
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Larger is a merge function that is a join: the larger value wins, and a
// present one over an absent one.
func Larger(_ string, _, ours, theirs vcs.Opt[string]) (vcs.Opt[string], error) {
	if theirs.Present && (!ours.Present || theirs.Value > ours.Value) {
		return theirs, nil
	}
	return ours, nil
}
