package appliance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"arpeggio/vcs"
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

// snapshot writes what is new since the last one, and removes what was of an
// earlier epoch, so that the directory does not outgrow the store. The first one
// refuses a directory of somebody else's.
func (a *Appliance) snapshot() error {
	write := gitremote.WriteSnapshot
	if a.snapshotEpoch > 0 {
		write = gitremote.UpdateSnapshot
	}
	epochs := a.store.Epochs()
	now := epochs[len(epochs)-1].Number
	_, err := write(a.cfg.SnapshotDir, newestEpoch{a.store})
	if err == nil && now > 1 && now != a.snapshotEpoch {
		_, err = gitremote.Repack(a.cfg.SnapshotDir, gitremote.RepackOptions{Prune: true})
	}
	if err != nil {
		return fmt.Errorf("write the snapshot %s: %w", a.cfg.SnapshotDir, err)
	}
	a.snapshotEpoch = now
	return nil
}

// newestEpoch is a store without the refs that join its epochs.
type newestEpoch struct{ *vcs.Store }

// Refs implements vcs.RefReader.
func (s newestEpoch) Refs() ([]vcs.Ref, error) {
	refs, err := s.Store.Refs()
	return slices.DeleteFunc(refs, func(r vcs.Ref) bool {
		return strings.HasPrefix(r.Name, "refs/epochs/") || strings.HasPrefix(r.Name, "refs/replace/")
	}), err
}
