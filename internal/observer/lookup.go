package observer

import (
	"context"
	"time"
)

// saveLookup saves the index of the record, when it is time to, or now. What goes
// wrong costs nothing but the time of who asks next.
func (o *Observer) saveLookup(now bool) {
	x := o.cfg.Lookup
	start := time.Now()
	if x == nil || !now && start.Before(o.lookup) {
		return
	}
	if head := o.cfg.Journal.Head(); !head.IsZero() {
		err := x.Update(context.Background(), o.cfg.Journal.Repo().Store(), head)
		if err == nil {
			err = x.Save()
		}
		if err != nil {
			o.cfg.Logger.Warn("the index of the record is not up to date; the history is whole", "err", err)
		}
	}
	took := time.Since(start)
	o.lookup = start.Add(took + max(indexEvery, took*indexShare))
}
