package appliance

import (
	"context"
	"fmt"
	"time"

	"arpeggio/vcs/gitremote"
)

// snapshots writes the history as a bare Git directory, every now and then.
func (a *Appliance) snapshots(ctx context.Context) {
	tick := time.NewTicker(a.cfg.SnapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return // the last one is written when the table is closed
		case <-tick.C:
			if err := a.snapshot(); err != nil {
				a.log.Error("the periodic snapshot failed; the store is not affected", "error", err)
			}
		}
	}
}

// snapshot writes what is new since the last one.
func (a *Appliance) snapshot() error {
	if _, err := gitremote.WriteSnapshot(a.cfg.SnapshotDir, a.store); err != nil {
		return fmt.Errorf("write the snapshot %s: %w", a.cfg.SnapshotDir, err)
	}
	return nil
}
