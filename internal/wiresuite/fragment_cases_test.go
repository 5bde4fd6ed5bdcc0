package wiresuite

import (
	"bytes"
	"slices"
	"time"
)

// fragments cuts a packet into pieces with this much payload.
func fragments(h ip, size int) (out []ip) {
	for at := 0; at == 0 || at < len(h.payload); at += size {
		f := h
		f.offset += at
		f.payload = h.payload[at:min(at+size, len(h.payload))]
		if at+size < len(h.payload) {
			f.flags |= moreFragments
		}
		out = append(out, f)
	}
	return out
}

func (p *peer) sendFragments(h ip, size int) {
	h.id = uint16(p.rand.Uint32()) | 1
	for _, f := range fragments(h, size) {
		p.send(f)
	}
}

// text is n octets that differ from place to place.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// reassembled sends a ping whose fragments shuffle has ordered, and demands the
// whole echo.
func reassembled(length, size int, shuffle func(p *peer, f []ip) []ip) func(*peer) {
	return func(p *peer) {
		m, _ := p.pingWith(text(length))
		f := fragments(ip{proto: protoICMP, id: uint16(p.rand.Uint32()) | 1, payload: m}, size)
		if shuffle != nil {
			f = shuffle(p, f)
		}
		for _, h := range f {
			p.send(h)
		}
		p.expectEcho(text(length))
	}
}

// expectEcho puts the host's fragments together itself.
func (p *peer) expectEcho(want []byte) {
	got := p.collect(protoICMP)
	if len(got) < 8 || got[0] != 0 || sum(got) != 0 || !bytes.Equal(got[8:], want) {
		p.fail("the echo has %d octets, not %d, or others", len(got)-8, len(want))
	}
}

// collect reassembles one packet of the host, and judges its fragments.
func (p *peer) collect(proto byte) []byte {
	var b []byte
	have, total := 0, -1
	var id uint16
	p.expect("whole packet in fragments", func(k *packet) bool {
		if k.ip == nil || k.ip.proto != proto || k.icmp != nil && k.icmp.typ != 0 {
			return false
		}
		h := k.ip
		if have > 0 && h.id != id {
			p.fail("fragments with the identifications %d and %d", id, h.id)
		}
		id = h.id
		if h.flags&moreFragments != 0 && len(h.payload)%8 != 0 || h.total > 1500 {
			p.fail("a fragment of %d octets at %d", len(h.payload), h.offset)
		}
		if h.flags&dontFragment != 0 && (h.offset != 0 || h.flags&moreFragments != 0) {
			p.fail("a fragment with DF")
		}
		b = append(b, make([]byte, max(0, h.offset+len(h.payload)-len(b)))...)
		copy(b[h.offset:], h.payload)
		have += len(h.payload)
		if h.flags&moreFragments == 0 {
			total = h.offset + len(h.payload)
		}
		return have == total
	})
	return b
}

func fragmentCases() []testCase {
	const clause = "RFC 1122 §3.3.2"
	reversed := func(_ *peer, f []ip) []ip { slices.Reverse(f); return f }
	shuffled := func(p *peer, f []ip) []ip {
		p.rand.Shuffle(len(f), func(i, j int) { f[i], f[j] = f[j], f[i] })
		return f
	}
	// dropped demands that fragments do not make a packet.
	dropped := func(make func(p *peer, message []byte) []ip) func(*peer) {
		return func(p *peer) {
			p.fence()
			m, answer := p.pingWith(text(48))
			for _, h := range make(p, m) {
				h.proto = protoICMP
				h.id = 77
				p.send(h)
			}
			p.none("an answer", func(k *packet) bool { return answer(k) || anyError(k) })
		}
	}
	return []testCase{
		{level: must, clause: clause, name: "reassemble two fragments", run: reassembled(64, 40, nil)},
		{level: must, clause: clause, name: "reassemble two fragments in reverse", run: reassembled(64, 40, reversed)},
		{level: must, clause: clause, name: "reassemble fragments of eight octets", run: reassembled(400, 8, nil)},
		{level: must, clause: clause, name: "reassemble fragments in any order", run: reassembled(1200, 104, shuffled)},
		{level: must, clause: clause, name: "reassemble 576 octets", run: reassembled(576-28, 256, nil)},
		{level: should, clause: clause, name: "reassemble 8,000 octets, and fragment the answer", run: reassembled(8000, 1480, nil)},
		{level: should, clause: clause, name: "reassemble 65,535 octets", run: reassembled(65535-28, 1480, nil)},
		{level: should, clause: clause, name: "reassemble 65,535 octets from the end", run: reassembled(65535-28, 1480, reversed)},
		{level: must, clause: clause, name: "take a fragment that comes twice", run: reassembled(200, 56, func(_ *peer, f []ip) []ip {
			return append([]ip{f[0], f[0]}, f[1:]...)
		})},
		{level: must, clause: "RFC 791 §3.2", name: "take fragments with DF", run: reassembled(100, 56, func(_ *peer, f []ip) []ip {
			for i := range f {
				f[i].flags |= dontFragment
			}
			return f
		})},
		{level: must, clause: "RFC 791 §3.2", name: "not mix fragments of two identifications", run: dropped2(func(p *peer, m []byte) []ip {
			f := fragments(ip{proto: protoICMP, id: 501, payload: m}, 32)
			f[1].id = 502
			return f
		})},
		{level: must, clause: "RFC 791 §3.2", name: "not mix fragments of two protocols", run: dropped2(func(p *peer, m []byte) []ip {
			f := fragments(ip{proto: protoICMP, id: 503, payload: m}, 32)
			f[1].proto = protoUDP
			return f
		})},
		{level: must, clause: "RFC 791 §3.2", name: "not mix fragments of two senders", run: dropped2(func(p *peer, m []byte) []ip {
			f := fragments(ip{proto: protoICMP, id: 505, payload: m}, 32)
			f[1].src = p.another().ip
			return f
		})},
		{level: must, clause: "RFC 791 §3.2", name: "keep packets with interleaved fragments apart", run: func(p *peer) {
			a, _ := p.pingWith(text(100))
			b, _ := p.pingWith(text(80))
			fa := fragments(ip{proto: protoICMP, id: 601, payload: a}, 56)
			fb := fragments(ip{proto: protoICMP, id: 602, payload: b}, 48)
			for _, h := range []ip{fa[0], fb[1], fb[0], fa[1]} {
				p.send(h)
			}
			p.expectEcho(text(80))
			p.expectEcho(text(100))
		}},
		{level: must, clause: "RFC 5722 §4", name: "drop a packet whose fragments overlap", run: dropped(func(p *peer, m []byte) []ip {
			return []ip{{flags: moreFragments, payload: m[:32]}, {offset: 24, payload: m[24:]}}
		})},
		{level: must, clause: "RFC 5722 §4", name: "drop a packet with a fragment within another", run: dropped(func(p *peer, m []byte) []ip {
			return []ip{{flags: moreFragments, payload: m[:40]}, {flags: moreFragments, offset: 16, payload: []byte("otherwis")}, {offset: 40, payload: m[40:]}}
		}), kernel: "keeps the first of them"},
		{level: must, clause: "RFC 5722 §4", name: "drop a packet with a second end", run: dropped(func(p *peer, m []byte) []ip {
			return []ip{{offset: 48, payload: m[48:]}, {offset: 40, payload: m[40:48]}, {flags: moreFragments, payload: m[:40]}}
		})},
		{level: must, clause: "RFC 791 §3.2", name: "drop a fragment that is no multiple of eight", run: dropped(func(p *peer, m []byte) []ip {
			return []ip{{flags: moreFragments, payload: m[:30]}, {offset: 32, payload: m[32:]}}
		})},
		{level: must, clause: "RFC 791", name: "drop fragments that end beyond 65,535", run: dropped(func(p *peer, m []byte) []ip {
			return []ip{{flags: moreFragments, payload: m[:48]}, {offset: 65528, payload: text(48)}}
		})},
		{level: must, clause: "RFC 791", name: "survive empty fragments", run: dropped(func(p *peer, m []byte) []ip {
			return []ip{{flags: moreFragments}, {flags: moreFragments, offset: 8}, {offset: 16}}
		})},
		{level: must, clause: clause, name: "check the checksum of what was reassembled", run: dropped(func(p *peer, m []byte) []ip {
			m[len(m)-1] ^= 1
			return fragments(ip{payload: m}, 32)
		})},
		{level: must, clause: clause, name: "reassemble UDP", run: func(p *peer) {
			p.sendFragments(ip{proto: protoUDP, payload: udp{src: 5000, dst: echo, data: text(3000)}.bytes(p.ip, p.lan.host)}, 1480)
			if got := p.collect(protoUDP); len(got) != 3008 || !bytes.Equal(got[8:], text(3000)) {
				p.fail("%d octets came back", len(got))
			}
		}},
		{level: must, clause: clause, name: "reassemble TCP", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh)
			t.data = []byte("in pieces of eight")
			p.sendFragments(ip{proto: protoTCP, payload: t.bytes(p.ip, p.lan.host)}, 8)
			c.snd += uint32(len(t.data))
			c.awaitText("in pieces of eight")
		}},
		{level: must, clause: clause, name: "give up a packet whose first fragment came, and say so", when: minutes, run: func(p *peer) {
			p.fence()
			p.send(ip{proto: protoUDP, id: 700, flags: moreFragments, payload: udp{src: 5, dst: echo, data: text(24), length: 100}.bytes(p.ip, p.lan.host)})
			k := p.try(150*time.Second, isICMP(11, 1))
			if k == nil {
				p.fail("no time exceeded (11/1) in 150 s")
			}
			if q, err := parseQuote(k.icmp.data); err != nil || q.id != 700 {
				p.fail("the error quotes %v (%v)", q, err)
			}
		}},
		{level: should, clause: clause, name: "wait for fragments for at least 60 s", when: minutes, kernel: "waits for 30 s", run: func(p *peer) {
			m, _ := p.pingWith(text(48))
			f := fragments(ip{proto: protoICMP, id: 701, payload: m}, 32)
			p.send(f[0])
			p.sleep(58 * time.Second)
			p.send(f[1])
			p.expectEcho(text(48))
		}},
		{level: must, clause: "RFC 792", name: "say nothing of a packet whose first fragment is missing", when: minutes, run: func(p *peer) {
			p.fence()
			p.send(ip{proto: protoUDP, id: 702, flags: moreFragments, offset: 64, payload: text(64)})
			p.quiet(135*time.Second, "an error", anyError)
		}},
		{level: should, clause: "RFC 1122 §3.3.2", name: "reassemble while fragments flood", when: alone, kernel: "takes no fragment until the old ones time out", run: func(p *peer) {
			q := p.beginFragments(1400)
			reassembled(2000, 1480, nil)(q)
		}},
		{level: should, clause: "RFC 1122 §3.3.2", name: "reassemble several packets at once while fragments flood", when: alone, kernel: "takes no fragment until the old ones time out", run: func(p *peer) {
			q := p.beginFragments(64)
			m, _ := q.pingWith(text(300))
			a := fragments(ip{proto: protoICMP, id: 801, payload: m}, 200)
			b := fragments(ip{proto: protoICMP, id: 802, payload: m}, 200)
			for _, h := range []ip{a[0], b[0], a[1], b[1]} {
				q.send(h)
			}
			q.expectEcho(text(300))
			q.expectEcho(text(300))
		}},
	}
}

// dropped2 is for fragments that choose their identification and protocol.
func dropped2(make func(p *peer, message []byte) []ip) func(*peer) {
	return func(p *peer) {
		p.fence()
		m, answer := p.pingWith(text(48))
		for _, h := range make(p, m) {
			p.send(h)
		}
		p.none("an answer", answer)
	}
}

// parseQuote reads the header that an ICMP error quotes, whose packet is cut.
func parseQuote(b []byte) (*ip, error) {
	if len(b) < 28 {
		return nil, errShort
	}
	h := &ip{src: ip4(b[12:16]), dst: ip4(b[16:20]), proto: b[9], tos: b[1], ttl: b[8], id: be.Uint16(b[4:]), flags: b[6] >> 5, ihl: b[0] & 15,
		total: int(be.Uint16(b[2:])), offset: int(be.Uint16(b[6:])&0x1fff) * 8}
	hl := int(h.ihl) * 4
	if hl < 20 || hl+8 > len(b) {
		return nil, errShort
	}
	h.options, h.payload = b[20:hl], b[hl:]
	return h, nil
}

// beginFragments sends the beginnings, of n octets each, of 3000 packets from invented
// sources that never go on, and returns another peer.
func (p *peer) beginFragments(n int) *peer {
	for i := range 3000 {
		p.send(ip{src: ip4{10, 9, byte(100 + i%50), byte(i)}, proto: protoUDP, id: uint16(i + 1), flags: moreFragments, payload: text(n)})
	}
	p.fence()
	q := p.another()
	q.fence()
	q.try(0, anyIP)
	return q
}
