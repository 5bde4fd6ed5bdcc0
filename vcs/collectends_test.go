package vcs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// slowShelf takes longer for an epoch than a writer needs to fill the next one.
type slowShelf struct{ shelf }

func (s *slowShelf) Archive(ctx context.Context, e vcs.Epoch, src vcs.Source) (vcs.Receipt, error) {
	time.Sleep(200 * time.Millisecond)
	return s.shelf.Archive(ctx, e, src)
}

// Collect ends though somebody writes all the time: what is written after the
// call is for the next one.
func TestCollectEndsBesideAWriter(t *testing.T) {
	cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
	cfg.Retention = vcs.Retention{MaxCommits: 200, Epochs: 4, Archive: &slowShelf{}}
	r := openOn(t, mem.New(), cfg)
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := 0; writing.Err() == nil; i++ {
			time.Sleep(2 * time.Millisecond)
			// It may be held back, and told so when the test is over.
			_, _ = r.Set(writing, "primary", fmt.Sprint("k", i%9), fmt.Sprint("v", i), vcs.CommitInfo{Message: "m"})
		}
	}()
	for len(r.Store().Epochs()) < 4 {
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		if _, err := r.Store().Collect(ctx); err != nil || ctx.Err() != nil {
			t.Errorf("two minutes were not enough: %v, %v", err, ctx.Err())
		}
		cancel()
	}
	stop()
	<-written
}
