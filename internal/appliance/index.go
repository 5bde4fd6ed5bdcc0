package appliance

import (
	"context"
	"sync"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// How often the index of the record takes in what is new, and how long the last
// time may take.
const (
	indexEvery = 10 * time.Second
	indexLimit = 5 * time.Second
)

// recordIndex is the index of the table's branch beside the store. It reads what
// was committed, behind everybody's back: the table knows nothing of it. A nil one
// does nothing.
type recordIndex struct {
	mu   sync.Mutex
	file *versioned.RecordIndex
}

// keepIndex keeps the index up to date until ctx ends, and saves it now and then.
func (a *Appliance) keepIndex(ctx context.Context) {
	tick := time.NewTicker(indexEvery)
	defer tick.Stop()
	for saved := time.Now(); ; {
		a.index.feed(ctx, a)
		if time.Since(saved) >= a.cfg.SnapshotEvery {
			a.index.save(a)
			saved = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// feed takes in what was committed since. What goes wrong costs nothing but the
// time of who asks next.
func (x *recordIndex) feed(ctx context.Context, a *Appliance) {
	x.mu.Lock()
	defer x.mu.Unlock()
	head, ok := a.store.Ref(vcs.BranchRef(versioned.Primary))
	if !ok {
		return
	}
	if err := x.file.Update(ctx, a.store, head); err != nil && ctx.Err() == nil {
		a.log.Warn("the index of the record is not up to date; the history is whole", "err", err)
	}
}

func (x *recordIndex) save(a *Appliance) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.file.Save(); err != nil {
		a.log.Warn("the index of the record could not be saved; the history is whole", "err", err)
	}
}

// close brings the index up to date and saves it.
func (x *recordIndex) close(a *Appliance) {
	if x == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), indexLimit)
	defer cancel()
	x.feed(ctx, a)
	x.save(a)
}
