package observe

import (
	"slices"

	"arpeggio/stack/ethernet"
)

// owner is a MAC that speaks or spoke for an address.
type owner struct {
	mac         ethernet.Addr
	frames      uint64
	first, last int64 // Unix nanoseconds
}

// entry is what the engine knows about one address.
type entry struct {
	key    addrKey
	cur    owner    // who spoke last
	holder *station // whom the address is bound to; nil when it has expired
	maker  *station // who is charged with the entry
	asked  int64    // when somebody last asked everybody for it
	polled int64    // when somebody last asked one station for it
	more   *more

	class     uint8
	agree     bool // the holder is who spoke last: nothing to decide
	confirmed bool // never evicted
	bogon     bool
	dirty     bool // in Engine.dirty, whatever became of the entry since
	timed     bool // in Engine.timers, likewise
	alive     bool
}

// more is what few entries need.
type more struct {
	past    []owner // who spoke before, latest first; arpwatch's list without its head
	probe   question
	contest *contest
	claimed int64 // when the claimant who spoke last began to claim
	claim   Type  // what its claim was
	doubted int64 // when somebody first asked for the address after that
	second  int64 // of the latest moves, Unix seconds
	moves   int   // in it
	refused []refusal
}

func (en *entry) extra() *more {
	if en.more == nil {
		en.more = new(more)
	}
	return en.more
}

// owner returns what is known about mac at this address; nil when it is not
// remembered.
func (en *entry) owner(mac ethernet.Addr) *owner {
	if en.cur.mac == mac {
		return &en.cur
	}
	past := en.past()
	for i := range past {
		if past[i].mac == mac {
			return &past[i]
		}
	}
	return nil
}

// past are those who spoke before, latest first.
func (en *entry) past() []owner {
	if en.more == nil {
		return nil
	}
	return en.more.past
}

// speaker makes mac the one who spoke last and returns its place in
// arpwatch's list before: 0 for the head, -1 when it was not in the list. At
// most limit MACs are remembered, the holder always among them.
func (en *entry) speaker(mac ethernet.Addr, now int64, limit int) (place int) {
	if en.cur.mac == mac {
		return 0
	}
	x := en.extra()
	drop := slices.IndexFunc(x.past, func(o owner) bool { return o.mac == mac })
	place = drop + 1
	next := owner{mac: mac, first: now}
	switch {
	case drop >= 0:
		next = x.past[drop]
	case len(x.past) < limit-1:
		place, drop = -1, len(x.past)
		x.past = append(x.past, owner{})
	default:
		place, drop = -1, len(x.past)-1
		if en.holder != nil && x.past[drop].mac == en.holder.mac() {
			drop--
		}
	}
	copy(x.past[1:drop+1], x.past[:drop])
	x.past[0], en.cur = en.cur, next
	return place
}

// bind gives the address to st, or to nobody.
func (en *entry) bind(st *station) {
	if en.holder != nil {
		en.holder.owns[en.class]--
	}
	if en.holder = st; st != nil {
		st.owns[en.class]++
	}
	en.agree = st != nil && st.mac() == en.cur.mac
}

// entryChunk is a block of entries; entries do not move.
type entryChunk [256]entry

// enter makes an entry for k that st speaks for, or returns nil when there is no
// room (see "Memory" in the package comment).
func (e *Engine) enter(k addrKey, st *station) *entry {
	if int(st.made) >= e.cfg.MaxPerMAC {
		e.stats.Overflow++
		return nil
	}
	st.made++ // first, so that making room does not forget st
	if e.entries.len() >= e.cfg.MaxEntries && !e.evict() {
		st.made--
		e.stats.Overflow++
		return nil
	}
	var en *entry
	if n := len(e.freeEntries); n > 0 {
		en = e.freeEntries[n-1]
		e.freeEntries = e.freeEntries[:n-1]
		*en = entry{dirty: en.dirty, timed: en.timed}
	} else {
		if e.usedEntries%len(entryChunk{}) == 0 {
			e.chunks = append(e.chunks, new(entryChunk))
		}
		en = &e.chunks[len(e.chunks)-1][e.usedEntries%len(entryChunk{})]
		e.usedEntries++
	}
	en.key, en.class, en.alive, en.maker = k, k.class(), true, st
	e.entries.put(en)
	e.probation.push(en)
	return en
}

// evict removes the oldest entry that is not confirmed; false when there is
// none.
func (e *Engine) evict() bool {
	for e.probation.len() > 0 {
		en := e.probation.pop()
		if en.confirmed {
			continue
		}
		holder, maker := en.holder, en.maker
		en.bind(nil)
		maker.made--
		en.alive = false
		en.more = nil
		e.entries.drop(en.key)
		e.freeEntries = append(e.freeEntries, en)
		e.stats.Evicted++
		e.leave(maker)
		if holder != nil {
			e.leave(holder)
		}
		return true
	}
	return false
}

// leave makes st a visitor if it holds nothing any more.
func (e *Engine) leave(st *station) {
	if st.owns == [numClasses]uint32{} && st.made == 0 {
		e.visit(st)
	}
}

// touch notes that the side index has news of en.
func (e *Engine) touch(en *entry) {
	if !en.dirty {
		en.dirty = true
		e.dirty = append(e.dirty, en)
	}
}
