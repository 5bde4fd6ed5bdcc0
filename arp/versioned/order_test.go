package versioned

import (
	"errors"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestOrders: an order is in the history with its cause, holds on its node for a
// Table that opens the branch, and leaves no branch behind.
func TestOrders(t *testing.T) {
	b := mem.New()
	s, err := vcs.OpenStore(t.Context(), b, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tab, err := Open(t.Context(), s, Config{Node: "node"})
	if err != nil {
		t.Fatal(err)
	}
	k := key("10.9.0.7")
	tab.Put(arp.Change{Op: arp.OpLearned, Key: k, MAC: mac(1), Time: t0})
	if err := tab.Close(); err != nil {
		t.Fatal(err)
	}
	repo, err := NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	info := vcs.CommitInfo{Time: t0.Add(time.Minute), Author: vcs.Signature{Name: "op", Email: "op@example.org"}}
	info.Committer = info.Author
	head, changed, err := Pin(t.Context(), repo, Primary, "node", k, mac(2), info)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	c, err := s.ReadCommit(head)
	if err != nil {
		t.Fatal(err)
	}
	for trailer, want := range map[string]string{TrailerCause: "pinned", TrailerMAC: mac(2).String(), TrailerOld: mac(1).String(), TrailerNode: "node"} {
		if got := c.Trailer(trailer); got != want {
			t.Errorf("%s is %q, want %q", trailer, got, want)
		}
	}
	if _, changed, err := Pin(t.Context(), repo, Primary, "node", k, mac(2), info); changed || err != nil {
		t.Errorf("again: %v, %v", changed, err)
	}
	if _, _, err := Pin(t.Context(), repo, Primary, "node", k, ethernet.Broadcast, info); err == nil {
		t.Error("pinned to everybody")
	}

	tab, err = Open(t.Context(), s, Config{Node: "node"})
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := tab.Get(k); !ok || !b.Static || b.MAC != mac(2) {
		t.Errorf("the table has %+v, %v", b, ok)
	}
	if err := tab.Close(); err != nil {
		t.Fatal(err)
	}
	info.Time = t0.Add(time.Hour)
	if _, err := Unpin(t.Context(), repo, Primary, k, info); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpin(t.Context(), repo, Primary, k, info); !errors.Is(err, ErrNotPinned) {
		t.Errorf("unpinned twice: %v", err)
	}
	for _, b := range repo.Branches() {
		if b.Name != Primary && b.Name != Learn {
			t.Errorf("branch %s is left", b.Name)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
