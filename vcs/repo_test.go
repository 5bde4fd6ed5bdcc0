package vcs_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

func TestSnapshot(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	must(r.Update(ctx, "primary", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		for _, k := range []string{"a/b/1", "a/b/2", "a/c", "a0", "z"} {
			tx.Set(k, "v"+k)
		}
		return nil
	}))(t)
	s := must(r.At("primary"))(t)
	keys := func(dir string) string {
		var ks []string
		for k, err := range s.Keys(dir) {
			if err != nil {
				t.Fatal(err)
			}
			ks = append(ks, k)
		}
		var es []string
		for e, err := range s.All(dir) {
			if err != nil || e.Value != "v"+e.Key {
				t.Errorf("%v %v", e, err)
			}
			es = append(es, e.Key)
		}
		if !slices.Equal(ks, es) {
			t.Errorf("Keys %v, All %v", ks, es)
		}
		return strings.Join(ks, " ")
	}
	for dir, want := range map[string]string{
		"": "a/b/1 a/b/2 a/c a0 z", "a": "a/b/1 a/b/2 a/c", "a/b": "a/b/1 a/b/2", "/a/b/": "a/b/1 a/b/2",
		"a/c": "a/c", "none": "", "a/c/x": "",
	} {
		if got := keys(dir); got != want {
			t.Errorf("keys below %q: %s, want %s", dir, got, want)
		}
	}
	for range s.Keys("") {
		break // an iteration may be left early
	}
	if l := must(s.List("a"))(t); len(l) != 2 || l[0].Name != "b" || !l[0].Mode.IsDir() || l[1].Name != "c" {
		t.Errorf("List %v", l)
	}
	if l, err := s.List("a/c"); l != nil || err != nil {
		t.Errorf("List of a file: %v %v", l, err)
	}
	for k, want := range map[string]bool{"a/c": true, "a": false, "a/b": false, "none": false, "a/c/d": false} {
		if has, err := s.Has(k); has != want || err != nil {
			t.Errorf("Has %q: %v %v", k, has, err)
		}
		if _, ok, err := s.Get(k); ok != want || err != nil {
			t.Errorf("Get %q: %v %v", k, ok, err)
		}
	}
	empty := must(r.AtCommit(vcs.ID{}))(t)
	if m := must(empty.Map())(t); len(m) != 0 || empty.Tree() != vcs.EmptyTree {
		t.Errorf("empty map %v", m)
	}
}

func TestBranches(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	a := must(r.Set(ctx, "primary", "k", "1", info("a")))(t)
	b := must(r.Set(ctx, "primary", "k", "2", info("b")))(t)
	if err := r.CreateBranch(ctx, "node/x", a); err != nil {
		t.Fatal(err)
	}
	if err := r.CreateBranch(ctx, "node/x", a); !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("second creation: %v", err)
	}
	if moved, err := r.FastForward(ctx, "node/x", b); !moved || err != nil {
		t.Errorf("fast-forward: %v %v", moved, err)
	}
	if moved, err := r.FastForward(ctx, "node/x", b); moved || err != nil {
		t.Errorf("fast-forward to where it is: %v %v", moved, err)
	}
	if _, err := r.FastForward(ctx, "node/x", a); !errors.Is(err, vcs.ErrNotFastForward) {
		t.Errorf("backwards: %v", err)
	}
	if moved, err := r.FastForward(ctx, "new", a); !moved || err != nil {
		t.Errorf("fast-forward of a new branch: %v %v", moved, err)
	}
	if got := fmt.Sprint(r.Branches()); got != fmt.Sprint([]vcs.Branch{{Name: "new", Head: a}, {Name: "node/x", Head: b}, {Name: "primary", Head: b}}) {
		t.Errorf("branches %s", got)
	}
	if err := r.DeleteBranch(ctx, "node/x", a); !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("deletion with an outdated head: %v", err)
	}
	if err := r.DeleteBranch(ctx, "node/x", b); err != nil {
		t.Error(err)
	}
	if _, err := r.Head("node/x"); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("head of a deleted branch: %v", err)
	}
}

func TestResolve(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	a := must(r.Set(ctx, "primary", "k", "1", info("a")))(t)
	b := must(r.Set(ctx, "primary", "k", "2", info("b")))(t)
	if err := r.CreateBranch(ctx, "side", a); err != nil {
		t.Fatal(err)
	}
	c := must(r.Set(ctx, "side", "x", "3", info("c")))(t)
	m := must(r.Merge(ctx, "primary", c, vcs.MergeOptions{}))(t).Head
	tag := must(r.CreateTag(ctx, "v1", b, info("a tag")))(t)
	must(r.CreateTag(ctx, "light", a, info("")))(t)
	if tag == b {
		t.Error("an annotated tag is a commit")
	}
	dir := vcstest.Export(t, r.Store())
	for rev, want := range map[string]vcs.ID{
		"primary": m, "HEAD": m, "refs/heads/side": c, "heads/side": c, "v1": b, "light": a, "tags/light": a,
		m.String(): m, tag.String(): b, "primary~1": b, "primary^": b, "primary^2": c, "primary~2": a, "primary^2~1": a,
		"primary^0": m, "v1^0": b, "v1~": a, "primary~0": m, "HEAD^^": a,
	} {
		if got, err := r.Resolve(rev); got != want || err != nil {
			t.Errorf("%s: %v %v, want %v", rev, got, err, want)
		}
		if out := vcstest.Git(t, dir, "rev-parse", rev+"^{commit}"); out != want.String() {
			t.Errorf("git says that %s is %s, not %v", rev, out, want)
		}
	}
	for _, rev := range []string{"", "none", "primary~9", "primary^3", "primary~x", "primary^{commit}", "~", a.Short(), "primary~99999999999999999999"} {
		if _, err := r.Resolve(rev); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", rev, err)
		}
	}
	if _, err := r.Resolve(vcs.EmptyTree.String()); err == nil {
		t.Error("a tree resolved to a commit")
	}
}

func TestLastModified(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	must(r.Set(ctx, "primary", "k", "1", info("a")))(t)
	want := must(r.Set(ctx, "primary", "k", "2", info("b")))(t)
	head := must(r.Set(ctx, "primary", "other", "2", info("c")))(t)
	if c, err := r.LastModified("k", head); err != nil || c.ID != want {
		t.Errorf("%v %v", c, err)
	}
	if _, err := r.LastModified("none", head); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := r.LastModified("k", vcs.ID{1}); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// TestFastImport: git, given the contents of a history without any id, makes
// the same ids.
func TestFastImport(t *testing.T) {
	for seed := range uint64(3) {
		r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
		vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed + 100})
		from, to := t.TempDir(), t.TempDir()
		vcstest.ExportTo(t, from, r.Store())
		stream := vcstest.Git(t, from, "fast-export", "--all", "--signed-tags=strip")
		vcstest.Git(t, to, "init", "-q", "--bare", ".")
		vcstest.GitInput(t, to, []byte(stream+"\n"), "fast-import", "--quiet")
		const format = "--format=%(refname) %(objectname)"
		if a, b := vcstest.Git(t, from, "for-each-ref", format), vcstest.Git(t, to, "for-each-ref", format); a != b {
			t.Errorf("seed %d:\n%s\ngit made:\n%s", seed, a, b)
		}
	}
}

// odd accepts only text that starts with "v".
type odd struct{ vcs.Raw[string] }

func (odd) Decode(b []byte) (string, error) {
	if !strings.HasPrefix(string(b), "v") {
		return "", errors.New("does not start with v")
	}
	return string(b), nil
}

// TestUndecodable: a value that somebody else put there is an error where it is
// read, a conflict where it is merged, and nothing elsewhere.
func TestUndecodable(t *testing.T) {
	ctx := t.Context()
	raw := open(t, vcs.Config[string, string]{})
	r := must(vcs.New(raw.Store(), vcs.Config[string, string]{Codec: odd{}, Merge: vcstest.Larger}))(t)
	base := must(r.Set(ctx, "primary", "good", "v1", info("a")))(t)
	must(r.Set(ctx, "primary", "bad", "v1", info("b")))(t)
	if err := r.CreateBranch(ctx, "theirs", base); err != nil {
		t.Fatal(err)
	}
	theirs := must(raw.Set(ctx, "theirs", "bad", "x", info("foreign")))(t)
	s := must(r.AtCommit(theirs))(t)
	if _, _, err := s.Get("bad"); !errors.Is(err, vcs.ErrDecode) || !strings.Contains(err.Error(), "bad") {
		t.Errorf("Get: %v", err)
	}
	good := 0
	for e, err := range s.All("") {
		if (e.Key == "bad") != errors.Is(err, vcs.ErrDecode) {
			t.Errorf("%v %v", e, err)
		}
		good++
	}
	if good != 2 {
		t.Errorf("the iteration ended after %d keys", good)
	}
	res, err := r.Merge(ctx, "primary", theirs, vcs.MergeOptions{})
	if !errors.Is(err, vcs.ErrConflict) || len(res.Conflicts) != 1 || !errors.Is(res.Conflicts[0].Err, vcs.ErrDecode) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestVerify(t *testing.T) {
	ctx := t.Context()
	back := mem.NewNative()
	r, err := vcs.Open(ctx, back, vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		t.Fatal(err)
	}
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 9, Steps: 60})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	st := must(back.Load(ctx))(t)
	whole := must(vcs.Verify(ctx, back, st.Refs, nil))(t)
	if !whole.OK() || whole.Commits < 30 || whole.Blobs == 0 {
		t.Errorf("%v", whole.String())
	}
	for what, damage := range map[string]func(vcs.Kind, []byte) (vcs.Kind, []byte, error){
		"missing": func(vcs.Kind, []byte) (vcs.Kind, []byte, error) { return 0, nil, vcs.ErrNotFound },
		"flipped": func(k vcs.Kind, b []byte) (vcs.Kind, []byte, error) { return k, append([]byte{'x'}, b...), nil },
	} {
		head := st.Refs[0]
		c := must(vcs.ParseCommit(readAll(t, back, head.Target)))(t)
		for _, id := range []vcs.ID{head.Target, c.Tree, c.Parents[0]} {
			rep := must(vcs.Verify(ctx, damaged{back, id, damage}, st.Refs, nil))(t)
			if len(rep.Problems) != 1 || rep.Problems[0].ID != id {
				t.Errorf("%s %v: %v", what, id, rep.String())
			}
		}
		known := func(id vcs.ID) bool { return id == head.Target }
		rep := must(vcs.Verify(ctx, damaged{back, c.Parents[0], damage}, st.Refs[:1], known))(t)
		if !rep.OK() || rep.Commits != 1 {
			t.Errorf("walked behind a known commit: %v", rep.String())
		}
	}
}

func readAll(t *testing.T, r vcs.ObjectReader, id vcs.ID) []byte {
	t.Helper()
	_, b, err := r.ReadObject(id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// damaged returns something else for one object.
type damaged struct {
	vcs.ObjectReader
	id     vcs.ID
	damage func(vcs.Kind, []byte) (vcs.Kind, []byte, error)
}

func (d damaged) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	kind, b, err := d.ObjectReader.ReadObject(id)
	if err == nil && id == d.id {
		return d.damage(kind, b)
	}
	return kind, b, err
}
