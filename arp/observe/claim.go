package observe

import (
	"arpeggio/arp"
)

// impossible handles a sender that can be no station: it is told, and binds
// nothing.
func (e *Engine) impossible(s *Sighting, seg uint64) bool {
	if !s.MAC.IsMulticast() {
		return false
	}
	typ := EtherMulticast
	if s.MAC.IsBroadcast() {
		typ = EtherBroadcast
	}
	if ep, r := e.occur(episodeKey{typ: typ, addr: segmentKey(seg), mac: packMAC(s.Source)}, e.cfg.OddGap, s); r != nil {
		if s.Addr.IsValid() && !s.Addr.IsUnspecified() {
			r.Key.Addr = s.Addr.Unmap()
		}
		r.Detail = "sent by " + s.Source.String()
		ep.tell(r)
	}
	return true
}

// claim handles a sighting that says that s.MAC holds s.Addr. It returns the
// entry; nil when there is none.
func (e *Engine) claim(s *Sighting, seg uint64) *entry {
	k := keyOf(seg, s.Addr)
	en := e.entries.get(k)
	switch {
	case en == nil:
		if en = e.discover(s, k); en == nil {
			return nil
		}
	case en.cur.mac == s.MAC && en.agree:
		e.refresh(s, en)
	default:
		e.speak(s, en)
	}
	if en.more != nil {
		e.answered(s, en)
	}
	return en
}

// refresh is the holder speaking again: nothing that a history would hold,
// unless it was away for long.
func (e *Engine) refresh(s *Sighting, en *entry) {
	o := &en.cur
	if !en.confirmed && e.now-o.first >= int64(e.cfg.ConfirmAfter) {
		en.confirmed = true
	}
	if away := e.now - o.last; away >= int64(e.cfg.NewActivity) && e.cfg.NewActivity > 0 {
		r := e.event(s, NewActivity, en.key)
		r.Alert, r.Previous, r.OldFirst, r.OldFrames = true, stamp(o.last), stamp(o.first), o.frames
		r.Detail = "silent for " + span(away)
	}
	o.last = e.now
	o.frames++
	e.touch(en)
	if en.bogon {
		e.strange(s, en)
	}
}

// discover is the first claim of an address.
func (e *Engine) discover(s *Sighting, k addrKey) *entry {
	f := &e.ifaces[s.Interface]
	if f.broadcast(s.Addr) {
		if ep, r := e.occur(episodeKey{typ: IPBroadcast, addr: k, mac: packMAC(s.MAC)}, e.cfg.OddGap, s); r != nil {
			r.Detail = "a broadcast address is no station's"
			ep.tell(r)
		}
		return nil
	}
	st, _ := e.station(k.seg, s.MAC)
	folded := e.newcomer(s, k)
	en := e.enter(k, st)
	if en == nil {
		return nil
	}
	en.cur = owner{mac: s.MAC, frames: 1, first: e.now, last: e.now}
	en.bind(st)
	en.bogon = f.bogon(s.Addr)
	e.recall(en)
	e.touch(en)
	e.watch(en)
	folded = folded || e.noisy(s, st, NewStation, k)
	var r *Record
	if en.bogon {
		if r = e.strange(s, en); r != nil {
			r.Under = r.Under.With(NewStation)
			r.Alert, r.Folded = r.Alert && !folded, r.Folded || folded
		}
	}
	if r == nil {
		r = e.event(s, NewStation, k)
		r.Alert, r.Folded, r.newcomer = !folded && !en.bogon, folded, true
		r.HoldUntil = e.hold(true, 0)
	}
	r.Op, r.Rule, r.Solicited = arp.OpLearned, "first claim", e.solicited(s, en)
	return en
}

// strange counts a frame of an address outside the networks, and returns the
// record of the episode if it begins.
func (e *Engine) strange(s *Sighting, en *entry) *Record {
	ep, r := e.occur(episodeKey{typ: Bogon, addr: en.key, mac: packMAC(s.MAC)}, e.cfg.OddGap, s)
	if r != nil {
		r.Detail = "outside the networks of the interface"
		ep.tell(r)
	}
	return r
}
