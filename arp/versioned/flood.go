package versioned

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// firstFold is how long the first commit of a flood is waited for, and the
// least time between two.
const firstFold = time.Second

// flood is what a domain's next shared commit will tell.
type flood struct {
	opened time.Time // real time
	since  time.Time
	until  time.Time
	count  map[arp.ChangeOp]int
	first  map[arp.ChangeOp]arp.Change // the first of each kind, as a sample
	macs   map[ethernet.Addr]struct{}  // who claimed; maxStations at most
	kept   map[arp.Key]held            // entries still to be committed
	turned int                         // new addresses that were not kept
}

// held is an entry on its way.
type held struct {
	entry Entry
	known bool // the key had one: its token is taken when it is committed
}

// fold counts a change in its domain's flood; mu is held.
func (t *Table) fold(g *gate, c *arp.Change, v verdict) {
	f := g.flood
	if f == nil {
		f = &flood{opened: time.Now(), since: c.Time, count: make(map[arp.ChangeOp]int), first: make(map[arp.ChangeOp]arp.Change),
			macs: make(map[ethernet.Addr]struct{}), kept: make(map[arp.Key]held)}
		g.flood = f
	}
	f.until = c.Time
	if f.count[c.Op]++; f.count[c.Op] == 1 {
		f.first[c.Op] = *c
	}
	if !c.MAC.IsZero() && len(f.macs) < maxStations {
		f.macs[c.MAC] = struct{}{}
	}
	if v == turnAway {
		f.turned++
		t.stats.TurnedAway++
	} else {
		t.stats.Folded++
	}
	t.arm(g.due())
}

// due is when the flood's next commit may be made, in real time.
func (g *gate) due() time.Time {
	at := g.flood.opened.Add(firstFold)
	if next := g.last.Add(g.interval); next.After(at) {
		return next
	}
	return at
}

// arm sets the timer to at, unless it comes earlier anyway; mu is held.
func (t *Table) arm(at time.Time) {
	switch {
	case t.closed || !t.alarm.IsZero() && !t.alarm.After(at):
		return
	case t.timer == nil:
		t.timer = time.AfterFunc(time.Until(at), t.rang)
	default:
		t.timer.Reset(time.Until(at))
	}
	t.alarm = at
}

// rang is the timer's call.
func (t *Table) rang() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alarm = time.Time{}
	now := time.Now()
	t.tellFolded(now, false)
	for _, g := range t.gates {
		if g.flood != nil {
			t.arm(latest(g.due(), now.Add(firstFold/10))) // it may be due, and have to wait for room
		}
	}
	for _, f := range t.refused {
		if f.count > 0 {
			t.arm(f.opened.Add(t.cfg.FoldRefused))
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tellFolded queues the commits that are due at now, or all of them; mu is
// held. Only all means that the bounds do not matter: whoever waits for a Sync
// wants to see everything.
func (t *Table) tellFolded(now time.Time, all bool) {
	for r, f := range t.refused {
		over := now.Sub(f.opened) >= t.cfg.FoldRefused
		switch {
		case f.count > 0 && (all || over):
			n, c := f.count, f.last
			*f = repeat{since: c.Time, opened: now}
			t.tell(c, n-1)
		case f.count == 0 && over:
			delete(t.refused, r)
		}
	}
	for _, g := range t.gates {
		if g.flood == nil || !all && (now.Before(g.due()) || t.queue.full()) {
			continue
		}
		t.tellFlood(g, now, all)
	}
}

// tellFlood queues the next commit of a flood, with the entries that the bounds
// allow; mu is held. What has to wait stays for the one after it.
func (t *Table) tellFlood(g *gate, now time.Time, all bool) {
	f := g.flood
	it := item{kind: itemFlood, change: arp.Change{Op: arp.OpNone, Time: f.until}, flood: f}
	for _, k := range slices.SortedFunc(maps.Keys(f.kept), CompareKeys) {
		w := f.kept[k]
		if w.known {
			if !all && !g.keep.has(t.cfg.Noise.Keep) {
				continue
			}
			g.keep.used++
		}
		it.batch = append(it.batch, batched{k, w.entry})
		delete(f.kept, k)
	}
	switch {
	case g.interval == 0 || now.Sub(g.last) > 2*g.interval:
		g.interval = firstFold
	default:
		g.interval = min(2*g.interval, t.cfg.Noise.MaxFold)
	}
	g.last, g.flood = now, nil
	if rest := f.kept; len(rest) > 0 {
		f.kept = nil
		g.flood = &flood{opened: now, since: f.until, until: f.until, count: make(map[arp.ChangeOp]int),
			first: make(map[arp.ChangeOp]arp.Change), macs: make(map[ethernet.Addr]struct{}), kept: rest}
	}
	if len(it.batch) > 0 || len(f.count) > 0 {
		t.push(it)
	}
}

// floodMessage returns the text of a flood's commit.
func (t *Table) floodMessage(it *item) string {
	f := it.flood
	var parts []string
	total := 0
	ops := slices.Sorted(maps.Keys(f.count))
	for _, op := range ops {
		parts = append(parts, fmt.Sprintf("%d %v", f.count[op], op))
		total += f.count[op]
	}
	subject := "arp: flood: " + strings.Join(parts, ", ")
	if len(parts) == 0 {
		subject = fmt.Sprintf("arp: flood: %d entries as they are now", len(it.batch))
	}
	var b strings.Builder
	add := func(key, value string) { fmt.Fprintf(&b, "%s: %s\n", key, value) }
	fmt.Fprintf(&b, "%s\n\n", subject)
	add(TrailerCause, CauseFlood)
	for _, op := range ops {
		add(TrailerCounted, fmt.Sprintf("%d %v", f.count[op], op))
	}
	if total > 0 {
		add(TrailerFolded, strconv.Itoa(total))
	}
	if len(it.batch) > 0 {
		add(TrailerEntries, strconv.Itoa(len(it.batch)))
	}
	if f.turned > 0 {
		add(TrailerTurned, strconv.Itoa(f.turned))
	}
	if n := len(f.macs); n > 0 {
		more := ""
		if n == maxStations {
			more = " or more"
		}
		add(TrailerStations, strconv.Itoa(n)+more)
	}
	for _, op := range ops {
		c := f.first[op]
		t.trailers(&c, add)
	}
	add(TrailerNode, t.cfg.Node)
	add(TrailerSince, f.since.UTC().Format(time.RFC3339Nano))
	add(TrailerTime, f.until.UTC().Format(time.RFC3339Nano))
	if it.lost > 0 {
		add(TrailerLost, strconv.Itoa(it.lost))
	}
	return b.String()
}
