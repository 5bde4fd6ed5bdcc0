package vcs_test

import (
	"errors"
	"fmt"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestQueueCallsInTurn: Describe and Failed need no lock between them, although
// commits are described while those before are made.
func TestQueueCallsInTurn(t *testing.T) {
	r := queueRepo(t, mem.New())
	defer r.Close()
	var calls, failed int
	q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{
		Describe: func(c vcs.Queued[string, string]) vcs.CommitInfo {
			calls++
			return vcs.CommitInfo{Message: "change", Time: c.Time}
		},
		Failed: func(vcs.Queued[string, string], error) {
			calls++
			failed++
		}}))(t)
	const n = 2000
	for i := range n {
		key := fmt.Sprint("file ", i%7)
		if i%3 == 0 {
			key = ".git"
		}
		q.Put(key, fmt.Sprint(i))
	}
	if err := q.Close(); !errors.Is(err, vcs.ErrBadPath) {
		t.Errorf("Close: %v", err)
	}
	if failed != (n+2)/3 || calls != n+failed {
		t.Errorf("%d calls, %d of them of what failed", calls, failed)
	}
}
