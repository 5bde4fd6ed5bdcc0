package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// prefixes is the layout of a neighbour table.
type prefixes struct{}

func ipText(n uint32) string { return fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>16&255, n>>8&255, n&255) }

func (prefixes) Path(k uint32) string {
	return "lan/v4/" + ipText(k&^0xffff) + "_16/" + ipText(k&^0xfff) + "_20/" + ipText(k&^0xff) + "_24/" + ipText(k&^0xf) + "_28/" + ipText(k)
}

func (prefixes) Key(string) (uint32, bool) { return 0, false }

// neighbours makes a store of n entries of about a hundred bytes and then commits
// that change one of them each.
func neighbours(tb testing.TB, n, commits int) (*vcs.Repo[uint32, string], vcs.ID) {
	tb.Helper()
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[uint32, string]{Layout: prefixes{}, Author: vcs.Signature{Name: "arpeggio r1", Email: "r1@arp"}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	rnd := rand.New(rand.NewPCG(42, 7))
	now := int64(1_792_000_000)
	value := func(i int) vcs.Opt[string] {
		m := uint64(i) * 0x9e3779b97f4a7c15 >> 16
		return vcs.Some("state reachable\nmac " + fmt.Sprintf("%012x", m) + "\nexpires " + strconv.FormatInt(now+1200, 10) +
			"\nlearned " + strconv.FormatInt(now, 10) + " reply eth0\nnode r1\nrev 1\n")
	}
	var all []vcs.Change[uint32, string]
	for i := range n {
		all = append(all, vcs.Change[uint32, string]{Key: 0x0a000000 + uint32(i), Value: value(i)})
	}
	head, err := r.Commit(ctx, "primary", vcs.ID{}, all, vcs.CommitInfo{Message: "create", Time: time.Unix(now, 0)})
	for range commits - 1 {
		if err != nil {
			tb.Fatal(err)
		}
		i := rnd.IntN(n)
		now++
		k := 0x0a000000 + uint32(i)
		head, err = r.Commit(ctx, "primary", head, []vcs.Change[uint32, string]{{Key: k, Value: value(i)}},
			vcs.CommitInfo{Message: "arp: " + ipText(k) + " -> 02:50:2a:16:6d:01", Time: time.Unix(now, 0)})
	}
	if err == nil {
		err = r.Sync(ctx)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return r, head
}

// peakHeap returns a function that says by how much the heap in use was above
// what it is now at most, looking every few milliseconds.
func peakHeap() func() uint64 {
	read := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	base, peak := read(), uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				peak = max(peak, read())
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return max(peak, base) - base
	}
}

// BenchmarkArchive puts an epoch of a hundred thousand commits away.
func BenchmarkArchive(b *testing.B) {
	const commits = 100_000
	r, _ := neighbours(b, 10_000, commits)
	refs, err := r.Store().Refs()
	if err != nil {
		b.Fatal(err)
	}
	e := vcs.Epoch{Number: 1, Heads: refs, Commits: commits}
	for _, format := range []Format{Pack, Bundle} {
		b.Run(format.String(), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				d := openDir(b, b.TempDir(), Config{Format: format})
				b.StartTimer()
				peak := peakHeap()
				receipt, err := d.Archive(b.Context(), e, r.Store())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(peak())/(1<<20), "MiB-heap")
				b.ReportMetric(float64(receipt.Bytes)/commits, "pack-B/commit")
				b.ReportMetric(float64(d.files.used)/commits, "disk-B/commit")
			}
			b.ReportMetric(float64(commits*b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
