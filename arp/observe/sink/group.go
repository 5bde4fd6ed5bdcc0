package sink

import (
	"context"
	"sync"

	"arpeggio/arp/observe"
)

// Group hands events to several sinks. The zero value has none.
type Group []Sink

// Tell hands an event to all of them. It copies r.
func (g Group) Tell(r *observe.Record, commit string) {
	if len(g) == 0 {
		return
	}
	l := &observe.Line{Record: *r, Commit: commit}
	for _, s := range g {
		s.Tell(l)
	}
}

// Close closes all of them, at the same time.
func (g Group) Close(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range g {
		all.Go(func() { s.Close(ctx) })
	}
	all.Wait()
}
