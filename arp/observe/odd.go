package observe

// malformed counts a frame that cannot be right: one episode for a station and
// a reason. A frame that the capture cut short is the capture's fault: one
// episode for the interface.
func (e *Engine) malformed(s *Sighting) {
	seg := segment(e.ifaces[s.Interface].domain, s.VLAN)
	k := episodeKey{typ: Malformed, sub: uint8(s.Reason), addr: segmentKey(seg), mac: packMAC(s.Sender())}
	if s.Reason == ReasonTruncated {
		k.addr, k.mac = addrKey{seg: seg &^ 0xffffffff}, uint64(s.Interface)
	}
	ep, r := e.occur(k, e.cfg.OddGap, s)
	if r == nil {
		return
	}
	r.MAC, r.Detail = s.Sender(), s.Reason.String()
	if s.Addr.IsValid() && !s.Addr.IsUnspecified() {
		r.Key.Addr = s.Addr.Unmap()
	}
	ep.tell(r)
}

// mismatch is a frame whose Ethernet source is not the sender that its message
// names: a proxy, a bridge that translates, a cluster, or a lie. One that
// involves a virtual MAC is meant to be. An episode is about the sender, so
// that a cluster whose address passes to another member makes none. What the
// offender of a dispute does has been told, or may be yet.
func (e *Engine) mismatch(s *Sighting, seg uint64, en *entry) {
	if _, ok := Virtual(s.MAC); ok {
		return
	}
	if _, ok := Virtual(s.Source); ok {
		return
	}
	ep, r := e.occur(episodeKey{typ: EtherMismatch, addr: segmentKey(seg), mac: packMAC(s.MAC)}, e.cfg.OddGap, s)
	if r == nil {
		return
	}
	if en != nil && en.more != nil {
		if c := en.contestOf(); c != nil && len(c.episodes) > 0 && c.victim != s.MAC {
			r.Alert = false
		}
		r.HoldUntil = e.hold(false, en.more.claimed)
	}
	r.Old, r.Detail = s.Source, "sent by "+s.Source.String()
	if s.Addr.IsValid() && !s.Addr.IsUnspecified() {
		r.Key.Addr = s.Addr.Unmap()
	}
	ep.tell(r)
}
