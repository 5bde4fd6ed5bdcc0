package vcs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// closure returns what commits lead to, read from a store of objects.
func closure(t testing.TB, r vcs.ObjectReader, tips ...vcs.ID) map[vcs.ID]vcs.Kind {
	t.Helper()
	out := map[vcs.ID]vcs.Kind{}
	set := must(packfile.Select(context.Background(), r, packfile.Selection{Wants: tips}))(t)
	for id := range set.IDs {
		kind, _, err := r.ReadObject(id)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = kind
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// additions walks and checks what holds for every walk: parts before wholes,
// nothing twice, contents that hash to their names, bases that were visited or
// are known.
func additions(t testing.TB, r vcs.AdditionReader, known map[vcs.ID]vcs.Kind, tips, haves []vcs.ID) map[vcs.ID]vcs.Kind {
	t.Helper()
	a, err := r.Additions(t.Context(), tips, haves, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[vcs.ID]vcs.Kind{}
	marks := map[any]vcs.ID{}
	commits := 0
	err = a.Each(t.Context(), func(x *vcs.Addition) (any, error) {
		if id := vcs.HashObject(x.Kind, x.Content); id != x.ID {
			return 0, fmt.Errorf("%v %v hashes to %v", x.Kind, x.ID, id)
		}
		if _, twice := got[x.ID]; twice {
			return 0, fmt.Errorf("%v %v comes twice", x.Kind, x.ID)
		}
		switch {
		case x.Base.IsZero():
		case vcs.HashObject(x.Kind, x.BaseContent) != x.Base:
			return 0, fmt.Errorf("%v: the base %v has another content", x.ID, x.Base)
		case x.BaseMark != nil && marks[x.BaseMark] != x.Base:
			return 0, fmt.Errorf("%v: the base %v has the mark of %v", x.ID, x.Base, marks[x.BaseMark])
		case x.BaseMark == nil && known[x.Base] != x.Kind:
			return 0, fmt.Errorf("%v: the base %v is not known", x.ID, x.Base)
		}
		if x.Kind == vcs.KindCommit {
			commits++
			if !a.Has(x.ID) {
				return 0, fmt.Errorf("Has does not know %v", x.ID)
			}
		}
		got[x.ID] = x.Kind
		mark := len(got)
		marks[mark] = x.ID
		return mark, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != a.Len() || commits != a.Commits() {
		t.Fatalf("%d objects, %d commits came, %d and %d were announced", len(got), commits, a.Len(), a.Commits())
	}
	return got
}

// TestAdditions: what a walk of the log visits is what the tips lead to and the
// known commits do not, on random histories with merges.
func TestAdditions(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			cfg := vcstest.HistoryConfig{Seed: seed, Steps: 120, Keys: 10 + int(seed)*30}
			native := reopen(t, nil, mem.NewNative())
			defer native.Close()
			ids := vcstest.RandomHistory(t, native, cfg)
			r := reopen(t, nil, mem.New())
			defer r.Close()
			vcstest.RandomHistory(t, r, cfg)
			rnd := rand.New(rand.NewPCG(seed, 2))
			for round := range 12 {
				var tips, haves []vcs.ID
				for range 1 + rnd.IntN(3) {
					tips = append(tips, ids[rnd.IntN(len(ids))])
				}
				for range min(round, 1+rnd.IntN(3)) {
					haves = append(haves, ids[rnd.IntN(len(ids))])
				}
				known := closure(t, native.Store(), haves...)
				got := additions(t, r.Store(), known, tips, append(haves, vcs.ID{1}))
				want := closure(t, native.Store(), tips...)
				for id, kind := range want {
					if got[id] == 0 && known[id] == 0 {
						t.Errorf("%v %v did not come", kind, id)
					}
				}
				for id, kind := range got {
					if want[id] != kind || kind == vcs.KindCommit && known[id] != 0 {
						t.Errorf("%v %v came", kind, id)
					}
				}
			}
		})
	}
}

// TestAdditionsAcrossEpochs: tips and known commits of several epochs, and what
// joins those.
func TestAdditionsAcrossEpochs(t *testing.T) {
	ctx := t.Context()
	r := reopen(t, nil, mem.New())
	defer r.Close()
	rnd := rand.New(rand.NewPCG(1, 1))
	var ids []vcs.ID
	for i := range 240 {
		branch := "primary"
		if i%5 == 4 {
			branch = "side"
		}
		if i == 4 {
			must(0, r.CreateBranch(ctx, "side", ids[2]))(t)
		}
		ids = append(ids, must(r.Set(ctx, branch, vcstest.Key(rnd.IntN(60)), strconv.Itoa(rnd.IntN(40)), vcs.CommitInfo{Message: strconv.Itoa(i)}))(t))
		if i%60 == 50 {
			must(r.Store().EndEpoch(ctx))(t)
		}
	}
	if err := r.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	s := r.Store()
	var all []vcs.ID
	for _, ref := range must(s.Refs())(t) {
		all = append(all, ref.Target)
	}
	plain := struct{ vcs.ObjectReader }{s}
	skipped := 0
	for round := range 16 {
		tips, haves := all, []vcs.ID(nil)
		if round > 0 {
			tips = []vcs.ID{all[rnd.IntN(len(all))], ids[rnd.IntN(len(ids))]}
		}
		for range round / 4 {
			haves = append(haves, ids[rnd.IntN(len(ids))], all[rnd.IntN(len(all))])
		}
		if _, err := s.Additions(ctx, tips, haves, nil); errors.Is(err, errors.ErrUnsupported) && round > 0 {
			skipped++
			continue // one branch alone, whose root is told by another one's
		}
		known := closure(t, plain, haves...)
		got := additions(t, s, known, tips, haves)
		for id, kind := range closure(t, plain, tips...) {
			if got[id] == 0 && known[id] == 0 {
				t.Errorf("round %d: %v %v did not come", round, kind, id)
			}
		}
	}
	if skipped > 8 {
		t.Errorf("%d of 16 walks are not supported", skipped)
	}
}

// TestAdditionsKnownUnsaved: a known commit counts before it is saved, and nobody
// waits for one that the store does not have.
func TestAdditionsKnownUnsaved(t *testing.T) {
	f := vcstest.NewFaulty(mem.New()).KeepLog()
	r := reopen(t, nil, f)
	defer r.Close()
	old := must(r.Set(t.Context(), "primary", "k", "1", vcs.CommitInfo{}))(t)
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := f.Hold()
	defer release()
	known := must(r.Set(t.Context(), "primary", "k", "2", vcs.CommitInfo{}))(t)
	s := r.Store()
	soon, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if a := must(s.Additions(soon, []vcs.ID{old}, []vcs.ID{{1}}, nil))(t); a.Commits() != 1 {
		t.Errorf("%d commits for somebody who has none, want 1", a.Commits())
	}
	time.AfterFunc(50*time.Millisecond, release)
	if a := must(s.Additions(t.Context(), []vcs.ID{old}, []vcs.ID{known}, nil))(t); a.Commits() != 0 {
		t.Errorf("%d commits for somebody who has a child of the tip, want none", a.Commits())
	}
}

func TestAdditionsRefused(t *testing.T) {
	ctx := t.Context()
	r := reopen(t, nil, mem.New())
	defer r.Close()
	id := must(r.Set(ctx, "primary", "a/b", "1", vcs.CommitInfo{}))(t)
	s := r.Store()
	if a := must(s.Additions(ctx, []vcs.ID{id}, nil, nil))(t); a.Commits() != 1 || a.Len() != 4 {
		t.Errorf("%d commits, %d objects, want 1 and 4", a.Commits(), a.Len())
	}
	if _, err := s.Additions(ctx, []vcs.ID{{1}}, nil, nil); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("a tip that is not there: %v", err)
	}
	tree := must(s.ReadCommit(id))(t).Tree
	if _, err := s.Additions(ctx, []vcs.ID{tree}, nil, nil); !errors.Is(err, vcs.ErrWrongKind) {
		t.Errorf("a tree: %v", err)
	}
	native := reopen(t, nil, mem.NewNative())
	defer native.Close()
	if _, err := native.Store().Additions(ctx, nil, nil, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a backend of objects: %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Additions(stopped, []vcs.ID{id}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who is gone: %v", err)
	}
}

// sameTime is that of commits that two stores make with equal ids.
var sameTime = time.Unix(1_792_000_000, 0)

// TestAdditionsOfRepeats: contents that come back again and again are counted
// and visited once.
func TestAdditionsOfRepeats(t *testing.T) {
	ctx := t.Context()
	native, r := reopen(t, nil, mem.NewNative()), reopen(t, nil, mem.New())
	defer native.Close()
	defer r.Close()
	var tip vcs.ID
	for i := range 200 {
		for _, x := range []*vcs.Repo[string, string]{native, r} {
			tip = must(x.Set(ctx, "primary", fmt.Sprintf("d%d/k", i%3), strconv.Itoa(i%5), vcs.CommitInfo{Message: strconv.Itoa(i), Time: sameTime}))(t)
		}
	}
	want := closure(t, native.Store(), tip)
	if got := additions(t, r.Store(), nil, []vcs.ID{tip}, nil); len(got) != len(want) {
		t.Errorf("%d objects, want %d", len(got), len(want))
	}
}

// TestAdditionsOfOldBranch: a branch goes off so far back that its state is not
// at hand any more, and makes what came later a second time.
func TestAdditionsOfOldBranch(t *testing.T) {
	ctx := t.Context()
	native, r := reopen(t, nil, mem.NewNative()), reopen(t, nil, mem.New())
	defer native.Close()
	defer r.Close()
	var tips []vcs.ID
	for _, x := range []*vcs.Repo[string, string]{native, r} {
		tips = nil
		set := func(branch, value string) vcs.ID {
			return must(x.Set(ctx, branch, "d/k", value, vcs.CommitInfo{Message: branch + value, Time: sameTime}))(t)
		}
		must(x.Set(ctx, "primary", "e/k", "1", vcs.CommitInfo{Time: sameTime}))(t)
		old := set("primary", "0")
		for i := range 2100 {
			set("primary", strconv.Itoa(1+i))
		}
		late := set("primary", "late")
		if err := x.CreateBranch(ctx, "late", late); err != nil {
			t.Fatal(err)
		}
		if err := x.CreateBranch(ctx, "old", old); err != nil {
			t.Fatal(err)
		}
		tips = append(tips, set("late", "later"), set("primary", "last"), set("old", "7"), set("old", "new"))
	}
	want := closure(t, native.Store(), tips...)
	if got := additions(t, r.Store(), nil, tips, nil); len(got) != len(want) {
		t.Errorf("%d objects, want %d", len(got), len(want))
	}
}

// BenchmarkAdditions goes through a history of one change a commit.
func BenchmarkAdditions(b *testing.B) {
	const n, commits = 10_000, 100_000
	w := newWorkload(n)
	back := mem.New()
	r, head := w.store(b, back)
	for range commits {
		head = w.step(b, r, head)
	}
	if err := r.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	s := r.Store()
	b.Run("count", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			must(s.Additions(b.Context(), []vcs.ID{head}, nil, nil))(b)
		}
		b.ReportMetric(float64(b.N)*commits/b.Elapsed().Seconds(), "commits/s")
	})
	b.Run("visit", func(b *testing.B) {
		b.ReportAllocs()
		a := must(s.Additions(b.Context(), []vcs.ID{head}, nil, nil))(b)
		b.ResetTimer()
		for range b.N {
			if err := a.Each(b.Context(), func(*vcs.Addition) (any, error) { return 1, nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*commits/b.Elapsed().Seconds(), "commits/s")
	})
	b.Run("pack", func(b *testing.B) {
		var buf bytes.Buffer
		for range b.N {
			buf.Reset()
			set := must(packfile.Select(b.Context(), s, packfile.Selection{Wants: []vcs.ID{head}}))(b)
			if _, err := set.Write(&buf, packfile.Options{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*commits/b.Elapsed().Seconds(), "commits/s")
		b.ReportMetric(float64(buf.Len())/commits, "B/commit")
	})
}
