package vcs_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// cupboard holds some archives; the oldest makes room for the next.
type cupboard struct {
	room  int
	there []int
	puts  map[int]int // how often each epoch came
	began chan int    // when not nil, hears of each that comes; it is put away when the store is about to close
}

func (a *cupboard) Archive(ctx context.Context, e vcs.Epoch, _ vcs.Source) (vcs.Receipt, error) {
	a.puts[e.Number]++
	if a.began != nil {
		a.began <- e.Number
		<-ctx.Done()
	}
	if len(a.there) == a.room {
		a.there = a.there[1:]
	}
	a.there = append(a.there, e.Number)
	name := fmt.Sprintf("epoch %d", e.Number)
	return vcs.Receipt{Name: name, SHA256: sha256.Sum256([]byte(name)), Bytes: 1}, nil
}

func (a *cupboard) Missing(_ context.Context, archived []vcs.Epoch) (missing []int, err error) {
	for _, e := range archived {
		if !slices.Contains(a.there, e.Number) {
			missing = append(missing, e.Number)
		}
	}
	return missing, nil
}

func (a *cupboard) OpenEpoch(context.Context, vcs.Epoch) (vcs.ObjectReader, error) {
	return nil, vcs.ErrNotFound
}

func (a *cupboard) Fits(context.Context, vcs.Epoch) (bool, error) { return len(a.there) < a.room, nil }

// An archive that holds fewer epochs than the store has those that left the store
// last: what is here takes nobody's place there, and nothing is archived twice.
func TestSmallArchiveHasWhatLeft(t *testing.T) {
	a := &cupboard{room: 2, puts: make(map[int]int)}
	cfg := vcs.Config[string, string]{}
	cfg.Retention = vcs.Retention{MaxCommits: 96, Epochs: 12, Archive: a, Chains: []vcs.Chain{}}
	back := mem.New()
	r := openOn(t, back, cfg)
	for i := range 300 {
		if _, err := r.Set(t.Context(), "primary", fmt.Sprint("k", i%9), fmt.Sprint("v", i), vcs.CommitInfo{Message: "m"}); err != nil {
			t.Fatal(err)
		}
		if i%4 == 3 {
			if _, err := r.Store().Collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if i == 120 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = openOn(t, back, cfg)
		}
	}
	epochs := r.Store().Epochs()
	states := make(map[vcs.EpochState]int)
	for _, e := range epochs {
		states[e.State]++
		if e.State == vcs.EpochArchived && !slices.Contains(a.there, e.Number) {
			t.Errorf("epoch %d should be archived, and is not there", e.Number)
		}
	}
	if states[vcs.EpochArchived] != a.room || states[vcs.EpochLive] < 4 || states[vcs.EpochLost] < 10 {
		t.Errorf("%v of %d epochs", states, len(epochs))
	}
	for number, n := range a.puts {
		if n != 1 {
			t.Errorf("epoch %d was archived %d times", number, n)
		}
	}
}

// TestCloseRecordsArchive: an archive that is written when the store is closed is
// in the ledger, and not made again.
func TestCloseRecordsArchive(t *testing.T) {
	a := &cupboard{room: 2, puts: make(map[int]int), began: make(chan int, 1)}
	cfg := vcs.Config[string, string]{}
	cfg.Retention = vcs.Retention{MaxCommits: 96, Epochs: 12, Archive: a, Chains: []vcs.Chain{}}
	back := mem.New()
	r := openOn(t, back, cfg)
	for i := range 10 {
		must(r.Set(t.Context(), "primary", "k", fmt.Sprint(i), vcs.CommitInfo{Message: "m"}))(t)
	}
	if number := <-a.began; number != 1 {
		t.Fatalf("epoch %d is archived first", number)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	a.began = nil
	r = openOn(t, back, cfg)
	if _, err := r.Store().Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first := r.Store().Epochs()[0]; first.State != vcs.EpochLive || first.Archive.Name != "epoch 1" || a.puts[1] != 1 {
		t.Errorf("epoch %v in %q, archived %d times", first.State, first.Archive.Name, a.puts[1])
	}
}

// TestCloseBesideCollect: somebody's Collect whose archive hangs does not keep the
// store from being closed, although its keeper waits behind that.
func TestCloseBesideCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &cupboard{room: 2, puts: make(map[int]int), began: make(chan int, 1)}
		cfg := vcs.Config[string, string]{}
		cfg.Retention = vcs.Retention{MaxCommits: 96, Epochs: 12, Archive: a, Chains: []vcs.Chain{}}
		r := openOn(t, mem.New(), cfg)
		commit := func(n int) {
			for i := range n {
				must(r.Set(t.Context(), "primary", "k", fmt.Sprint(n, " ", i), vcs.CommitInfo{Message: "m"}))(t)
			}
		}
		commit(3)
		must(r.Store().EndEpoch(t.Context()))(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() {
			_, err := r.Store().Collect(ctx)
			ended <- err
		}()
		<-a.began
		commit(20)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the keeper has begun
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := r.Store().Collect(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Collect behind another: %v", err)
		}
		if _, err := r.Store().EndEpoch(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("EndEpoch behind a Collect: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, vcs.ErrClosed) {
			t.Errorf("Collect of a store that was closed: %v", err)
		}
	})
}

// TestCollectCountsUnsaved: what was written before a Collect counts, whether or
// not it was saved by then.
func TestCollectCountsUnsaved(t *testing.T) {
	cfg := vcs.Config[string, string]{}
	cfg.Retention = vcs.Retention{MaxCommits: 8, Epochs: 2, Chains: []vcs.Chain{}}
	for range 20 {
		r := openOn(t, mem.New(), cfg)
		for i := range 4 {
			must(r.Set(t.Context(), "primary", "k", fmt.Sprint(i), vcs.CommitInfo{Message: "m"}))(t)
		}
		rep, err := r.Store().Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if number := len(r.Store().Epochs()); number != 2 || rep.Current.Number != 2 {
			t.Fatalf("%d epochs, number %d is written", number, rep.Current.Number)
		}
	}
}

// TestCollectSaysWhatEnded: the report has each epoch that a Collect has ended.
func TestCollectSaysWhatEnded(t *testing.T) {
	cfg := vcs.Config[string, string]{}
	cfg.Retention = vcs.Retention{MaxCommits: 8, Epochs: 2, Chains: []vcs.Chain{}}
	synctest.Test(t, func(t *testing.T) {
		r := openOn(t, mem.New(), cfg)
		defer r.Close()
		for number := 1; number < 4; number++ {
			for i := range 4 { // no time passes, so that the keeper has not seen them yet
				must(r.Set(t.Context(), "primary", "k", fmt.Sprint(number, i), vcs.CommitInfo{Message: "m"}))(t)
			}
			if rep := must(r.Store().Collect(t.Context()))(t); !slices.Equal(rep.Ended, []int{number}) {
				t.Fatalf("epochs %d ended, want %d", rep.Ended, number)
			}
			synctest.Wait()
		}
	})
}
