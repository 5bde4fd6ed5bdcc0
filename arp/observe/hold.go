package observe

import (
	"slices"
	"time"
)

// DefaultHeld is how many lines a Holder keeps back at most.
const DefaultHeld = 10_000

// Line is an alert on its way to an output.
type Line struct {
	Record Record
	Commit string // the id of the commit that records it; may be empty
}

// Holder stands between the history and the outputs. It keeps a line back until
// Record.HoldUntil, because a later record may say more: a flood stands for the
// new stations and the changes that began it, a spoof and a dup-ip for the
// changes of that address between its two MACs, and for what is odd about the
// offender's frames. The history has them all.
//
// The zero value is for captures: lines come in the order of their frames, and
// wait as long as it takes. Whether a line is printed does not depend on how
// often Take is called. A Holder must not be used concurrently.
type Holder struct {
	// Patience, when it is positive, is for live runs: a line waits for at most
	// so long and does not wait for those before it. 2 s suits people; a
	// dispute that takes longer to show then has a line more.
	Patience time.Duration
	// Limit is how many lines are kept back, DefaultHeld when 0; the oldest
	// beyond it are printed.
	Limit int

	held []*held
}

type held struct {
	line  Line
	until time.Time
}

// Add takes a record, in the order of Engine.Input, with the id of its commit.
// Records that are no alerts must be handed in too: they may explain others.
func (h *Holder) Add(r *Record, commit string) {
	if r.Phase == PhaseBegan && (r.Type == Flood || r.Type == Spoof || r.Type == DupIP) {
		h.held = slices.DeleteFunc(h.held, func(l *held) bool {
			return explains(r, &l.line.Record) && !r.Time.After(l.until)
		})
	}
	if !r.Alert {
		return
	}
	until := r.Time
	if r.HoldUntil.After(until) {
		until = r.HoldUntil
		if limit := r.Time.Add(h.Patience); h.Patience > 0 && until.After(limit) {
			until = limit
		}
	}
	h.held = append(h.held, &held{Line{*r, commit}, until})
}

// explains reports whether r, the beginning of a flood or a dispute, says all
// that old says.
func explains(r, old *Record) bool {
	if r.Type == Flood {
		return old.newcomer && old.Key.Domain == r.Key.Domain && !old.Time.Before(r.First) &&
			(old.Key.VLAN == r.Key.VLAN || r.wide)
	}
	if old.Key != r.Key {
		return false
	}
	switch old.Type {
	case Changed, FlipFlop, Reused:
		return old.MAC == r.MAC || old.MAC == r.Old
	case EtherMismatch:
		return old.MAC == r.MAC
	}
	return false
}

// Take returns the lines whose time has come: now is the timestamp of the
// latest frame or, with Patience, the time of day.
func (h *Holder) Take(now time.Time) []Line {
	limit := h.Limit
	if limit <= 0 {
		limit = DefaultHeld
	}
	var out []Line
	spare := len(h.held) - limit
	if h.Patience <= 0 {
		n := 0
		for n < len(h.held) && (n < spare || h.held[n].until.Before(now)) {
			out = append(out, h.held[n].line)
			n++
		}
		h.held = slices.Delete(h.held, 0, n)
		return out
	}
	n := 0
	h.held = slices.DeleteFunc(h.held, func(l *held) bool {
		n++
		if n > spare && l.until.After(now) {
			return false
		}
		out = append(out, l.line)
		return true
	})
	return out
}

// Flush returns the lines that are left, as at the end of a capture or at exit.
func (h *Holder) Flush() []Line {
	var out []Line
	for _, l := range h.held {
		out = append(out, l.line)
	}
	h.held = nil
	return out
}
