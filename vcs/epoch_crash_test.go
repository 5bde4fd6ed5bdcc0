package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// cutter lets so many Applies through; those after it fail, and whether the first
// of them was applied nobody knows.
type cutter struct {
	vcs.Backend
	mu     sync.Mutex
	left   int
	behind bool // the one at the cut is applied
	cut    bool
}

func (c *cutter) KeepsLog() bool { return c.Backend.(vcs.LogKeeper).KeepsLog() }

func (c *cutter) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	return c.Backend.(vcs.ObjectReader).ReadObject(id)
}

func (c *cutter) Apply(ctx context.Context, b *vcs.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left >= 0 {
		return c.Backend.Apply(ctx, b)
	}
	if !c.cut && c.behind {
		if err := c.Backend.Apply(ctx, b); err != nil {
			return err
		}
	}
	c.cut = true
	return errors.New("power cut")
}

// A store that is cut at any Apply of an epoch's end, its archive, the receipt
// and its drop opens again, has all that was acknowledged or says where it is,
// and goes on.
func TestEpochsSurviveCuts(t *testing.T) {
	for name, backend := range backends() {
		t.Run(name, func(t *testing.T) {
			for cut := 0; ; cut++ {
				whole := true
				for _, behind := range []bool{false, true} {
					b, a := backend(), &shelf{}
					cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
					cfg.Retention = vcs.Retention{MaxCommits: 8, Epochs: 2, Archive: a}
					c := &cutter{Backend: b, left: cut, behind: behind}
					acked := epochWork(t, openOn(t, c, cfg), 0)
					whole = whole && !c.cut
					r := openOn(t, b, cfg)
					accounted(t, r.Store(), acked)
					more := epochWork(t, r, 100)
					if len(more) < 20 {
						t.Errorf("cut %d: the store did not go on: %d commits", cut, len(more))
					}
					r = openOn(t, b, cfg)
					accounted(t, r.Store(), slices.Concat(acked, more))
					if cut%3 == 0 {
						vcstest.Export(t, r.Store())
					}
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if whole {
					t.Logf("cut at %d places", cut)
					break
				}
			}
		})
	}
}

// epochWork writes, ends epochs and drops them, and returns the commits that were
// acknowledged. It closes the repository.
func epochWork(t *testing.T, r *vcs.Repo[string, string], from int) (acked []vcs.ID) {
	t.Helper()
	ctx := t.Context()
	var pending []vcs.ID
	for i := from; i < from+20; i++ {
		id, err := r.Set(ctx, "primary", fmt.Sprint("k", i%5), fmt.Sprint("v", i), vcs.CommitInfo{Message: fmt.Sprint("change ", i)})
		if err != nil {
			break
		}
		pending = append(pending, id)
		if i%3 == 2 {
			if r.Sync(ctx) == nil {
				acked = append(acked, pending...)
				pending = nil
			}
		}
		if i%7 == 6 {
			if _, err := r.Store().Collect(ctx); err == nil {
				acked = append(acked, pending...)
				pending = nil
			}
		}
	}
	if r.Close() == nil {
		acked = append(acked, pending...)
	}
	return acked
}

// Many writers, transactions that merge among them, while epochs begin all the
// time: each change is in the end's state, and in its history once.
func TestWritersDuringEpochs(t *testing.T) {
	for seed := range uint64(3) {
		b := mem.New()
		r := openOn(t, b, vcs.Config[string, string]{Merge: vcstest.Larger})
		var wg sync.WaitGroup
		const writers, changes = 4, 40
		for w := range writers {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(w)))
				for i := range changes {
					opt := vcs.TxOptions{CommitInfo: vcs.CommitInfo{Message: fmt.Sprintf("writer %d change %d", w, i)}, OnMove: vcs.OnMove(rnd.IntN(2)), Retries: 1000}
					_, err := r.Update(t.Context(), "primary", opt, func(tx *vcs.Tx[string, string]) error {
						tx.Set(fmt.Sprintf("w%d/k%d", w, i), opt.Message)
						return nil
					})
					if err != nil {
						t.Errorf("writer %d: %v", w, err)
						return
					}
				}
			})
		}
		stop := make(chan struct{})
		ended := make(chan int)
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					ended <- n
					return
				default:
				}
				if _, err := r.Store().EndEpoch(t.Context()); err != nil {
					t.Error(err)
				}
				n++
			}
		}()
		wg.Wait()
		close(stop)
		n := <-ended
		for _, when := range []string{"at once", "reopened"} {
			head, err := r.Head("primary")
			if err != nil {
				t.Fatal(err)
			}
			snap, err := r.AtCommit(head)
			if err != nil {
				t.Fatal(err)
			}
			m, err := snap.Map()
			if err != nil {
				t.Fatal(err)
			}
			if len(m) != writers*changes {
				t.Errorf("seed %d: %s: %d of %d changes are there after %d epochs", seed, when, len(m), writers*changes, len(r.Store().Epochs()))
			}
			seen := map[string]int{}
			for c, err := range r.Log(head) {
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(c.Subject(), "writer") {
					seen[c.Subject()]++
				}
			}
			for s, n := range seen {
				if n != 1 {
					t.Errorf("seed %d: %q is in the history %d times", seed, s, n)
				}
			}
			if len(seen) != writers*changes {
				t.Errorf("seed %d: %s: %d of %d changes are in the history", seed, when, len(seen), writers*changes)
			}
			vcstest.Export(t, r.Store())
			r = reopen(t, r, b)
		}
		t.Logf("seed %d: %d calls, %d epochs", seed, n, len(r.Store().Epochs()))
	}
}
