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

// A Table is told of changes (by a Service, usually) and remembers them as
// commits.
func Example() {
	ctx := context.Background()
	store, err := vcs.OpenStore(ctx, mem.New(), vcs.StoreConfig{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	noon := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	table, err := versioned.Open(ctx, store, versioned.Config{Node: "site-a", Clock: func() time.Time { return noon }})
	if err != nil {
		panic(err)
	}
	defer table.Close()

	printer := arp.Key{Domain: "lan", Addr: netip.MustParseAddr("10.0.3.67")}
	old, new := ethernet.MustParseAddr("02:50:2a:16:6d:01"), ethernet.MustParseAddr("02:50:2a:16:6d:02")
	table.Put(arp.Change{Op: arp.OpLearned, Key: printer, MAC: old, Time: noon})
	table.Put(arp.Change{Op: arp.OpMoved, Key: printer, MAC: new, Old: old, Time: noon.Add(4 * time.Minute)})
	if err := table.Sync(ctx); err != nil {
		panic(err)
	}

	for c := range table.Log(printer) {
		fmt.Println(c.Time().Format("15:04"), c.Subject())
	}
	fmt.Println(versioned.Layout{}.Path(printer))
	// Output:
	// 12:04 arp: 10.0.3.67 -> 02:50:2a:16:6d:02 (was 02:50:2a:16:6d:01)
	// 12:00 arp: 10.0.3.67 -> 02:50:2a:16:6d:01
	// lan/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67
}
