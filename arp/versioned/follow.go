package versioned

import (
	"arpeggio/arp"
	"arpeggio/vcs"
)

// follower takes over what moves the primary branch, until the watcher ends.
// The Table's own commits pass here too and change nothing.
func (t *Table) follower() {
	defer close(t.followed)
	for e := range t.follow.All(t.ctx) {
		if !e.New.IsZero() {
			t.adopt(e.Old, e.New)
		}
	}
}

// adopt applies the difference between two heads to the live table, as a
// three-way merge in which the live entry is one side: where it still is what
// the old head held, the new head's takes its place, even if that is older (a
// revert); else the two are joined.
func (t *Table) adopt(old, now vcs.ID) {
	for d, err := range t.repo.Diff(old, now) {
		if err != nil {
			t.mu.Lock()
			t.damaged(d.Path, err)
			t.mu.Unlock()
			continue
		}
		t.mu.Lock()
		told, calls := t.take(d)
		t.mu.Unlock()
		for _, f := range calls {
			f(d.Key, told, told.MAC.IsStation())
		}
	}
}

// take applies one difference; mu is held. It returns the binding that the
// watchers must hear of (the zero Binding when there is none any more) and the
// watchers.
func (t *Table) take(d vcs.Delta[arp.Key, Entry]) (told arp.Binding, calls []func(arp.Key, arp.Binding, bool)) {
	have, ok := t.live[d.Key]
	next, present := have, ok
	switch {
	case ok == d.Old.Present && have == d.Old.Value:
		next, present = d.New.Value, d.New.Present
	case d.New.Present && ok:
		next = Join(have, d.New.Value)
	case d.New.Present:
		next, present = d.New.Value, true
	}
	if next == have && present == ok {
		return
	}
	if t.pinned(have) && !t.pinned(next) && !t.ordered(have, d) {
		t.insist(d.Key, have, next)
		return
	}
	t.stats.Foreign++
	if present {
		t.live[d.Key] = next
	} else {
		delete(t.live, d.Key)
	}
	if next.State == have.State && next.MAC == have.MAC {
		return
	}
	if present && next.State != Expired {
		told = t.binding(next)
	}
	for _, f := range t.watchers {
		calls = append(calls, f)
	}
	return told, calls
}

// ordered reports whether a difference is an order of this node's operator: what
// it replaces is what holds here, and nobody else writes in this node's name. A
// pin that was taken back, unpinned or reverted elsewhere, comes so.
func (t *Table) ordered(have Entry, d vcs.Delta[arp.Key, Entry]) bool {
	return d.Old.Present && have == d.Old.Value && (!d.New.Present || d.New.Value.Node == t.cfg.Node)
}

// insist writes a pin of this node again that somebody else has overwritten
// with what he saw. Another node's pin is left alone: the dispute stays in the
// history, and each node keeps its own.
func (t *Table) insist(k arp.Key, pin, other Entry) {
	if other.State == Static {
		return
	}
	now := t.cfg.Clock()
	pin.Clock = clock(now, other)
	t.live[k] = pin
	t.push(item{kind: itemWrite, entry: pin, change: arp.Change{
		Op: arp.OpPinned, Key: k, MAC: pin.MAC, Old: other.MAC, Time: now, Interface: pin.Interface, Rule: "pins are local to a node"}})
}
