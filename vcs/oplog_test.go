package vcs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// reopen closes a repository and opens a store on the same backend.
func reopen(t testing.TB, r *vcs.Repo[string, string], b vcs.Backend) *vcs.Repo[string, string] {
	t.Helper()
	if r != nil {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return must(vcs.Open(context.Background(), b, vcs.Config[string, string]{Merge: vcstest.Larger}))(t)
}

// everything returns all objects that refs lead to.
func everything(t testing.TB, src vcstest.Source) []vcs.Object {
	t.Helper()
	var sel packfile.Selection
	for _, r := range must(src.Refs())(t) {
		sel.Wants = append(sel.Wants, r.Target)
	}
	set := must(packfile.Select(context.Background(), src, sel))(t)
	var all []vcs.Object
	for id := range set.IDs {
		kind, content, err := src.ReadObject(id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vcs.Object{ID: id, Kind: kind, Content: content})
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// wantObjects reads objects by their names alone.
func wantObjects(t testing.TB, r vcs.ObjectReader, objs []vcs.Object) {
	t.Helper()
	bad := 0
	for _, o := range objs {
		kind, content, err := r.ReadObject(o.ID)
		if err != nil || kind != o.Kind || !bytes.Equal(content, o.Content) {
			t.Errorf("%v %v: %v, %d bytes, want %d: %v", o.Kind, o.ID, kind, len(content), len(o.Content), err)
			if bad++; bad > 5 {
				t.FailNow()
			}
		}
	}
}

// TestLogEqualsObjects: a store that keeps its commits in a log gives the same
// ids and the same bytes as one that keeps objects, when it is live and, in any
// order, after it was opened again.
func TestLogEqualsObjects(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := vcstest.HistoryConfig{Seed: seed, Steps: 150, Keys: 20 + int(seed)*30}
			native := reopen(t, nil, mem.NewNative())
			defer native.Close()
			want := vcstest.RandomHistory(t, native, cfg)
			back := mem.New()
			r := reopen(t, nil, back)
			if seed%2 == 0 { // each commit on its own, so that segments are folded
				r = syncing(t, r, cfg, want)
			} else if got := vcstest.RandomHistory(t, r, cfg); !slices.Equal(got, want) {
				t.Fatal("other commits than with objects")
			}
			all := everything(t, native.Store())
			wantObjects(t, r.Store(), all)
			rnd := rand.New(rand.NewPCG(seed, 1))
			for _, order := range []string{"forward", "backward", "random", "random"} {
				r = reopen(t, r, back)
				switch order {
				case "backward":
					slices.Reverse(all)
				case "random":
					rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				}
				wantObjects(t, r.Store(), all)
			}
			for _, path := range []string{"k0", "d1", "d2/d3.x", vcstest.Key(7), "none", vcstest.Key(3)} {
				for _, head := range []vcs.ID{want[len(want)-1], want[len(want)/2], want[10]} {
					got, want := pathLog(t, r, path, head), pathLog(t, native, path, head)
					if !slices.Equal(got, want) {
						t.Errorf("log of %s from %v: %d commits, want %d", path, head, len(got), len(want))
					}
				}
			}
			if _, _, err := r.Store().ReadObject(vcs.ID{1}); !errors.Is(err, vcs.ErrNotFound) {
				t.Errorf("an object that never was: %v", err)
			}
			vcstest.ExportTo(t, t.TempDir(), r.Store())
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func pathLog(t testing.TB, r *vcs.Repo[string, string], path string, head vcs.ID) (ids []vcs.ID) {
	t.Helper()
	for c, err := range r.Store().LogPath(path, head) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// syncing plays a history with a Sync whenever a ref moves.
func syncing(t *testing.T, r *vcs.Repo[string, string], cfg vcstest.HistoryConfig, want []vcs.ID) *vcs.Repo[string, string] {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := r.Store().Watch("")
	done := make(chan bool)
	go func() {
		for range w.All(ctx) {
			if err := r.Sync(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		close(done)
	}()
	if got := vcstest.RandomHistory(t, r, cfg); !slices.Equal(got, want) {
		t.Fatal("other commits than with objects")
	}
	cancel()
	<-done
	w.Close()
	return r
}

// TestLogGoesOn: a store that was opened again goes on with the same ids.
func TestLogGoesOn(t *testing.T) {
	back := mem.New()
	native := reopen(t, nil, mem.NewNative())
	defer native.Close()
	r := reopen(t, nil, back)
	for seed := range uint64(8) {
		cfg := vcstest.HistoryConfig{Seed: seed, Steps: 40}
		want := vcstest.RandomHistory(t, native, cfg)
		if got := vcstest.RandomHistory(t, r, cfg); !slices.Equal(got, want) {
			t.Fatalf("round %d: other commits than with objects", seed)
		}
		r = reopen(t, r, back)
	}
	wantObjects(t, r.Store(), everything(t, native.Store()))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLogAfterObjects: a backend that held objects goes on with a log.
func TestLogAfterObjects(t *testing.T) {
	back := mem.New()
	old := reopen(t, nil, struct {
		vcs.Backend
		vcs.ObjectReader
	}{back, back})
	native := reopen(t, nil, mem.NewNative())
	defer native.Close()
	cfg := vcstest.HistoryConfig{Seed: 3, Steps: 60}
	vcstest.RandomHistory(t, native, cfg)
	vcstest.RandomHistory(t, old, cfg)
	r := reopen(t, old, back)
	cfg.Seed = 4
	want := vcstest.RandomHistory(t, native, cfg)
	if got := vcstest.RandomHistory(t, r, cfg); !slices.Equal(got, want) {
		t.Fatal("other commits than with objects")
	}
	r = reopen(t, r, back)
	wantObjects(t, r.Store(), everything(t, native.Store()))
	vcstest.Export(t, r.Store())
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLogOfPushed: what comes by AddObjects is there, whether it fits the log
// or not: other modes, submodules, signed commits, odd time zones, tags, objects
// that no commit leads to.
func TestLogOfPushed(t *testing.T) {
	ctx := t.Context()
	back := mem.New()
	r := reopen(t, nil, back)
	base := must(r.Set(ctx, "primary", "dir/k", "value 1\n", info("base")))(t)
	if err := r.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	var objs []vcs.Object
	add := func(k vcs.Kind, content []byte) vcs.ID {
		id := vcs.HashObject(k, content)
		objs = append(objs, vcs.Object{ID: id, Kind: k, Content: content})
		return id
	}
	tree := func(es ...vcs.TreeEntry) vcs.ID { return add(vcs.KindTree, must(vcs.NewTree(es))(t).Content()) }
	blob := func(s string) vcs.ID { return add(vcs.KindBlob, []byte(s)) }
	baseTree := must(r.Store().ReadCommit(base))(t).Tree
	dir, _ := must(r.Store().ReadTree(baseTree))(t).Find("dir")
	commit := func(text string, args ...any) vcs.ID { return add(vcs.KindCommit, fmt.Appendf(nil, text, args...)) }
	who := "A U Thor <a@b> 1700000001 +0530\ncommitter C <c@d> 1700000002 -0800"
	modes := tree(dir,
		vcs.TreeEntry{Name: "run", Mode: vcs.ModeExecutable, ID: blob("#!/bin/sh\n")},
		vcs.TreeEntry{Name: "link", Mode: vcs.ModeSymlink, ID: blob("run")},
		vcs.TreeEntry{Name: "sub", Mode: vcs.ModeSubmodule, ID: vcs.ID{7}})
	c1 := commit("tree %v\nparent %v\nauthor %s\n\nmodes\n", modes, base, who)
	c2 := commit("tree %v\nparent %v\nparent %v\nauthor %s\nencoding latin1\ngpgsig a\n b\n c\n\nno newline", baseTree, c1, base, who)
	// A folder that holds nothing cannot be told as files.
	hollow := tree(dir, vcs.TreeEntry{Name: "hollow", Mode: vcs.ModeDir, ID: tree()})
	c3 := commit("tree %v\nparent %v\nauthor %s\n\nhollow\n", hollow, c2, who)
	c4 := commit("tree %v\nparent %v\nauthor %s\n\nafter\n", tree(dir, vcs.TreeEntry{Name: "dir.x", Mode: vcs.ModeFile, ID: blob("")}), c3, who)
	c5 := commit("tree %v\nparent %v\nauthor %s\n\nroot as file\n", tree(vcs.TreeEntry{Name: "dir", Mode: vcs.ModeFile, ID: blob("was a folder")}), c4, who)
	shallow := commit("tree %v\nparent %v\nauthor %s\n\nits parent is elsewhere\n", modes, vcs.ID{9}, who)
	tag := add(vcs.KindTag, fmt.Appendf(nil, "object %v\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nt\n", c5))
	blob("nobody leads here")
	if err := r.Store().AddObjects(ctx, objs); err != nil {
		t.Fatal(err)
	}
	if err := r.Store().UpdateRefs(ctx, []vcs.RefUpdate{{Name: "refs/heads/pushed", New: c5}, {Name: "refs/tags/v1", New: tag}}); err != nil {
		t.Fatal(err)
	}
	wantObjects(t, r.Store(), objs)
	for range 2 {
		if err := r.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		wantObjects(t, r.Store(), objs)
		if err := r.Store().AddObjects(ctx, objs); err != nil { // once more
			t.Fatal(err)
		}
		r = reopen(t, r, back)
		wantObjects(t, r.Store(), objs)
	}
	head := must(r.Set(ctx, "pushed", "k", "on top\n", info("on top")))(t)
	must(r.CreateTag(ctx, "v2", shallow, info("shallow")))(t)
	r = reopen(t, r, back)
	wantObjects(t, r.Store(), objs)
	if got := content(t, r, head.String()); got["k"] != "on top\n" || got["dir"] != "was a folder" {
		t.Errorf("content %q", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLogFailedApply: after a failed Apply, whether it was applied or not, every
// record is in the log once.
func TestLogFailedApply(t *testing.T) {
	for _, fault := range []vcstest.Fault{vcstest.FailFirst, vcstest.FailAfter} {
		synctest.Test(t, func(t *testing.T) {
			back := mem.New()
			f := vcstest.NewFaulty(back).KeepLog()
			r := reopen(t, nil, f)
			f.FailApply(func(n int) vcstest.Fault {
				if n%3 == 1 {
					return fault
				}
				return vcstest.NoFault
			})
			native := reopen(t, nil, mem.NewNative())
			for seed := range uint64(20) {
				cfg := vcstest.HistoryConfig{Seed: seed, Steps: 12}
				want := vcstest.RandomHistory(t, native, cfg)
				if got := vcstest.RandomHistory(t, r, cfg); !slices.Equal(got, want) {
					t.Fatal("other commits than with objects")
				}
				if err := r.Sync(t.Context()); err != nil && !errors.Is(err, vcstest.ErrInjected) {
					t.Fatal(err)
				}
			}
			for r.Sync(t.Context()) != nil {
			}
			if b := f.Batches(); len(b) < 10 {
				t.Errorf("only %d batches", len(b))
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = reopen(t, nil, back)
			wantObjects(t, r.Store(), everything(t, native.Store()))
			for _, x := range []*vcs.Repo[string, string]{r, native} {
				if err := x.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
