package history

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/internal/openrepo"
	"arpeggio/vcs"
)

// git runs stock git, the judge of these tests.
func git(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(cmd.Environ(), "TZ=UTC", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@x", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@x")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// open opens a Git directory.
func open(t *testing.T, dir string) *Resolver {
	t.Helper()
	repo, err := openrepo.Open(t.Context(), dir, openrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repo.Close() })
	return &Resolver{Store: repo.Store, Now: now, Detached: repo.Detached}
}

// start is the time of the first commit of random histories; each later one is
// a minute younger.
const start = 1767355200 // 2026-01-02 12:00:00 UTC

// randomHistory writes, with git fast-import, n commits with branches and
// merges, in which lines of three files come, change and go. Lines are unique and
// always in the same order, so that there is one shortest edit script.
func randomHistory(t *testing.T, seed uint64, n int) (dir string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	dir = filepath.Join(t.TempDir(), "random.git")
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	if out, err := exec.Command("git", "init", "-q", "--bare", "-b", "primary", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	names := []string{"a", "d/b", "d/e/c"}
	type state [3][]string
	var states []state // by mark
	tips := map[string]int{}
	var in strings.Builder
	place := map[string]float64{} // of each line among all
	for mark := 1; mark <= n; mark++ {
		branch := "primary"
		if mark > 3 && rng.IntN(2) == 0 {
			branch = fmt.Sprintf("side%d", rng.IntN(3))
		}
		from, ok := tips[branch]
		if !ok && mark > 1 {
			from = tips["primary"]
		}
		fmt.Fprintf(&in, "reset refs/heads/%s\n", branch)
		if from > 0 {
			fmt.Fprintf(&in, "from :%d\n", from)
		}
		fmt.Fprintf(&in, "commit refs/heads/%s\nmark :%d\ncommitter node%d <n@x> %d +0000\n", branch, mark, rng.IntN(3), start+60*mark)
		msg := fmt.Sprintf("change %d", mark)
		fmt.Fprintf(&in, "data %d\n%s\n", len(msg), msg)
		var now state
		if from > 0 {
			now = states[from-1]
			fmt.Fprintf(&in, "from :%d\n", from)
		}
		// A merge takes some files, or lines of them, from the other side.
		if others := len(tips); others > 1 && rng.IntN(3) == 0 {
			var all []string
			for b := range tips {
				all = append(all, b)
			}
			slices.Sort(all)
			if other := tips[all[rng.IntN(len(all))]]; other != from {
				fmt.Fprintf(&in, "merge :%d\n", other)
				for f := range now {
					switch rng.IntN(3) {
					case 0:
						now[f] = states[other-1][f]
					case 1:
						now[f] = mingle(rng, now[f], states[other-1][f], place)
					}
				}
			}
		}
		f := rng.IntN(len(names))
		lines := slices.Clone(now[f])
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(lines) + 1)
			line := fmt.Sprintf("line %d", len(place))
			before, after := 0.0, 1.0
			if at > 0 {
				before = place[lines[at-1]]
			}
			if at < len(lines) {
				after = place[lines[at]]
			}
			place[line] = before + (after-before)*(0.25+rng.Float64()/2)
			switch {
			case at < len(lines) && rng.IntN(3) == 0:
				lines = slices.Delete(lines, at, at+1)
			case at < len(lines) && rng.IntN(2) == 0:
				lines[at] = line
			default:
				lines = slices.Insert(lines, at, line)
			}
		}
		now[f] = lines
		for f, name := range names {
			text := strings.Join(append(slices.Clone(now[f]), ""), "\n")
			if text == "" {
				fmt.Fprintf(&in, "D %s\n", name)
			} else {
				fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
			}
		}
		states = append(states, now)
		tips[branch] = mark
	}
	git(t, dir, in.String(), "fast-import", "--quiet", "--force")
	return dir
}

// mingle takes some lines of both.
func mingle(rng *rand.Rand, a, b []string, place map[string]float64) (out []string) {
	for _, l := range append(slices.Clone(a), b...) {
		if rng.IntN(4) > 0 && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(x, y string) int { return cmp.Compare(place[x], place[y]) })
	return out
}

func fields(s string) []string { return strings.Fields(s) }

// ids collects what Log yields.
func ids(t *testing.T, r *Resolver, opt LogOptions) []string {
	t.Helper()
	out := []string{}
	for l, err := range Log(r.Store, opt) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l.ID.String())
	}
	return out
}

func resolve(t *testing.T, r *Resolver, rev string) *vcs.Commit {
	t.Helper()
	got, err := r.Resolve(rev)
	if err != nil {
		t.Fatal(err)
	}
	return got.Commit
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestLogIsGits(t *testing.T) {
	for seed := range uint64(6) {
		dir := randomHistory(t, seed, 60)
		r := open(t, dir)
		head := []vcs.ID{resolve(t, r, "HEAD").ID}
		equal(t, "log", ids(t, r, LogOptions{From: head}), fields(git(t, dir, "", "log", "--format=%H")))
		for _, path := range []string{"a", "d/b", "d", "d/e", "nowhere"} {
			specs := []Spec{ParseSpec(path)}
			equal(t, "log -- "+path, ids(t, r, LogOptions{From: head, Specs: specs}),
				fields(git(t, dir, "", "log", "--format=%H", "--", path)))
			equal(t, "log --graph -- "+path, ids(t, r, LogOptions{From: head, Specs: specs, Graph: true}),
				drawn(git(t, dir, "", "log", "--graph", "--format=%H", "--", path)))
		}
		equal(t, "log -- a d/b", ids(t, r, LogOptions{From: head, Specs: []Spec{ParseSpec("a"), ParseSpec("d/b")}}),
			fields(git(t, dir, "", "log", "--format=%H", "--", "a", "d/b")))
		side := git(t, dir, "", "for-each-ref", "--format=%(refname:short)", "refs/heads/side*")
		for _, b := range fields(side) {
			from, not := resolve(t, r, b).ID, head
			equal(t, "log primary.."+b, ids(t, r, LogOptions{From: []vcs.ID{from}, Not: not}),
				fields(git(t, dir, "", "log", "--format=%H", "primary.."+b)))
		}
		equal(t, "log --all --graph", ids(t, r, LogOptions{From: r.Tips(), Graph: true}),
			drawn(git(t, dir, "", "log", "--all", "--graph", "--format=%H")))
		since, until := start+60*20, start+60*40
		equal(t, "log --since --until", ids(t, r, LogOptions{From: head, Since: unix(since), Until: unix(until)}),
			fields(git(t, dir, "", "log", "--format=%H", fmt.Sprint("--since=", since), fmt.Sprint("--until=", until))))
		equal(t, "log -n 5", ids(t, r, LogOptions{From: head, Max: 5}), fields(git(t, dir, "", "log", "-n", "5", "--format=%H")))
	}
}

// drawn takes the ids out of a graph.
func drawn(graph string) []string {
	return slices.DeleteFunc(fields(graph), func(f string) bool { return len(f) != 40 })
}

func TestBlameIsGits(t *testing.T) {
	lines := 0
	for seed := range uint64(6) {
		dir := randomHistory(t, 100+seed, 60)
		r := open(t, dir)
		head := resolve(t, r, "HEAD")
		for _, path := range []string{"a", "d/b", "d/e/c"} {
			found, err := Find(r.Store, head.Tree, []Spec{ParseSpec(path)})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				continue
			}
			var want []string
			for l := range strings.Lines(git(t, dir, "", "blame", "--line-porcelain", "HEAD", "--", path)) {
				if f := strings.Fields(l); len(f) > 0 && len(f[0]) == 40 {
					want = append(want, f[0])
				}
			}
			blamed, err := Blame(t.Context(), r.Store, path, head)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range blamed {
				got = append(got, l.Commit.ID.String())
			}
			equal(t, fmt.Sprint("seed ", seed, ": blame ", path), got, want)
			lines += len(got)
		}
	}
	if lines < 100 {
		t.Fatalf("only %d lines were compared", lines)
	}
}

// What we print as a patch, git applies.
func TestPatchesApply(t *testing.T) {
	for seed := range uint64(6) {
		dir := randomHistory(t, 200+seed, 40)
		r := open(t, dir)
		all := ids(t, r, LogOptions{From: r.Tips()})
		for i := 0; i+7 < len(all); i += 7 {
			a, b := resolve(t, r, all[i+7]), resolve(t, r, all[i])
			var patch, names strings.Builder
			for ch, err := range vcs.DiffTrees(r.Store, a.Tree, b.Tree) {
				if err != nil {
					t.Fatal(err)
				}
				names.WriteString(ch.Path + "\n")
				for l, err := range Patch(r.Store, ch) {
					if err != nil {
						t.Fatal(err)
					}
					patch.WriteString(l.Text + "\n")
				}
			}
			equal(t, "changed files", fields(names.String()), fields(git(t, dir, "", "diff", "--name-only", "--no-renames", a.ID.String(), b.ID.String())))
			if patch.Len() == 0 {
				continue
			}
			index := filepath.Join(t.TempDir(), "index")
			env := func(args ...string) string {
				return git(t, dir, patch.String(), append([]string{"-c", "core.bare=false", "--work-tree=" + t.TempDir()}, args...)...)
			}
			t.Setenv("GIT_INDEX_FILE", index)
			env("read-tree", a.ID.String())
			env("apply", "--cached", "-")
			if got := strings.TrimSpace(env("write-tree")); got != b.Tree.String() {
				t.Fatalf("seed %d: the patch from %v to %v makes tree %s, not %v", seed, a.ID, b.ID, got, b.Tree)
			}
			t.Setenv("GIT_INDEX_FILE", "")
		}
	}
}

// The first bad commit is the one that everything bad contains.
func TestBisectFindsTheCommit(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for seed := range uint64(5) {
		dir := randomHistory(t, 300+seed, 50)
		r := open(t, dir)
		head := resolve(t, r, "HEAD")
		all := ids(t, r, LogOptions{From: []vcs.ID{head.ID}})
		root, err := vcs.ParseID(all[len(all)-1])
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			culprit, err := vcs.ParseID(all[rng.IntN(len(all)-1)])
			if err != nil {
				t.Fatal(err)
			}
			b, err := NewBisection(r.Store, []vcs.ID{root}, head.ID)
			if err != nil {
				t.Fatal(err)
			}
			tests := 0
			for b.Left() > 1 {
				id, ok, err := b.Next()
				if err != nil || !ok {
					t.Fatal(ok, err)
				}
				bad, err := r.Store.IsAncestor(culprit, id)
				if err != nil {
					t.Fatal(err)
				}
				v := Good
				if bad {
					v = Bad
				}
				if err := b.Mark(id, v); err != nil {
					t.Fatal(err)
				}
				tests++
			}
			if b.Bad() != culprit || tests > 12 {
				t.Fatalf("seed %d: found %v after %d tests, want %v", seed, b.Bad(), tests, culprit)
			}
		}
	}
}
