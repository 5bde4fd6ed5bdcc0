package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/arp/versioned"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

// git runs stock git in a directory.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@x", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@x")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// withDriver clones a history as a person would, and sets the driver up as
// merge-driver --help says.
func withDriver(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "clone")
	must(t, "git", "clone", "-q", from, dir)
	git(t, dir, "config", "merge.arpeggio.name", "ARP table")
	git(t, dir, "config", "merge.arpeggio.driver", binary(t)+" merge-driver %O %A %B %P")
	if err := os.WriteFile(filepath.Join(dir, ".git", "info", "attributes"), []byte("**/v4/** merge=arpeggio\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Two nodes learn, move and lose the same few addresses, merge each other's
// work now and then, also criss-cross, and in the end stock git with our driver
// and our own merge make the same tree, whoever merges whom.
func TestStockGitMergesAsWeDo(t *testing.T) {
	need(t, "git")
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 3))
		bare := filepath.Join(t.TempDir(), "arp.git")
		dir, err := gitremote.CreateDir(bare, "refs/heads/left")
		if err != nil {
			t.Fatal(err)
		}
		s, err := vcs.OpenStore(t.Context(), dir, vcs.StoreConfig{Head: "left"})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := versioned.NewRepo(s)
		if err != nil {
			t.Fatal(err)
		}
		m := morning{ctx: t.Context(), repo: repo}
		m.commit("left", 0, "arp: initial empty cache")
		head, err := repo.Head("left")
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.CreateBranch(t.Context(), "right", head); err != nil {
			t.Fatal(err)
		}
		for sec := 1; sec <= 40; sec++ {
			side := []string{"left", "right"}[rng.IntN(2)]
			if rng.IntN(6) == 0 {
				other := map[string]string{"left": "right", "right": "left"}[side]
				from, err := s.Resolve(other + []string{"", "~1"}[rng.IntN(2)])
				if err != nil {
					continue
				}
				if _, err := repo.Merge(t.Context(), side, from, vcs.MergeOptions{CommitInfo: info(sec, "arp: merge")}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			r := row(uint16(rng.IntN(2)*5), byte(1+rng.IntN(6)), byte(1+rng.IntN(9)), sec)
			snap, err := repo.At(side)
			if err != nil {
				t.Fatal(err)
			}
			old, _, err := snap.Get(r.Key)
			if err != nil {
				t.Fatal(err)
			}
			// The clocks of the two nodes are seconds apart.
			r.Entry.Clock = max(r.Entry.Clock-int64(rng.IntN(3000)), old.Clock+1)
			if rng.IntN(4) == 0 {
				r.Entry.State = versioned.Expired
			}
			m.commit(side, sec, fmt.Sprintf("arp: %v", r.Key), r)
		}
		if m.err != nil {
			t.Fatal(m.err)
		}
		trees := map[string]bool{}
		for _, pair := range [][2]string{{"left", "right"}, {"right", "left"}} {
			trees[ours(t, repo, pair[0], pair[1])] = true
			if err := s.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			clone := withDriver(t, bare)
			git(t, clone, "checkout", "-q", "-B", "mine", "origin/"+pair[0])
			git(t, clone, "merge", "-q", "--no-edit", "origin/"+pair[1])
			trees[git(t, clone, "rev-parse", "HEAD^{tree}")] = true
		}
		if len(trees) != 1 {
			t.Errorf("seed %d: trees %v differ", seed, trees)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// ours merges on a branch of its own and returns the tree.
func ours(t *testing.T, repo *versioned.Repo, into, from string) string {
	t.Helper()
	a, err := repo.Head(into)
	if err != nil {
		t.Fatal(err)
	}
	b, err := repo.Head(from)
	if err != nil {
		t.Fatal(err)
	}
	name := "merged-" + into
	if err := repo.CreateBranch(t.Context(), name, a); err != nil {
		t.Fatal(err)
	}
	res, err := repo.Merge(t.Context(), name, b, vcs.MergeOptions{CommitInfo: info(100, "arp: merge")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := repo.Store().ReadCommit(res.Head)
	if err != nil {
		t.Fatal(err)
	}
	return c.Tree.String()
}

// A file that is no entry is a conflict for git, with our version left in place.
func TestTheDriverLeavesOtherFilesAlone(t *testing.T) {
	need(t, "git")
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "notes"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", "notes")
		git(t, dir, "commit", "-q", "-m", "notes")
	}
	write("a\n")
	git(t, dir, "branch", "side")
	write("b\n")
	git(t, dir, "checkout", "-q", "side")
	write("c\n")
	git(t, dir, "config", "merge.arpeggio.driver", binary(t)+" merge-driver %O %A %B %P")
	if err := os.WriteFile(filepath.Join(dir, ".git", "info", "attributes"), []byte("* merge=arpeggio\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "git", "-C", dir, "-c", "user.name=a", "-c", "user.email=a@x", "merge", "main")
	if err == nil || !strings.Contains(out, "not an ARP entry: the path notes is no address's") || !strings.Contains(out, "CONFLICT (content): Merge conflict in notes") {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "notes")); err != nil || string(b) != "c\n" {
		t.Errorf("notes holds %q, %v", b, err)
	}
	if ids := strings.Fields(git(t, dir, "ls-files", "-u")); len(ids) != 12 {
		t.Errorf("git sees %q", ids)
	}
}
