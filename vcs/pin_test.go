package vcs_test

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// dropping is a store whose epochs leave when a test wants it.
type dropping struct {
	*vcs.Repo[string, string]
	t testing.TB
	n int
}

func newDropping(t testing.TB) *dropping {
	return &dropping{Repo: openOn(t, mem.New(), vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{
		Retention: vcs.Retention{MaxCommits: 240, Epochs: 3}}}), t: t}
}

// write makes commits.
func (d *dropping) write(n int) (ids []vcs.ID) {
	d.t.Helper()
	for range n {
		d.n++
		ids = append(ids, must(d.Set(d.t.Context(), "primary", fmt.Sprint("d", d.n%7, "/k", d.n%2), strconv.Itoa(d.n), vcs.CommitInfo{Message: fmt.Sprint("m", d.n)}))(d.t))
	}
	return ids
}

func (d *dropping) left() (n int) {
	for _, e := range d.Store().Epochs() {
		if e.State > vcs.EpochLive {
			n++
		}
	}
	return n
}

// drop lets one more epoch go.
func (d *dropping) drop() {
	d.t.Helper()
	for n := d.left(); d.left() == n; {
		d.write(5)
		if err := d.Sync(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
		if _, err := d.Store().Collect(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
	}
}

// TestPin: whoever holds a pin reads what was there when he took it, others do
// not, and when it is released nobody does.
func TestPin(t *testing.T) {
	d := newDropping(t)
	old := d.write(10)[4]
	tree := must(d.AtCommit(old))(t).Tree()
	s := d.Store()
	pin := s.Pin()
	defer pin.Release()
	files := func(r vcs.TreeReader) (n int, err error) {
		for _, err = range vcs.DiffTrees(r, vcs.EmptyTree, tree) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	want := must(files(pin))(t)
	d.drop()
	if c, err := pin.ReadCommit(old); err != nil || c.Tree != tree {
		t.Errorf("with a pin: %v", err)
	}
	if n, err := files(pin); n != want || err != nil {
		t.Errorf("with a pin: %d files, want %d: %v", n, want, err)
	}
	if a, err := pin.Additions(t.Context(), []vcs.ID{old}, nil, nil); err != nil || a.Commits() != 5 {
		t.Errorf("additions with a pin: %v", err)
	}
	late := s.Pin()
	defer late.Release()
	absent := func(what string, r vcs.ObjectReader) {
		t.Helper()
		if _, _, err := r.ReadObject(old); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	absent("a pin that came later", late)
	absent("the store", s)
	if err := d.CreateBranch(t.Context(), "back", old); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("a branch at a commit that has left: %v", err)
	}
	pin.Release()
	pin.Release()
	absent("a pin that was released", pin)
}

// TestPinBounds: the newest epochs that left are held, and not for ever.
func TestPinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDropping(t)
		vcs.HoldBytes(d.Store(), 1)
		pin := d.Store().Pin()
		defer pin.Release()
		var firsts []vcs.ID // of each epoch
		for range vcs.MaxHeldEpochs + 1 {
			firsts = append(firsts, d.write(1)[0])
			for n := len(d.Store().Epochs()); len(d.Store().Epochs()) == n; {
				d.write(1)
				must(d.Store().EndEpoch(t.Context()))(t)
			}
		}
		for d.left() < len(firsts) {
			d.drop()
		}
		gone := func() (n int) {
			for _, id := range firsts {
				if _, _, err := pin.ReadObject(id); errors.Is(err, vcs.ErrNotFound) {
					n++
				} else if err != nil {
					t.Error(err)
				}
			}
			return n
		}
		if n := gone(); n != d.left()-vcs.MaxHeldEpochs && n != len(firsts) {
			t.Errorf("%d of %d are gone, %d epochs have left", n, len(firsts), d.left())
		}
		time.Sleep(vcs.MaxHeldFor)
		synctest.Wait()
		if n := gone(); n != len(firsts) {
			t.Errorf("%d of %d are gone after %v", n, len(firsts), vcs.MaxHeldFor)
		}
	})
}

// TestPinManySmall: small epochs are held beyond that number, with the commits
// that joined them, also those that began since.
func TestPinManySmall(t *testing.T) {
	d := newDropping(t)
	d.write(3)
	s := d.Store()
	pin := s.Pin()
	defer pin.Release()
	var refs []vcs.Ref
	for d.left() < vcs.MaxHeldEpochs+3 {
		d.write(3)
		must(s.EndEpoch(t.Context()))(t)
		refs = append(refs, must(s.Refs())(t)...)
		list := s.Epochs()
		if err := vcs.LetGo(s, list[len(list)-2].Number); err != nil {
			t.Fatal(err)
		}
	}
	rep, err := vcs.Verify(t.Context(), pin, refs, nil)
	if err != nil || !rep.OK() || rep.Commits < 3*vcs.MaxHeldEpochs+9 {
		t.Errorf("%s: %v", rep.String(), err)
	}
	pin.Release()
	if rep, err = vcs.Verify(t.Context(), pin, refs, nil); err != nil || len(rep.Problems) == 0 {
		t.Errorf("after the release: %s: %v", rep.String(), err)
	}
}

// TestIterateOverDrop: an iteration that is under way when an epoch leaves comes
// to the same end as one before.
func TestIterateOverDrop(t *testing.T) {
	for name, history := range map[string]func(*dropping, vcs.ID) iter.Seq2[*vcs.Commit, error]{
		"log":     func(d *dropping, id vcs.ID) iter.Seq2[*vcs.Commit, error] { return d.Log(id) },
		"log key": func(d *dropping, id vcs.ID) iter.Seq2[*vcs.Commit, error] { return d.LogKey("d0/k0", id) },
		"log folder": func(d *dropping, id vcs.ID) iter.Seq2[*vcs.Commit, error] {
			return d.Store().LogPath("d0", id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDropping(t)
			d.write(40)
			must(d.Store().EndEpoch(t.Context()))(t)
			head := d.write(8)[7]
			list := func(at int, do func()) (ids []vcs.ID) {
				for c, err := range history(d, head) {
					if err != nil {
						t.Fatal(err)
					}
					if ids = append(ids, c.ID); len(ids) == at {
						do()
					}
				}
				return ids
			}
			want := list(0, nil)
			got := list(1, d.drop)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%d commits, want %d", len(got), len(want))
			}
			if again := list(0, nil); len(again) >= len(want) {
				t.Errorf("%d commits after the drop: the epoch has not left", len(again))
			}
		})
	}
}

// TestDiffOverDrop: as TestIterateOverDrop.
func TestDiffOverDrop(t *testing.T) {
	d := newDropping(t)
	ids := d.write(30)
	n := 0
	for x, err := range d.Diff(ids[2], ids[20]) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			d.drop()
		}
		if x.Path == "" {
			t.Error("a difference without a path")
		}
	}
	if n < 10 {
		t.Errorf("%d differences", n)
	}
}

// TestAdditionsOverDrop: additions that were found are made, whatever leaves
// meanwhile.
func TestAdditionsOverDrop(t *testing.T) {
	d := newDropping(t)
	ids := d.write(30)
	a := must(d.Store().Additions(t.Context(), []vcs.ID{ids[29]}, []vcs.ID{ids[9]}, nil))(t)
	d.drop()
	n := 0
	err := a.Each(t.Context(), func(x *vcs.Addition) (any, error) {
		if vcs.HashObject(x.Kind, x.Content) != x.ID {
			t.Errorf("%v has another content", x.ID)
		}
		n++
		return n, nil
	})
	if err != nil || n != a.Len() || a.Commits() != 20 {
		t.Errorf("%d objects of %d, %d commits: %v", n, a.Len(), a.Commits(), err)
	}
}
