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

// fold counts the refusals since the last one that was committed.
type fold struct {
	since time.Time
	count int
}

// maxFolds bounds the memory for refusals.
const maxFolds = 4096

// Record implements arp.Recorder: refused claims, conflicts and failed queries
// become commits that change no entry. A claim that is refused again within
// Config.FoldRefused is only counted.
func (t *Table) Record(c arp.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	it := item{kind: itemRecord, change: c}
	if c.Op == arp.OpRefused || c.Op == arp.OpConflict {
		f := t.foldOf(refusal{c.Key, c.MAC}, c.Time)
		if f == nil {
			t.stats.Folded++
			return
		}
		it.folded = f.count
		*f = fold{since: c.Time}
	}
	t.push(it)
}

// foldOf returns the counter for a refusal that is to be committed, nil for one
// that was counted.
func (t *Table) foldOf(r refusal, at time.Time) *fold {
	f := t.refused[r]
	switch {
	case f == nil:
		if len(t.refused) >= maxFolds {
			t.forget(at)
		}
		if len(t.refused) >= maxFolds {
			return nil
		}
		f = &fold{}
		t.refused[r] = f
	case at.Sub(f.since) < t.cfg.FoldRefused:
		f.count++
		return nil
	}
	return f
}

// forget drops counters whose time is over.
func (t *Table) forget(now time.Time) {
	for r, f := range t.refused {
		if now.Sub(f.since) >= t.cfg.FoldRefused {
			delete(t.refused, r)
		}
	}
}

// Begin implements arp.Tracker: a branch for the work is opened from the head.
func (t *Table) Begin(w arp.Work) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.push(item{kind: itemBegin, work: w})
}

// End implements arp.Tracker.
func (t *Table) End(w arp.Work, o arp.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.push(item{kind: itemEnd, work: w, outcome: o})
}

func compareKeys(a, b arp.Key) int {
	return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.VLAN.Outer, b.VLAN.Outer),
		cmp.Compare(a.VLAN.Inner, b.VLAN.Inner), a.Addr.Compare(b.Addr))
}
