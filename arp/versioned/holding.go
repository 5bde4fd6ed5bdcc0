package versioned

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// Holding is a stretch of time in which one MAC address held an address,
// according to a history.
type Holding struct {
	Key       arp.Key
	MAC       ethernet.Addr
	State     State  // Dynamic or Static, at the end of the stretch
	Learned   string // how it was learned, as in Entry; so are the next two
	Interface string
	Node      string
	// From is when it began, Until when the next change ended it; a zero Until
	// says that nothing has. Until is never before From: where the clocks of two
	// observers disagree, the later change ends what came before it.
	From, Until time.Time
	// First is when MAC was first seen with the address, in this stretch or
	// before it; zero when nobody has looked (see FirstHeld).
	First time.Time
	// Seen is when the holder was last seen with the address, and Frames in how
	// many frames it was: what the commit says that ended the stretch. Seen is
	// zero and Frames 0 when no commit says so.
	Seen   time.Time
	Frames uint64
	// Commit began the stretch, Ended ended it (zero: none did).
	Commit, Ended vcs.ID
}

// Holds reports whether the stretch covers a time.
func (h *Holding) Holds(at time.Time) bool {
	return !at.Before(h.From) && (h.Until.IsZero() || at.Before(h.Until))
}

// sound returns the stretch with a last sight that is within it: a clock that was
// set back may have said otherwise.
func (h Holding) sound() Holding {
	if !h.Seen.IsZero() && h.Seen.Before(h.From) {
		h.Seen = h.From
	}
	return h
}

// Holdings yields who held an address according to some commits and their
// ancestors, newest first, without the times at which nobody did. Changes that
// leave the MAC address as it is, such as a pin, do not divide a stretch. A file
// that is no entry counts as nobody.
func Holdings(ctx context.Context, repo *Repo, k arp.Key, from ...vcs.ID) iter.Seq2[Holding, error] {
	return func(yield func(Holding, error) bool) {
		var h Holding      // the stretch that is being followed backwards
		var open bool      // h is one
		var next time.Time // when the change after the commit at hand was
		var after *vcs.Commit
		for c, err := range repo.LogKey(k, from...) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Holding{}, err)
				return
			}
			e, at, told := toldBy(c, k)
			if !told {
				if e, at, err = readFrom(repo, c, k); err != nil {
					yield(Holding{}, err)
					return
				}
			}
			if !next.IsZero() && at.After(next) {
				at = next
			}
			held := e.State != Expired
			if open && held && e.MAC == h.MAC {
				h.From, h.Commit, h.Learned = at, c.ID, e.Learned
			} else {
				if open && !yield(h.sound(), nil) {
					return
				}
				if open = held; open {
					h = Holding{Key: k, MAC: e.MAC, State: e.State, Learned: e.Learned, Interface: e.Interface, Node: e.Node,
						From: at, Until: next, Commit: c.ID}
					if after != nil {
						h.Ended = after.ID
						h.Seen, h.Frames = lastSeen(after, k, e.MAC)
					}
				}
			}
			next, after = at, c
		}
		if open {
			yield(h.sound(), nil)
		}
	}
}

// toldBy returns what a commit's trailers say that it made of the entry of an
// address, and when; ok is false when they do not, as those of a merge and of
// the summary of a flood. It spares reading the tree.
func toldBy(c *vcs.Commit, k arp.Key) (e Entry, at time.Time, ok bool) {
	if len(c.Parents) > 1 {
		return e, at, false
	}
	var cause, address, mac string
	for _, t := range c.Trailers() {
		switch t.Key {
		case TrailerCause:
			cause = t.Value
		case TrailerAddress:
			address = t.Value
		case TrailerMAC:
			mac = t.Value
		case TrailerKind:
			e.Learned = t.Value
		case TrailerInterface:
			e.Interface = t.Value
		case TrailerNode:
			e.Node = t.Value
		case TrailerTime:
			at, _ = time.Parse(time.RFC3339Nano, t.Value)
		}
	}
	if address != Clean(k.String()) || at.IsZero() {
		return e, at, false
	}
	switch cause {
	case arp.OpExpired.String():
		e.State = Expired
		return e, at, true
	case arp.OpLearned.String(), arp.OpMoved.String(), arp.OpUnpinned.String():
		e.State = Dynamic
	case arp.OpPinned.String():
		e.State = Static
	default:
		return e, at, false
	}
	if e.Learned == "" {
		e.Learned = "operator"
	}
	var err error
	e.MAC, err = ethernet.ParseAddr(mac)
	return e, at, err == nil && e.MAC.IsStation()
}

// readFrom returns the entry that a commit's tree has for an address, an expired
// one when there is none, and when it was written: what it says itself, unless
// another time made this commit, as a merge or a revert.
func readFrom(repo *Repo, c *vcs.Commit, k arp.Key) (e Entry, at time.Time, err error) {
	at = c.Time().UTC()
	snap, err := repo.AtCommit(c.ID)
	if err != nil {
		return e, at, err
	}
	e, ok, err := snap.Get(k)
	switch {
	case errors.Is(err, vcs.ErrDecode):
		return Entry{}, at, nil
	case err != nil:
		return e, at, fmt.Errorf("versioned: %v at %s: %w", k, c.ID.Short(), err)
	case !ok:
		return Entry{}, at, nil
	}
	if t := time.UnixMilli(e.Clock).UTC(); sameSecond(t, at) {
		at = t
	}
	return e, at, nil
}

// sameSecond allows for Git's whole seconds, and for a second that a commit
// waits in the summary of a flood.
func sameSecond(t, commit time.Time) bool { return t.Sub(commit).Abs() <= 2*time.Second }

// lastSeen reads what a commit that ended a holding says about it.
func lastSeen(c *vcs.Commit, k arp.Key, mac ethernet.Addr) (seen time.Time, frames uint64) {
	var at, count string
	for _, t := range c.Trailers() {
		if strings.EqualFold(t.Key, TrailerLeft) {
			// ADDRESS MAC LAST-SEEN FRAMES, where an address may have spaces
			if rest, ok := strings.CutPrefix(t.Value, Clean(k.String())+" "+mac.String()+" "); ok {
				at, count, _ = strings.Cut(rest, " ")
			}
		}
	}
	if at == "" && c.Trailer(TrailerAddress) == Clean(k.String()) && c.Trailer(TrailerOld) == mac.String() {
		at, count = c.Trailer(TrailerLastSeen), c.Trailer(TrailerFrames)
	}
	seen, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return time.Time{}, 0
	}
	frames, _ = strconv.ParseUint(count, 10, 64)
	return seen, frames
}
