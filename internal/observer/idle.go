package observer

import (
	"context"
	"time"
)

// foldedPatience is how long the summary of a second waits, on a network that
// has gone silent, for frames of that second that are late.
const foldedPatience = 2 * time.Second

// idle is Idle for a live run at a time of day: a summary that no later frame
// completes is committed, too.
func (o *Observer) idle(ctx context.Context, now time.Time) error {
	if second, ok := o.cfg.Journal.Pending(); ok && now.Sub(second) > foldedPatience {
		if _, err := o.cfg.Journal.Flush(ctx); err != nil {
			return err
		}
	}
	return o.Idle()
}
