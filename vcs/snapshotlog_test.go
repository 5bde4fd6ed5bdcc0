package vcs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestOldSnapshot goes through a large table of long ago, of which nothing is
// left, and through what it differs in from others. To look for each of its
// objects in the log would take for ever, and find few of them.
func TestOldSnapshot(t *testing.T) {
	const keys = 36_000
	b := mem.New()
	cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
	r := must(vcs.Open(t.Context(), b, cfg))(t)
	all := func(v vcs.Opt[string]) (ch []vcs.Change[string, string]) {
		for i := range keys {
			ch = append(ch, vcs.Change[string, string]{Key: fmt.Sprintf("d%02d/k%05d", i%100, i), Value: v})
		}
		return ch
	}
	var ids []vcs.ID
	commit := func(ch []vcs.Change[string, string]) {
		t.Helper()
		var head vcs.ID
		if len(ids) > 0 {
			head = ids[len(ids)-1]
		}
		ids = append(ids, must(r.Commit(t.Context(), "primary", head, ch, vcs.CommitInfo{Message: "m", Time: time.Unix(int64(len(ids)), 0)}))(t))
	}
	values := all(vcs.Some(""))
	for i := range values {
		values[i].Value = vcs.Some(fmt.Sprint(i))
	}
	commit(values)
	commit([]vcs.Change[string, string]{{Key: "d00/k00000", Value: vcs.Some("new")}})
	commit(all(vcs.None[string]()))
	for i := range 20 {
		commit([]vcs.Change[string, string]{{Key: "other", Value: vcs.Some(fmt.Sprint(i))}})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(vcs.Open(t.Context(), b, cfg))(t)
	defer r.Close()
	vcs.LimitScan(r.Store(), 5)

	n := 0
	for e, err := range must(r.AtCommit(ids[1]))(t).All("") {
		if err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
		if e.Key != "d00/k00000" && strings.TrimLeft(e.Key[len("d00/k"):], "0") != strings.TrimLeft(e.Value, "0") {
			t.Fatalf("%s is %q", e.Key, e.Value)
		}
		n++
	}
	if n != keys {
		t.Errorf("%d entries of %d", n, keys)
	}
	n = 0
	for d, err := range r.Diff(ids[1], ids[4]) {
		if err != nil {
			t.Fatalf("difference %d: %v", n, err)
		}
		if !d.Old.Present != (d.Key == "other") {
			t.Fatalf("%+v", d)
		}
		n++
	}
	if n != keys+1 {
		t.Errorf("%d differences, want %d", n, keys+1)
	}

	n = 0
	for e, err := range must(r.AtCommit(ids[0]))(t).All("d93") {
		if err != nil || !strings.HasPrefix(e.Key, "d93/") {
			t.Fatalf("entry %d of a folder: %q, %v", n, e.Key, err)
		}
		n++
	}
	for d, err := range r.DiffFolder("d00", ids[0], ids[1]) {
		if err != nil || d.Key != "d00/k00000" {
			t.Fatalf("difference of a folder: %+v, %v", d, err)
		}
		n++
	}
	if n != keys/100+1 {
		t.Errorf("%d entries and differences of folders, want %d", n, keys/100+1)
	}
}
