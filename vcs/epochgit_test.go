package vcs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// bundled clones what a store holds, with all refs, by stock git.
func bundled(t *testing.T, s *vcs.Store, only string) string {
	t.Helper()
	refs := must(s.Refs())(t)
	var some []vcs.Ref
	for _, r := range refs {
		if strings.HasPrefix(r.Name, only) {
			some = append(some, r)
		}
	}
	dir := t.TempDir()
	f := must(os.Create(filepath.Join(dir, "b.bundle")))(t)
	if err := packfile.WriteBundle(t.Context(), f, s, some, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	vcstest.Git(t, dir, "init", "-q", "--bare", "r.git")
	git := filepath.Join(dir, "r.git")
	vcstest.Git(t, git, "fetch", "-q", f.Name(), "+refs/*:refs/*")
	vcstest.Git(t, git, "fsck", "--strict", "--no-dangling")
	return git
}

// What stock git makes of roots and replacements: the same ids; a clone from
// before an epoch that fetches the replacements fast-forwards to it.
func TestEpochsInStockGit(t *testing.T) {
	b := mem.New()
	r := openOn(t, b, vcs.Config[string, string]{Merge: vcstest.Larger})
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 7, Steps: 80})
	head := heads(r)[0]
	old := bundled(t, r.Store(), "refs/heads/")
	for i := range 2 {
		if _, err := r.Store().EndEpoch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Set(t.Context(), head.Name, "new", fmt.Sprint(i), vcs.CommitInfo{Message: "new"}); err != nil {
			t.Fatal(err)
		}
	}
	whole := bundled(t, r.Store(), "refs/")
	grafts := 0
	for _, e := range r.Store().Epochs() {
		for _, root := range e.Roots {
			c, err := r.Store().ReadCommit(root.Root)
			if err != nil {
				t.Fatal(err)
			}
			if e.Number == 1 { // stands for none
				if len(c.Parents) > 0 || !root.Old.IsZero() {
					t.Errorf("the first epoch begins with %v, which stands for %v and has parents %v", root.Root, root.Old, c.Parents)
				}
				continue
			}
			args := []string{"replace", "--graft", "-f", root.Root.String(), root.Old.String()}
			for _, p := range c.Parents {
				args = append(args, p.String())
			}
			vcstest.Git(t, whole, args...)
			if got := strings.TrimSpace(vcstest.Git(t, whole, "rev-parse", "refs/replace/"+root.Root.String())); got != root.Replacement.String() {
				t.Errorf("git replace --graft makes %s, not %v", got, root.Replacement)
			}
			grafts++
		}
	}
	if grafts < 4 {
		t.Fatalf("%d roots", grafts)
	}
	now, err := r.Head(head.Name)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := gitCode(t, whole, "merge-base", "--is-ancestor", head.Head.String(), now.String()); code != 0 {
		t.Errorf("the old head is no ancestor of the new one for git: %s", out)
	}
	// An old clone that fetches the replacements fast-forwards.
	vcstest.Git(t, old, "fetch", "-q", whole, "refs/replace/*:refs/replace/*")
	vcstest.Git(t, old, "fetch", "-q", whole, "refs/heads/"+head.Name+":refs/heads/"+head.Name)
	if got := strings.TrimSpace(vcstest.Git(t, old, "rev-parse", "refs/heads/"+head.Name)); got != now.String() {
		t.Errorf("the clone is at %s", got)
	}
	vcstest.Git(t, old, "fsck", "--strict", "--no-dangling")
	// Without the epochs before, a clone of the rest is whole, too.
	for _, n := range []int{1, 2} {
		if err := vcs.DropEpoch(r.Store(), n, "of a test"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	bundled(t, r.Store(), "refs/")
}

// Writes to the refs that the store keeps by itself are refused.
func TestReservedRefs(t *testing.T) {
	r := open(t, vcs.Config[string, string]{})
	id, err := r.Set(t.Context(), "primary", "k", "v", vcs.CommitInfo{})
	if err != nil {
		t.Fatal(err)
	}
	// A store without epochs may hold those of others.
	if err := r.Store().UpdateRefs(t.Context(), []vcs.RefUpdate{{Name: "refs/epochs/7", New: id}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store().EndEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"refs/heads/" + vcs.LedgerBranch, "refs/heads/history/minute", "refs/epochs/1", "refs/replace/" + id.String()} {
		err := r.Store().UpdateRefs(t.Context(), []vcs.RefUpdate{{Name: ref, New: id}})
		if err == nil || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := r.Set(t.Context(), vcs.LedgerBranch, "k", "v", vcs.CommitInfo{}); err == nil {
		t.Error("a commit on the ledger")
	}
}
