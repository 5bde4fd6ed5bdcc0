package arptest

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

var (
	macA = ethernet.MustParseAddr("02:50:00:00:00:0a")
	macB = ethernet.MustParseAddr("02:50:00:00:00:0b")
)

// TestTable checks that open returns a Table that keeps the contract of
// arp.Table, and of the optional abilities that it has. Each call of open
// returns an empty Table; whoever opens also closes (see testing.T.Cleanup).
func TestTable(t *testing.T, open func(t *testing.T) arp.Table) {
	for _, c := range tableCases() {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

type tableCase struct {
	name string
	run  func(*testing.T, arp.Table)
}

func tableCases() []tableCase {
	return []tableCase{
		{"create_is_consistent", tableIsEmpty},
		{"readback", tableReadBack},
		{"move", tableMove},
		{"expire", tableExpire},
		{"expire_of_another_binding", tableExpireOther},
		{"pin_and_unpin", tablePin},
		{"keys", tableKeys},
		{"repetition_keeps_since", tableRepetition},
		{"list", tableList},
		{"concurrent", tableConcurrent},
		{"abilities", tableAbilities},
	}
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func key(last byte) arp.Key {
	return arp.Key{Domain: arp.DefaultDomain, Addr: netip.AddrFrom4([4]byte{10, 23, 10, last})}
}

func change(op arp.ChangeOp, k arp.Key, mac, old ethernet.Addr, after time.Duration) arp.Change {
	at := epoch.Add(after)
	c := arp.Change{Op: op, Key: k, MAC: mac, Old: old, Time: at, Interface: "eth0", Rule: "test"}
	if op == arp.OpLearned || op == arp.OpMoved {
		c.Deadline = at.Add(20 * time.Minute)
		c.Evidence = arp.Evidence{Len: 42, Kind: arp.KindReply, Solicited: true, Source: mac}
	}
	return c
}

func wantBinding(t *testing.T, tab arp.Table, k arp.Key, mac ethernet.Addr, static bool) {
	t.Helper()
	if b, ok := tab.Get(k); !ok || b.MAC != mac || b.Static != static {
		t.Errorf("Get(%v) = %+v, %v; want %v, static %v", k, b, ok, mac, static)
	}
}

func wantNone(t *testing.T, tab arp.Table, k arp.Key) {
	t.Helper()
	if b, ok := tab.Get(k); ok {
		t.Errorf("Get(%v) = %+v, want none", k, b)
	}
}

func tableIsEmpty(t *testing.T, tab arp.Table) {
	wantNone(t, tab, key(1))
	wantNone(t, tab, arp.Key{})
}

func tableReadBack(t *testing.T, tab arp.Table) {
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
	wantBinding(t, tab, key(1), macA, false)
	if b, _ := tab.Get(key(1)); !b.Since.Equal(epoch) {
		t.Errorf("since %v, want %v", b.Since, epoch)
	}
	wantNone(t, tab, key(2))
}

func tableMove(t *testing.T, tab arp.Table) {
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
	tab.Put(change(arp.OpMoved, key(1), macB, macA, 0)) // within the same second
	wantBinding(t, tab, key(1), macB, false)
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, time.Second))
	wantBinding(t, tab, key(1), macA, false)
}

func tableExpire(t *testing.T, tab arp.Table) {
	tab.Expire(change(arp.OpExpired, key(1), ethernet.Addr{}, macA, 0)) // of nothing
	wantNone(t, tab, key(1))
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
	tab.Put(change(arp.OpLearned, key(2), macB, ethernet.Addr{}, 0))
	tab.Expire(change(arp.OpExpired, key(1), ethernet.Addr{}, macA, time.Second))
	wantNone(t, tab, key(1))
	wantBinding(t, tab, key(2), macB, false)
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 2*time.Second))
	wantBinding(t, tab, key(1), macA, false)
}

func tableExpireOther(t *testing.T, tab arp.Table) {
	tab.Put(change(arp.OpLearned, key(1), macB, ethernet.Addr{}, 0))
	tab.Expire(change(arp.OpExpired, key(1), ethernet.Addr{}, macA, time.Second))
	wantBinding(t, tab, key(1), macB, false)
}

func tablePin(t *testing.T, tab arp.Table) {
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
	tab.Put(change(arp.OpPinned, key(1), macA, macA, time.Second))
	wantBinding(t, tab, key(1), macA, true)
	tab.Put(change(arp.OpPinned, key(1), macB, macA, 2*time.Second))
	wantBinding(t, tab, key(1), macB, true)
	tab.Put(change(arp.OpUnpinned, key(1), macB, macB, 3*time.Second))
	wantBinding(t, tab, key(1), macB, false)
}

func tableKeys(t *testing.T, tab arp.Table) {
	keys := []arp.Key{key(1)}
	for _, v := range []ethernet.VLAN{{Inner: 5}, {Outer: 5, Inner: 1}, {Outer: 1, Inner: 5}} {
		k := key(1)
		k.VLAN = v
		keys = append(keys, k)
	}
	other := key(1)
	other.Domain = "office"
	keys = append(keys, other)
	for i, k := range keys {
		tab.Put(change(arp.OpLearned, k, ethernet.Addr{2, byte(i + 1)}, ethernet.Addr{}, 0))
	}
	for i, k := range keys {
		wantBinding(t, tab, k, ethernet.Addr{2, byte(i + 1)}, false)
	}
}

func tableRepetition(t *testing.T, tab arp.Table) {
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, time.Hour))
	if b, _ := tab.Get(key(1)); !b.Since.Equal(epoch) {
		t.Errorf("since %v after a repetition, want %v", b.Since, epoch)
	}
}

func tableList(t *testing.T, tab arp.Table) {
	l, ok := tab.(arp.Lister)
	if !ok {
		t.Skip("the Table is no Lister")
	}
	tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
	tab.Put(change(arp.OpLearned, key(2), macB, ethernet.Addr{}, 0))
	tab.Put(change(arp.OpPinned, key(3), macB, ethernet.Addr{}, 0))
	tab.Expire(change(arp.OpExpired, key(1), ethernet.Addr{}, macA, time.Second))
	got := map[arp.Key]arp.Binding{}
	for k, b := range l.All() {
		got[k] = b
	}
	if len(got) != 2 || got[key(2)].MAC != macB || got[key(2)].Static || !got[key(3)].Static {
		t.Errorf("All yields %+v", got)
	}
	for range l.All() {
		break
	}
}

func tableConcurrent(t *testing.T, tab arp.Table) {
	const writers, writes = 8, 50
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range writes {
				d := time.Duration(i) * time.Millisecond
				tab.Put(change(arp.OpLearned, key(byte(w)), macA, ethernet.Addr{}, d))
				tab.Get(key(byte(w + 1)))
				if i%3 == 0 && i < writes-1 {
					tab.Expire(change(arp.OpExpired, key(byte(w)), ethernet.Addr{}, macA, d))
				}
			}
		})
	}
	all.Wait()
	for w := range writers {
		wantBinding(t, tab, key(byte(w)), macA, false)
	}
}

func tableAbilities(t *testing.T, tab arp.Table) {
	var has []string
	if r, ok := tab.(arp.Recorder); ok {
		has = append(has, "Recorder")
		tab.Put(change(arp.OpLearned, key(1), macA, ethernet.Addr{}, 0))
		for i := range 100 {
			r.Record(change(arp.OpRefused, key(1), macB, macA, time.Duration(i)*time.Millisecond))
		}
		r.Record(change(arp.OpQueryFailed, key(9), ethernet.Addr{}, ethernet.Addr{}, 0))
		wantBinding(t, tab, key(1), macA, false)
		wantNone(t, tab, key(9))
	}
	if tr, ok := tab.(arp.Tracker); ok {
		has = append(has, "Tracker")
		for i := range uint64(100) {
			w := arp.Work{ID: i + 1, Kind: arp.WorkQuery, Key: key(byte(i)), Time: epoch}
			tr.Begin(w)
			tr.End(w, arp.OutcomeDropped)
		}
	}
	if w, ok := tab.(arp.Watcher); ok {
		has = append(has, "Watcher")
		stop := w.Watch(func(arp.Key, arp.Binding, bool) { t.Error("own changes are not foreign ones") })
		tab.Put(change(arp.OpLearned, key(2), macA, ethernet.Addr{}, 0))
		stop()
	}
	t.Log("abilities:", fmt.Sprint(has))
}
