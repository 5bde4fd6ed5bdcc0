package arp

import (
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

func ipOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(1 + i/250), byte(1 + i%250)}) }

// wide gives the engine a network that holds all of ipOf's addresses.
func wide(t *testing.T, cfg Config) *lab {
	l := bareLab(t, cfg)
	l.e.AddAddress(l.now, netip.PrefixFrom(meIP, 16))
	l.wait(time.Minute)
	l.take()
	return l
}

// A flood of unasked stations evicts neither static entries, nor those in use,
// nor those that were ever asked for while there are unasked ones; and it never
// exceeds the capacity.
func TestFloodEvictsOnlyTheUnasked(t *testing.T) {
	l := wide(t, Config{Learn: LearnAlways, Capacity: 100})
	for i := range 10 {
		if err := l.e.Pin(l.now, ipOf(i), aMAC); err != nil {
			t.Fatal(err)
		}
	}
	for i := 10; i < 60; i++ {
		l.e.Resolve(l.now, ipOf(i))
		l.frame(meMAC, reply(aMAC, ipOf(i)))
	}
	for i := range 10_000 {
		l.frame(ethernet.Broadcast, announcement(ethernet.Addr{2, 1, byte(i >> 8), byte(i)}, ipOf(100+i)))
		if n := l.e.Stats().Entries; n > 110 {
			t.Fatalf("%d entries", n)
		}
	}
	for i := range 60 {
		if _, mac := l.state(ipOf(i)); mac != aMAC {
			t.Errorf("the flood evicted %v", ipOf(i))
		}
	}
	if st := l.e.Stats(); st.Evicted != 10_000-50 || st.Entries != 110 {
		t.Errorf("stats: %+v", st)
	}
	if n := len(pick(l.take(), ActExpire)); n != 0 {
		t.Errorf("eviction told the Table of %d expiries", n)
	}
}

func TestFullOfEntriesInUseLearnsNoMore(t *testing.T) {
	l := wide(t, Config{Learn: LearnAlways, Capacity: 16})
	for i := range 16 {
		l.e.Resolve(l.now, ipOf(i))
		l.frame(meMAC, reply(aMAC, ipOf(i)))
	}
	l.frame(ethernet.Broadcast, announcement(bMAC, ipOf(50)))
	if st := l.e.Stats(); st.Dropped[DropFull] != 1 {
		t.Errorf("a newcomer displaced an entry in use: %+v", st)
	}
	l.e.Resolve(l.now, ipOf(51)) // but our own wish does
	l.frame(meMAC, reply(bMAC, ipOf(51)))
	l.want(ipOf(51), StateReachable, bMAC)
	l.want(ipOf(0), StateNone, ethernet.Addr{})
}

// Unanswered requests take at most a quarter of the cache.
func TestPendingIsBounded(t *testing.T) {
	l := wide(t, Config{Capacity: 100})
	full := 0
	for i := range 100 {
		if _, v, err := l.e.Resolve(l.now, ipOf(i)); v == Refused && err == ErrTableFull {
			full++
		}
	}
	if st := l.e.Stats(); st.Pending != 25 || full != 75 {
		t.Fatalf("%d pending, %d refused", st.Pending, full)
	}
	l.wait(3 * time.Second) // all failed: they make room for new ones
	for i := range 25 {
		if _, v, _ := l.e.Resolve(l.now, ipOf(200+i)); v != Pending {
			t.Fatalf("query %d: %v", i, v)
		}
	}
	if st := l.e.Stats(); st.Pending != 25 {
		t.Fatalf("%d pending", st.Pending)
	}
}

func TestFlushForgetsTheDynamic(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	if err := l.e.Pin(l.now, bIP, bMAC); err != nil {
		t.Fatal(err)
	}
	l.e.Resolve(l.now, ipOf(1))
	l.take()
	l.e.Flush()
	acts := l.take()
	if f := pick(acts, ActFailed); len(f) != 1 || f[0].Err != ErrAbandoned || len(ops(acts)) != 0 {
		t.Errorf("%+v", acts)
	}
	l.want(aIP, StateNone, ethernet.Addr{})
	l.want(bIP, StatePermanent, bMAC)
}

func TestDefaultsAreSane(t *testing.T) {
	c := Config{MaxAsks: -3, MaxProbes: -1, RetransTimer: -time.Second, Capacity: -5, ExpireAfter: -1, ProbeNum: -1, ProbeMin: time.Minute}.withDefaults()
	if c.MaxAsks < 1 || c.MaxProbes < 1 || c.RetransTimer < time.Second || c.Capacity < 4 || c.ExpireAfter != 0 || c.ProbeNum < 1 || c.ProbeMax < c.ProbeMin {
		t.Errorf("%+v", c)
	}
	d := Config{}.withDefaults()
	if d.ReachableTime != 30*time.Second || d.Capacity != 4096 || d.ExpireAfter != 20*time.Minute || d.Table == nil || d.Domain != "lan" {
		t.Errorf("%+v", d)
	}
}
