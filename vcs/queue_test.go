package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

func queueRepo(t testing.TB, b vcs.Backend) *vcs.Repo[string, string] {
	t.Helper()
	return must(vcs.Open(context.Background(), b, vcs.Config[string, string]{}))(t)
}

// subjects returns the subjects of a branch, oldest first.
func subjects(t *testing.T, r *vcs.Repo[string, string], branch string) (out []string) {
	t.Helper()
	for c, err := range r.Log(must(r.Head(branch))(t)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Subject())
	}
	slices.Reverse(out)
	return out
}

// TestQueueOrder: each change is a commit, in order, with the time at which it
// was queued.
func TestQueueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := queueRepo(t, mem.New())
		defer r.Close()
		q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{}))(t)
		start := time.Now()
		var want []string
		for i := range 100 {
			k := fmt.Sprint("k", i%7)
			if i%10 == 9 {
				q.Remove(k)
				want = append(want, "remove "+k)
			} else {
				q.Put(k, fmt.Sprint(i))
				want = append(want, "set "+k)
			}
			time.Sleep(time.Second)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if got := subjects(t, r, "primary"); !slices.Equal(got, want) {
			t.Errorf("commits %q", got)
		}
		head := must(r.Store().ReadCommit(must(r.Head("primary"))(t)))(t)
		if got := head.Time().Sub(start).Round(time.Second); got != 99*time.Second {
			t.Errorf("the last commit is of %v after the start", got)
		}
		if st := q.Stats(); st != (vcs.QueueStats{Changes: 100, Commits: 100}) {
			t.Errorf("%+v", st)
		}
		if err := q.Put("k", "v"); !errors.Is(err, vcs.ErrClosed) {
			t.Errorf("Put after Close: %v", err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestQueueSavesFullGroups: what fills a group is saved at once, whatever the
// delay, also when a series begins the next one.
func TestQueueSavesFullGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := mem.New()
		r := queueRepo(t, back)
		defer r.Close()
		q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{}))(t)
		defer q.Close()
		q.Put("k", "v")
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := must(back.Load(t.Context()))(t).Refs
		start := time.Now()
		for i := range 3000 {
			q.Put("k", fmt.Sprintf("%01000d", i))
		}
		synctest.Wait()
		if took := time.Since(start); took != 0 {
			t.Fatalf("the queue took %v", took)
		}
		if st := q.Stats(); st.Commits != 3001 {
			t.Fatalf("%+v", st)
		}
		if now := must(back.Load(t.Context()))(t).Refs; slices.Equal(now, first) {
			t.Error("nothing of what fills several groups is saved")
		}
	})
}

// TestQueueFull: what does not fit is folded by key, and told.
func TestQueueFull(t *testing.T) {
	r := queueRepo(t, mem.New())
	defer r.Close()
	var gate sync.Mutex
	gate.Lock()
	var told []string
	q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{Size: 3, Describe: func(c vcs.Queued[string, string]) vcs.CommitInfo {
		gate.Lock()
		defer gate.Unlock()
		ch := c.Changes[0]
		told = append(told, fmt.Sprint(ch.Key, "=", ch.Value.Value, "+", c.Folded))
		return vcs.CommitInfo{Message: "x"}
	}}))(t)
	// The committer takes the first and waits; three wait in the ring.
	q.Put("first", "0")
	for q.Stats().Queued > 0 {
		time.Sleep(time.Millisecond)
	}
	for i := range 3 {
		q.Put("a", fmt.Sprint(i))
	}
	for i := range 5 {
		q.Put("b", fmt.Sprint(i))
	}
	q.Put("a", "3")
	q.Remove("c")
	q.Put("c", "1")
	if st := q.Stats(); st.Queued != 6 || st.Folded != 5 {
		t.Errorf("%+v", st)
	}
	gate.Unlock()
	if err := q.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"first=0+0", "a=0+0", "a=1+0", "a=2+0", "b=4+4", "a=3+0", "c=1+1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	// Now there is room again.
	q.Put("d", "1")
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	m := must(must(r.At("primary"))(t).Map())(t)
	if fmt.Sprint(m) != "map[a:3 b:4 c:1 d:1 first:0]" {
		t.Errorf("%v", m)
	}
	if st := q.Stats(); st.Queued != 0 || st.Changes != 8 || st.Folded != 5 {
		t.Errorf("%+v", st)
	}
}

// TestQueueDescribesFolding: the default message says how many were folded.
func TestQueueDescribesFolding(t *testing.T) {
	r := queueRepo(t, mem.New())
	defer r.Close()
	q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{Size: 1}))(t)
	for i := range 20_000 {
		q.Put("k", fmt.Sprint(i))
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for c, err := range r.Log(must(r.Head("primary"))(t)) {
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		fmt.Sscan(c.Trailer("Folded"), &n)
		total += 1 + n
	}
	if total != 20_000 {
		t.Errorf("commits and trailers account for %d changes", total)
	}
}

// TestQueueFailures: what cannot be committed is left out and told, alone.
func TestQueueFailures(t *testing.T) {
	r := queueRepo(t, mem.New())
	defer r.Close()
	var failed []string
	q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{Batch: 10, Failed: func(c vcs.Queued[string, string], err error) {
		for _, x := range c.Changes {
			failed = append(failed, x.Key)
		}
	}}))(t)
	for _, k := range []string{"a", "b/../c", "d", ".git", "e"} {
		q.Put(k, "v")
	}
	if err := q.Flush(t.Context()); !errors.Is(err, vcs.ErrBadPath) {
		t.Errorf("Flush: %v", err)
	}
	if err := q.Flush(t.Context()); err != nil {
		t.Errorf("Flush tells an error twice: %v", err)
	}
	if fmt.Sprint(failed) != "[b/../c .git]" {
		t.Errorf("failed %v", failed)
	}
	if m := must(must(r.At("primary"))(t).Map())(t); len(m) != 3 {
		t.Errorf("%v", m)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if _, err := vcs.NewQueue(r, "bad..name", vcs.QueueConfig[string, string]{}); !errors.Is(err, vcs.ErrBadRefName) {
		t.Errorf("bad branch: %v", err)
	}
}

// TestQueueBesideOthers: a queue's changes go on top of what others commit.
func TestQueueBesideOthers(t *testing.T) {
	for _, b := range []vcs.Backend{mem.New(), mem.NewNative()} {
		r := queueRepo(t, b)
		q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{Batch: 3}))(t)
		var others sync.WaitGroup
		for w := range 3 {
			others.Go(func() {
				for i := range 100 {
					if _, err := r.Set(context.Background(), "primary", fmt.Sprint("w", w, "/", i), "x", vcs.CommitInfo{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 300 {
			q.Put(fmt.Sprint("q/", i), "x")
		}
		others.Wait()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if m := must(must(r.At("primary"))(t).Map())(t); len(m) != 600 {
			t.Errorf("%d keys", len(m))
		}
		refs := must(r.Store().Refs())(t)
		if rep := must(vcs.Verify(t.Context(), r.Store(), refs, nil))(t); !rep.OK() {
			t.Error(rep.String())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// failing is a backend that fails while it is told to.
type failing struct {
	vcs.Backend
	vcs.ObjectReader
	vcs.LogKeeper
	mu  sync.Mutex
	err error
}

func (f *failing) set(err error) {
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
}

func (f *failing) Apply(ctx context.Context, b *vcs.Batch) error {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Backend.Apply(ctx, b)
}

// TestQueueBacklog: while the store takes no more a queue waits, and goes on
// when it does. Close gives up.
func TestQueueBacklog(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			back := mem.New()
			b := &failing{Backend: back, ObjectReader: back, LogKeeper: back}
			r := must(vcs.Open(context.Background(), b, vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{MaxPending: 10_000}}))(t)
			b.set(errors.New("disk full"))
			q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{}))(t)
			for i := range 200 {
				q.Put(fmt.Sprint(i), strings.Repeat("x", 200))
				time.Sleep(50 * time.Millisecond)
			}
			if st := q.Stats(); st.Commits == 0 || st.Queued == 0 || st.Failed > 0 {
				t.Errorf("while the disk is full: %+v", st)
			}
			if recovers {
				b.set(nil)
			}
			start := time.Now()
			err := q.Close()
			st := q.Stats()
			switch {
			case recovers && (err != nil || st.Commits != 200):
				t.Errorf("%v %+v", err, st)
			case !recovers && (err == nil || st.Failed == 0 || st.Failed+st.Commits != 200):
				t.Errorf("%v %+v", err, st)
			case time.Since(start) > 10*time.Second:
				t.Errorf("Close took %v", time.Since(start))
			}
			b.set(nil)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestQueuePutAllocatesNothing, while there is room.
func TestQueuePutAllocatesNothing(t *testing.T) {
	r := must(vcs.Open(t.Context(), mem.New(), vcs.Config[uint32, [8]byte]{Layout: prefixes{}, Codec: eight{}}))(t)
	defer r.Close()
	var gate sync.Mutex
	gate.Lock()
	q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[uint32, [8]byte]{Describe: func(vcs.Queued[uint32, [8]byte]) vcs.CommitInfo {
		gate.Lock()
		defer gate.Unlock()
		return vcs.CommitInfo{Message: "x"}
	}}))(t)
	q.Put(0, [8]byte{})
	for q.Stats().Queued > 0 {
		time.Sleep(time.Millisecond)
	}
	k := uint32(0)
	if n := testing.AllocsPerRun(1000, func() { k++; q.Put(k, [8]byte{1}) }); n > 0 {
		t.Errorf("%v allocations a Put", n)
	}
	gate.Unlock()
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// eight is the codec of eight bytes.
type eight struct{}

func (eight) Encode(v [8]byte) ([]byte, error) { return append([]byte(nil), v[:]...), nil }
func (eight) Decode(b []byte) ([8]byte, error) { return [8]byte(b), nil }

// BenchmarkEnqueue is the cost of Put: while there is room, and while the queue
// is full and folds a thousand keys.
func BenchmarkEnqueue(b *testing.B) {
	for _, full := range []bool{false, true} {
		b.Run(map[bool]string{false: "room", true: "full"}[full], func(b *testing.B) {
			ctx := context.Background()
			r := must(vcs.Open(ctx, mem.New(), vcs.Config[uint32, [8]byte]{Layout: prefixes{}, Codec: eight{}}))(b)
			defer r.Close()
			var gate sync.Mutex
			q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[uint32, [8]byte]{Describe: func(vcs.Queued[uint32, [8]byte]) vcs.CommitInfo {
				gate.Lock()
				defer gate.Unlock()
				return vcs.CommitInfo{Message: "x"}
			}}))(b)
			defer q.Close()
			const size = 16384
			b.ReportAllocs()
			b.StopTimer()
			for done := 0; done < b.N; {
				gate.Lock()
				if full {
					for i := range uint32(2 * size) {
						q.Put(i%1000, [8]byte{})
					}
				}
				n := min(size, b.N-done)
				b.StartTimer()
				for i := range n {
					q.Put(uint32(i%1000), [8]byte{byte(i)})
				}
				b.StopTimer()
				gate.Unlock()
				if err := q.Flush(ctx); err != nil {
					b.Fatal(err)
				}
				done += n
			}
		})
	}
}

// BenchmarkQueue makes commits through a queue, one change each.
func BenchmarkQueue(b *testing.B) {
	ctx := context.Background()
	w := newWorkload(10_000)
	r, head := w.store(b, mem.New())
	defer r.Close()
	q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[uint32, string]{Size: b.N, Describe: func(c vcs.Queued[uint32, string]) vcs.CommitInfo {
		return vcs.CommitInfo{Message: "arp: " + ipText(c.Changes[0].Key) + " -> somewhere"}
	}}))(b)
	defer q.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		i := w.rnd.IntN(len(w.ent))
		w.ent[i].seq++
		q.Put(0x0a000000+uint32(i), w.value(i))
	}
	if err := q.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	if now := must(r.Head("primary"))(b); now == head {
		b.Fatal("nothing was committed")
	}
}
