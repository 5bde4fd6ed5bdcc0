package history

import (
	"errors"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

func TestIsTable(t *testing.T) {
	r, repo := table(t)
	files, err := vcs.New(r.Store, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := files.Set(t.Context(), "other", "lan/readme", []byte("v4\n"), vcs.CommitInfo{Message: "text"})
	if err != nil {
		t.Fatal(err)
	}
	tagged := put(t, repo, "tagged", key("dmz", 7, 1), 1, now)
	empty, err := repo.Commit(t.Context(), "empty", vcs.ID{}, nil, vcs.CommitInfo{Message: "arp: initial empty cache", AllowEmpty: true})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[vcs.ID]bool{resolve(t, r, "HEAD").ID: true, tagged: true, empty: true, other: false} {
		c, err := r.Store.ReadCommit(id)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := IsTable(r.Store, c); is != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", c.Subject(), is, err, want)
		}
	}
}

func get(t *testing.T, repo *versioned.Repo, rev string, k arp.Key) versioned.Entry {
	t.Helper()
	snap, err := repo.At(rev)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := snap.Get(k)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What a revert writes is later than what it undoes, so that a node that still
// has that cannot bring it back by a merge.
func TestRevertedEntriesStayReverted(t *testing.T) {
	r, repo := table(t)
	k := key("lan", 0, 3)
	before := get(t, repo, "primary", k)
	moved := put(t, repo, "primary", k, 99, now)
	c, err := r.Store.ReadCommit(moved)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.CreateBranch(t.Context(), "elsewhere", moved); err != nil {
		t.Fatal(err)
	}
	put(t, repo, "elsewhere", key("lan", 0, 77), 77, now.Add(time.Second)) // another node goes on
	head, err := RevertTable(t.Context(), repo, "primary", c, vcs.CommitInfo{Time: now.Add(time.Minute)})
	if err != nil || head.IsZero() {
		t.Fatal(head, err)
	}
	after := get(t, repo, "primary", k)
	if after.MAC != before.MAC || after.Clock != now.Add(time.Minute).UnixMilli() {
		t.Errorf("the entry is %+v, was %+v", after, before)
	}
	if hc, _ := r.Store.ReadCommit(head); !strings.Contains(hc.Message, "This reverts commit "+moved.String()) {
		t.Errorf("message %q", hc.Message)
	}
	for _, dir := range [][2]string{{"primary", "elsewhere"}, {"elsewhere", "primary"}} {
		from, err := repo.Head(dir[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Merge(t.Context(), dir[0], from, vcs.MergeOptions{}); err != nil {
			t.Fatal(err)
		}
		if e := get(t, repo, dir[0], k); e.MAC != before.MAC {
			t.Errorf("after merging %s into %s the entry is %+v", dir[1], dir[0], e)
		}
	}
}

func TestRevertOfANewAddressExpiresIt(t *testing.T) {
	r, repo := table(t)
	k := key("lan", 0, 9)
	head, err := RevertTable(t.Context(), repo, "primary", resolve(t, r, "HEAD"), vcs.CommitInfo{Time: time.Unix(0, 0)})
	if err != nil || head.IsZero() {
		t.Fatal(head, err)
	}
	e, old := get(t, repo, "primary", k), entry(9, time.Date(2026, 1, 2, 12, 20, 0, 0, time.UTC))
	if e.State != versioned.Expired || e.MAC != old.MAC || e.Clock != old.Clock+1 {
		t.Errorf("the entry is %+v", e)
	}
}

func TestRevertOfWhatChangedAgainIsAConflict(t *testing.T) {
	r, repo := table(t)
	c := resolve(t, r, "HEAD")
	head := put(t, repo, "primary", key("lan", 0, 9), 50, now)
	_, err := RevertTable(t.Context(), repo, "primary", c, vcs.CommitInfo{Time: now})
	if !errors.Is(err, vcs.ErrConflict) || !strings.Contains(err.Error(), "10.9.0.9 changed again") {
		t.Error(err)
	}
	if now, _ := repo.Head("primary"); now != head {
		t.Error("the branch moved")
	}
}

func TestRevertOfNothing(t *testing.T) {
	r, repo := table(t)
	head, err := repo.Head("primary")
	if err != nil {
		t.Fatal(err)
	}
	id, err := repo.Commit(t.Context(), "primary", head, nil, vcs.CommitInfo{Message: "arp: 10.9.0.1 query timed out", AllowEmpty: true, Time: now})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Store.ReadCommit(id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := RevertTable(t.Context(), repo, "primary", c, vcs.CommitInfo{Time: now}); err != nil || !got.IsZero() {
		t.Error(got, err)
	}
}

func TestMergeEntries(t *testing.T) {
	path := versioned.Layout{}.Path(key("lan", 0, 3))
	text := func(card int, at time.Time) []byte {
		b, err := entry(card, at).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	old, a, b := text(1, now), text(2, now.Add(time.Second)), text(3, now.Add(2*time.Second))
	for _, sides := range [][3][]byte{{old, a, b}, {old, b, a}, {nil, a, b}, {nil, b, a}, {b, old, b}, {old, b, nil}, {old, nil, b}} {
		got, err := MergeEntries(path, sides[0], sides[1], sides[2])
		if err != nil || string(got) != string(b) {
			t.Errorf("%q, %v", got, err)
		}
	}
	for what, args := range map[string][2]string{"path": {"README", string(a)}, "text": {path, "hello\n"}} {
		if _, err := MergeEntries(args[0], old, []byte(args[1]), b); !errors.Is(err, ErrNotEntry) {
			t.Errorf("a bad %s: %v", what, err)
		}
	}
}

func TestBisectionsThatCannotDecide(t *testing.T) {
	r, _ := table(t)
	var all []vcs.ID // newest first
	for l, err := range Log(r.Store, LogOptions{From: r.Tips()}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l.ID)
	}
	if _, err := NewBisection(r.Store, []vcs.ID{all[0]}, all[0]); !errors.Is(err, ErrAmbiguous) {
		t.Error(err)
	}
	if _, err := NewBisection(r.Store, []vcs.ID{all[0]}, all[3]); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "their common ancestor is "+all[3].Short()) {
		t.Error(err)
	}
	// The culprit is all[4]; it and its parent cannot be tested.
	b, err := NewBisection(r.Store, []vcs.ID{all[8]}, all[0])
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		id, ok, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		v := Good
		switch id {
		case all[4], all[5]:
			v = Skip
		case all[0], all[1], all[2], all[3]:
			v = Bad
		}
		if err := b.Mark(id, v); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Candidates(); len(got) != 3 || got[0] != all[5] || got[1] != all[4] || got[2] != all[3] {
		t.Errorf("candidates %v", got)
	}
	if err := b.Mark(all[8], Good); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestFollowerTellsEachCommitOnce(t *testing.T) {
	r, repo := table(t)
	f := NewFollower(r.Store)
	refs := func() []vcs.Ref {
		refs, err := r.Store.Refs()
		if err != nil {
			t.Fatal(err)
		}
		return refs
	}
	news, err := f.News(refs())
	if err != nil || len(news) != 9 || news[0].Time().UTC().Hour() != 11 {
		t.Fatal(len(news), err)
	}
	if news, err = f.News(refs()); len(news) != 0 || err != nil {
		t.Fatal(len(news), err)
	}
	if err := repo.CreateBranch(t.Context(), "expire/x", headOf(t, repo)); err != nil {
		t.Fatal(err)
	}
	put(t, repo, "expire/x", key("lan", 0, 20), 1, now)
	put(t, repo, "primary", key("lan", 0, 21), 1, now.Add(time.Second))
	from, err := repo.Head("expire/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Merge(t.Context(), "primary", from, vcs.MergeOptions{CommitInfo: vcs.CommitInfo{Time: now.Add(time.Minute)}}); err != nil {
		t.Fatal(err)
	}
	if news, err = f.News(refs()); len(news) != 3 || err != nil || len(news[2].Parents) != 2 {
		t.Fatal(len(news), err)
	}
}

func headOf(t *testing.T, repo *versioned.Repo) vcs.ID {
	t.Helper()
	head, err := repo.Head("primary")
	if err != nil {
		t.Fatal(err)
	}
	return head
}
