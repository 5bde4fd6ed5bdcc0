package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// burning is an archive that never works.
type burning struct{}

func (burning) Archive(context.Context, vcs.Epoch, vcs.Source) (vcs.Receipt, error) {
	return vcs.Receipt{}, errors.New("the disk is on fire")
}
func (burning) Missing(context.Context, []vcs.Epoch) ([]int, error) { return nil, nil }
func (burning) OpenEpoch(context.Context, vcs.Epoch) (vcs.ObjectReader, error) {
	return nil, errors.ErrUnsupported
}

// A store that loses epochs for ever has a ledger of bounded size, on which every
// one of them is accounted for.
func TestLedgerIsBounded(t *testing.T) {
	ctx := t.Context()
	back := mem.New()
	open := func() *vcs.Repo[string, string] {
		r, err := vcs.Open(ctx, back, vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main",
			Retention: vcs.Retention{MaxCommits: 2, Epochs: 2, Archive: burning{}, Chains: []vcs.Chain{}}}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	const n = 150
	for i := range n {
		if _, err := r.Set(ctx, "main", "k", fmt.Sprint(i), vcs.CommitInfo{}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Store().Collect(ctx); err != nil && !strings.Contains(err.Error(), "on fire") {
			t.Fatal(err)
		}
		if i == n/2 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = open()
		}
	}
	check := func() []vcs.Epoch {
		t.Helper()
		list := r.Store().Epochs()
		next, commits := 1, 0
		for _, e := range list {
			if e.Number != next {
				t.Errorf("epoch %d comes where %d should be", e.Number, next)
			}
			next += e.Count()
			commits += e.Commits
		}
		if next < n || commits < n {
			t.Errorf("%d epochs with %d commits for %d", next, commits, n)
		}
		if first := list[0]; first.Through == 0 || first.State != vcs.EpochLost || !strings.Contains(first.Reason, "on fire") {
			t.Errorf("the sum is %+v", first)
		}
		return list
	}
	want := check()
	head, err := r.Head(vcs.LedgerBranch)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Store().ReadCommit(head)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := r.Store().ReadTree(c.Tree)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Len() > 90 {
		t.Errorf("the ledger has %d files", tree.Len())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open()
	defer r.Close()
	got := check()
	if !reflect.DeepEqual(got[0], want[0]) {
		t.Errorf("reopened with %+v, had %+v", got[0], want[0])
	}
}
