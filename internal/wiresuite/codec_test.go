package wiresuite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

type (
	mac [6]byte
	ip4 [4]byte
)

func (a mac) String() string { return fmt.Sprintf("%x", a[:]) }
func (a ip4) String() string { return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3]) }

var (
	broadcastMAC = mac{255, 255, 255, 255, 255, 255}
	broadcastIP  = ip4{255, 255, 255, 255}
	be           = binary.BigEndian
)

var errShort = errors.New("too short")

// EtherTypes, protocols, and flags of TCP.
const (
	typeIP  = 0x0800
	typeARP = 0x0806

	protoICMP = 1
	protoIGMP = 2
	protoTCP  = 6
	protoUDP  = 17

	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
	urg = 32
	ece = 64
	cwr = 128
)

// sum is the Internet checksum over the parts, each of which but the last has an
// even length.
func sum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for ; len(b) >= 2; b = b[2:] {
			s += uint32(be.Uint16(b))
		}
		if len(b) == 1 {
			s += uint32(b[0]) << 8
		}
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

func pseudo(src, dst ip4, proto byte, length int) []byte {
	return []byte{src[0], src[1], src[2], src[3], dst[0], dst[1], dst[2], dst[3], 0, proto, byte(length >> 8), byte(length)}
}

func ether(dst, src mac, etherType uint16, payload []byte) []byte {
	f := append(append(dst[:len(dst):len(dst)], src[:]...), byte(etherType>>8), byte(etherType))
	f = append(f, payload...)
	for len(f) < 60 {
		f = append(f, 0)
	}
	return f
}

// arp is an ARP packet for IPv4 over Ethernet.
type arp struct {
	op       uint16
	sha, tha mac
	spa, tpa ip4
}

func (a arp) bytes() []byte {
	b := []byte{0, 1, 8, 0, 6, 4, byte(a.op >> 8), byte(a.op)}
	b = append(append(b, a.sha[:]...), a.spa[:]...)
	return append(append(b, a.tha[:]...), a.tpa[:]...)
}

// ip is an IPv4 packet. Zero fields that the sender leaves open are filled in by
// bytes: version, lengths, time to live and checksum.
type ip struct {
	src, dst ip4
	proto    byte
	tos, ttl byte
	id       uint16
	flags    byte   // of 3 bits: 1 more fragments, 2 don't fragment, 4 reserved
	offset   int    // in octets
	options  []byte // padded to words by bytes
	payload  []byte
	total    int // set when parsed

	// What to spoil, when made.
	version, ihl byte
	length       int
	badSum       bool
	from0, to0   bool // the addresses 0.0.0.0 are meant
}

const (
	moreFragments = 1
	dontFragment  = 2
)

func (p ip) bytes() []byte {
	opts := append([]byte(nil), p.options...)
	for len(opts)%4 != 0 {
		opts = append(opts, 0)
	}
	version, ihl, ttl, length := p.version, p.ihl, p.ttl, p.length
	if version == 0 {
		version = 4
	}
	if ihl == 0 {
		ihl = byte(5 + len(opts)/4)
	}
	if ttl == 0 {
		ttl = 64
	}
	if length == 0 {
		length = 20 + len(opts) + len(p.payload)
	}
	b := make([]byte, 20, 20+len(opts)+len(p.payload))
	b[0], b[1] = version<<4|ihl, p.tos
	be.PutUint16(b[2:], uint16(length))
	be.PutUint16(b[4:], p.id)
	be.PutUint16(b[6:], uint16(p.flags)<<13|uint16(p.offset/8))
	b[8], b[9] = ttl, p.proto
	copy(b[12:], p.src[:])
	copy(b[16:], p.dst[:])
	b = append(b, opts...)
	be.PutUint16(b[10:], sum(b))
	if p.badSum {
		b[10] ^= 0x55
	}
	return append(b, p.payload...)
}

// icmp is an ICMP message: rest is the second word of its header.
type icmp struct {
	typ, code byte
	rest      uint32
	data      []byte
}

func (m icmp) bytes() []byte {
	b := append([]byte{m.typ, m.code, 0, 0, byte(m.rest >> 24), byte(m.rest >> 16), byte(m.rest >> 8), byte(m.rest)}, m.data...)
	be.PutUint16(b[2:], sum(b))
	return b
}

// udp is a UDP datagram.
type udp struct {
	src, dst uint16
	data     []byte
	sum      uint16 // set when parsed

	noSum, badSum bool
	length        int
}

func (u udp) bytes(src, dst ip4) []byte {
	length := u.length
	if length == 0 {
		length = 8 + len(u.data)
	}
	b := append([]byte{byte(u.src >> 8), byte(u.src), byte(u.dst >> 8), byte(u.dst), byte(length >> 8), byte(length), 0, 0}, u.data...)
	if !u.noSum {
		s := sum(pseudo(src, dst, protoUDP, len(b)), b)
		if s == 0 {
			s = 0xffff
		}
		if u.badSum {
			s ^= 0x5500
		}
		be.PutUint16(b[6:], s)
	}
	return b
}

// tcp is a TCP segment.
type tcp struct {
	src, dst uint16
	seq, ack uint32
	flags    byte
	reserved byte
	win, urg uint16
	options  []byte // padded to words by bytes
	data     []byte

	offset byte // in words, when spoilt
	badSum bool
}

func (t tcp) has(flags byte) bool { return t.flags&flags == flags }

func (t tcp) bytes(src, dst ip4) []byte {
	opts := append([]byte(nil), t.options...)
	for len(opts)%4 != 0 {
		opts = append(opts, 0)
	}
	offset := t.offset
	if offset == 0 {
		offset = byte(5 + len(opts)/4)
	}
	b := make([]byte, 20, 20+len(opts)+len(t.data))
	be.PutUint16(b, t.src)
	be.PutUint16(b[2:], t.dst)
	be.PutUint32(b[4:], t.seq)
	be.PutUint32(b[8:], t.ack)
	b[12], b[13] = offset<<4|t.reserved, t.flags
	be.PutUint16(b[14:], t.win)
	be.PutUint16(b[18:], t.urg)
	b = append(append(b, opts...), t.data...)
	s := sum(pseudo(src, dst, protoTCP, len(b)), b)
	if t.badSum {
		s ^= 0x5500
	}
	be.PutUint16(b[16:], s)
	return b
}

// option finds an option of a segment by its kind; its value may be empty.
func (t tcp) option(kind byte) (value []byte, ok bool) { return findOption(t.options, kind) }

func findOption(b []byte, kind byte) (value []byte, ok bool) {
	for len(b) > 0 && b[0] != 0 {
		if b[0] == 1 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return nil, false
		}
		if b[0] == kind {
			return b[2:b[1]], true
		}
		b = b[b[1]:]
	}
	return nil, false
}

// packet is a frame that came from the host, taken apart. Of the protocols those
// are set that it carries; of a fragment but the first, none above IP.
type packet struct {
	at       time.Time
	raw      []byte
	dst, src mac
	typ      uint16
	arp      *arp
	ip       *ip
	icmp     *icmp
	udp      *udp
	tcp      *tcp
}

// parse takes a frame apart. The error says what no host may send.
func parse(at time.Time, raw []byte) (*packet, error) {
	p := &packet{at: at, raw: raw}
	if len(raw) < 14 {
		return p, fmt.Errorf("a frame of %d octets", len(raw))
	}
	p.dst, p.src, p.typ = mac(raw[:6]), mac(raw[6:12]), be.Uint16(raw[12:])
	b := raw[14:]
	switch p.typ {
	case typeARP:
		if len(b) < 28 || string(b[:6]) != "\x00\x01\x08\x00\x06\x04" {
			return p, fmt.Errorf("an ARP packet % x", b)
		}
		p.arp = &arp{be.Uint16(b[6:]), mac(b[8:14]), mac(b[18:24]), ip4(b[14:18]), ip4(b[24:28])}
	case typeIP:
		return p, p.parseIP(b)
	}
	return p, nil
}

func (p *packet) parseIP(b []byte) error {
	h, err := parseIP(b)
	if err != nil {
		return err
	}
	p.ip = h
	b = h.payload
	if h.offset != 0 {
		return nil
	}
	whole := h.flags&moreFragments == 0
	switch h.proto {
	case protoICMP:
		if len(b) < 8 || whole && sum(b) != 0 {
			return fmt.Errorf("an ICMP message with a bad checksum: % x", b)
		}
		p.icmp = &icmp{b[0], b[1], be.Uint32(b[4:]), b[8:]}
	case protoUDP:
		if len(b) < 8 || whole && (int(be.Uint16(b[4:])) != len(b) || be.Uint16(b[6:]) != 0 && sum(pseudo(h.src, h.dst, protoUDP, len(b)), b) != 0) {
			return fmt.Errorf("a UDP datagram with a bad length or checksum: % x", b)
		}
		p.udp = &udp{src: be.Uint16(b), dst: be.Uint16(b[2:]), data: b[8:], sum: be.Uint16(b[6:])}
	case protoTCP:
		if len(b) < 20 || int(b[12]>>4)*4 < 20 || int(b[12]>>4)*4 > len(b) || sum(pseudo(h.src, h.dst, protoTCP, len(b)), b) != 0 {
			return fmt.Errorf("a TCP segment with a bad offset or checksum: % x", b)
		}
		hl := int(b[12]>>4) * 4
		p.tcp = &tcp{src: be.Uint16(b), dst: be.Uint16(b[2:]), seq: be.Uint32(b[4:]), ack: be.Uint32(b[8:]),
			reserved: b[12] & 15, flags: b[13], win: be.Uint16(b[14:]), urg: be.Uint16(b[18:]), options: b[20:hl], data: b[hl:]}
		return checkTCP(p.tcp)
	}
	return nil
}

func parseIP(b []byte) (*ip, error) {
	if len(b) < 20 || b[0]>>4 != 4 || int(b[0]&15)*4 < 20 || int(b[0]&15)*4 > len(b) {
		return nil, fmt.Errorf("an IP header % x", b)
	}
	hl, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
	if total < hl || total > len(b) {
		return nil, fmt.Errorf("an IP packet with total length %d in %d octets", total, len(b))
	}
	if sum(b[:hl]) != 0 {
		return nil, fmt.Errorf("an IP header with a bad checksum: % x", b[:hl])
	}
	return &ip{src: ip4(b[12:16]), dst: ip4(b[16:20]), proto: b[9], tos: b[1], ttl: b[8], id: be.Uint16(b[4:]), flags: b[6] >> 5,
		offset: int(be.Uint16(b[6:])&0x1fff) * 8, options: b[20:hl], payload: b[hl:total], total: total, ihl: b[0] & 15}, nil
}

// checkTCP says what is wrong with the form of a segment from the host.
func checkTCP(t *tcp) error {
	if t.reserved != 0 {
		return fmt.Errorf("a segment with reserved bits %x", t.reserved)
	}
	for b := t.options; len(b) > 0; {
		switch {
		case b[0] == 0:
			for _, c := range b {
				if c != 0 {
					return fmt.Errorf("padding that is not zero: % x", t.options)
				}
			}
			b = nil
		case b[0] == 1:
			b = b[1:]
		case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
			return fmt.Errorf("TCP options % x", t.options)
		case b[0] == 2 && t.flags&syn == 0:
			return fmt.Errorf("an MSS option outside of a SYN")
		default:
			b = b[b[1]:]
		}
	}
	return nil
}

// String is one line for the log of a case.
func (p *packet) String() string {
	switch {
	case p.arp != nil:
		return fmt.Sprintf("arp op %d %v %v -> %v %v (frame %v -> %v)", p.arp.op, p.arp.sha, p.arp.spa, p.arp.tha, p.arp.tpa, p.src, p.dst)
	case p.tcp != nil:
		t := p.tcp
		return fmt.Sprintf("%v:%d > %v:%d %s seq %d ack %d win %d urg %d len %d opts %x", p.ip.src, t.src, p.ip.dst, t.dst,
			flagNames(t.flags), t.seq, t.ack, t.win, t.urg, len(t.data), t.options)
	case p.udp != nil:
		return fmt.Sprintf("%v:%d > %v:%d udp len %d", p.ip.src, p.udp.src, p.ip.dst, p.udp.dst, len(p.udp.data))
	case p.icmp != nil:
		return fmt.Sprintf("%v > %v icmp %d/%d %x len %d", p.ip.src, p.ip.dst, p.icmp.typ, p.icmp.code, p.icmp.rest, len(p.icmp.data))
	case p.ip != nil:
		return fmt.Sprintf("%v > %v ip proto %d id %d offset %d flags %d len %d", p.ip.src, p.ip.dst, p.ip.proto, p.ip.id, p.ip.offset, p.ip.flags, len(p.ip.payload))
	}
	return fmt.Sprintf("frame %v -> %v type %04x", p.src, p.dst, p.typ)
}

func flagNames(f byte) string {
	s := ""
	for i, c := range "FSRPAUEC" {
		if f&(1<<i) != 0 {
			s += string(c)
		}
	}
	return s
}
