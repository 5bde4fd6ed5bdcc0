package observe

import "slices"

// rate remembers the times of the last n events and says when the oldest of
// them is within a window. Its ring grows as it is used.
type rate struct {
	ring []int64
	head int // index of the oldest, once the ring is full
}

// add counts an event at now and reports whether n events, this one included,
// happened within window, and when the first of them did.
func (r *rate) add(now int64, n int, window int64) (first int64, full bool) {
	if n <= 0 || window < 0 {
		return 0, false
	}
	if len(r.ring) < n {
		r.ring = append(r.ring, now)
	} else {
		r.ring[r.head] = now
		r.head = (r.head + 1) % n
	}
	if len(r.ring) < n {
		return 0, false
	}
	first = r.ring[r.head]
	return first, now-first <= window
}

// idle reports whether nothing was counted within window before now.
func (r *rate) idle(now, window int64) bool {
	if len(r.ring) == 0 {
		return true
	}
	last := r.ring[(r.head+len(r.ring)-1)%len(r.ring)]
	return now-last > window
}

// seen is a distinct item of a window and when it was last seen.
type seen struct {
	hi, lo uint64
	at     int64
}

// window holds the n items that were seen last, newest first, without
// repetitions. So n distinct ones were seen within a time exactly when the last
// of them was.
type window struct {
	items []seen
	owner *station // nil while it is free
	kind  windowKind
}

// windowKind says for what a station uses a window.
type windowKind uint8

const (
	scanWindow windowKind = iota
	proxyWindow
	numWindowKinds
)

// add notes an item and returns how many items there are, at most n, whether
// this one is new, and when the oldest of them was seen.
func (w *window) add(k addrKey, now int64, n int) (count int, fresh bool, oldest int64) {
	it := seen{k.hi, k.lo, now}
	i := slices.IndexFunc(w.items, func(s seen) bool { return s.hi == k.hi && s.lo == k.lo })
	fresh = i < 0
	if fresh {
		if len(w.items) < n {
			w.items = append(w.items, seen{})
		}
		i = len(w.items) - 1
	}
	copy(w.items[1:i+1], w.items[:i])
	w.items[0] = it
	return len(w.items), fresh, w.items[len(w.items)-1].at
}

// pool is a bounded set of windows.
type pool struct {
	all  []*window
	free []*window
	hand int
}

// Of a full pool, how many windows are looked at for one that can be given up,
// and how full it may be when it is in use.
const (
	poolLook  = 16
	poolLight = 8
)

// get returns an empty window for st, or nil when all are busy. A window that
// is idle for longer than span is given up, or else, of those that have counted
// little, the one that was used least lately.
func (p *pool) get(limit int, st *station, kind windowKind, now, span int64) *window {
	var w *window
	switch {
	case len(p.free) > 0:
		w = p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
	case len(p.all) < limit:
		w = new(window)
		p.all = append(p.all, w)
	default:
		if w = p.victim(now, span); w == nil {
			return nil
		}
		w.owner.more.windows[w.kind] = nil
	}
	w.items, w.owner, w.kind = w.items[:0], st, kind
	return w
}

func (p *pool) victim(now, span int64) (light *window) {
	for range min(poolLook, len(p.all)) {
		w := p.all[p.hand]
		p.hand = (p.hand + 1) % len(p.all)
		if now-w.items[0].at > span {
			return w
		}
		if len(w.items) <= poolLight && (light == nil || w.items[0].at < light.items[0].at) {
			light = w
		}
	}
	return light
}

// put frees a window.
func (p *pool) put(w *window) {
	w.owner = nil
	p.free = append(p.free, w)
}
