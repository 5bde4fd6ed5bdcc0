package versioned

import (
	"fmt"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs/mem"
)

// BenchmarkPut is the packet path of a change; its commits are made behind it.
func BenchmarkPut(b *testing.B) {
	tab := benchTable(b)
	keys := make([]arp.Key, 1000)
	for i := range keys {
		keys[i] = key(fmt.Sprintf("10.9.%d.%d", i/250, 1+i%250))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tab.Put(arp.Change{Op: arp.OpMoved, Key: keys[i%len(keys)], MAC: ethernet.Addr{2, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}, Time: t0})
	}
}

// BenchmarkCommit is the whole way of a change into the history.
func BenchmarkCommit(b *testing.B) {
	tab := benchTable(b)
	n := 0
	for i := 0; b.Loop(); i++ {
		tab.Put(arp.Change{Op: arp.OpMoved, Key: key("10.9.0.7"), MAC: ethernet.Addr{2, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}, Time: time.Now()})
		if n++; n == 1000 {
			n = 0
			if err := tab.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchTable(b *testing.B) *Table {
	b.Helper()
	tab, s := openStore(b, mem.New(), Config{Noise: Noise{Unbounded: true}})
	b.Cleanup(func() { closeBoth(b, tab, s) })
	return tab
}
