package link

import (
	"encoding/binary"
	"errors"
	"fmt"

	"arpeggio/stack/ethernet"
)

// ErrDescriptor is returned by Segment for a frame whose checksum or
// segmentation descriptor does not fit its octets.
var ErrDescriptor = errors.New("link: offload descriptor does not match the frame")

// TCP flags that segmentation moves (RFC 9293 §3.1).
const (
	tcpFIN = 0x01
	tcpPSH = 0x08
	tcpCWR = 0x80
)

// Segmenter does in software what a device without offloads leaves undone: it
// completes checksums and cuts super-frames. It keeps a buffer between calls,
// so that a segmenter that is used again allocates nothing. The zero value is
// ready; a Segmenter belongs to one goroutine at a time.
type Segmenter struct {
	buf []byte
	hdr [ethernet.MaxHeaderLen + 60 + 60]byte
}

// Segment flattens f and calls emit once for each packet it stands for, in
// order: once for an ordinary frame, with its checksum completed; once for each
// piece of GSO.Size octets of a super-frame. The slice that emit gets is its to
// change, has no spare capacity, and is valid only during the call. A packet that exceeds mtu (network
// layer octets; 0 means no limit) ends the work with ErrTooBig before anything
// was emitted; a descriptor that does not fit the frame with ErrDescriptor. f
// is not modified.
//
// GSO.HdrLen is taken for the hint that virtio calls it: the headers themselves
// say where they end.
func (s *Segmenter) Segment(f *Frame, mtu int, emit func([]byte)) error {
	s.buf = f.AppendTo(s.buf[:0])
	if f.GSO.Type == GSONone {
		if err := CompleteChecksum(s.buf, f.Csum); err != nil {
			return err
		}
		if mtu > 0 && len(s.buf)-networkOffset(s.buf) > mtu {
			return fmt.Errorf("%w: %d octets, MTU %d", ErrTooBig, len(s.buf), mtu)
		}
		emit(s.buf[:len(s.buf):len(s.buf)])
		return nil
	}
	return s.cut(f.GSO, mtu, emit)
}

// Segment is Segmenter.Segment with a buffer of its own.
func Segment(f *Frame, mtu int, emit func([]byte)) error {
	var s Segmenter
	return s.Segment(f, mtu, emit)
}

// CompleteChecksum adds up what c describes and stores the result in frame, a
// whole frame. It does nothing unless c.State is CsumPartial.
func CompleteChecksum(frame []byte, c Csum) error {
	if c.State != CsumPartial {
		return nil
	}
	start, field := int(c.Start), int(c.Start)+int(c.Offset)
	if start >= len(frame) || field+2 > len(frame) {
		return fmt.Errorf("%w: checksum field at %d of %d octets", ErrDescriptor, field, len(frame))
	}
	sum := ^fold(addSum(0, frame[start:]))
	if sum == 0 { // RFC 768: all zero would mean "no checksum"; TCP reads both alike
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(frame[field:], sum)
	return nil
}

// shape is where the headers of a TCP super-frame lie.
type shape struct {
	l3, l4, end int // offsets of the IP header, the TCP header and the payload
	stop        int // offset of the end of the packet, before any padding
	pseudo      uint64
}

func (s *Segmenter) cut(g GSO, mtu int, emit func([]byte)) error {
	size := int(g.Size)
	h, err := parseTCP(s.buf, g.Type)
	if err != nil {
		return err
	}
	if size == 0 {
		return fmt.Errorf("%w: segment size 0", ErrDescriptor)
	}
	if mtu > 0 && h.end-h.l3+min(size, h.stop-h.end) > mtu {
		return fmt.Errorf("%w: segments of %d octets behind %d of headers, MTU %d", ErrTooBig, size, h.end-h.l3, mtu)
	}
	hdr := s.hdr[:copy(s.hdr[:], s.buf[:h.end])]
	flags := hdr[h.l4+13]
	seq := binary.BigEndian.Uint32(hdr[h.l4+4:])
	id := binary.BigEndian.Uint16(hdr[h.l3+4:])
	for off, n := h.end, 0; ; n++ {
		next := min(off+size, h.stop)
		// The headers go right before their payload, over octets that the
		// previous packet was emitted with.
		p := s.buf[off-h.end : next : next]
		copy(p, hdr)
		fl := flags
		if n > 0 {
			fl &^= tcpCWR
		}
		if next < h.stop {
			fl &^= tcpFIN | tcpPSH
		}
		p[h.l4+13] = fl
		binary.BigEndian.PutUint32(p[h.l4+4:], seq+uint32(off-h.end))
		if g.Type == GSOTCP4 {
			ip := p[h.l3:h.l4]
			binary.BigEndian.PutUint16(ip[2:], uint16(len(p)-h.l3))
			binary.BigEndian.PutUint16(ip[4:], id+uint16(n))
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], ^fold(addSum(0, ip)))
		} else {
			binary.BigEndian.PutUint16(p[h.l3+4:], uint16(len(p)-h.l4))
		}
		tcp := p[h.l4:]
		tcp[16], tcp[17] = 0, 0
		binary.BigEndian.PutUint16(tcp[16:], ^fold(addSum(h.pseudo+uint64(len(tcp)), tcp)))
		emit(p)
		if off = next; off >= h.stop {
			return nil
		}
	}
}

// parseTCP finds the headers of frame, which must be TCP directly over the IP
// version that t names, not a fragment.
func parseTCP(frame []byte, t GSOType) (h shape, err error) {
	bad := func(what string) (shape, error) { return shape{}, fmt.Errorf("%w: %s", ErrDescriptor, what) }
	h.l3 = networkOffset(frame)
	ip := frame[min(h.l3, len(frame)):]
	const protoTCP = 6
	switch t {
	case GSOTCP4:
		if len(ip) < 20 || ip[0]>>4 != 4 || ip[9] != protoTCP || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
			return bad("no TCP over IPv4")
		}
		h.l4 = h.l3 + int(ip[0]&15)*4
		h.pseudo = addSum(protoTCP, ip[12:20])
		h.stop = h.l3 + int(binary.BigEndian.Uint16(ip[2:]))
		if h.l4 < h.l3+20 {
			return bad("IPv4 header length")
		}
	case GSOTCP6:
		if len(ip) < 40 || ip[0]>>4 != 6 || ip[6] != protoTCP {
			return bad("no TCP over IPv6")
		}
		h.l4 = h.l3 + 40
		h.pseudo = addSum(protoTCP, ip[8:40])
		h.stop = h.l4 + int(binary.BigEndian.Uint16(ip[4:]))
	default:
		return bad("unknown segmentation type")
	}
	if len(frame) < h.l4+20 {
		return bad("TCP header is cut off")
	}
	h.end = h.l4 + int(frame[h.l4+12]>>4)*4
	if h.end < h.l4+20 || h.end > h.stop || h.stop > len(frame) {
		return bad("TCP header or IP length")
	}
	return h, nil
}

// networkOffset returns the length of the Ethernet header and its tags.
func networkOffset(frame []byte) int {
	h, _, _ := ethernet.Parse(frame)
	return h.Len()
}

// addSum adds the big-endian 16-bit words of b to sum (RFC 1071 §1); an odd
// last octet counts as the high one.
func addSum(sum uint64, b []byte) uint64 {
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// fold reduces a sum to 16 bits with end-around carries.
func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
