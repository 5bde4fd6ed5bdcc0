package vcs

import (
	"fmt"
	"time"
)

// chainSpan is a length of period at which a chain may keep the states of an
// epoch, and what that takes.
type chainSpan struct {
	period int64 // in seconds
	limit  int   // ends that count, the newest
	ends   int
	bytes  int64 // of the changes that lead from end to end

	sums []int64 // bytes of the newest ends, none, one, two …
	last int64   // the period that was met last
	turn int32   // counts periods, the newest is 1
	met  []int32 // by key, the turn in which it was met last
}

// maxSpans bounds the lengths that are looked at for one chain.
const maxSpans = 12

// chainSpans returns the lengths for a chain: its period, twice that, and so on,
// less than the next coarser chain's, or 0 when there is none.
func chainSpans(c Chain, coarser time.Duration) (list []*chainSpan) {
	for p := c.Period; len(list) == 0 || len(list) < maxSpans && (coarser == 0 || p < coarser); p *= 2 {
		list = append(list, &chainSpan{period: int64(p / time.Second), limit: c.Limit})
	}
	return list
}

// see takes the next older commit in, and reports whether what it changed counts.
func (p *chainSpan) see(t int64) bool {
	if n := t / p.period; p.turn == 0 || n != p.last {
		p.last = n
		if p.turn++; p.turn > 1 && p.ends < p.limit { // the newest period goes on in the next epoch
			p.ends++
			p.sums = append(p.sums, p.bytes)
		}
	}
	return p.turn > 1 && int(p.turn)-1 == p.ends
}

// count adds a change, unless a newer one of that key in the same period did.
func (p *chainSpan) count(key uint32, bytes int64) {
	if p.met[key] != p.turn {
		p.met[key] = p.turn
		p.bytes += bytes
	}
}

// newest returns how many of the newest ends take so many bytes, and how many they
// take; whole is what leads to the oldest of them.
func (p *chainSpan) newest(room, whole int64) (n int, bytes int64) {
	for i, sum := range p.sums {
		if took := whole + sum + int64(i)*chainStateBytes; took <= room {
			n, bytes = i+1, took
		}
	}
	return n, bytes
}

// epochChanges is what the head branch's commits of an epoch changed.
type epochChanges struct {
	oldest ID // of the commits
	count  int
	bytes  int64 // in the log
}

// each returns what one change takes in the log.
func (x *epochChanges) each() int64 { return x.bytes/int64(max(x.count, 1)) + 1 }

// measure goes back from a commit along first parents, as far as this log has
// them, and tells what the spans would take.
func (l *oplog) measure(head ID, spans []*chainSpan) (x epochChanges, err error) {
	c := cursor{log: l.frozen()}
	num, ok, err := c.log.find(head)
	var counting []*chainSpan
	for ok && err == nil {
		var v *segView
		var i uint32
		if v, i, err = c.at(num); err != nil {
			break
		}
		rec := v.rec(i)
		counting = counting[:0]
		for _, p := range spans {
			if p.see(rec.time) {
				if p.met == nil {
					p.met = make([]int32, len(c.log.keys))
				}
				counting = append(counting, p)
			}
		}
		if rec.parent == noParent || rec.based { // it says a whole state
			x.oldest, err = c.log.idOf(v, i)
			break
		}
		if err = x.add(v, i, len(c.log.keys), counting); err != nil {
			break
		}
		num = rec.parent
	}
	return x, err
}

// add takes one commit's changes in. Each is told to take its part of all that
// the commit takes: a state on a chain says what these took from its message.
func (x *epochChanges) add(v *segView, i uint32, keys int, spans []*chainSpan) error {
	n := 0
	if err := v.eachChange(i, func(viewChange) error { n++; return nil }); err != nil || n == 0 {
		return err
	}
	bytes := int64(v.recordEnd(i)-v.rec(i).start) + int64(v.keysEnd(i)-v.rec(i).keys)
	x.count += n
	x.bytes += bytes
	each := bytes/int64(n) + 1
	return v.eachChange(i, func(c viewChange) error {
		if int(c.key) >= keys {
			return fmt.Errorf("%w: log: unknown key", ErrCorrupt)
		}
		for _, p := range spans {
			p.count(c.key, each)
		}
		return nil
	})
}

// differences counts the files in which two folders differ.
func differences(a, b *node, load loader, depth int) (n int, err error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: deeper than %d folders", errUnfit, maxDepth)
	}
	d := stateDiff{load: load}
	visit := func(both bool) func(string, *node, *node) error {
		return func(_ string, x, y *node) error {
			if y != nil && !both {
				return nil // counted from the other side
			}
			if y == nil || !y.mode.IsDir() {
				y = newFolder(nil)
			}
			if !x.mode.IsDir() {
				n++
				return nil
			}
			below, err := differences(x, y, load, depth+1)
			n += below
			return err
		}
	}
	if err := d.entries("", b, a, visit(true)); err != nil {
		return 0, err
	}
	return n, d.entries("", a, b, visit(false))
}
