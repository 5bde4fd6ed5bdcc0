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
	ep, r := e.occur(k, e.cfg.EpisodeGap, s)
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
// that a cluster whose address passes to another member makes none.
func (e *Engine) mismatch(s *Sighting, seg uint64) {
	if _, ok := Virtual(s.MAC); ok {
		return
	}
	if _, ok := Virtual(s.Source); ok {
		return
	}
	ep, r := e.occur(episodeKey{typ: EtherMismatch, addr: segmentKey(seg), mac: packMAC(s.MAC)}, e.cfg.EpisodeGap, s)
	if r == nil {
		return
	}
	r.Old, r.Detail = s.Source, "sent by "+s.Source.String()
	if s.Addr.IsValid() && !s.Addr.IsUnspecified() {
		r.Key.Addr = s.Addr.Unmap()
	}
	ep.tell(r)
}
