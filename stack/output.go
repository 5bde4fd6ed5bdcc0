package stack

import (
	"net/netip"
	"time"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// sendIP sends a datagram, in fragments where the interface's MTU, or what is known
// of the path, demands it.
// h.Src and h.Dst are set; TTL and ID are filled in. The caller holds mu.
func (s *Stack) sendIP(via hop, h ipv4.Header, opts, payload []byte, from sender) error {
	if h.TTL == 0 {
		h.TTL = s.cfg.TTL
	}
	mtu := linkMTU(via)
	total := ipv4.MinHeaderLen + (len(opts)+3)&^3 + len(payload)
	if !h.DF && total > minPathMTU {
		// RFC 4821 §8: here, rather than on the way and once more.
		mtu = s.datagramMTU(via, h.Dst, time.Now())
	}
	scarce := !s.identify(&h, 1, total <= mtu)
	if u, ok := from.(*UDPConn); ok && scarce && total > minPathMTU {
		u.force(h.Dst, payload)
	}
	st, full, parts := &s.stats.IP, false, 0
	st.OutRequests++
	err := ipv4.Fragment(h, opts, payload, mtu, func(h ipv4.Header, opts, part []byte) {
		parts++
		if via.Interface == nil {
			b := h.AppendTo(make([]byte, 0, ipv4.MinHeaderLen+len(opts)+len(part)), opts, len(part))
			s.loop = append(s.loop, looped{packet: append(b, part...)})
			st.transmitted(len(b) + len(part))
			return
		}
		if s.tx.full() {
			full = true
			st.OutDiscards++
			return
		}
		f := s.tx.add(via, from)
		start := len(f.Head)
		f.Head = append(h.AppendTo(f.Head, opts, len(part)), part...)
		s.tx.bytes += len(f.Head)
		st.transmitted(len(f.Head) - start)
	})
	if parts > 1 {
		st.OutFragReqds++
		st.OutFragOKs++
		st.OutFragCreates += uint64(parts)
	}
	switch {
	case err == ipv4.ErrNeedFrag && scarce:
		st.OutDiscards++
		return errNoBufs
	case err == ipv4.ErrTooLong || err == ipv4.ErrNeedFrag || err == ipv4.ErrMTUTooSmall:
		st.OutFragReqds++
		st.OutFragFails++
		return errMsgSize
	case full:
		return errNoBufs
	}
	return err
}

// sendSegment is the emit function of every tcp.Conn: s.emitting's segment
// becomes a frame. It reports false when the transmit queue is full.
func (s *Stack) sendSegment(seg *tcp.Segment) bool {
	c := s.emitting
	if c.stranded {
		c.strand()
		return true // as good as lost on the way
	}
	if !s.sendTCP(c.route, c.m.Local().Addr(), c.m.Remote().Addr(), seg, c) {
		s.stalled = append(s.stalled, c)
		return false
	}
	return true
}

// maxCopy is the payload up to which copying it behind the headers is cheaper
// than letting the device gather it.
const maxCopy = 512

// sendTCP sends one segment. DF is set, for path MTU discovery, unless the
// connection forgoes that, and the identification then is zero, as it may be in a
// packet that nobody fragments (RFC 6864 §4.1).
func (s *Stack) sendTCP(via hop, src, dst netip.Addr, seg *tcp.Segment, from sender) bool {
	n, hlen := seg.DataLen(), seg.HeaderLen()
	h := ipv4.Header{TOS: seg.Mark, DF: true, TTL: s.cfg.TTL, Proto: ipv4.ProtoTCP, Src: src, Dst: dst}
	if c, ok := from.(*TCPConn); ok {
		c.header.stamp(&h)
	}
	s.identify(&h, seg.Pieces(), true)
	pseudo := checksum.Fold(checksum.Pseudo(src, dst, uint8(ipv4.ProtoTCP), hlen+n))
	if via.Interface == nil {
		b := h.AppendTo(make([]byte, 0, ipv4.MinHeaderLen+hlen+n), nil, hlen+n)
		b = seg.AppendHeader(b)
		for _, p := range seg.Data {
			b = append(b, p...)
		}
		s.loop = append(s.loop, looped{packet: b})
		s.stats.IP.OutRequests++
		s.stats.IP.transmitted(len(b))
		return true
	}
	if s.tx.full() {
		return false
	}
	f := s.tx.add(via, from)
	f.Head = h.AppendTo(f.Head, nil, hlen+n)
	start := len(f.Head)
	f.Head = seg.AppendHeader(f.Head)
	f.Head[start+tcp.ChecksumOffset] = byte(pseudo >> 8)
	f.Head[start+tcp.ChecksumOffset+1] = byte(pseudo)
	f.Csum = link.Csum{State: link.CsumPartial, Start: uint16(start), Offset: tcp.ChecksumOffset}
	if seg.GSOSize > 0 {
		f.GSO = link.GSO{Type: link.GSOTCP4, HdrLen: uint16(len(f.Head)), Size: seg.GSOSize}
	}
	s.tx.bytes += n
	if n > maxCopy {
		f.Payload = append(f.Payload, seg.Data...)
	} else {
		for _, p := range seg.Data {
			f.Head = append(f.Head, p...)
		}
	}
	s.stats.IP.OutRequests++
	s.stats.IP.transmitted(ipv4.MinHeaderLen + hlen + n)
	return true
}
