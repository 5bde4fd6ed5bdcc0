package vcs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// clockwork writes a network's changes, one at a time.
type clockwork struct {
	*vcs.Repo[string, string]
	t     *testing.T
	rnd   *rand.Rand
	now   time.Time
	hosts int
	n     int
	ends  map[int64]vcs.ID // the newest commit of each minute
}

func newClockwork(t *testing.T, hosts int, r vcs.Retention) *clockwork {
	cfg := vcs.Config[string, string]{}
	cfg.Retention = r
	return &clockwork{Repo: openOn(t, mem.New(), cfg), t: t, hosts: hosts, rnd: rand.New(rand.NewPCG(1, 2)),
		now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), ends: make(map[int64]vcs.ID)}
}

// tick makes a change after some time.
func (w *clockwork) tick(after time.Duration) {
	w.now = w.now.Add(after)
	w.n++
	host := w.rnd.IntN(w.hosts)
	value := fmt.Sprintf("state reachable\nmac 02:00:%02x:%02x:%02x:%02x\nexpires %d\nlearned %d reply eth0\nnode r1\nrev %d\n",
		host&255, w.rnd.IntN(2), host>>8, w.n>>10&255, w.now.Unix()+1200, w.now.Unix(), w.n)
	for {
		id, err := w.Set(w.t.Context(), "primary", fmt.Sprintf("10.0.%d/%d", host>>8, host&255), value, vcs.CommitInfo{Message: fmt.Sprint("change ", host), Time: w.now})
		if errors.Is(err, vcs.ErrRefMoved) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		w.ends[w.now.Unix()/60] = id
		return
	}
}

func (w *clockwork) collect() []vcs.Epoch {
	if _, err := w.Store().Collect(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.Store().Epochs()
}

// states returns the times of a chain's states, newest first, and checks for
// which commits they stand.
func (w *clockwork) states(chain string) (times []time.Time) {
	for _, name := range []string{chain, chain + "-before"} {
		head, err := w.Head(name)
		if errors.Is(err, vcs.ErrNotFound) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for c, err := range w.Log(head) {
			if err != nil {
				w.t.Fatal(err)
			}
			if c.Trailer(vcs.TrailerEpoch) != "" {
				continue
			}
			if got, want := c.Trailer(vcs.TrailerCommit), w.ends[c.Time().Unix()/60].String(); got != want {
				w.t.Errorf("%s at %v stands for %s, not for %s", name, c.Time(), got, want)
			}
			times = append(times, c.Time())
		}
	}
	return times
}

// However fast a network changes, and however long, the chains take no more than
// their part of each epoch, and epochs do not become short.
func TestChainsOfABusyNetworkAreBounded(t *testing.T) {
	for _, hosts := range []int{40, 200, 1000} {
		t.Run(fmt.Sprint(hosts), func(t *testing.T) {
			r := vcs.Retention{MaxBytes: 512 << 10, Epochs: 8}
			w := newClockwork(t, hosts, r)
			most := int64(0)
			for w.n < 24_000 {
				for range 250 {
					w.tick(time.Second)
				}
				epochs := w.collect()
				bytes, room, err := vcs.ChainBytes(w.Store())
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, bytes)
				if want := r.MaxBytes / 8 / 4; room != want {
					t.Fatalf("there is room for %d bytes, want %d", room, want)
				}
				if bytes > 2*room {
					t.Errorf("after %d commits chains take %d bytes, want at most %d", w.n, bytes, 2*room)
				}
				all := int64(0)
				for _, e := range epochs {
					if e.State <= vcs.EpochLive {
						all += e.LogBytes
					}
				}
				if all > r.MaxBytes*3/2 {
					t.Errorf("after %d commits the log takes %d bytes", w.n, all)
				}
			}
			epochs := w.Store().Epochs()
			if len(epochs) < 10 {
				t.Fatalf("only %d epochs", len(epochs))
			}
			early, late := epochs[2].Commits, epochs[len(epochs)-2].Commits
			if late < early/2 {
				t.Errorf("epochs become short: %d commits, and %d later", early, late)
			}
			minutes, hours := len(w.states("history/minute")), len(w.states("history/hour"))
			if minutes+hours == 0 && hosts < 1000 { // of whose state there is no room for one
				t.Error("no state is kept")
			}
			t.Logf("%d commits in %d epochs: at most %d bytes of chains, at last %d minutes and %d hours", w.n, len(epochs), most, minutes, hours)
			vcstest.Export(t, w.Store())
		})
	}
}

// A network with few changes keeps every minute in which something changed.
func TestChainsOfAnIdleNetworkAreWhole(t *testing.T) {
	w := newClockwork(t, 100, vcs.Retention{MaxBytes: 16 << 20, MaxCommits: 400})
	for w.n < 1600 {
		for range 50 {
			w.tick(time.Minute + time.Duration(w.rnd.IntN(200))*time.Second)
		}
		w.collect()
	}
	var oldest time.Time
	for _, e := range w.Store().Epochs() {
		if e.State == vcs.EpochLive {
			oldest = e.Began
			break
		}
	}
	have := make(map[int64]bool)
	for _, at := range w.states("history/minute") {
		have[at.Unix()/60] = true
	}
	// What the oldest epoch began in is left to the next one.
	gone := 0
	for minute := range w.ends {
		if minute < oldest.Unix()/60 {
			if gone++; !have[minute] {
				t.Errorf("minute %d is missing", minute)
			}
		}
	}
	if gone < 1000 {
		t.Errorf("only %d minutes have left the store", gone)
	}
}
