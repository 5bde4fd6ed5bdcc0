package versioned_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// An index of the record says which commits name a MAC address, without a walk
// over all of them.
func ExampleRecordIndex() {
	ctx := context.Background()
	store, err := vcs.OpenStore(ctx, mem.New(), vcs.StoreConfig{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	journal, err := versioned.OpenJournal(ctx, store, versioned.JournalConfig{})
	if err != nil {
		panic(err)
	}
	noon := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	laptop := ethernet.MustParseAddr("02:50:2a:16:6d:07")
	for i := range 100 {
		o := versioned.Observation{Op: arp.OpLearned, Key: arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 0, 3, byte(i)})},
			MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(i)}, Time: noon.Add(time.Duration(i) * time.Minute)}
		if i%40 == 7 {
			o.MAC = laptop
		}
		if _, err := journal.Write(ctx, &o); err != nil {
			panic(err)
		}
	}

	index := versioned.OpenRecordIndex("") // a file's name keeps it: RecordIndexPath
	if err := index.Update(ctx, store, journal.Head()); err != nil {
		panic(err)
	}
	head, err := store.ReadCommit(journal.Head())
	if err != nil {
		panic(err)
	}
	found, ok := index.Search(head.ID, head.Time(), versioned.IndexQuery{MACs: []ethernet.Addr{laptop}, Until: noon.Add(time.Hour)})
	if !ok {
		panic("not a head")
	}
	for f := range found {
		c, err := store.ReadCommit(f.ID)
		if err != nil {
			panic(err)
		}
		fmt.Println(c.Time().Format("15:04"), c.Subject())
	}
	// Output:
	// 12:47 arp: 10.0.3.47 -> 02:50:2a:16:6d:07
	// 12:07 arp: 10.0.3.7 -> 02:50:2a:16:6d:07
}
