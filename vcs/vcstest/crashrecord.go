package vcstest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"arpeggio/vcs"
)

// moment is a store after a group commit.
type moment struct {
	refs   string
	files  Files
	opened bool // it was closed and opened since the one before
}

// run is what was recorded.
type crashRun struct {
	moments []moment
	at      map[string]int // by refs
	commits map[vcs.ID]bool
}

// record writes a history and returns the moments after its group commits.
func (c Crash) record(t *testing.T) *crashRun {
	dir := memoryDir(t)
	b, _, err := c.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := &crashRun{at: make(map[string]int), commits: map[vcs.ID]bool{{}: true}}
	var files Files
	rec := &recorder{Backend: b, refs: make(map[string]vcs.ID)}
	var mu sync.Mutex // the store applies in a goroutine of its own
	rec.after = func() {
		mu.Lock()
		defer mu.Unlock()
		if files, err = ReadFiles(dir, files); err != nil {
			t.Error(err)
		}
		for _, id := range rec.refs {
			run.commits[id] = true
		}
		run.at[rec.state()] = len(run.moments)
		run.moments = append(run.moments, moment{rec.state(), files, rec.opened})
		rec.opened = false
	}
	rec.after()
	r := openRepo(t, rec)
	for seed := range uint64(c.Groups) {
		if seed%collectEvery == collectEvery-1 {
			r = c.reopen(t, r, rec, dir)
		}
		ids := RandomHistory(t, r, HistoryConfig{Seed: seed, Steps: 1 + int(seed%4), Keys: 60})
		mu.Lock()
		for _, id := range ids {
			run.commits[id] = true
		}
		mu.Unlock()
		c.decorate(t, r, int(seed))
		if err := r.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := rec.Backend.(vcs.ObjectLister); ok && rec.forgot < c.Groups/10 {
		t.Errorf("only %d objects were deleted", rec.forgot)
	}
	if len(run.moments) < c.Groups/2 {
		t.Fatalf("only %d group commits were recorded", len(run.moments))
	}
	return run
}

// collectEvery is after how many groups the store is closed and opened again, and
// objects that nothing leads to are deleted.
const collectEvery = 20

// reopen closes a store, opens it again, and lets it delete what nothing leads to.
func (c Crash) reopen(t *testing.T, r *vcs.Repo[string, string], rec *recorder, dir string) *vcs.Repo[string, string] {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	b, _, err := c.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec.Backend, rec.opened = b, true
	rec.after()
	r = openRepo(t, rec)
	if _, err := r.Store().Collect(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r
}

// decorate adds what RandomHistory does not have.
func (c Crash) decorate(t *testing.T, r *vcs.Repo[string, string], n int) {
	ctx := context.Background()
	head, err := r.Head("b0")
	if err != nil {
		return
	}
	info := vcs.CommitInfo{Message: fmt.Sprint("group ", n)}
	switch n % 5 {
	case 0:
		rnd := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
		value := make([]byte, c.Value)
		for i := range value {
			value[i] = '!' + byte(rnd.Uint64()%90)
		}
		_, err = r.Set(ctx, "b0", "large/"+fmt.Sprint(n%7), string(value), info)
	case 1:
		_, err = r.CreateTag(ctx, fmt.Sprint("t", n), head, info)
	case 2:
		err = r.CreateBranch(ctx, fmt.Sprint("side", n), head)
	case 3:
		if side, serr := r.Head(fmt.Sprint("side", n-1)); serr == nil {
			err = r.DeleteBranch(ctx, fmt.Sprint("side", n-1), side)
		}
	case 4:
		err = push(ctx, r.Store(), n, head)
	}
	if err != nil {
		t.Fatalf("group %d: %v", n, err)
	}
}

// push adds what somebody else has made and no log can tell, because there is an
// empty folder in it: a commit that a branch leads to until the next push, and a
// file that nothing does.
func push(ctx context.Context, s *vcs.Store, n int, parent vcs.ID) error {
	file := blob(fmt.Sprint("pushed ", n))
	tree, err := vcs.NewTree([]vcs.TreeEntry{{Name: "empty", Mode: vcs.ModeDir, ID: vcs.EmptyTree}, {Name: "file", Mode: vcs.ModeFile, ID: file.ID}})
	if err != nil {
		return err
	}
	who := vcs.Signature{Name: "P", Email: "p@example.com", When: time.Unix(1_700_000_000+int64(n), 0).UTC()}
	top := object(vcs.KindTree, tree.Content())
	c := vcs.Commit{Tree: top.ID, Parents: []vcs.ID{parent}, Author: who, Committer: who, Message: fmt.Sprintf("pushed %d\n", n)}
	commit := object(vcs.KindCommit, c.Encode(nil))
	objs := []vcs.Object{object(vcs.KindTree, nil), file, top, commit, blob(fmt.Sprint("nobody's ", n))}
	if err := s.AddObjects(ctx, objs); err != nil {
		return err
	}
	name := "refs/heads/pushed"
	old, _ := s.Ref(name)
	return s.UpdateRefs(ctx, []vcs.RefUpdate{{Name: name, Old: old, New: commit.ID}})
}

func object(kind vcs.Kind, content []byte) vcs.Object {
	return vcs.Object{ID: vcs.HashObject(kind, content), Kind: kind, Content: content}
}

// recorder is a backend that is looked at after each Apply.
type recorder struct {
	vcs.Backend
	refs   map[string]vcs.ID
	after  func()
	opened bool // since after was called
	forgot int  // objects that were deleted
}

// Objects implements vcs.ObjectLister. It lists nothing when the backend cannot.
func (r *recorder) Objects() iter.Seq2[vcs.ID, error] { return listed(r.Backend) }

// KeepsLog implements vcs.LogKeeper.
func (r *recorder) KeepsLog() bool {
	k, ok := r.Backend.(vcs.LogKeeper)
	return ok && k.KeepsLog()
}

// ReadObject implements vcs.ObjectReader.
func (r *recorder) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	return r.Backend.(vcs.ObjectReader).ReadObject(id)
}

// Apply implements vcs.Backend.
func (r *recorder) Apply(ctx context.Context, b *vcs.Batch) error {
	if err := r.Backend.Apply(ctx, b); err != nil {
		return err
	}
	r.forgot += len(b.Forget)
	for _, u := range b.Refs {
		r.refs[u.Name] = u.New
		if u.New.IsZero() {
			delete(r.refs, u.Name)
		}
	}
	r.after()
	return nil
}

func (r *recorder) state() string {
	var refs []vcs.Ref
	for _, name := range slices.Sorted(maps.Keys(r.refs)) {
		refs = append(refs, vcs.Ref{Name: name, Target: r.refs[name]})
	}
	return fmt.Sprint(refs)
}
