package versioned

import (
	"cmp"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// refusal is who claimed what in vain.
type refusal struct {
	key arp.Key
	mac ethernet.Addr
}

// repeat counts how often a refusal has come again since the last one that was
// committed.
type repeat struct {
	since  time.Time  // of that one
	opened time.Time  // the same in real time
	last   arp.Change // of the repetitions
	count  int
}

// maxRepeats bounds the memory for refusals.
const maxRepeats = 4096

// Record implements arp.Recorder: refused claims, conflicts and failed queries
// become commits that change no entry. A claim that is refused again within
// Config.FoldRefused is counted, and told at the end of that time.
func (t *Table) Record(c arp.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	n := 0
	if c.Op == arp.OpRefused || c.Op == arp.OpConflict {
		r := refusal{c.Key, c.MAC}
		f := t.refused[r]
		switch {
		case f != nil && c.Time.Sub(f.since) < t.cfg.FoldRefused:
			f.count++
			f.last = c
			t.stats.Folded++
			t.arm(f.opened.Add(t.cfg.FoldRefused))
			return
		case f != nil:
			n, *f = f.count, repeat{since: c.Time, opened: time.Now()}
		case len(t.refused) < maxRepeats:
			t.refused[r] = &repeat{since: c.Time, opened: time.Now()}
		default: // those that were told long ago make room in a while
			t.arm(time.Now().Add(t.cfg.FoldRefused))
		}
	}
	t.tell(c, n)
}

// tell queues a change that writes no entry and stands for some more; mu is
// held.
func (t *Table) tell(c arp.Change, folded int) {
	g, v := t.admit(&c, false, false)
	if v != commitAlone {
		t.fold(g, &c, v)
		g.flood.count[c.Op] += folded
		return
	}
	t.push(item{kind: itemRecord, change: c, folded: folded})
}

// Begin implements arp.Tracker: a branch for the work is opened from the head,
// unless there is so much of it that its outcome will share a commit.
func (t *Table) Begin(w arp.Work) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := &t.cfg.Noise; !n.Unbounded {
		g := t.gate(w.Key, answer)
		if g.alone.fill(w.Time, float64(n.AnswersPerMinute)); g.loud || !g.alone.has(n.Alone) {
			return
		}
	}
	t.push(item{kind: itemBegin, work: w})
}

// End implements arp.Tracker.
func (t *Table) End(w arp.Work, o arp.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.push(item{kind: itemEnd, work: w, outcome: o})
}

// CompareKeys orders keys by domain, VLAN and address.
func CompareKeys(a, b arp.Key) int {
	return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.VLAN.Outer, b.VLAN.Outer),
		cmp.Compare(a.VLAN.Inner, b.VLAN.Inner), a.Addr.Compare(b.Addr))
}
