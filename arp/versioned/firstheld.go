package versioned

import (
	"context"
	"errors"
	"slices"
	"time"

	"arpeggio/vcs"
)

// maxFirstHeld bounds how many changes of holder FirstHeld looks back: each may
// lie far behind the one before.
const maxFirstHeld = 16

// FirstHeld returns when the holder of a stretch first held the address: when
// the stretch began, or an earlier one of the same MAC address, as far as the
// history tells at once: an entry names the last eight MAC addresses before its
// own, and no more than 16 changes of holder are looked at. Of an address that
// went to and fro more often it returns the earliest time found. The seen index
// knows more.
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

// knewBefore reports whether the entry that a commit has replaced names the MAC
// address of a stretch.
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
		if ok && err == nil && (e.MAC == h.MAC || slices.Contains(e.Earlier[:], h.MAC)) {
			return true, nil
		}
	}
	return false, nil
}
