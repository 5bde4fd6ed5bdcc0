package archive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// past is a store whose history is cut into epochs by hand.
type past struct {
	t      testing.TB
	repo   *vcs.Repo[string, string]
	epochs []vcs.Epoch
	roots  []vcs.EpochRoot // of the current epoch
	acked  [][]vcs.ID      // commits of each epoch, roots included
	now    int64
}

func newPast(t testing.TB) *past {
	t.Helper()
	r, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{Head: "b0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &past{t: t, repo: r, now: 1_800_000_000}
}

// live writes an epoch of a random history and ends it.
func (p *past) live(seed uint64, steps int) vcs.Epoch {
	p.t.Helper()
	ids := vcstest.RandomHistory(p.t, p.repo, vcstest.HistoryConfig{Seed: seed, Steps: steps})
	for _, r := range p.roots {
		ids = append(ids, r.Root)
	}
	return p.end(ids)
}

// goesOn is a branch that no epoch ends: its commits are in many of them.
const goesOn = "goes-on"

// more adds a commit to the branch that goes on and returns all it has, those of
// earlier calls being before.
func (p *past) more(before []vcs.ID) []vcs.ID {
	p.t.Helper()
	c := vcs.Commit{Author: vcs.Signature{Name: "n", Email: "n@example.com", When: time.Unix(p.now, 0)}, Message: fmt.Sprintf("more %d\n", len(before))}
	c.Committer = c.Author
	var old vcs.ID
	if len(before) > 0 {
		old = before[len(before)-1]
		c.Parents = []vcs.ID{old}
	}
	c.Tree = vcs.HashObject(vcs.KindTree, nil)
	content := c.Encode(nil)
	id := vcs.HashObject(vcs.KindCommit, content)
	err := p.repo.Store().AddObjects(context.Background(), []vcs.Object{{ID: c.Tree, Kind: vcs.KindTree}, {ID: id, Kind: vcs.KindCommit, Content: content}})
	if err == nil {
		err = p.repo.SetBranch(context.Background(), goesOn, old, id)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return append(before, id)
}

// end ends the epoch that has these commits and begins the next one.
func (p *past) end(ids []vcs.ID) vcs.Epoch {
	p.t.Helper()
	ctx := context.Background()
	refs, err := p.repo.Store().Refs()
	if err != nil {
		p.t.Fatal(err)
	}
	n := len(p.epochs) + 1
	slices.SortFunc(ids, func(a, b vcs.ID) int { return strings.Compare(a.String(), b.String()) })
	ids = slices.Compact(ids)
	e := vcs.Epoch{Number: n, State: vcs.EpochLive, Began: time.Unix(p.now, 0).UTC(), Roots: p.roots, Heads: refs, Commits: len(ids)}
	p.now += 1000
	e.Ended = time.Unix(p.now, 0).UTC()
	p.epochs, p.acked, p.roots = append(p.epochs, e), append(p.acked, ids), nil
	for _, r := range refs {
		branch, ok := strings.CutPrefix(r.Name, vcs.BranchRef(""))
		if !ok || branch == goesOn {
			continue
		}
		c, err := p.repo.Store().ReadCommit(r.Target)
		if err != nil {
			p.t.Fatal(err)
		}
		root := vcs.Commit{Tree: c.Tree, Author: c.Author, Committer: c.Committer,
			Message: fmt.Sprintf("epoch %d: %s\n\n%s: %d\n%s: %v\n", n+1, branch, vcs.TrailerEpoch, n+1, vcs.TrailerPrevious, r.Target)}
		content := root.Encode(nil)
		root.Parents = []vcs.ID{r.Target}
		joined := root.Encode(nil)
		er := vcs.EpochRoot{Ref: r.Name, Root: vcs.HashObject(vcs.KindCommit, content), Old: r.Target,
			Replacement: vcs.HashObject(vcs.KindCommit, joined), ReplacementBytes: joined}
		if err := p.repo.Store().AddObjects(ctx, []vcs.Object{{ID: er.Root, Kind: vcs.KindCommit, Content: content}}); err != nil {
			p.t.Fatal(err)
		}
		if err := p.repo.SetBranch(ctx, branch, r.Target, er.Root); err != nil {
			p.t.Fatal(err)
		}
		p.roots = append(p.roots, er)
	}
	return e
}

// at is the store as it was when an epoch ended.
type at struct {
	*vcs.Store
	e vcs.Epoch
}

func (a at) Refs() ([]vcs.Ref, error) { return a.e.Heads, nil }

func (p *past) source(e vcs.Epoch) vcs.Source { return at{p.repo.Store(), e} }

// archive puts an epoch away and notes its receipt.
func (p *past) archive(d *Dir, e vcs.Epoch) vcs.Receipt {
	p.t.Helper()
	r, err := d.Archive(context.Background(), e, p.source(e))
	if err != nil {
		p.t.Fatal(err)
	}
	p.epochs[e.Number-1].Archive = r
	return r
}

// commits returns the acknowledged commits of some epochs, as lines.
func (p *past) commits(epochs ...int) string {
	var ids []string
	for _, n := range epochs {
		for _, id := range p.acked[n-1] {
			ids = append(ids, id.String())
		}
	}
	return lines(ids)
}

// reached returns, as lines, what a commit leads to when the epochs are joined.
func (p *past) reached(head vcs.ID) string {
	p.t.Helper()
	olds := map[vcs.ID]vcs.ID{}
	for _, e := range p.epochs {
		for _, r := range e.Roots {
			olds[r.Root] = r.Old
		}
	}
	seen := map[vcs.ID]bool{}
	var ids []string
	for todo := []vcs.ID{head}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		ids = append(ids, id.String())
		c, err := p.repo.Store().ReadCommit(id)
		if err != nil {
			p.t.Fatal(err)
		}
		todo = append(todo, c.Parents...)
		if old, ok := olds[id]; ok {
			todo = append(todo, old)
		}
	}
	return lines(ids)
}

func lines(ids []string) string {
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), "\n")
}

func sorted(out string) string { return lines(strings.Fields(out)) }

func openDir(t testing.TB, dir string, cfg Config) *Dir {
	t.Helper()
	d, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fsck has stock git check a directory and its commit-graph. A crash may leave
// objects that no ref leads to, which takes --no-dangling.
func fsck(t testing.TB, dir string, args ...string) {
	t.Helper()
	for line := range strings.Lines(vcstest.Git(t, dir, append([]string{"fsck", "--strict", "--full"}, args...)...)) {
		if !strings.HasPrefix(line, "notice:") {
			t.Errorf("git fsck: %s", line)
		}
	}
	vcstest.Git(t, dir, "commit-graph", "verify")
}
