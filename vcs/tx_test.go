package vcs_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

func TestCommit(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	set := func(kv ...string) (cs []vcs.Change[string, string]) {
		for i := 0; i < len(kv); i += 2 {
			cs = append(cs, vcs.Change[string, string]{Key: kv[i], Value: vcs.Some(kv[i+1])})
		}
		return cs
	}
	root := must(r.Commit(ctx, "primary", vcs.ID{}, nil, vcs.CommitInfo{Message: "Initial empty cache", AllowEmpty: true}))(t)
	if s := must(r.At("primary"))(t); s.Tree() != vcs.EmptyTree || s.Commit() != root {
		t.Errorf("root has tree %v", s.Tree())
	}
	if _, err := r.Commit(ctx, "primary", vcs.ID{}, set("a", "1"), info("x")); !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("commit on an outdated head: %v", err)
	}
	one := must(r.Commit(ctx, "primary", root, set("a", "0", "b/c", "2", "a", "1"), info("one")))(t)
	if got := content(t, r, "primary"); len(got) != 2 || got["a"] != "1" {
		t.Errorf("content %v", got)
	}
	if same := must(r.Commit(ctx, "primary", one, set("a", "1"), info("nothing")))(t); same != one {
		t.Error("a commit that changes nothing was made")
	}
	if same := must(r.Remove(ctx, "primary", "none/x", info("nothing")))(t); same != one {
		t.Error("removing what is not there made a commit")
	}
	forced := must(r.Commit(ctx, "primary", one, nil, vcs.CommitInfo{Message: "forced", AllowEmpty: true}))(t)
	if forced == one {
		t.Error("an empty commit was not made when asked for")
	}
	for _, bad := range []string{"", "a/b", "b", "/x", "x/", "x//y", ".git/x", "x/..", "."} {
		if _, err := r.Set(ctx, "primary", bad, "v", info("x")); !errors.Is(err, vcs.ErrBadPath) {
			t.Errorf("key %q: %v, want ErrBadPath", bad, err)
		}
	}
	if head := must(r.Head("primary"))(t); head != forced {
		t.Error("a refused commit moved the branch")
	}
	if _, err := r.Set(ctx, "primary", "big", string(make([]byte, vcs.MaxObject+1)), info("x")); !errors.Is(err, vcs.ErrTooLarge) {
		t.Errorf("large value: %v", err)
	}
	if _, err := r.Set(ctx, "bad..name", "k", "v", info("x")); !errors.Is(err, vcs.ErrBadRefName) {
		t.Errorf("bad branch: %v", err)
	}
	vcstest.Export(t, r.Store())
}

// TestTimeNeverRunsBackwards along a branch, whatever the clock does.
func TestTimeNeverRunsBackwards(t *testing.T) {
	ctx := t.Context()
	now := time.Unix(2_000, 0)
	r := open(t, vcs.Config[string, string]{Clock: func() time.Time { return now }})
	must(r.Set(ctx, "primary", "k", "1", info("a")))(t)
	now = time.Unix(1_000, 0)
	must(r.Set(ctx, "primary", "k", "2", info("b")))(t)
	side := must(r.Set(ctx, "side", "x", "2", vcs.CommitInfo{Message: "c", Time: time.Unix(3_000, 0)}))(t)
	res := must(r.Merge(ctx, "primary", side, vcs.MergeOptions{}))(t)
	var times []int64
	for c, err := range r.Log(res.Head) {
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, c.Time().Unix())
	}
	if fmt.Sprint(times) != "[3000 3000 2000 2000]" {
		t.Errorf("times %v", times)
	}
}

func TestTestAndSet(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	none, some := vcs.None[string](), vcs.Some[string]
	for _, c := range []struct {
		expect, value vcs.Opt[string]
		ok            bool
	}{
		{some("1"), some("2"), false},
		{none, none, true},
		{none, some("1"), true},
		{none, some("2"), false},
		{some("2"), some("3"), false},
		{some("1"), some("2"), true},
		{some("2"), none, true},
		{none, some("9"), true},
	} {
		_, err := r.TestAndSet(ctx, "primary", "d/k", c.expect, c.value, info("x"))
		if c.ok && err != nil || !c.ok && !errors.Is(err, vcs.ErrTestFailed) {
			t.Errorf("expect %v set %v: %v", c.expect, c.value, err)
		}
	}
}

// TestManyWriters: no policy loses an increment.
func TestManyWriters(t *testing.T) {
	const writers, each = 8, 25
	for name, policy := range map[string]vcs.OnMove{"Retry": vcs.Retry, "Merge": vcs.Merge, "Fail": vcs.Fail} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			r := open(t, vcs.Config[string, string]{})
			var wg sync.WaitGroup
			for w := range writers {
				key := "n"
				if policy == vcs.Merge { // equal increments of one key are one change
					key = fmt.Sprint("n/", w)
				}
				wg.Go(func() {
					for range each {
						for {
							_, err := r.Update(ctx, "primary", vcs.TxOptions{OnMove: policy, Retries: 100_000}, func(tx *vcs.Tx[string, string]) error {
								v, _, err := tx.Get(key)
								n, _ := strconv.Atoi(v)
								tx.Set(key, strconv.Itoa(n+1))
								tx.Info().Message = "increment"
								return err
							})
							if policy == vcs.Fail && errors.Is(err, vcs.ErrRefMoved) {
								continue
							}
							if err != nil {
								t.Error(err)
							}
							break
						}
					}
				})
			}
			wg.Wait()
			total := 0
			for _, v := range content(t, r, "primary") {
				n, _ := strconv.Atoi(v)
				total += n
			}
			if total != writers*each {
				t.Errorf("counted %d, want %d", total, writers*each)
			}
			vcstest.Export(t, r.Store())
		})
	}
}

func TestUpdateErrors(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	mine := errors.New("mine")
	_, err := r.Update(ctx, "primary", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		tx.Set("k", "v")
		return mine
	})
	if err != mine {
		t.Errorf("error of the function came back as %v", err)
	}
	if len(r.Branches()) != 0 {
		t.Error("a failed update made the branch")
	}
	runs := 0
	_, err = r.Update(ctx, "primary", vcs.TxOptions{Retries: 3}, func(tx *vcs.Tx[string, string]) error {
		runs++
		tx.Set("k", "mine")
		_, err := r.Set(ctx, "primary", "other", fmt.Sprint(runs), info("somebody else"))
		return err
	})
	if !errors.Is(err, vcs.ErrRefMoved) || runs != 4 {
		t.Errorf("%v after %d runs", err, runs)
	}
	_, err = r.Update(ctx, "primary", vcs.TxOptions{OnMove: vcs.Merge}, func(tx *vcs.Tx[string, string]) error {
		tx.Set("k", "mine")
		_, err := r.Set(ctx, "primary", "k", "theirs", info("somebody else"))
		return err
	})
	if !errors.Is(err, vcs.ErrConflict) {
		t.Errorf("conflicting update: %v", err)
	}
}

func TestTxReadsItsWrites(t *testing.T) {
	r := open(t, vcs.Config[string, string]{})
	must(r.Set(t.Context(), "primary", "a", "1", info("x")))(t)
	must(r.Update(t.Context(), "primary", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		tx.Set("b", "2")
		tx.Remove("a")
		if _, ok, err := tx.Get("a"); ok || err != nil {
			t.Errorf("removed key: %v %v", ok, err)
		}
		if v, ok, err := tx.Get("b"); v != "2" || !ok || err != nil {
			t.Errorf("set key: %q %v %v", v, ok, err)
		}
		if has, err := tx.Base().Has("a"); !has || err != nil {
			t.Errorf("base: %v %v", has, err)
		}
		if has, err := tx.Has("none"); has || err != nil {
			t.Errorf("absent key: %v %v", has, err)
		}
		return nil
	}))(t)
}
