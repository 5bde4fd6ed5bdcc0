package versioned

import (
	"context"
	"errors"
	"slices"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// maxFirstHeld bounds how many changes of holder FirstHeld looks back.
const maxFirstHeld = 64

// FirstHeld returns when the holder of a stretch first held the address: when
// the stretch began, or an earlier one of the same MAC address. It goes back no
// further than the entries' lists of earlier addresses say that it has to, and
// over no more than 64 changes of holder: of an address that went to and fro more
// often it returns the earliest time found.
func FirstHeld(ctx context.Context, repo *Repo, h *Holding) (time.Time, error) {
	first, commit, changes := h.From, h.Commit, 0
	for changes < maxFirstHeld {
		c, err := repo.Store().ReadJoined(commit)
		if err != nil {
			return first, err
		}
		again, err := knewBefore(repo, c, h)
		if err != nil || !again {
			return first, err
		}
		found := false
		for older, err := range Holdings(ctx, repo, h.Key, c.Parents...) {
			if err != nil {
				return first, err
			}
			if changes++; older.MAC == h.MAC {
				found, commit = true, older.Commit
				if older.From.Before(first) {
					first = older.From
				}
				break
			}
			if changes == maxFirstHeld {
				break
			}
		}
		if !found {
			break
		}
	}
	return first, nil
}

// knewBefore reports whether the entry that a commit has replaced names a MAC
// address, or has no room to.
func knewBefore(repo *Repo, c *vcs.Commit, h *Holding) (bool, error) {
	for _, p := range c.Parents {
		snap, err := repo.AtCommit(p)
		if errors.Is(err, vcs.ErrNotFound) {
			continue // its epoch has left
		}
		if err != nil {
			return false, err
		}
		e, ok, err := snap.Get(h.Key)
		if err != nil && !errors.Is(err, vcs.ErrDecode) {
			return false, err
		}
		if ok && err == nil && (e.MAC == h.MAC || slices.Contains(e.Earlier[:], h.MAC) || e.Earlier[MaxEarlier-1] != ethernet.Addr{}) {
			return true, nil
		}
	}
	return false, nil
}
