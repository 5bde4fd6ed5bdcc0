package vcs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestChangedPaths: what the log says that a commit changed is what its tree says,
// and a store that was told when a commit was made, rightly or wrongly, reads the
// same, as one does that begins in the middle of segments.
func TestChangedPaths(t *testing.T) {
	back := mem.New()
	s, err := vcs.OpenStore(t.Context(), back, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := vcs.New(s, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	base := time.Unix(1_700_000_000, 0)
	var made []vcs.ID
	for i := range 6_000 {
		info := vcs.CommitInfo{Message: fmt.Sprint("m ", i), Time: base.Add(time.Duration(i/5) * time.Second), AllowEmpty: true}
		head, _ := repo.Head("primary")
		if i%400 == 399 {
			if err := repo.CreateBranch(t.Context(), "side", made[i-20]); err != nil {
				t.Fatal(err)
			}
			side, err := repo.Set(t.Context(), "side", "on/the/side", fmt.Append(nil, i), info)
			if err != nil {
				t.Fatal(err)
			}
			res, err := repo.Merge(t.Context(), "primary", side, vcs.MergeOptions{CommitInfo: info})
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.DeleteBranch(t.Context(), "side", side); err != nil {
				t.Fatal(err)
			}
			made = append(made, res.Head)
			continue
		}
		var changes []vcs.Change[string, []byte]
		for range rng.IntN(3) {
			c := vcs.Change[string, []byte]{Key: fmt.Sprintf("d%d/k%d", rng.IntN(3), rng.IntN(9)), Value: vcs.Some(fmt.Append(nil, i))}
			if rng.IntN(4) == 0 {
				c.Value = vcs.None[[]byte]()
			}
			if !slices.ContainsFunc(changes, func(o vcs.Change[string, []byte]) bool { return o.Key == c.Key }) {
				changes = append(changes, c)
			}
		}
		id, err := repo.Commit(t.Context(), "primary", head, changes, info)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, id)
	}
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = vcs.OpenStore(t.Context(), back, vcs.StoreConfig{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found, want, err := vcs.ReadAnywhere(s, rng.IntN, 200)
	if err != nil || !slices.Equal(found, want) {
		t.Fatalf("ids depend on what was read before: %v", err)
	}
	told := 0
	for _, i := range rng.Perm(len(made))[:300] {
		switch rng.IntN(4) {
		case 0:
			s.Locate(made[i], base.Add(time.Duration(i/5)*time.Second), made[max(i-1, 0)])
		case 1:
			s.Locate(made[i], base.Add(time.Duration(rng.IntN(4000)-1000)*time.Second), vcs.ID{})
		case 2: // a lie
			s.Locate(made[i], base.Add(time.Duration(i/5)*time.Second), made[rng.IntN(len(made))])
		}
		c, err := s.ReadCommit(made[i])
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintln("m", i); i%400 != 399 && c.Message != want {
			t.Fatalf("read %q, want %q", c.Message, want)
		}
		for _, path := range []string{fmt.Sprintf("d%d/k%d", rng.IntN(3), rng.IntN(9)), "on/the/side", "d1", "nobody"} {
			sameFile(t, s, c, path)
		}
		paths, ok, err := s.ChangedPaths(made[i])
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if len(c.Parents) == 1 {
				t.Errorf("%v has one parent, and the log cannot tell", c.ID)
			}
			continue
		}
		told++
		p, err := s.ReadCommit(c.Parents[0])
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for ch, err := range vcs.DiffTrees(s, p.Tree, c.Tree) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, ch.Path)
		}
		slices.Sort(paths)
		if !slices.Equal(paths, want) {
			t.Fatalf("%v changed %q, want %q", c.ID, paths, want)
		}
	}
	if told < 250 {
		t.Errorf("the log told of %d", told)
	}
}

// sameFile reads a file as it is in a commit from its own changes and from the
// trees.
func sameFile(t *testing.T, s *vcs.Store, c *vcs.Commit, path string) {
	t.Helper()
	e, content, err := s.FileAt(c.ID, path)
	if err != nil {
		t.Fatal(err)
	}
	want := vcs.TreeEntry{Mode: vcs.ModeDir, ID: c.Tree}
	for name := range strings.SplitSeq(path, "/") {
		tree, err := s.ReadTree(want.ID)
		if err != nil {
			t.Fatal(err)
		}
		var ok bool
		if want, ok = tree.Find(name); !ok {
			want = vcs.TreeEntry{}
			break
		}
	}
	if e != want {
		t.Fatalf("%s in %v is %v, want %v", path, c.ID.Short(), e, want)
	}
	if want.Mode.Kind() != vcs.KindBlob || want.ID.IsZero() {
		return
	}
	if _, text, err := s.ReadObject(want.ID); err != nil || string(text) != string(content) {
		t.Fatalf("%s in %v holds %q, want %q, %v", path, c.ID.Short(), content, text, err)
	}
}
