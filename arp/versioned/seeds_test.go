package versioned

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// tree writes entries into a repository of its own and returns the tree and how
// many octets its blobs have.
func tree(t *testing.T, macs map[string]ethernet.Addr) (*vcs.Snapshot[arp.Key, Entry], int) {
	t.Helper()
	tab := openMem(t, Config{})
	size := 0
	for ip, mac := range macs {
		tab.Put(learned(key(ip), mac, ethernet.Addr{}, t0))
	}
	settle(t, tab)
	for _, r := range tab.Entries() {
		b, err := r.Entry.Encode()
		if err != nil {
			t.Fatal(err)
		}
		size += len(b)
	}
	return mustSnap(t, tab), size
}

// The operations on whole tables of irmin-network-datastores' list: what it
// asserts of a serialised map holds of Git trees.
func TestTablesAsValues(t *testing.T) {
	none := map[string]ethernet.Addr{}
	one := map[string]ethernet.Addr{"10.0.0.1": aMAC}
	other := map[string]ethernet.Addr{"10.0.0.1": bMAC}
	two := map[string]ethernet.Addr{"10.0.0.1": aMAC, "10.0.0.2": bMAC}
	empty, zero := tree(t, none)
	single, small := tree(t, one)
	again, same := tree(t, one)
	changed, _ := tree(t, other)
	double, large := tree(t, two)
	for name, ok := range map[string]bool{
		"equal_things_equal_size":            small == same,
		"larger_things_larger_size":          zero < small && small < large,
		"write_empty_map":                    empty.Tree() == vcs.EmptyTree,
		"empty_maps_equal":                   empty.Tree() == mustSnap(t, openMem(t, Config{})).Tree(),
		"empty_and_populated_unequal":        empty.Tree() != single.Tree(),
		"differently_populated_unequal":      single.Tree() != double.Tree(),
		"equal_maps_equal":                   single.Tree() == again.Tree(),
		"different_entry_values_compare":     single.Tree() != changed.Tree(),
		"smaller_and_larger_are_told_apart":  len(mapOf(t, single)) < len(mapOf(t, double)),
		"read_empty_map":                     len(mapOf(t, empty)) == 0,
		"read_singleton_map":                 len(mapOf(t, single)) == 1 && mapOf(t, single)[key("10.0.0.1")].MAC == aMAC,
		"read_populated_map":                 len(mapOf(t, double)) == 2 && mapOf(t, double)[key("10.0.0.2")].MAC == bMAC,
		"write_singleton_and_populated_maps": strings.Contains(text(t, single), "mac 02:50:00:00:00:0a\n") && strings.Contains(text(t, single), "deadline 2026"),
	} {
		if !ok {
			t.Error(name)
		}
	}
}

func mapOf(t *testing.T, s *vcs.Snapshot[arp.Key, Entry]) map[arp.Key]Entry {
	t.Helper()
	m, err := s.Map()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func text(t *testing.T, s *vcs.Snapshot[arp.Key, Entry]) string {
	t.Helper()
	var b strings.Builder
	for _, e := range mapOf(t, s) {
		x, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.Write(x)
	}
	return b.String()
}

// Defect 4: a change that one side made alone is the result of the merge, also
// when it brings the deadline forward.
func TestOneSidedChangeWins(t *testing.T) {
	s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	repo, err := NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	k, info := key("10.9.0.7"), vcs.CommitInfo{Message: "write", Time: t0}
	long, _ := put(Entry{}, &arp.Change{Key: k, MAC: aMAC, Time: t0, Deadline: t0.Add(time.Hour)}, "n")
	if _, err := repo.Set(t.Context(), Primary, k, long, info); err != nil {
		t.Fatal(err)
	}
	base, _ := repo.Head(Primary)
	if err := repo.CreateBranch(t.Context(), "side", base); err != nil {
		t.Fatal(err)
	}
	short := long
	short.Deadline, short.Clock = t0.Add(time.Minute).Unix(), long.Clock+1
	if _, err := repo.Set(t.Context(), "side", k, short, info); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Set(t.Context(), Primary, key("10.9.0.8"), long, info); err != nil {
		t.Fatal(err)
	}
	side, _ := repo.Head("side")
	res, err := repo.Merge(t.Context(), Primary, side, vcs.MergeOptions{CommitInfo: info})
	if err != nil || res.Kind != vcs.Merged {
		t.Fatalf("%+v, %v", res, err)
	}
	snap, err := repo.At(Primary)
	if err != nil {
		t.Fatal(err)
	}
	if e, _, err := snap.Get(k); err != nil || e != short {
		t.Errorf("%+v, %v; the earlier deadline was lost", e, err)
	}
}

// Defect 6: a network on which nothing changes commits nothing, however long
// and however busy it is. Defect 7: neither a frame's clock nor a step of the
// wall clock ends a binding.
func TestQuietNetworkCommitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &arptest.Hub{}
		a := newStation(t, hub, 1, mem.New(), arp.Config{})
		b := newStation(t, hub, 2, mem.New(), arp.Config{})
		a.up()
		b.up()
		a.port.Ask(t, b.ip)
		time.Sleep(time.Minute)
		settle(t, a.tab)
		before := len(subjects(t, a.tab))
		for i := range 6 * 60 {
			time.Sleep(10 * time.Second)
			if mac, _, ok := a.port.Ask(t, b.ip).Answered(); !ok || mac != b.mac {
				t.Fatalf("after %d0 s: %v, %v", i, mac, ok)
			}
			p := arp.Packet{Op: arp.OpRequest, SenderMAC: b.mac, SenderIP: b.ip, TargetIP: b.ip}
			h := ethernet.Header{Dst: ethernet.Broadcast, Src: b.mac, Type: ethernet.TypeARP}
			for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(1<<33, 0)} {
				a.svc.HandleFrame(h, p.AppendTo(nil), at)
			}
		}
		settle(t, a.tab)
		if after := subjects(t, a.tab); len(after) != before {
			t.Errorf("an hour of nothing: %q", after[:len(after)-before])
		}
		a.close(t)
		b.close(t)
	})
}

// Defect 12: what is heard after a query was answered is no answer to it.
func TestOnlyTheAnswerIsSolicited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &arptest.Hub{}
		a := newStation(t, hub, 1, mem.New(), arp.Config{Move: arp.MoveCompat, Learn: arp.LearnAlways})
		x := hub.Join(nil, ethernet.Addr{2, 0x50, 0, 0, 0, 99})
		a.up()
		ip := netip.MustParseAddr("192.168.3.7")
		say := func(mac ethernet.Addr) {
			p := arp.Packet{Op: arp.OpReply, SenderMAC: mac, SenderIP: ip, TargetMAC: a.mac, TargetIP: a.ip}
			h := ethernet.Header{Dst: a.mac, Src: mac, Type: ethernet.TypeARP}
			x.Raw(p.AppendTo(h.AppendTo(nil)))
		}
		a.port.Ask(t, ip)
		say(aMAC)
		say(bMAC)
		settle(t, a.tab)
		kinds := map[string]string{} // by the MAC address that was bound
		for c, err := range a.tab.Commits() {
			if err != nil {
				t.Fatal(err)
			}
			if c.Trailer(TrailerAddress) == ip.String() {
				kinds[c.Trailer(TrailerMAC)] = c.Trailer(TrailerKind)
			}
		}
		if len(kinds) != 2 || kinds[aMAC.String()] != "solicited reply" || kinds[bMAC.String()] != "reply" {
			t.Errorf("%q", kinds)
		}
		a.close(t)
	})
}

// Defect 13: two stores in memory have nothing in common.
func TestStoresInMemoryAreSeparate(t *testing.T) {
	one, two := openMem(t, Config{}), openMem(t, Config{})
	one.Put(learned(key("10.9.0.7"), aMAC, ethernet.Addr{}, t0))
	settle(t, one)
	head, err := one.Repo().Head(Primary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Repo().Store().ReadCommit(head); err == nil {
		t.Error("the other store has the commit too")
	}
	if n := len(two.Entries()); n != 0 {
		t.Errorf("%d entries in the other table", n)
	}
}

// Defect 14: works that begin in one instant, about one address too, have a
// branch each, and none of what they found is overwritten.
func TestWorksOfOneInstantHaveTheirOwnBranches(t *testing.T) {
	tab := openMem(t, Config{})
	for i := range uint64(5) {
		tab.Begin(arp.Work{ID: i + 1, Kind: arp.WorkQuery, Key: key("10.9.0.7"), Time: t0})
	}
	for i := range uint64(5) {
		c := learned(key("10.9.0.7"), ethernet.Addr{2, 0, 0, 0, 0, byte(i + 1)}, ethernet.Addr{}, t0.Add(time.Duration(i)*time.Second))
		c.Work = i + 1
		tab.Put(c)
		tab.End(arp.Work{ID: i + 1, Key: c.Key}, arp.OutcomeAnswered)
	}
	settle(t, tab)
	queries := 0
	for _, b := range tab.Repo().Branches() {
		if strings.HasPrefix(b.Name, "query/") {
			queries++
		}
	}
	told := 0
	for _, s := range subjects(t, tab) {
		if strings.HasPrefix(s, "arp: 10.9.0.7 -> ") {
			told++
		}
	}
	if queries != 5 || told != 5 {
		t.Errorf("%d branches, %d of 5 changes in the history", queries, told)
	}
	if b, _ := tab.Get(key("10.9.0.7")); b.MAC[5] != 5 {
		t.Errorf("held by %v", b.MAC)
	}
}
