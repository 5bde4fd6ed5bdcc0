package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// openFaulty opens a repository on a backend that fails on request. The caller
// closes it.
func openFaulty(t testing.TB, cfg vcs.Config[string, string]) (*vcs.Repo[string, string], *vcstest.Faulty) {
	t.Helper()
	f := vcstest.NewFaulty(mem.New())
	r, err := vcs.Open(context.Background(), f, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, f
}

func durable(t testing.TB, b vcs.Backend) []vcs.Ref {
	t.Helper()
	return must(b.Load(context.Background()))(t).Refs
}

// TestGroupCommit: what is written within 10 ms shares one Apply, which starts
// no later than that.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r, f := openFaulty(t, vcs.Config[string, string]{})
		defer r.Close()
		begin := time.Now()
		for i := range 100 {
			must(r.Set(ctx, "primary", "k", fmt.Sprint(i), info("set")))(t)
			time.Sleep(50 * time.Microsecond)
		}
		if n := len(f.Batches()); n != 0 {
			t.Fatalf("%d batches after %v", n, time.Since(begin))
		}
		time.Sleep(5*time.Millisecond + time.Microsecond)
		synctest.Wait()
		if n := len(f.Batches()); n != 1 {
			t.Fatalf("%d batches after %v, want 1", n, time.Since(begin))
		}
		b := f.Batches()[0]
		head := must(r.Head("primary"))(t)
		if len(b.Refs) != 1 || b.Refs[0].New != head || !b.Refs[0].Old.IsZero() {
			t.Errorf("batch has refs %v", b.Refs)
		}
		commits := 0
		for o := range b.Objects {
			if o.Kind == vcs.KindCommit {
				commits++
			}
		}
		if commits != 100 {
			t.Errorf("%d commits in the batch, want all 100", commits)
		}
		// A Sync does not wait for the delay.
		begin = time.Now()
		must(r.Set(ctx, "primary", "k", "end", info("set")))(t)
		if err := r.Sync(ctx); err != nil || time.Since(begin) != 0 {
			t.Errorf("Sync: %v after %v", err, time.Since(begin))
		}
		if n := len(f.Batches()); n != 2 {
			t.Errorf("%d batches, want 2", n)
		}
	})
}

// TestOneApplyInFlight: what is written while an Apply runs shares the next one.
func TestOneApplyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r, f := openFaulty(t, vcs.Config[string, string]{})
		defer r.Close()
		release := f.Hold()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				must(r.Set(ctx, fmt.Sprint("b", i), "k", "v", info("set")))(t)
				if err := r.Sync(ctx); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Second)
		}
		synctest.Wait()
		release()
		wg.Wait()
		if n := len(f.Batches()); n != 2 {
			t.Errorf("%d batches, want 2", n)
		}
		if n := len(durable(t, f)); n != 20 {
			t.Errorf("%d durable branches, want 20", n)
		}
	})
}

// TestFailedApply: an error surfaces through Sync, the store goes on, and
// nothing is lost when the backend recovers, whether the failed batch was in
// fact applied or not.
func TestFailedApply(t *testing.T) {
	for _, fault := range []vcstest.Fault{vcstest.FailFirst, vcstest.FailAfter} {
		for failures := 1; failures <= 3; failures++ {
			t.Run(fmt.Sprint(fault, failures), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					r, f := openFaulty(t, vcs.Config[string, string]{})
					must(r.Set(ctx, "primary", "k", "0", info("before")))(t)
					if err := r.Sync(ctx); err != nil {
						t.Fatal(err)
					}
					f.FailApply(func(n int) vcstest.Fault {
						if n < failures {
							return fault
						}
						return vcstest.NoFault
					})
					for i := range failures {
						must(r.Set(ctx, "primary", "k", fmt.Sprint(i+1), info("during")))(t)
						must(r.Set(ctx, fmt.Sprint("b", i), "k", "v", info("during")))(t)
						if err := r.Sync(ctx); !errors.Is(err, vcstest.ErrInjected) {
							t.Errorf("Sync: %v, want the injected error", err)
						}
						if got := content(t, r, "primary")["k"]; got != fmt.Sprint(i+1) {
							t.Errorf("read %q of what is not saved", got)
						}
					}
					if err := r.Sync(ctx); err != nil {
						t.Errorf("Sync after recovery: %v", err)
					}
					refs := must(r.Store().Refs())(t)
					if got := durable(t, f); fmt.Sprint(got) != fmt.Sprint(refs) {
						t.Errorf("durable %v, want %v", got, refs)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestRetryInBackground: nobody has to ask for the retry.
func TestRetryInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := openFaulty(t, vcs.Config[string, string]{})
		defer r.Close()
		f.FailApply(func(n int) vcstest.Fault {
			if n < 3 {
				return vcstest.FailFirst
			}
			return vcstest.NoFault
		})
		must(r.Set(t.Context(), "primary", "k", "v", info("x")))(t)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if len(durable(t, f)) != 1 {
			t.Error("not saved after four seconds")
		}
	})
}

// TestBacklog: with a backend that is down for good, memory stays bounded and
// Close says that something is lost.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		cfg := vcs.Config[string, string]{}
		cfg.MaxPending = 100_000
		r, f := openFaulty(t, cfg)
		f.FailApply(func(int) vcstest.Fault { return vcstest.FailFirst })
		var err error
		n := 0
		for ; err == nil && n < 10_000; n++ {
			_, err = r.Set(ctx, "primary", "k", fmt.Sprint(n), info("x"))
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(err, vcs.ErrBacklog) || !errors.Is(err, vcstest.ErrInjected) {
			t.Errorf("after %d commits: %v", n, err)
		}
		if err := r.Close(); !errors.Is(err, vcstest.ErrInjected) {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestBackpressure: writers that are faster than the backend wait for it.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := vcs.Config[string, string]{}
		cfg.MaxPending = 50_000
		r, f := openFaulty(t, cfg)
		release := f.Hold()
		done := make(chan int, 1)
		go func() {
			for i := range 500 {
				must(r.Set(t.Context(), "primary", "k", fmt.Sprint(i), info("x")))(t)
			}
			done <- 1
		}()
		time.Sleep(time.Minute)
		select {
		case <-done:
			t.Error("nobody held the writer back")
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Set(ctx, "side", "k", "v", info("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a writer with a deadline: %v", err)
		}
		release()
		<-done
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if refs := durable(t, f); len(refs) != 1 {
			t.Errorf("durable %v", refs)
		}
	})
}

func TestCloseSaves(t *testing.T) {
	r, f := openFaulty(t, vcs.Config[string, string]{})
	head := must(r.Set(t.Context(), "primary", "k", "v", info("x")))(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if refs := durable(t, f); len(refs) != 1 || refs[0].Target != head {
		t.Errorf("durable %v", refs)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := r.Set(t.Context(), "primary", "k", "w", info("x")); !errors.Is(err, vcs.ErrClosed) {
		t.Errorf("Set after Close: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	f := vcstest.NewFaulty(mem.New())
	f.FailLoad(vcstest.ErrInjected)
	if _, err := vcs.OpenStore(t.Context(), f, vcs.StoreConfig{}); !errors.Is(err, vcstest.ErrInjected) {
		t.Errorf("backend that does not load: %v", err)
	}
	if _, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{Head: "a..b"}); !errors.Is(err, vcs.ErrConfig) {
		t.Errorf("bad Head: %v", err)
	}
	if _, err := vcs.Open(t.Context(), mem.New(), vcs.Config[int, string]{}); !errors.Is(err, vcs.ErrConfig) {
		t.Errorf("no Layout: %v", err)
	}
	if _, err := vcs.Open(t.Context(), struct{ vcs.Backend }{mem.New()}, vcs.Config[string, string]{}); !errors.Is(err, vcs.ErrConfig) {
		t.Errorf("backend without objects: %v", err)
	}
}

func TestUpdateRefs(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	s := r.Store()
	a := must(r.Set(ctx, "a", "k", "1", info("a")))(t)
	b := must(r.Set(ctx, "a", "k", "2", info("b")))(t)
	text := vcs.Object{Kind: vcs.KindBlob, Content: []byte("text")}
	if err := s.AddObjects(ctx, []vcs.Object{text}); err != nil {
		t.Fatal(err)
	}
	text.ID = vcs.HashObject(text.Kind, text.Content)
	head := vcs.BranchRef("a")
	for _, c := range []struct {
		what    string
		updates []vcs.RefUpdate
		want    error
	}{
		{"stale", []vcs.RefUpdate{{Name: head, Old: a, New: a}}, vcs.ErrRefMoved},
		{"exists", []vcs.RefUpdate{{Name: head, New: a}}, vcs.ErrRefMoved},
		{"bad name", []vcs.RefUpdate{{Name: "refs/heads/x..y", New: a}}, vcs.ErrBadRefName},
		{"not below refs", []vcs.RefUpdate{{Name: "HEAD", New: a}}, vcs.ErrBadRefName},
		{"twice", []vcs.RefUpdate{{Name: head, Old: b, New: a}, {Name: head, Old: a, New: b}}, vcs.ErrBadRefName},
		{"below a ref", []vcs.RefUpdate{{Name: head + "/b", New: a}}, vcs.ErrBadRefName},
		{"both new", []vcs.RefUpdate{{Name: "refs/heads/x/y", New: a}, {Name: "refs/heads/x", New: a}}, vcs.ErrBadRefName},
		{"no object", []vcs.RefUpdate{{Name: head, Old: b, New: vcs.ID{1}}}, vcs.ErrNotFound},
		{"blob as branch", []vcs.RefUpdate{{Name: head, Old: b, New: text.ID}}, vcs.ErrWrongKind},
		{"one of two", []vcs.RefUpdate{{Name: "refs/heads/c", New: a}, {Name: head, Old: a, New: a}}, vcs.ErrRefMoved},
		{"too many", make([]vcs.RefUpdate, vcs.MaxBatchRefs), vcs.ErrTooLarge},
	} {
		if err := s.UpdateRefs(ctx, c.updates); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if refs := must(s.Refs())(t); len(refs) != 1 || refs[0].Target != b {
			t.Fatalf("%s: refs are %v", c.what, refs)
		}
	}
	ok := []vcs.RefUpdate{{Name: head, Old: b}, {Name: head + "/b", New: a}, {Name: "refs/tags/blob", New: text.ID}}
	if err := s.UpdateRefs(ctx, ok); err != nil {
		t.Errorf("replacing a ref by a folder: %v", err)
	}
	vcstest.Export(t, s)
}

func TestAddObjects(t *testing.T) {
	s := open(t, vcs.Config[string, string]{}).Store()
	good := vcs.Object{ID: vcs.HashObject(vcs.KindBlob, []byte("good")), Kind: vcs.KindBlob, Content: []byte("good")}
	for _, c := range []struct {
		bad  vcs.Object
		want error
	}{
		{vcs.Object{Kind: vcs.KindTree, Content: []byte("x")}, vcs.ErrBadObject},
		{vcs.Object{Kind: vcs.KindCommit, Content: []byte("tree x\n")}, vcs.ErrBadObject},
		{vcs.Object{Kind: 9}, vcs.ErrBadObject},
		{vcs.Object{ID: vcs.ID{1}, Kind: vcs.KindBlob}, vcs.ErrCorrupt},
		{vcs.Object{Kind: vcs.KindBlob, Content: make([]byte, vcs.MaxObject+1)}, vcs.ErrTooLarge},
	} {
		if err := s.AddObjects(t.Context(), []vcs.Object{good, c.bad}); !errors.Is(err, c.want) {
			t.Errorf("%v object: %v, want %v", c.bad.Kind, err, c.want)
		}
		if _, _, err := s.ReadObject(good.ID); !errors.Is(err, vcs.ErrNotFound) {
			t.Error("the good object of a refused lot was added")
		}
	}
}
