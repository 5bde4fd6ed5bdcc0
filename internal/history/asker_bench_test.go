package history

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// BenchmarkAsker: questions to a badger store of CHANGES changes (20,000) that is
// opened again: about an address that changes as often as the others, and about
// one that half of all changes are about. Each question is asked anew.
func BenchmarkAsker(b *testing.B) {
	n := 20_000
	if v, err := strconv.Atoi(os.Getenv("CHANGES")); err == nil {
		n = v
	}
	dir := b.TempDir()
	open := func() *vcs.Store {
		back, err := badger.Open(b.Context(), dir, badger.Config{MinFree: -1})
		if err != nil {
			b.Fatal(err)
		}
		s, err := vcs.OpenStore(b.Context(), back, vcs.StoreConfig{CacheBytes: 32 << 20})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s := open()
	j, err := versioned.OpenJournal(b.Context(), s, versioned.JournalConfig{})
	if err != nil {
		b.Fatal(err)
	}
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	stations := n / 100
	owner := make(map[int]ethernet.Addr)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }
	for i := range n {
		who := 0 // the hot one
		if i%2 == 1 {
			who = 1 + i/2*7919%stations
		}
		o := versioned.Observation{Op: arp.OpLearned, Key: arp.Key{Domain: "lan", Addr: addr(who)}, Time: start.Add(time.Duration(i) * time.Second),
			MAC: ethernet.Addr{2, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}, Interface: "eth0", Learned: "request", Frame: make([]byte, 42)}
		if old, ok := owner[who]; ok {
			o.Op, o.Old, o.LastSeen, o.Frames = arp.OpMoved, old, o.Time.Add(-time.Second), 3
		}
		owner[who] = o.MAC
		if _, err := j.Write(b.Context(), &o); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	head := j.Head()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s = open()
	defer s.Close()
	c, err := s.ReadCommit(head)
	if err != nil {
		b.Fatal(err)
	}
	ask := func(b *testing.B, who int, at time.Time) {
		a, err := NewAsker(s, c, time.Minute, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		k, _, err := a.Key(b.Context(), addr(who), Networks{})
		if err != nil {
			b.Fatal(err)
		}
		if ans, err := a.At(b.Context(), k, at); err != nil || ans.Holder == nil {
			b.Fatal(fmt.Sprint(k, at, ans, err))
		}
	}
	end := start.Add(time.Duration(n-1) * time.Second)
	for name, q := range map[string]struct {
		at   time.Time
		many bool
	}{"usual/late": {end, true}, "usual/early": {start.Add(time.Duration(n/10) * time.Second), true}, "hot/late": {end, false}, "hot/early": {start.Add(time.Duration(n/10) * time.Second), false}} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				who := 0
				if q.many {
					i++
					who = 1 + i%stations
				}
				ask(b, who, q.at)
			}
		})
	}
}
