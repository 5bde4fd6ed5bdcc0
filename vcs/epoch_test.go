package vcs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// backends are those on which epochs are tested: a log, and objects.
func backends() map[string]func() vcs.Backend {
	return map[string]func() vcs.Backend{
		"log":     func() vcs.Backend { return mem.New() },
		"objects": func() vcs.Backend { return mem.NewNative() },
	}
}

func openOn(t testing.TB, b vcs.Backend, cfg vcs.Config[string, string]) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(context.Background(), b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func heads(r *vcs.Repo[string, string]) (out []vcs.Branch) {
	for _, b := range r.Branches() {
		if !strings.HasPrefix(b.Name, "history/") {
			out = append(out, b)
		}
	}
	return out
}

// merges tells, for each two branches, what their merge makes.
func merges(t testing.TB, r *vcs.Repo[string, string]) map[string]string {
	t.Helper()
	out := make(map[string]string)
	all := heads(r)
	for _, a := range all {
		for _, b := range all {
			if err := r.CreateBranch(t.Context(), "try", a.Head); err != nil {
				t.Fatal(err)
			}
			res, err := r.Merge(t.Context(), "try", b.Head, vcs.MergeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			snap, err := r.AtCommit(res.Head)
			if err != nil {
				t.Fatal(err)
			}
			out[a.Name+" "+b.Name] = fmt.Sprint(res.Kind, " ", snap.Tree(), " of ", len(res.Bases))
			if err := r.DeleteBranch(t.Context(), "try", res.Head); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// baseCounter is a merge function whose result depends on the base.
func baseCounter(_ string, base, ours, theirs vcs.Opt[string]) (vcs.Opt[string], error) {
	return vcs.Some(fmt.Sprintf("%s<%s|%s>", base.Value[:min(len(base.Value), 12)], ours.Value[:min(len(ours.Value), 12)], theirs.Value[:min(len(theirs.Value), 12)])), nil
}

// Whatever was merged before an epoch's end merges to the same after it, and
// while the old epoch is here everything of it can be read.
func TestMergesAreTheSameAcrossEpochs(t *testing.T) {
	for name, backend := range backends() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5) {
				b := backend()
				r := openOn(t, b, vcs.Config[string, string]{Merge: baseCounter})
				vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 60})
				before := everything(t, r.Store())
				want := merges(t, r)
				old := heads(r)
				e, err := r.Store().EndEpoch(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if e.Number != 2 || e.State != vcs.EpochCurrent {
					t.Fatalf("epoch %d, %v", e.Number, e.State)
				}
				for i, h := range heads(r) {
					if h.Head == old[i].Head {
						t.Errorf("%s did not move", h.Name)
					}
				}
				check := func(r *vcs.Repo[string, string], when string) {
					t.Helper()
					for k, v := range merges(t, r) {
						if v != want[k] {
							t.Errorf("seed %d: %s: %s: %s, before the epoch %s", seed, when, k, v, want[k])
						}
					}
				}
				check(r, "joined")
				wantObjects(t, r.Store(), before)
				again := func() {
					t.Helper()
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
					r = openOn(t, b, vcs.Config[string, string]{Merge: baseCounter})
				}
				again()
				wantObjects(t, r.Store(), before)
				vcstest.Export(t, r.Store())
				if err := vcs.DropEpoch(r.Store(), 1, "of a test"); err != nil {
					t.Fatal(err)
				}
				check(r, "dropped")
				vcstest.Export(t, r.Store())
				again()
				check(r, "dropped and reopened")
				if got := r.Store().Epochs(); len(got) != 2 || got[0].State != vcs.EpochLost || got[0].Reason != "of a test" || got[1].State != vcs.EpochCurrent {
					t.Errorf("epochs: %+v", got)
				}
				vcstest.Export(t, r.Store())
			}
		})
	}
}

// Writers and epochs in any order: nothing that was acknowledged is lost, and
// log, blame and merges go on through the roots.
func TestManyEpochs(t *testing.T) {
	for name, backend := range backends() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				rnd := rand.New(rand.NewPCG(seed, 5))
				b := backend()
				r := openOn(t, b, vcs.Config[string, string]{Merge: vcstest.Larger})
				subjects := []string{}
				value := map[string]string{}
				for i := range 200 {
					switch rnd.IntN(12) {
					case 0:
						if _, err := r.Store().EndEpoch(t.Context()); err != nil {
							t.Fatal(err)
						}
					case 1:
						r = reopen(t, r, b)
					default:
						k, m := fmt.Sprint("d", rnd.IntN(3), "/k", rnd.IntN(9)), fmt.Sprint("change ", i)
						if _, err := r.Set(t.Context(), "primary", k, m, vcs.CommitInfo{Message: m}); err != nil {
							t.Fatal(err)
						}
						subjects, value[k] = append(subjects, m), m
					}
				}
				head, err := r.Head("primary")
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for c, err := range r.Log(head) {
					if err != nil {
						t.Fatal(err)
					}
					if c.Trailer(vcs.TrailerEpoch) == "" {
						got = append(got, c.Subject())
					}
				}
				slices.Reverse(got)
				if !slices.Equal(got, subjects) {
					t.Fatalf("seed %d: the log has %d commits, not %d", seed, len(got), len(subjects))
				}
				for k, v := range value {
					c, err := r.LastModified(k, head)
					if err != nil || c.Subject() != v {
						t.Errorf("seed %d: %s was changed by %v %v, not by %q", seed, k, c, err, v)
					}
				}
				vcstest.Export(t, r.Store())
			}
		})
	}
}
