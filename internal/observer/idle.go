package observer

import (
	"context"
	"time"
)

// foldedPatience is how long the summary of a second waits, on a network that
// has gone silent, for frames of that second that are late.
const foldedPatience = 2 * time.Second

// idle is Idle for a live run that has looked at everything captured until then;
// the zero time says that more is waiting. A summary that no later frame completes
// is committed, too.
func (o *Observer) idle(ctx context.Context, until time.Time) error {
	if second, ok := o.cfg.Journal.Pending(); ok && until.Sub(second) > foldedPatience {
		if _, err := o.cfg.Journal.Flush(ctx); err != nil {
			return err
		}
	}
	return o.Idle()
}
