package vcs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// sized notes what each Apply is given. The first one waits for the gate.
type sized struct {
	*mem.Backend
	gate  chan struct{}
	bytes []int // of the log records
}

func (b *sized) Apply(ctx context.Context, batch *vcs.Batch) error {
	<-b.gate
	n := 0
	for _, rec := range batch.Log {
		n += len(rec)
	}
	b.bytes = append(b.bytes, n)
	return b.Backend.Apply(ctx, batch)
}

// TestGroupsOfABusyStore: what waits while a backend is slow becomes few groups,
// and none of them gives it more than it may at once.
func TestGroupsOfABusyStore(t *testing.T) {
	for _, c := range []struct {
		name          string
		commits, size int
		least, most   int // groups
	}{
		{"small contents", 8_000, 100, 2, 4},
		{"large contents", 64, 64 << 10, 4, 7},
	} {
		back := &sized{Backend: mem.New(), gate: make(chan struct{})}
		r := must(vcs.Open(t.Context(), back, vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{MaxPending: 64 << 20}}))(t)
		head, rnd := vcs.ID{}, rand.New(rand.NewPCG(1, 1))
		for i := range c.commits {
			value := make([]byte, c.size)
			for k := range value {
				value[k] = byte(rnd.Uint32())
			}
			head = must(r.Commit(t.Context(), "primary", head, []vcs.Change[string, string]{{Key: fmt.Sprint("file ", i%50), Value: vcs.Some(string(value))}},
				vcs.CommitInfo{Message: "change"}))(t)
		}
		close(back.gate)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(back.bytes); n < c.least || n > c.most {
			t.Errorf("%s: %d groups of %d bytes, want %d to %d", c.name, n, back.bytes, c.least, c.most)
		}
		for _, n := range back.bytes {
			if n > 5<<18 {
				t.Errorf("%s: a group of %d bytes", c.name, n)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
