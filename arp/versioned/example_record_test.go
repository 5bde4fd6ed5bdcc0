package versioned_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

var (
	printer = arp.Key{Domain: "lan", Addr: netip.MustParseAddr("10.0.3.67")}
	cardA   = ethernet.MustParseAddr("02:50:2a:16:6d:01")
	cardB   = ethernet.MustParseAddr("02:50:2a:16:6d:02")
	noon    = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
)

// printerDay is a journal of one address: card A has it from noon on, card B
// from 12:04; at 12:10 A claims it again and is refused.
func printerDay(ctx context.Context) (*versioned.Journal, func()) {
	store, err := vcs.OpenStore(ctx, mem.New(), vcs.StoreConfig{})
	if err != nil {
		panic(err)
	}
	j, err := versioned.OpenJournal(ctx, store, versioned.JournalConfig{Node: "observer"})
	if err != nil {
		panic(err)
	}
	for _, o := range []versioned.Observation{
		{Op: arp.OpLearned, Key: printer, MAC: cardA, Time: noon, Learned: "announcement"},
		{Op: arp.OpMoved, Key: printer, MAC: cardB, Old: cardA, Time: noon.Add(4 * time.Minute), Learned: "request",
			LastSeen: noon.Add(3*time.Minute + 50*time.Second), Frames: 12},
		{Op: arp.OpRefused, Key: printer, MAC: cardA, Old: cardB, Time: noon.Add(10 * time.Minute), Rule: "strict", Learned: "reply"},
	} {
		if _, err := j.Write(ctx, &o); err != nil {
			panic(err)
		}
	}
	return j, func() {
		j.Close(ctx)
		store.Close()
	}
}

// An observer writes down what it sees; who had an address when is read from the
// commits, newest first.
func ExampleJournal() {
	ctx := context.Background()
	j, done := printerDay(ctx)
	defer done()
	for h, err := range versioned.Holdings(ctx, j.Repo(), printer, j.Head()) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%v from %s, %s", h.MAC, h.From.Format("15:04"), h.Learned)
		if !h.Until.IsZero() {
			fmt.Printf(", until %s, last seen %s in %d frames", h.Until.Format("15:04"), h.Seen.Format("15:04:05"), h.Frames)
		}
		fmt.Println()
	}
	// Output:
	// 02:50:2a:16:6d:02 from 12:04, request
	// 02:50:2a:16:6d:01 from 12:00, announcement, until 12:04, last seen 12:03:50 in 12 frames
}

// Who had the address at a time, and who else claimed it within a minute.
func ExampleHolderAt() {
	ctx := context.Background()
	j, done := printerDay(ctx)
	defer done()
	for _, at := range []time.Duration{2, 10} {
		a, err := versioned.HolderAt(ctx, j.Repo(), printer, noon.Add(at*time.Minute), time.Minute, j.Head())
		if err != nil {
			panic(err)
		}
		fmt.Println(a.Holder.MAC, a.Disputed(), a.MACs())
		for _, c := range a.Claims {
			fmt.Println("  claimed by", c.MAC, "at", c.Time.Format("15:04"), "refused:", c.Reason())
		}
	}
	// Output:
	// 02:50:2a:16:6d:01 false [02:50:2a:16:6d:01]
	// 02:50:2a:16:6d:02 true [02:50:2a:16:6d:02 02:50:2a:16:6d:01]
	//   claimed by 02:50:2a:16:6d:01 at 12:10 refused: strict
}

// Claims that were not believed, of all addresses, within a span of time.
func ExampleClaims() {
	ctx := context.Background()
	j, done := printerDay(ctx)
	defer done()
	for c, err := range versioned.Claims(ctx, j.Repo(), noon, noon.Add(time.Hour), j.Head()) {
		if err != nil {
			panic(err)
		}
		fmt.Println(c.Key, c.Op, c.MAC, "against", c.Against)
	}
	// Output:
	// 10.0.3.67 refused 02:50:2a:16:6d:01 against 02:50:2a:16:6d:02
}

// When a station was seen last is no commit: it stands in a file beside the
// repository.
func ExampleSeenIndex() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := versioned.SeenPath(dir, versioned.Primary)
	x := versioned.OpenSeenIndex(path)
	rows := slices.Values([]versioned.Seen{{Key: printer, Owners: []versioned.SeenOwner{
		{MAC: cardB, First: noon.Add(4 * time.Minute), Last: noon.Add(time.Hour), Frames: 40}}}})
	if err := x.Save(rows, rows); err != nil {
		panic(err)
	}
	if err := x.Close(); err != nil {
		panic(err)
	}
	seen, err := versioned.LoadSeen(path, 1000)
	if err != nil {
		panic(err)
	}
	fmt.Println(filepath.Base(path), seen[printer][0].MAC, seen[printer][0].Last.UTC().Format("15:04"), seen[printer][0].Frames)
	// Output:
	// arp-seen 02:50:2a:16:6d:02 13:00 40
}

// An operator's order is a commit on a branch of its own, merged.
func ExamplePin() {
	ctx := context.Background()
	j, done := printerDay(ctx)
	defer done()
	me := vcs.Signature{Name: "me", Email: "me@example.com"}
	info := vcs.CommitInfo{Author: me, Committer: me, Time: noon.Add(time.Hour)}
	if _, _, err := versioned.Pin(ctx, j.Repo(), versioned.Primary, "observer", printer, cardA, info); err != nil {
		panic(err)
	}
	if _, err := j.Write(ctx, &versioned.Observation{Op: arp.OpMoved, Key: printer, MAC: cardB, Old: cardA, Time: noon.Add(2 * time.Hour), Events: []string{"changed"}}); err != nil {
		panic(err)
	}
	e, _ := j.Get(printer)
	fmt.Println(e.State, e.MAC)
	// Output:
	// static 02:50:2a:16:6d:01
}

// An entry is a small text file.
func ExampleDecode() {
	e, err := versioned.Decode([]byte(`state dynamic
mac 02:50:2a:16:6d:02
earlier 02:50:2a:16:6d:01
first-seen 2026-11-02T12:04:00Z
learned request
node observer
clock 1793621040000
`))
	fmt.Println(e.State, e.MAC, e.Earlier[0], e.Learned, err)
	// Output:
	// dynamic 02:50:2a:16:6d:02 02:50:2a:16:6d:01 request <nil>
}
