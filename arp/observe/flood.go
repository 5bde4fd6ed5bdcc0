package observe

import (
	"time"

	"arpeggio/stack/ethernet"
)

// flood counts the new stations of a segment or of a domain.
type flood struct {
	rate
	seg     uint64
	episode *episode
}

// floods are those of the segments.
type floods struct {
	of   map[uint64]*flood
	all  []*flood
	hand int
}

// Of the floods, how many segments are counted for at once, how many are looked
// at for one that is idle, and how many times the count makes a flood of a
// whole domain.
const (
	maxFloods   = 4096
	floodLook   = 64
	floodDomain = 10
)

// get returns the flood of a segment; nil when too many are busy, which the
// domain's own flood then sees.
func (f *floods) get(seg uint64, now, window int64) *flood {
	if fl := f.of[seg]; fl != nil {
		return fl
	}
	if f.of == nil {
		f.of = map[uint64]*flood{}
	}
	var fl *flood
	if len(f.all) < maxFloods {
		fl = new(flood)
		f.all = append(f.all, fl)
	} else {
		for range floodLook {
			c := f.all[f.hand]
			f.hand = (f.hand + 1) % len(f.all)
			if c.episode == nil && c.idle(now, window) {
				fl = c
				break
			}
		}
		if fl == nil {
			return nil
		}
		delete(f.of, fl.seg)
	}
	*fl = flood{seg: seg}
	f.of[seg] = fl
	return fl
}

// newcomer counts a new station and reports whether it is part of a flood.
func (e *Engine) newcomer(s *Sighting, k addrKey) bool {
	n, window := e.cfg.FloodCount, int64(e.cfg.FloodWindow)
	if n <= 0 || window < 0 {
		return false
	}
	if fl := e.floods.get(k.seg, e.now, window); fl != nil && e.swell(fl, s, k.seg, n) {
		return true
	}
	return e.swell(&e.domains[k.seg>>32].flood, s, k.seg&^0xffffffff|allVLANs, n*floodDomain)
}

// allVLANs is the segment of a domain's own flood, which no frame has.
const allVLANs = 0xffffffff

// swell counts a new station in one flood.
func (e *Engine) swell(fl *flood, s *Sighting, seg uint64, n int) bool {
	window := int64(e.cfg.FloodWindow)
	first, full := fl.add(e.now, n, window)
	if ep := fl.episode; ep != nil {
		if e.episodes[ep.key] == ep {
			ep.event.Count++
			if ep.event.Last = s.Time; full {
				ep.seen = e.now
			}
			return true
		}
		fl.episode = nil
	}
	if !full {
		return false
	}
	ep, r := e.occur(episodeKey{typ: Flood, addr: segmentKey(seg)}, e.cfg.FloodWindow, s)
	if r == nil {
		return false
	}
	r.MAC, r.Count = ethernet.Addr{}, uint64(n)
	r.First = r.Time.Add(-time.Duration(e.now - first))
	r.Detail = within(n, "new stations", e.now-first)
	if seg&allVLANs == allVLANs {
		r.Key.VLAN, r.wide = vlanOf(0), true
		r.Detail += " in all VLANs"
	}
	ep.tell(r)
	fl.episode = ep
	return true
}
