package vcs_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// workload is one change of one entry of a neighbour table a commit, with an
// entry's text of about a hundred bytes, a MAC address that moves every eighth
// time, and one commit a second.
type workload struct {
	rnd *rand.Rand
	ent []struct {
		mac uint64
		seq int64
	}
	now int64
}

func newWorkload(n int) *workload {
	w := &workload{rnd: rand.New(rand.NewPCG(42, 7)), now: 1_792_000_000}
	w.ent = make([]struct {
		mac uint64
		seq int64
	}, n)
	for i := range w.ent {
		w.ent[i].mac = w.rnd.Uint64() >> 16
	}
	return w
}

func macText(m uint64) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 18)
	for k := 40; k >= 0; k -= 8 {
		b = append(b, digits[m>>k>>4&15], digits[m>>k&15], ':')
	}
	return string(b[:len(b)-1])
}

func (w *workload) value(i int) string {
	e := &w.ent[i]
	b := append(make([]byte, 0, 128), "state reachable\nmac "+macText(e.mac)+"\nexpires "...)
	b = strconv.AppendInt(b, w.now+1200, 10)
	b = append(b, "\nlearned "...)
	b = strconv.AppendInt(b, w.now, 10)
	b = append(b, " reply eth0\nnode r1\nrev "...)
	b = strconv.AppendInt(b, e.seq, 10)
	return string(append(b, '\n'))
}

func ipText(n uint32) string { return string(appendIP(make([]byte, 0, 15), n)) }

// store makes a repository that holds all entries.
func (w *workload) store(tb testing.TB, b vcs.Backend) (r *vcs.Repo[uint32, string], head vcs.ID) {
	tb.Helper()
	ctx := context.Background()
	r = must(vcs.Open(ctx, b, vcs.Config[uint32, string]{Layout: prefixes{},
		Author: vcs.Signature{Name: "arpeggio r1", Email: "r1@arp"}, StoreConfig: vcs.StoreConfig{CacheBytes: 8 << 20}}))(tb)
	var all []vcs.Change[uint32, string]
	for i := range w.ent {
		all = append(all, vcs.Change[uint32, string]{Key: 0x0a000000 + uint32(i), Value: vcs.Some(w.value(i))})
	}
	head = must(r.Commit(ctx, "primary", vcs.ID{}, all, vcs.CommitInfo{Message: "create", Time: time.Unix(w.now, 0)}))(tb)
	if err := r.Sync(ctx); err != nil {
		tb.Fatal(err)
	}
	return r, head
}

// step commits one change.
func (w *workload) step(tb testing.TB, r *vcs.Repo[uint32, string], head vcs.ID) vcs.ID {
	i := w.rnd.IntN(len(w.ent))
	w.now++
	e := &w.ent[i]
	if e.seq++; e.seq%8 == 0 {
		e.mac = w.rnd.Uint64() >> 16
	}
	k := 0x0a000000 + uint32(i)
	id, err := r.Commit(context.Background(), "primary", head, []vcs.Change[uint32, string]{{Key: k, Value: vcs.Some(w.value(i))}},
		vcs.CommitInfo{Message: "arp: " + ipText(k) + " -> " + macText(e.mac), Time: time.Unix(w.now, 0)})
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// logBytes returns the size of a backend's log.
func logBytes(tb testing.TB, b vcs.Backend) (n, records int) {
	for rec, err := range must(b.Load(context.Background()))(tb).Log {
		if err != nil {
			tb.Fatal(err)
		}
		n += len(rec)
		records++
	}
	return n, records
}

func heapInUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRetained measures what a commit leaves behind: in the log, and in
// memory by growth of the heap.
func BenchmarkRetained(b *testing.B) {
	for _, n := range []int{256, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := newWorkload(n)
			back := mem.New()
			r, head := w.store(b, back)
			h0 := heapInUse()
			l0, _ := logBytes(b, back)
			b.ResetTimer()
			for range b.N {
				head = w.step(b, r, head)
			}
			if err := r.Sync(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l1, recs := logBytes(b, back)
			b.ReportMetric(float64(l1-l0)/float64(b.N), "log-B/commit")
			b.ReportMetric(float64(int64(heapInUse())-int64(h0))/float64(b.N), "heap-B/commit")
			b.ReportMetric(float64(recs), "records")
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
			runtime.KeepAlive(back)
		})
	}
}

// BenchmarkLogReads reads a history of a hundred thousand commits from a store
// that was just opened.
func BenchmarkLogReads(b *testing.B) {
	ctx := context.Background()
	const n, commits = 10_000, 100_000
	w := newWorkload(n)
	back := mem.New()
	r, head := w.store(b, back)
	for range commits {
		head = w.step(b, r, head)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	cfg := vcs.Config[uint32, string]{Layout: prefixes{}}
	b.Run("open", func(b *testing.B) {
		for range b.N {
			if err := must(vcs.Open(ctx, back, cfg))(b).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	r = must(vcs.Open(ctx, back, cfg))(b)
	defer r.Close()
	b.Run("LogKey", func(b *testing.B) {
		found := 0
		for i := range b.N {
			for _, err := range r.LogKey(0x0a000000+uint32(i*7919)%n, head) {
				if err != nil {
					b.Fatal(err)
				}
				found++
			}
		}
		b.ReportMetric(float64(found)/float64(b.N), "commits/op")
	})
	var ids []vcs.ID
	log := func(b *testing.B) {
		ids = ids[:0]
		for c, err := range r.Log(head) {
			if err != nil {
				b.Fatal(err)
			}
			ids = append(ids, c.ID)
		}
	}
	b.Run("Log", func(b *testing.B) {
		for range b.N {
			log(b)
		}
		b.ReportMetric(float64(len(ids)*b.N)/b.Elapsed().Seconds(), "commits/s")
	})
	log(b)
	rnd := rand.New(rand.NewPCG(1, 1))
	b.Run("commit", func(b *testing.B) {
		for range b.N {
			must(r.Store().ReadCommit(ids[rnd.IntN(len(ids))]))(b)
		}
	})
	b.Run("value", func(b *testing.B) {
		for range b.N {
			s := must(r.AtCommit(ids[rnd.IntN(len(ids))]))(b)
			if _, ok, err := s.Get(0x0a000000 + uint32(rnd.IntN(n))); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}
