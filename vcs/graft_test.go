package vcs_test

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// grafted is what a map becomes when a tree takes the place of a folder.
func grafted(m map[string]string, from map[string]string, fromDir, dir string) map[string]string {
	inside := func(path, dir string) (string, bool) {
		if dir == "" {
			return path, true
		}
		return strings.CutPrefix(path, dir+"/")
	}
	out := map[string]string{}
	for k, v := range m {
		if _, ok := inside(k, dir); !ok {
			out[k] = v
		}
	}
	for k, v := range from {
		if below, ok := inside(k, fromDir); ok {
			out[strings.TrimPrefix(dir+"/"+below, "/")] = v
		}
	}
	return out
}

// Both ways to graft agree with each other and with copying the keys.
func TestGraft(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 9, Steps: 80})
	dirs := []string{"", "d0", "d1", "d2/d1", "new", "new/deep/er", "d0/d0.x"}
	for i := range 60 {
		src, dst := all[(i*13)%len(all)], all[(i*29+3)%len(all)]
		from, to := dirs[i%len(dirs)], dirs[(i/2)%len(dirs)]
		snap := must(r.AtCommit(src))(t)
		tree := must(snap.Subtree(from))(t)
		before := must(must(r.AtCommit(dst))(t).Map())(t)
		want := grafted(before, must(snap.Map())(t), from, to)
		var trees []vcs.ID
		for _, way := range []string{"repo", "tx"} {
			branch := fmt.Sprintf("%s%d", way, i)
			if err := r.CreateBranch(ctx, branch, dst); err != nil {
				t.Fatal(err)
			}
			var err error
			if way == "repo" {
				_, err = r.Graft(ctx, branch, to, tree, info("graft"))
			} else {
				_, err = r.Update(ctx, branch, vcs.TxOptions{CommitInfo: info("graft")}, func(tx *vcs.Tx[string, string]) error {
					if to != "" { // undone by the graft
						tx.Set(to+"/set-before", "x")
					}
					return tx.Graft(to, tree)
				})
			}
			if err != nil {
				t.Fatalf("%s: %q to %q: %v", way, from, to, err)
			}
			if got := content(t, r, branch); !maps.Equal(got, want) {
				t.Errorf("%s: %q to %q:\n got %v\nwant %v", way, from, to, got, want)
			}
			trees = append(trees, must(r.At(branch))(t).Tree())
		}
		if trees[0] != trees[1] {
			t.Errorf("%q to %q: the two ways differ", from, to)
		}
	}
	vcstest.ExportTo(t, t.TempDir(), r.Store())
}

func TestGraftRefuses(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	head := must(r.Set(ctx, "p", "d/f", "1", info("one")))(t)
	snap := must(r.AtCommit(head))(t)
	tree := must(snap.Subtree("d"))(t)
	blob, _, _ := snap.Stat("d/f")
	for _, c := range []struct {
		name, dir string
		tree      vcs.ID
		want      error
	}{
		{"file in the way", "d/f", tree, vcs.ErrBadPath},
		{"file above", "d/f/g", tree, vcs.ErrBadPath},
		{"bad name", "d/../e", tree, vcs.ErrBadPath},
		{"git's own folder", ".git", tree, vcs.ErrBadPath},
		{"no such tree", "e", vcs.ID{1}, vcs.ErrNotFound},
		{"a blob", "e", blob.ID, vcs.ErrWrongKind},
		{"a commit", "e", head, vcs.ErrWrongKind},
	} {
		if _, err := r.Graft(ctx, "p", c.dir, c.tree, info("x")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		_, err := r.Update(ctx, "p", vcs.TxOptions{CommitInfo: info("x")}, func(tx *vcs.Tx[string, string]) error {
			return tx.Graft(c.dir, c.tree)
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s, in a transaction: %v, want %v", c.name, err, c.want)
		}
	}
	if now := must(r.Head("p"))(t); now != head {
		t.Error("the branch moved")
	}
	if id := must(r.Graft(ctx, "p", "d", tree, info("same")))(t); id != head {
		t.Error("a graft of what is there makes a commit")
	}
	if must(r.Graft(ctx, "p", "d", vcs.ID{}, info("none")))(t); len(content(t, r, "p")) != 0 {
		t.Error("the folder is still there")
	}
	must(r.Graft(ctx, "fresh", "a/b", tree, info("new branch")))(t)
	if got := content(t, r, "fresh"); got["a/b/f"] != "1" {
		t.Errorf("%v", got)
	}
}

// number takes only what it writes.
type number struct{}

func (number) Encode(n int) ([]byte, error) { return strconv.AppendInt(nil, int64(n), 10), nil }
func (number) Decode(b []byte) (int, error) { return strconv.Atoi(string(b)) }

type onlyN struct{ vcs.Paths }

func (onlyN) Key(path string) (string, bool) { return path, strings.HasPrefix(path, "n/") }

// A transaction keeps to keys and values; a graft of a commit does not look.
func TestGraftInTransactionKeepsToKeys(t *testing.T) {
	ctx := t.Context()
	raw := open(t, vcs.Config[string, string]{})
	r := must(vcs.New(raw.Store(), vcs.Config[string, int]{Layout: onlyN{}, Codec: number{}}))(t)
	for text, want := range map[string]error{"7": nil, "x": vcs.ErrDecode, "007": vcs.ErrDecode} {
		branch := "b" + text
		src := must(raw.Set(ctx, branch, "s/k", text, info(text)))(t)
		tree := must(must(raw.AtCommit(src))(t).Subtree("s"))(t)
		for dir, want := range map[string]error{"n": want, "other": vcs.ErrBadPath} {
			_, err := r.Update(ctx, branch, vcs.TxOptions{}, func(tx *vcs.Tx[string, int]) error { return tx.Graft(dir, tree) })
			if !errors.Is(err, want) {
				t.Errorf("%q below %s: %v, want %v", text, dir, err, want)
			}
		}
		if _, err := r.Graft(ctx, branch, "other", tree, info("opaque")); err != nil {
			t.Error(err)
		}
	}
}

func TestGraftInTransactionIsSeen(t *testing.T) {
	ctx := t.Context()
	r := must(vcs.Open(ctx, mem.New(), vcs.Config[string, string]{}))(t)
	defer r.Close()
	a := must(r.Update(ctx, "p", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		tx.Set("old/x", "1")
		tx.Set("old/y", "2")
		tx.Set("new/z", "3")
		return nil
	}))(t)
	tree := must(must(r.AtCommit(a))(t).Subtree("old"))(t)
	must(r.Update(ctx, "p", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		tx.Set("new/z/w", "pending")
		if err := tx.Graft("new", tree); err != nil {
			return err
		}
		tx.Set("new/y", "on top")
		for k, want := range map[string]string{"new/x": "1", "new/y": "on top", "new/z": "", "new/z/w": "", "old/y": "2"} {
			if v, ok, err := tx.Get(k); v != want || ok != (want != "") || err != nil {
				t.Errorf("%s = %q, %v, %v", k, v, ok, err)
			}
		}
		return nil
	}))(t)
	if got := content(t, r, "p"); len(got) != 4 || got["new/y"] != "on top" {
		t.Errorf("%v", got)
	}
}
