package stack

import (
	"encoding/binary"
	"net/netip"
	"time"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/stack/udp"
)

// input is an IPv4 packet on its way from a frame into the stack.
type input struct {
	iface  *Interface
	packet []byte
	csum   link.CsumState
	gso    uint16 // of a super-frame: the size of its segments
	tag    uint64 // link.Frame.Tag
	group  bool   // the frame was a link-layer broadcast or multicast
}

// arrival is what is known of a packet besides its octets.
type arrival struct {
	now     tcp.Instant
	csum    link.CsumState
	gso     uint16
	group   bool
	trusted bool // from ourselves: neither filtered nor summed
}

// maxTrailer is how many octets of padding behind a full packet are tolerated:
// some cards and drivers append their own.
const maxTrailer = 255

// accept is the link layer's part, without the lock: which interface a frame is
// for, and who wants it. Frames for the resolver are handed over here. What is
// dropped is counted in drops.
func (p *port) accept(f *link.Frame, at time.Time, drops *FrameStats) (in input, ok bool) {
	h, payload, err := ethernet.Parse(f.Head)
	if err == ethernet.ErrLength && f.GSO.Type == link.GSONone {
		var ok bool
		if h.Type, payload, ok = ethernet.SNAP(&h, payload); ok { // RFC 1122 §2.3.3
			err = nil
		}
	}
	if err != nil {
		switch err {
		case ethernet.ErrShort:
			drops.Runts++
		case ethernet.ErrLength:
			drops.UnknownType++
		default:
			drops.Malformed++
		}
		return in, false
	}
	if f.GSO.Type == link.GSONone && len(payload) > p.info.MTU+maxTrailer && !p.info.Caps.Has(link.CapGRO) {
		drops.Giants++
		return in, false
	}
	i := p.byVLAN(h.VLAN())
	if i == nil {
		drops.ForeignVLAN++
		return in, false
	}
	group := h.Dst.IsMulticast()
	switch {
	case h.Src == i.mac:
		drops.OwnSource++ // a loop in the wiring, or an impostor
		return in, false
	case !h.Src.IsStation():
		drops.BadSource++
		return in, false
	case h.Dst != i.mac && !group:
		drops.ForeignMAC++
		return in, false
	}
	for _, t := range i.types {
		if t == h.Type {
			if f.Time.IsZero() {
				f.Time = at
			}
			i.frames.HandleFrame(h, payload, f.Time)
			return in, false
		}
	}
	if h.Type != ethernet.TypeIPv4 {
		drops.UnknownType++
		return in, false
	}
	return input{i, payload, f.Csum.State, f.GSO.Size, f.Tag, group}, true
}

// receive takes an IPv4 packet. in is nil for one that we sent to ourselves.
// The caller holds mu; packet is only valid during the call.
func (s *Stack) receive(in *Interface, packet []byte, a arrival) {
	s.stats.IP.InReceives++
	s.stats.IP.InOctets += uint64(len(packet))
	h, opts, payload, err := ipv4.Parse(packet)
	if err != nil {
		if err == ipv4.ErrOption && !a.trusted && s.own[h.Dst] != nil {
			if !s.admit(in, &h, opts, payload, packet, a) {
				return // it has more against it, and is counted for that
			}
			pos, _ := ipv4.CheckOptions(opts)
			s.icmpError(&h, opts, payload, a, icmp.NewParamProblem(uint8(ipv4.MinHeaderLen+pos), nil))
		}
		s.stats.IP.refused(err)
		if err == ipv4.ErrFragment {
			s.stats.IP.ReasmReqds++
		}
		return
	}
	if !a.trusted && !s.admit(in, &h, opts, payload, packet, a) {
		return
	}
	if !h.IsFragment() {
		s.deliver(in, &h, opts, payload, a)
		return
	}
	s.stats.IP.ReasmReqds++
	var index uint32
	if in != nil {
		index = in.index
	}
	first, opts, whole, err := s.reasm.Input(s.time(a.now), index, h, opts, payload)
	if err != nil {
		s.stats.IP.refused(err)
		return
	}
	if whole != nil {
		s.stats.IP.ReasmOKs++
		a.csum = link.CsumUnknown
		s.deliver(in, &first, opts, whole, a)
	}
}

// admit decides whether a packet from the wire is for us (RFC 1122 §3.2.1.3):
// martians, spoofed own addresses and source routes are dropped, other hosts'
// packets go to the forward hook. An address of ours is ours on every
// interface (the weak end-system model, RFC 1122 §3.3.4.2), unless
// Config.StrongHost has it otherwise.
func (s *Stack) admit(in *Interface, h *ipv4.Header, opts, payload, packet []byte, a arrival) bool {
	toBroadcast := in.isBroadcast(h.Dst)
	switch {
	case h.Src.IsUnspecified():
		// Only a host that looks for its address has none (RFC 1122 §3.2.1.3 (a)).
		// Its IGMP reports, and the queries of switches, come from there too.
		if (h.Proto != ipv4.ProtoUDP || !toBroadcast) && (h.Proto != ipv4.ProtoIGMP || !h.Dst.IsMulticast()) {
			s.stats.IP.Martians++
			return false
		}
	case !isUnicast(h.Src) || h.Src.IsLoopback() || s.isAnyBroadcast(h.Src):
		s.stats.IP.Martians++
		return false
	case s.own[h.Src] != nil:
		s.stats.IP.Spoofed++
		return false
	}
	// 0.0.0.0 is the limited broadcast address of 4.2BSD (RFC 1122 §3.3.6).
	oldBroadcast := h.Dst.IsUnspecified() && a.group
	if !oldBroadcast && !toBroadcast && !h.Dst.IsMulticast() && !isUnicast(h.Dst) || h.Dst.IsLoopback() {
		s.stats.IP.Martians++
		return false
	}
	if found, complete := ipv4.SourceRoute(opts); found {
		s.stats.IP.SourceRoute++
		if !complete && s.own[h.Dst] != nil { // RFC 1122 §3.3.5
			s.icmpError(h, opts, payload, a, icmp.NewUnreachable(icmp.CodeSourceRoute, nil))
		}
		return false
	}
	switch {
	case s.own[h.Dst] != nil:
		switch {
		case a.group: // RFC 1122 §3.3.6
			s.stats.IP.GroupFrame++
			return false
		case s.cfg.StrongHost && s.own[h.Dst] != in:
			s.stats.IP.OtherInterface++
			return false
		}
		return true
	case toBroadcast || oldBroadcast:
		return true
	case h.Dst.IsMulticast():
		if in.receives(h) {
			return true
		}
		s.stats.IP.Foreign++
		return false
	}
	s.stats.IP.Foreign++
	if s.cfg.Forward != nil && !a.group && forwardable(h) && !s.isAnyBroadcast(h.Dst) {
		s.stats.IP.InForwDatagrams++
		in.port.forwards = append(in.port.forwards, forward{in, whole(h, packet, a.csum)})
	}
	return false
}

// forwardable reports whether a router could pass the packet on: never one with a
// link-local address (RFC 3927 §2.7).
func forwardable(h *ipv4.Header) bool {
	return !h.Src.IsLinkLocalUnicast() && !h.Dst.IsLinkLocalUnicast() && !h.Src.IsUnspecified()
}

// whole returns a copy of a packet with its transport checksum complete, which
// the sender on this machine may have left to the device.
func whole(h *ipv4.Header, packet []byte, state link.CsumState) []byte {
	b := append([]byte(nil), packet[:binary.BigEndian.Uint16(packet[2:])]...)
	body := b[int(b[0]&15)*4:]
	at := map[ipv4.Proto]int{ipv4.ProtoTCP: tcp.ChecksumOffset, ipv4.ProtoUDP: udp.ChecksumOffset}[h.Proto]
	if state == link.CsumPartial && at > 0 && len(body) >= at+2 {
		binary.BigEndian.PutUint16(body[at:], udp.Finish(checksum.Sum(body, 0)))
	}
	return b
}

// deliver hands a whole datagram to its protocol, and copies to the connections
// of that.
func (s *Stack) deliver(in *Interface, h *ipv4.Header, opts, payload []byte, a arrival) {
	taken := len(s.raw) > 0 && s.receiveRaw(in, h, opts, payload)
	switch h.Proto {
	case ipv4.ProtoTCP:
		s.receiveTCP(h, payload, a)
	case ipv4.ProtoUDP:
		s.receiveUDP(in, h, opts, payload, a)
	case ipv4.ProtoICMP:
		s.receiveICMP(h, opts, payload, a)
	case ipv4.ProtoIGMP:
		s.receiveIGMP(in, h.Dst, payload, a)
	default:
		if taken {
			break
		}
		s.stats.IP.InUnknownProtos++
		s.icmpError(h, opts, payload, a, icmp.NewUnreachable(icmp.CodeProtocol, nil))
		return
	}
	s.stats.IP.InDelivers++
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// isUnicast reports whether a can be one host's address, as far as the address
// alone tells.
func isUnicast(a netip.Addr) bool {
	first := a.As4()[0]
	return first != 0 && first < 224
}

// broadcastOf returns the directed broadcast address of p's network.
func broadcastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for k := p.Bits(); k < 32; k++ {
		b[k/8] |= 0x80 >> (k % 8)
	}
	return netip.AddrFrom4(b)
}

// isBroadcast reports whether dst is the limited broadcast address or that of
// one of the interface's networks, in today's form or in 4.2BSD's, all zeros
// (RFC 1122 §3.3.6, RFC 3021 for /31).
func (i *Interface) isBroadcast(dst netip.Addr) bool {
	if dst == limitedBroadcast {
		return true
	}
	for _, p := range i.addrs {
		if p.Bits() < 31 && p.Contains(dst) && (dst == broadcastOf(p) || dst == p.Masked().Addr()) {
			return true
		}
	}
	return false
}

// isAnyBroadcast reports whether a is a broadcast address on any interface.
func (s *Stack) isAnyBroadcast(a netip.Addr) bool {
	for _, i := range s.ifaces {
		if i.isBroadcast(a) {
			return true
		}
	}
	return false
}
