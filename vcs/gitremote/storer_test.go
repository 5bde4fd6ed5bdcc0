package gitremote

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/util"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/go-git/go-git/v5/storage"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// onBackends runs a test on a store of each kind.
func onBackends(t *testing.T, test func(t *testing.T, r *vcs.Repo[string, string])) {
	for name, open := range map[string]func(t *testing.T) (vcs.Backend, error){
		"mem": func(*testing.T) (vcs.Backend, error) { return mem.New(), nil },
		"badger": func(t *testing.T) (vcs.Backend, error) {
			return badger.Open(t.Context(), t.TempDir(), badger.Config{MinFree: -1})
		},
		"directory": func(t *testing.T) (vcs.Backend, error) {
			return CreateDir(filepath.Join(t.TempDir(), "d.git"), "refs/heads/primary")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			r, err := vcs.Open(t.Context(), b, vcs.Config[string, string]{Merge: vcstest.Larger})
			if err != nil {
				t.Fatal(err)
			}
			test(t, r)
			sound(t, r.Store())
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

var author = &object.Signature{Name: "go-git", Email: "go@git", When: time.Unix(1_800_000_000, 0)}

// TestStorer is a day of a go-git program on a live store.
func TestStorer(t *testing.T) {
	onBackends(t, func(t *testing.T, r *vcs.Repo[string, string]) {
		vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 3})
		head := write(t, r, "primary", 0, 10)
		st := NewStorer(r.Store())
		repo, err := git.Open(st, memfs.New())
		if err != nil {
			t.Fatal(err)
		}

		// Log, as the store's own.
		var got, want []string
		it, err := repo.Log(&git.LogOptions{Order: git.LogOrderCommitterTime})
		if err != nil {
			t.Fatal(err)
		}
		if err := it.ForEach(func(c *object.Commit) error { got = append(got, c.Hash.String()); return nil }); err != nil {
			t.Fatal(err)
		}
		for c, err := range r.Log(head) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, c.ID.String())
		}
		slices.Sort(got) // equal times may come in any order
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("log: %d commits, want %d", len(got), len(want))
		}

		// Check out, change a file, commit: the store has it at once.
		w, err := repo.Worktree()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Checkout(&git.CheckoutOptions{Branch: "refs/heads/primary", Force: true}); err != nil {
			t.Fatal(err)
		}
		key := vcstest.Key(3)
		if b, err := util.ReadFile(w.Filesystem, key); err != nil || string(b) != "primary 3\n" {
			t.Errorf("checked out: %q, %v", b, err)
		}
		if err := util.WriteFile(w.Filesystem, key, []byte("by hand\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Add(key); err != nil {
			t.Fatal(err)
		}
		commit, err := w.Commit("by hand", &git.CommitOptions{Author: author})
		if err != nil {
			t.Fatal(err)
		}
		wantRef(t, r.Store(), "refs/heads/primary", vcs.ID(commit))
		now, err := r.At("primary")
		if err != nil {
			t.Fatal(err)
		}
		if v, _, err := now.Get(key); err != nil || v != "by hand\n" {
			t.Errorf("the store has %q, %v", v, err)
		}
		if s, err := w.Status(); err != nil || !s.IsClean() {
			t.Errorf("status %v, %v", s, err)
		}

		// And what the store does, go-git sees.
		next := write(t, r, "primary", 10, 1)
		if ref, err := repo.Reference("refs/heads/primary", true); err != nil || vcs.ID(ref.Hash()) != next {
			t.Errorf("go-git sees %v, %v", ref, err)
		}

		sent := refsOf(t, r.Store())

		// Push to stock git, fetch from it, tags and branches.
		hub := stockRepository(t)
		if _, err := repo.CreateRemote(&config.RemoteConfig{Name: "hub", URLs: []string{hub}}); err != nil {
			t.Fatal(err)
		}
		if _, err := repo.CreateTag("v1", commit, &git.CreateTagOptions{Tagger: author, Message: "release"}); err != nil {
			t.Fatal(err)
		}
		if err := repo.Push(&git.PushOptions{RemoteName: "hub", RefSpecs: []config.RefSpec{"refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"}}); err != nil {
			t.Fatal(err)
		}
		e := elsewhere{url: hub, dir: hub}
		e.sound(t)
		if got := e.refs(t); !strings.HasPrefix(got, sent) || !strings.Contains(got, "refs/tags/v1") {
			t.Errorf("pushed:\n%s\nwant:\n%s", got, sent)
		}
		theirs := e.commit(t, "primary", "theirs", "text\n")
		if err := repo.Fetch(&git.FetchOptions{RemoteName: "hub"}); err != nil {
			t.Fatal(err)
		}
		wantRef(t, r.Store(), "refs/remotes/hub/primary", theirs)
		if err := repo.Storer.RemoveReference("refs/tags/v1"); err != nil {
			t.Fatal(err)
		}
		wantRef(t, r.Store(), "refs/tags/v1", vcs.ID{})
	})
}

// TestStorerClone: go-git clones into a store, and a live store serves go-git's
// clones.
func TestStorerClone(t *testing.T) {
	onBackends(t, func(t *testing.T, r *vcs.Repo[string, string]) {
		hub := stockRepository(t)
		src := newStore(t)
		vcstest.RandomHistory(t, src, vcstest.HistoryConfig{Seed: 4})
		write(t, src, "primary", 0, 5)
		if _, err := Push(t.Context(), src.Store(), hub, []string{"refs/heads/*:refs/heads/*"}, PushOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := git.Clone(NewStorer(r.Store()), nil, &git.CloneOptions{URL: hub, Mirror: true}); err != nil {
			t.Fatal(err)
		}
		if got, want := refsOf(t, r.Store()), refsOf(t, src.Store()); got != want {
			t.Errorf("cloned into the store:\n%s\nwant:\n%s", got, want)
		}
		if _, err := git.Clone(NewStorer(newStore(t).Store()), nil, &git.CloneOptions{URL: hub, Depth: 1}); err == nil {
			t.Error("a shallow clone was taken in")
		}

		scheme := "live-" + strings.ToLower(filepath.Base(t.Name()))
		ep, err := transport.NewEndpoint(scheme + "://x/live.git")
		if err != nil {
			t.Fatal(err)
		}
		client.InstallProtocol(scheme, server.NewServer(server.MapLoader{ep.String(): NewStorer(r.Store())}))
		defer client.InstallProtocol(scheme, nil)
		copied := newStore(t)
		fs := memfs.New()
		if _, err := git.Clone(NewStorer(copied.Store()), fs, &git.CloneOptions{URL: ep.String(), ReferenceName: "refs/heads/primary"}); err != nil {
			t.Fatal(err)
		}
		head, _ := src.Store().Ref("refs/heads/primary")
		wantRef(t, copied.Store(), "refs/heads/primary", head)
		if b, err := util.ReadFile(fs, vcstest.Key(2)); err != nil || string(b) != "primary 2\n" {
			t.Errorf("checked out: %q, %v", b, err)
		}
		sound(t, copied.Store())
	})
}

// TestStorerObjects: iterators, sizes, types, what is missing, what is refused.
func TestStorerObjects(t *testing.T) {
	onBackends(t, func(t *testing.T, r *vcs.Repo[string, string]) {
		head := write(t, r, "primary", 0, 6)
		if _, err := r.CreateTag(t.Context(), "v1", head, vcs.CommitInfo{Message: "x"}); err != nil {
			t.Fatal(err)
		}
		st := NewStorer(r.Store())
		count := map[plumbing.ObjectType]int{}
		for _, typ := range []plumbing.ObjectType{plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject, plumbing.AnyObject} {
			it, err := st.IterEncodedObjects(typ)
			if err != nil {
				t.Fatal(err)
			}
			if err := it.ForEach(func(o plumbing.EncodedObject) error {
				count[typ]++
				if size, err := st.EncodedObjectSize(o.Hash()); err != nil || size != o.Size() || typ != plumbing.AnyObject && o.Type() != typ {
					return fmt.Errorf("%v: size %d, %w", o.Hash(), size, err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		all := count[plumbing.CommitObject] + count[plumbing.TreeObject] + count[plumbing.BlobObject] + count[plumbing.TagObject]
		if count[plumbing.CommitObject] != 6 || count[plumbing.TagObject] != 1 || count[plumbing.BlobObject] != 6 || all != count[plumbing.AnyObject] {
			t.Errorf("objects: %v", count)
		}
		missing := plumbing.NewHash("1234567890123456789012345678901234567890")
		if _, err := st.EncodedObject(plumbing.BlobObject, plumbing.Hash(head)); !errors.Is(err, plumbing.ErrObjectNotFound) {
			t.Errorf("another type: %v", err)
		}
		if err := st.HasEncodedObject(missing); !errors.Is(err, plumbing.ErrObjectNotFound) {
			t.Errorf("missing: %v", err)
		}
		if _, err := st.Reference("refs/heads/none"); !errors.Is(err, plumbing.ErrReferenceNotFound) {
			t.Errorf("no such ref: %v", err)
		}
		bad := st.NewEncodedObject()
		bad.SetType(plumbing.CommitObject)
		w, err := bad.Writer()
		if err == nil {
			_, err = io.WriteString(w, "tree nonsense\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.SetEncodedObject(bad); !errors.Is(err, vcs.ErrBadObject) {
			t.Errorf("a bad commit: %v", err)
		}
		for name, err := range map[string]error{
			"a ref of the backend": st.SetReference(plumbing.NewHashReference("refs/arpeggio/log", plumbing.Hash(head))),
			"a missing target":     st.SetReference(plumbing.NewHashReference("refs/heads/x", missing)),
			"a shallow history":    st.SetShallow([]plumbing.Hash{missing}),
			"an alternate":         st.AddAlternate("/x"),
		} {
			if err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		pw, err := st.PackfileWriter()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(pw, "PACK, but not really")
		if err := pw.Close(); !errors.Is(err, ErrBadPack) {
			t.Errorf("a bad pack: %v", err)
		}
	})
}

// TestStorerCheckAndSet: of many that move a ref from one value, one wins.
func TestStorerCheckAndSet(t *testing.T) {
	onBackends(t, func(t *testing.T, r *vcs.Repo[string, string]) {
		first := write(t, r, "primary", 0, 1)
		old := plumbing.NewHashReference("refs/heads/x", plumbing.Hash(first))
		if err := NewStorer(r.Store()).SetReference(old); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		won := 0
		for i := range 5 {
			to := write(t, r, fmt.Sprintf("b%d", i), 10*i, 1)
			wg.Go(func() {
				err := NewStorer(r.Store()).CheckAndSetReference(plumbing.NewHashReference("refs/heads/x", plumbing.Hash(to)), old)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, storage.ErrReferenceHasChanged) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d of 5 moved the ref", won)
		}
		// HEAD is each Storer's own.
		a, b := NewStorer(r.Store()), NewStorer(r.Store())
		if err := a.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, "refs/heads/b1")); err != nil {
			t.Fatal(err)
		}
		if h, err := b.Reference(plumbing.HEAD); err != nil || h.Target() != "refs/heads/primary" {
			t.Errorf("the other one's HEAD: %v, %v", h, err)
		}
	})
}
