package gitremote

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// epochSource is a store as it was when an epoch ended, from which older epochs
// have gone.
type epochSource struct {
	*vcs.Store
	heads []vcs.Ref
	gone  map[vcs.ID]bool
}

func (s epochSource) Refs() ([]vcs.Ref, error) { return s.heads, nil }

func (s epochSource) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if s.gone[id] {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	return s.Store.ReadObject(id)
}

// past is a store whose history is cut into epochs.
type past struct {
	t      *testing.T
	r      *vcs.Repo[string, string]
	epochs []vcs.Epoch
	acked  []string // ids, all epochs
	gone   map[vcs.ID]bool
	mine   []vcs.ID // of the current epoch
	roots  []vcs.EpochRoot
}

// next writes some commits and ends the epoch.
func (p *past) next() (vcs.Epoch, vcs.Source) {
	p.t.Helper()
	n := len(p.epochs) + 1
	for i := range 5 {
		p.mine = append(p.mine, write(p.t, p.r, "primary", n*100+i, 1), write(p.t, p.r, "side", n*100+50+i, 1))
	}
	write(p.t, p.r, "history/minute", n*100, 1)
	refs, err := p.r.Store().Refs()
	if err != nil {
		p.t.Fatal(err)
	}
	e := vcs.Epoch{Number: n, Heads: refs, Roots: p.roots, Commits: len(p.mine)}
	src := epochSource{p.r.Store(), refs, p.gone}
	p.gone, p.roots = make(map[vcs.ID]bool), nil
	for _, id := range p.mine {
		p.acked = append(p.acked, id.String())
	}
	for _, id := range p.mine {
		p.gone[id] = true
	}
	for id := range src.gone {
		p.gone[id] = true
	}
	p.mine = nil
	for _, branch := range []string{"primary", "side"} {
		head, err := p.r.Head(branch)
		if err != nil {
			p.t.Fatal(err)
		}
		c, err := p.r.Store().ReadCommit(head)
		if err != nil {
			p.t.Fatal(err)
		}
		root := vcs.Commit{Tree: c.Tree, Author: c.Author, Committer: c.Committer, Message: fmt.Sprintf("epoch %d: %s\n", n+1, branch)}
		content := root.Encode(nil)
		root.Parents = []vcs.ID{head}
		joined := root.Encode(nil)
		er := vcs.EpochRoot{Ref: vcs.BranchRef(branch), Root: vcs.HashObject(vcs.KindCommit, content), Old: head,
			Replacement: vcs.HashObject(vcs.KindCommit, joined), ReplacementBytes: joined}
		if err := p.r.Store().AddObjects(p.t.Context(), []vcs.Object{{ID: er.Root, Kind: vcs.KindCommit, Content: content}}); err != nil {
			p.t.Fatal(err)
		}
		if err := p.r.SetBranch(p.t.Context(), branch, head, er.Root); err != nil {
			p.t.Fatal(err)
		}
		p.roots, p.mine = append(p.roots, er), append(p.mine, er.Root)
	}
	p.epochs = append(p.epochs, e)
	return e, src
}

// Three epochs go to a repository of stock git's, each from a store that has lost
// the ones before. There they are one history.
func TestRemoteArchive(t *testing.T) {
	for name, open := range kinds {
		if strings.HasPrefix(name, "ours") {
			continue // a store of ours has epochs of its own
		}
		t.Run(name, func(t *testing.T) {
			at := open(t)
			a := &RemoteArchive{URL: at.url, RemoteOptions: at.opts}
			p := &past{t: t, r: newStore(t)}
			for range 3 {
				e, src := p.next()
				rec, err := a.Archive(t.Context(), e, src)
				if err != nil {
					t.Fatal(err)
				}
				again, err := a.Archive(t.Context(), e, src)
				if err != nil || again != rec {
					t.Errorf("again: %+v, %v; first %+v", again, err, rec)
				}
				p.epochs[e.Number-1].Archive = rec
				if strings.Contains(rec.Name, password) || !strings.HasSuffix(rec.Name, fmt.Sprintf(" refs/epochs/%d", e.Number)) {
					t.Errorf("receipt names %s", rec.Name)
				}
				listed := vcstest.Git(t, at.dir, "for-each-ref", "--format=%(objectname) %(refname)",
					fmt.Sprintf("refs/epochs/%d", e.Number), fmt.Sprintf("refs/epochs-heads/%d", e.Number))
				if sha256.Sum256([]byte(listed+"\n")) != rec.SHA256 {
					t.Errorf("the sum of these refs is not that of the receipt:\n%s", listed)
				}
			}
			if out := vcstest.Git(t, at.dir, "fsck", "--strict", "--full"); out != "" {
				t.Errorf("git fsck: %s", out)
			}
			slices.Sort(p.acked)
			ids := strings.Fields(vcstest.Git(t, at.dir, "rev-list", "refs/epochs/3", "refs/epochs-heads/3/heads/side"))
			slices.Sort(ids)
			if !slices.Equal(ids, p.acked) {
				t.Errorf("the joined history has %d commits, want %d", len(ids), len(p.acked))
			}
			if refs := vcstest.Git(t, at.dir, "for-each-ref"); strings.Contains(refs, "history") {
				t.Errorf("chains were pushed:\n%s", refs)
			}
			if missing, err := a.Missing(t.Context(), p.epochs); err != nil || missing != nil {
				t.Errorf("missing %v, %v", missing, err)
			}
			vcstest.Git(t, at.dir, "update-ref", "-d", "refs/epochs-heads/2/heads/side")
			if missing, err := a.Missing(t.Context(), p.epochs); err != nil || !slices.Equal(missing, []int{2}) {
				t.Errorf("missing %v, %v", missing, err)
			}
			if _, err := a.OpenEpoch(t.Context(), p.epochs[0]); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// Two stores use one remote under names; without them the second is refused and
// the first one's epochs stay.
func TestRemoteArchiveOfTwoStores(t *testing.T) {
	at := kinds["file"](t)
	one, two := &past{t: t, r: newStore(t)}, &past{t: t, r: newStore(t)}
	write(t, two.r, "primary", 7, 1)
	write(t, two.r, "more", 8, 1)
	e, src := one.next()
	if _, err := (&RemoteArchive{URL: at.url}).Archive(t.Context(), e, src); err != nil {
		t.Fatal(err)
	}
	before := at.refs(t)
	e, src = two.next()
	if _, err := (&RemoteArchive{URL: at.url}).Archive(t.Context(), e, src); !errors.Is(err, ErrRejected) {
		t.Errorf("over another store's epoch: %v", err)
	}
	if after := at.refs(t); after != before {
		t.Errorf("refs moved:\n%s\nbefore:\n%s", after, before)
	}
	a := &RemoteArchive{URL: at.url, Name: "two"}
	rec, err := a.Archive(t.Context(), e, src)
	if err != nil || !strings.HasSuffix(rec.Name, " refs/epochs/two/1") {
		t.Errorf("%+v, %v", rec, err)
	}
	e.Archive = rec
	if missing, err := a.Missing(t.Context(), []vcs.Epoch{e}); err != nil || missing != nil {
		t.Errorf("missing %v, %v", missing, err)
	}
}
