package observe

import (
	"arpeggio/stack/ethernet"
)

// station is a MAC address on a segment.
type station struct {
	key     macKey
	owns    [numClasses]uint32 // entries that are bound to it
	made    uint32             // entries that it is charged with
	queued  bool               // in Engine.visitors
	virtual bool
	quota   quota
	again   bool // visitors: passed over once

	asked seen         // what it asked for last, so that most stations need no window
	more  *stationMore // of few stations
}

// stationMore is what stations need that answer, or ask for several others.
type stationMore struct {
	answered seen // what it answered for last
	windows  [numWindowKinds]*window
	busy     [numWindowKinds]*episode // the scan, the proxy
}

func (st *station) extra() *stationMore {
	if st.more == nil {
		st.more = new(stationMore)
	}
	return st.more
}

// last is what was noted last of a kind.
func (st *station) last(kind windowKind) *seen {
	if kind == scanWindow {
		return &st.asked
	}
	return &st.extra().answered
}

// window returns the window of a kind, nil when there is none.
func (st *station) window(kind windowKind) *window {
	if st.more == nil {
		return nil
	}
	return st.more.windows[kind]
}

// busy returns the episode of a kind that is under way; nil when there is none.
func (st *station) busy(kind windowKind) *episode {
	if st.more == nil {
		return nil
	}
	return st.more.busy[kind]
}

func (st *station) mac() ethernet.Addr { return unpackMAC(st.key.mac) }

// ownsAnother reports whether st holds an address of en's class beside en.
func (st *station) ownsAnother(en *entry) bool {
	n := st.owns[en.class]
	if en.holder == st {
		n--
	}
	return n > 0
}

// station returns the station, and whether it is a new one.
func (e *Engine) station(seg uint64, mac ethernet.Addr) (st *station, fresh bool) {
	k := macKey{seg, packMAC(mac)}
	if st := e.stations.get(k); st != nil {
		return st, false
	}
	st = e.newStation()
	st.key = k
	_, st.virtual = Virtual(mac)
	e.stations.put(st)
	e.visit(st)
	return st, true
}

// stationChunk is how many stations and entries are allocated at once.
const stationChunk = 64

func (e *Engine) newStation() *station {
	if n := len(e.freeStations); n > 0 {
		st := e.freeStations[n-1]
		e.freeStations = e.freeStations[:n-1]
		*st = station{}
		return st
	}
	if len(e.stationChunk) == 0 {
		e.stationChunk = make([]station, stationChunk)
	}
	st := &e.stationChunk[0]
	e.stationChunk = e.stationChunk[1:]
	return st
}

// visit puts a station that holds nothing into the queue of those that may be
// forgotten, and forgets the oldest when there are too many.
func (e *Engine) visit(st *station) {
	if st.queued {
		return
	}
	st.queued, st.again = true, false
	e.visitors.push(st)
	for n := e.visitors.len(); n > 0 && e.visitors.len() > e.cfg.MaxVisitors; n-- {
		v := e.visitors.pop()
		w := v.window(scanWindow)
		switch {
		case v.owns != [numClasses]uint32{} || v.made > 0:
			v.queued = false // not a visitor any more; it comes back when it is one
		case v == st, v.busy(scanWindow) != nil, v.busy(proxyWindow) != nil,
			!v.again && w != nil && len(w.items) > poolLight: // a scan in the making
			v.again = true
			e.visitors.push(v)
		default:
			e.forget(v)
		}
	}
}

// forget removes a visitor.
func (e *Engine) forget(st *station) {
	for kind := range numWindowKinds {
		if w := st.window(kind); w != nil {
			e.pools[kind].put(w)
		}
	}
	e.stations.drop(st.key)
	st.more = nil
	e.freeStations = append(e.freeStations, st)
}

// note adds k to a window of st and reports whether n different ones were
// noted within span, how many at most n, since when, and whether k is a new
// one.
func (e *Engine) note(st *station, kind windowKind, k addrKey, n int, span int64) (full, fresh bool, oldest int64) {
	if n <= 0 || span < 0 {
		return false, false, 0
	}
	last := st.last(kind)
	if last.at != 0 && last.hi == k.hi && last.lo == k.lo {
		last.at = e.now
		if w := st.window(kind); w == nil {
			return n == 1, false, e.now
		}
	}
	w := st.window(kind)
	if w == nil {
		before := *last
		*last = seen{k.hi, k.lo, e.now}
		if before.at == 0 || e.now-before.at > span {
			return n == 1, true, e.now
		}
		if w = e.pools[kind].get(e.cfg.MaxWindows, st, kind, e.now, span); w == nil {
			e.stats.Untracked++
			return false, true, 0
		}
		st.extra().windows[kind] = w
		w.items = append(w.items, before)
	}
	*last = seen{k.hi, k.lo, e.now}
	count, fresh, oldest := w.add(k, e.now, n)
	return count == n && e.now-oldest <= span, fresh, oldest
}
