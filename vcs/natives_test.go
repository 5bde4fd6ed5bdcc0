package vcs_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// pushed makes objects as somebody else does.
type pushed struct {
	t    testing.TB
	s    *vcs.Store
	objs []vcs.Object
}

func (p *pushed) add(k vcs.Kind, content []byte) vcs.ID {
	id := vcs.HashObject(k, content)
	p.objs = append(p.objs, vcs.Object{ID: id, Kind: k, Content: content})
	return id
}

func (p *pushed) blob(s string) vcs.ID { return p.add(vcs.KindBlob, []byte(s)) }

func (p *pushed) tree(es ...vcs.TreeEntry) vcs.ID {
	return p.add(vcs.KindTree, must(vcs.NewTree(es))(p.t).Content())
}

// odd makes a commit that no log can tell, because a folder of it is empty.
func (p *pushed) odd(text string, parents ...vcs.ID) vcs.ID {
	tree := p.tree(vcs.TreeEntry{Name: "hollow", Mode: vcs.ModeDir, ID: p.tree()},
		vcs.TreeEntry{Name: "sub", Mode: vcs.ModeDir, ID: p.tree(vcs.TreeEntry{Name: "f", Mode: vcs.ModeFile, ID: p.blob("below " + text)})},
		vcs.TreeEntry{Name: "text", Mode: vcs.ModeFile, ID: p.blob(text)})
	b := fmt.Appendf(nil, "tree %v\n", tree)
	for _, x := range parents {
		b = fmt.Appendf(b, "parent %v\n", x)
	}
	return p.add(vcs.KindCommit, fmt.Appendf(b, "author A <a@b> 1700000001 +0000\ncommitter A <a@b> 1700000001 +0000\n\n%s\n", text))
}

func (p *pushed) tag(target vcs.ID, kind vcs.Kind, name string) vcs.ID {
	return p.add(vcs.KindTag, fmt.Appendf(nil, "object %v\ntype %v\ntag %s\ntagger A <a@b> 1 +0000\n\nt\n", target, kind, name))
}

// send stores what was made since, and moves refs.
func (p *pushed) send(refs ...vcs.RefUpdate) {
	p.t.Helper()
	if err := p.s.AddObjects(p.t.Context(), p.objs); err != nil {
		p.t.Fatal(err)
	}
	if err := p.s.UpdateRefs(p.t.Context(), refs); err != nil {
		p.t.Fatal(err)
	}
	if err := p.s.Sync(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.objs = nil
}

// kept counts what a backend keeps beside the log.
func kept(t testing.TB, b vcs.ObjectLister) (n int) {
	t.Helper()
	for _, err := range b.Objects() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func collect(t testing.TB, s *vcs.Store) {
	t.Helper()
	if _, err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestNativesLeave: what somebody pushed and the log cannot tell leaves when the
// epoch does that it was pushed into, and not before; what refs still lead to
// stays.
func TestNativesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		back := mem.New()
		cfg := vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main", Retention: vcs.Retention{MaxCommits: 1 << 30, Chains: []vcs.Chain{}}}}
		r := must(vcs.Open(ctx, back, cfg))(t)
		s := r.Store()
		first := must(r.Set(ctx, "main", "k", "v", info("first")))(t)
		p := &pushed{t: t, s: s}
		odd1 := p.odd("one", first)
		odd2 := p.odd("two", odd1)
		file := p.blob("a file that a tag names")
		p.send(vcs.RefUpdate{Name: "refs/heads/side", New: odd2},
			vcs.RefUpdate{Name: "refs/tags/commit", New: p.tag(odd1, vcs.KindCommit, "commit")},
			vcs.RefUpdate{Name: "refs/tags/file", New: p.tag(file, vcs.KindBlob, "file")})
		on := must(r.Set(ctx, "side", "hollow/x", "filled", info("on top")))(t)
		must(s.EndEpoch(ctx))(t)
		before := kept(t, back)
		collect(t, s)
		time.Sleep(vcs.MaxHeldFor)
		collect(t, s)
		if n := kept(t, back); n != before {
			t.Errorf("%d objects of %d are left while their epoch is here", n, before)
		}
		complete(t, s)
		must(r.Set(ctx, "main", "k", "w", info("second")))(t)
		if err := vcs.LetGo(s, 1); err != nil {
			t.Fatal(err)
		}
		complete(t, s)
		if _, ok := s.Ref("refs/tags/commit"); ok {
			t.Error("a tag of what has left is still there")
		}
		collect(t, s) // nothing leads to them now
		if n := kept(t, back); n != before {
			t.Errorf("%d objects of %d: no time was left to readers", n, before)
		}
		time.Sleep(vcs.MaxHeldFor)
		collect(t, s)
		if n := kept(t, back); n != 2 {
			t.Errorf("%d objects are left, want a tag and its file", n)
		}
		for _, id := range []vcs.ID{odd1, odd2, on} {
			if _, _, err := s.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
				t.Errorf("%v: %v", id, err)
			}
		}
		complete(t, s)
		// What was in memory of them was of no use to those who stay.
		snap := must(r.At("side"))(t)
		for k, want := range map[string]string{"hollow/x": "filled", "sub/f": "below two", "text": "two"} {
			if v, ok, err := snap.Get(k); v != want || !ok || err != nil {
				t.Errorf("%s is %q, %t, %v", k, v, ok, err)
			}
		}
		must(r.Set(ctx, "side", "sub/f", "changed", info("below")))(t)
		complete(t, s)
		vcstest.Export(t, s)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = must(vcs.Open(ctx, back, cfg))(t)
		complete(t, r.Store())
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNativesLeftBehind: what nothing leads to when a store is opened goes at
// once, except what somebody has read since; and what is pushed again meanwhile
// stays.
func TestNativesLeftBehind(t *testing.T) {
	ctx := t.Context()
	back := mem.New()
	cfg := vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main"}}
	r := must(vcs.Open(ctx, back, cfg))(t)
	must(r.Set(ctx, "main", "k", "v", info("first")))(t)
	p := &pushed{t: t, s: r.Store()}
	stay := p.odd("stays")
	read := p.odd("is read")
	again := p.odd("is pushed again")
	p.odd("goes")
	objs := p.objs
	p.send(vcs.RefUpdate{Name: "refs/heads/side", New: stay})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	all := kept(t, back)
	r = must(vcs.Open(ctx, back, cfg))(t)
	s := r.Store()
	if _, err := s.ReadCommit(read); err != nil {
		t.Fatal(err)
	}
	for _, o := range objs {
		if o.ID == again {
			if err := s.AddObjects(ctx, []vcs.Object{o}); err != nil {
				t.Fatal(err)
			}
		}
	}
	collect(t, s)
	if n := kept(t, back); n != all-5 { // commit, two trees, two files; the empty tree is all commits'
		t.Errorf("%d objects of %d are left", n, all)
	}
	for _, id := range []vcs.ID{read, again} {
		if err := r.CreateBranch(ctx, "at-"+id.Short(), id); err != nil {
			t.Error(err)
		}
	}
	complete(t, s)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNativeTreeCameAlone: a tree that was pushed by itself, while the log told
// its files, is kept with them once a commit that is kept natively has it.
func TestNativeTreeCameAlone(t *testing.T) {
	ctx := t.Context()
	back := mem.New()
	var log strings.Builder
	r := must(vcs.Open(ctx, back, vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main",
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), Retention: vcs.Retention{MaxCommits: 1 << 30, Chains: []vcs.Chain{}}}}))(t)
	defer r.Close()
	s := r.Store()
	must(r.Set(ctx, "main", "k", "told by the log", info("first")))(t)
	must(r.Remove(ctx, "main", "k", info("removed")))(t)
	p := &pushed{t: t, s: s}
	file := vcs.HashObject(vcs.KindBlob, []byte("told by the log"))
	alone := p.tree(vcs.TreeEntry{Name: "k", Mode: vcs.ModeFile, ID: file})
	p.send(vcs.RefUpdate{Name: "refs/tags/tree", New: alone})
	odd := p.add(vcs.KindTree, must(vcs.NewTree([]vcs.TreeEntry{{Name: "hollow", Mode: vcs.ModeDir, ID: p.tree()}, {Name: "sub", Mode: vcs.ModeDir, ID: alone}}))(t).Content())
	commit := p.add(vcs.KindCommit, fmt.Appendf(nil, "tree %v\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nodd\n", odd))
	p.send(vcs.RefUpdate{Name: "refs/tags/odd", New: commit})
	if _, _, err := back.ReadObject(file); err != nil {
		t.Errorf("the file is not kept with the commit: %v", err)
	}
	other := p.tree(vcs.TreeEntry{Name: "x", Mode: vcs.ModeFile, ID: vcs.HashObject(vcs.KindBlob, []byte("v2"))})
	must(r.Set(ctx, "main", "k", "v2", info("second")))(t)
	p.send(vcs.RefUpdate{Name: "refs/tags/other", New: other})
	must(s.EndEpoch(ctx))(t)
	must(r.Set(ctx, "main", "k", "v3", info("third")))(t)
	if err := vcs.LetGo(s, 1); err != nil {
		t.Fatal(err)
	}
	complete(t, s)
	for name, want := range map[string]bool{"odd": true, "tree": true, "other": false} {
		if _, ok := s.Ref("refs/tags/" + name); ok != want {
			t.Errorf("tag %s: %t", name, ok)
		}
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
	// A commit without a part of its tree is kept as it is, and said.
	hole := p.add(vcs.KindCommit, fmt.Appendf(nil, "tree %v\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nhole\n", vcs.ID{7}))
	p.send()
	if !strings.Contains(log.String(), vcs.ID{7}.String()) || !strings.Contains(log.String(), hole.String()) {
		t.Errorf("nobody says that a tree is missing: %s", log.String())
	}
}

// TestNativeParentInOldEpoch: a branch that leads into an old epoch through a
// commit which is kept natively comes into the current one before that leaves.
func TestNativeParentInOldEpoch(t *testing.T) {
	ctx := t.Context()
	r := tiny(t, 1<<30)
	defer r.Close()
	s := r.Store()
	first := must(r.Set(ctx, "main", "k", "v", info("first")))(t)
	must(s.EndEpoch(ctx))(t)
	must(r.Set(ctx, "main", "k", "w", info("second")))(t)
	p := &pushed{t: t, s: s}
	odd := p.odd("odd", first)
	p.send(vcs.RefUpdate{Name: "refs/heads/side", New: odd}, vcs.RefUpdate{Name: "refs/tags/odd", New: odd})
	if err := vcs.DropEpoch(s, 1, "test"); err == nil {
		t.Error("the epoch has left under a branch")
	}
	if err := vcs.LetGo(s, 1); err != nil {
		t.Fatal(err)
	}
	complete(t, s)
	if head := must(r.Head("side"))(t); !s.StandsFor(head, odd) {
		t.Errorf("the branch is at %v", head)
	}
	if _, ok := s.Ref("refs/tags/odd"); ok {
		t.Error("a tag leads to what has left")
	}
}
