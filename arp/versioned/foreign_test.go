package versioned

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

type seen struct {
	k  arp.Key
	b  arp.Binding
	ok bool
}

// foreignBench is a table with two entries, whose watcher notes what it hears.
func foreignBench(t *testing.T) (*Table, *vcs.Store, *[]seen) {
	tab, s := openStore(t, mem.New(), Config{Node: "a"})
	tab.Put(learned(key("10.9.0.7"), aMAC, ethernet.Addr{}, time.Now()))
	settle(t, tab)
	tab.Put(learned(key("10.9.0.7"), bMAC, aMAC, time.Now()))
	tab.Put(learned(key("10.9.0.8"), bMAC, ethernet.Addr{}, time.Now()))
	settle(t, tab)
	synctest.Wait()
	var heard []seen
	tab.Watch(func(k arp.Key, b arp.Binding, ok bool) { heard = append(heard, seen{k, b, ok}) })
	return tab, s, &heard
}

// A revert brings an older entry back, and the table follows.
func TestRevertReachesTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, heard := foreignBench(t)
		var poison *vcs.Commit
		for c := range tab.Log(key("10.9.0.7")) {
			poison = c
			break
		}
		if _, err := tab.Repo().Revert(t.Context(), Primary, poison.ID, vcs.MergeOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b, _ := tab.Get(key("10.9.0.7")); b.MAC != aMAC {
			t.Errorf("after the revert: %+v", b)
		}
		if len(*heard) != 1 || (*heard)[0].b.MAC != aMAC || !(*heard)[0].ok {
			t.Errorf("watchers heard %+v", *heard)
		}
		sameAsHead(t, tab)
		tab.Put(learned(key("10.9.0.7"), bMAC, aMAC, time.Now()))
		settle(t, tab)
		synctest.Wait()
		sameAsHead(t, tab)
		if len(*heard) != 1 {
			t.Errorf("own changes were reported as foreign: %+v", *heard)
		}
		closeBoth(t, tab, s)
	})
}

// The table's own writers merge into a branch that others move all the time.
func TestForeignAndOwnWritersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := open(context.Background(), s, Config{Node: "a"}, dawdle(9))
		if err != nil {
			t.Fatal(err)
		}
		other, err := NewRepo(s)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(8, 8))
		for i := range 200 {
			k := key(fmt.Sprintf("10.9.0.%d", 1+r.IntN(5)))
			mac := ethernet.Addr{2, 0, 0, 0, byte(i), byte(r.IntN(200))}
			if i%2 == 0 {
				tab.Put(arp.Change{Op: arp.OpMoved, Key: k, MAC: mac, Time: time.Now()})
			} else {
				_, err := other.Update(t.Context(), Primary, vcs.TxOptions{}, func(tx *vcs.Tx[arp.Key, Entry]) error {
					e, _, err := tx.Get(k)
					n, _ := put(e, &arp.Change{Op: arp.OpMoved, Key: k, MAC: mac, Time: time.Now()}, "b")
					tx.Set(k, n)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
		}
		settle(t, tab)
		synctest.Wait()
		sameAsHead(t, tab)
		if st := tab.Stats(); st.Foreign < 50 || st.Merges == 0 {
			t.Errorf("stats: %+v", st)
		}
		closeBoth(t, tab, s)
	})
}

func TestRemovedAndDamagedFilesFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, heard := foreignBench(t)
		raw, err := vcs.New(s, vcs.Config[string, string]{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Set(t.Context(), Primary, Layout{}.Path(key("10.9.0.8")), "vandalised", vcs.CommitInfo{Message: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Remove(t.Context(), Primary, Layout{}.Path(key("10.9.0.7")), vcs.CommitInfo{Message: "y"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, ok := tab.Get(key("10.9.0.7")); ok {
			t.Error("the removed entry still holds")
		}
		if b, ok := tab.Get(key("10.9.0.8")); !ok || b.MAC != bMAC {
			t.Error("a file that is no entry took the binding away")
		}
		if len(*heard) != 1 || (*heard)[0].ok || tab.Stats().Damaged != 1 {
			t.Errorf("heard %+v, stats %+v", *heard, tab.Stats())
		}
		closeBoth(t, tab, s)
	})
}

// A pin holds on its node, whatever is merged, and is an ordinary binding on
// every other node.
func TestPinsAreLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, heard := foreignBench(t)
		k := key("10.9.0.8")
		tab.Put(arp.Change{Op: arp.OpPinned, Key: k, MAC: aMAC, Old: bMAC, Time: time.Now()})
		settle(t, tab)
		other, err := NewRepo(s)
		if err != nil {
			t.Fatal(err)
		}
		pinned, _, _ := mustSnap(t, tab).Get(k)
		seenByB, _ := put(pinned, &arp.Change{Op: arp.OpMoved, Key: k, MAC: bMAC, Time: time.Now().Add(time.Minute)}, "b")
		if _, err := other.Set(t.Context(), Primary, k, seenByB, vcs.CommitInfo{Message: "from b"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b, _ := tab.Get(k); b.MAC != aMAC || !b.Static {
			t.Errorf("the pin is gone: %+v", b)
		}
		settle(t, tab)
		synctest.Wait()
		sameAsHead(t, tab) // written again above what b saw
		if len(*heard) != 0 {
			t.Errorf("heard %+v", *heard)
		}
		head := mustSnap(t, tab).Commit()
		closeBoth(t, tab, s)

		// node b takes the whole history over
		bs := mem.New()
		tabB, sB := openStore(t, bs, Config{Node: "b"})
		copyObjects(t, s, sB, head)
		if _, err := tabB.Repo().Merge(t.Context(), Primary, head, vcs.MergeOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b, ok := tabB.Get(k); !ok || b.MAC != aMAC || b.Static {
			t.Errorf("on the other node: %+v, %v", b, ok)
		}
		closeBoth(t, tabB, sB)
	})
}

func mustSnap(t *testing.T, tab *Table) *vcs.Snapshot[arp.Key, Entry] {
	t.Helper()
	snap, err := tab.Repo().At(Primary)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// copyObjects brings everything that a commit needs from one store to another.
func copyObjects(t *testing.T, from, to *vcs.Store, commits ...vcs.ID) {
	t.Helper()
	var add func(vcs.ID) []vcs.Object
	add = func(id vcs.ID) (objs []vcs.Object) {
		kind, b, err := from.ReadObject(id)
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case vcs.KindTree:
			tree, err := vcs.ParseTree(b)
			if err != nil {
				t.Fatal(err)
			}
			for i := range tree.Len() {
				objs = append(objs, add(tree.Entry(i).ID)...)
			}
		}
		return append(objs, vcs.Object{ID: id, Kind: kind, Content: b})
	}
	var objs []vcs.Object
	for c, err := range from.Log(commits...) {
		if err != nil {
			t.Fatal(err)
		}
		objs = append(objs, add(c.Tree)...)
		objs = append(objs, add(c.ID)...)
	}
	if err := to.AddObjects(t.Context(), objs); err != nil {
		t.Fatal(err)
	}
}

// Orders of this node's operator that come from outside reach the cache: a pin,
// another pin in its place, and that it is taken back.
func TestOrdersReachTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, heard := foreignBench(t)
		k := key("10.9.0.8")
		other, err := NewRepo(s)
		if err != nil {
			t.Fatal(err)
		}
		info := vcs.CommitInfo{Message: "order"}
		told := func(want seen) {
			t.Helper()
			synctest.Wait()
			if n := len(*heard); n == 0 || (*heard)[n-1].b.MAC != want.b.MAC || (*heard)[n-1].b.Static != want.b.Static || (*heard)[n-1].ok != want.ok {
				t.Errorf("heard %+v, want %+v", *heard, want)
			}
			sameAsHead(t, tab)
			*heard = nil
		}
		for _, mac := range []ethernet.Addr{aMAC, bMAC} {
			info.Time = time.Now()
			if _, _, err := Pin(t.Context(), other, Primary, "a", k, mac, info); err != nil {
				t.Fatal(err)
			}
			told(seen{k, arp.Binding{MAC: mac, Static: true}, true})
			time.Sleep(time.Second)
		}
		info.Time = time.Now()
		if _, err := Unpin(t.Context(), other, Primary, k, info); err != nil {
			t.Fatal(err)
		}
		told(seen{k, arp.Binding{MAC: bMAC}, true})
		if _, _, err := Pin(t.Context(), other, Primary, "a", k, aMAC, info); err != nil {
			t.Fatal(err)
		}
		told(seen{k, arp.Binding{MAC: aMAC, Static: true}, true})
		if _, err := other.Remove(t.Context(), Primary, k, info); err != nil {
			t.Fatal(err)
		}
		told(seen{k, arp.Binding{}, false})
		closeBoth(t, tab, s)
	})
}
