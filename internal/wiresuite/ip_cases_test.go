package wiresuite

import (
	"bytes"
	"time"
)

// ping is an echo request with an identity that answers it alone.
func (p *peer) pingWith(data []byte) (message []byte, answer func(*packet) bool) {
	p.ping++
	rest := p.n<<16 | p.ping
	return icmp{typ: 8, rest: rest, data: data}.bytes(), func(k *packet) bool {
		return k.icmp != nil && k.icmp.typ == 0 && k.icmp.rest == rest
	}
}

// answered sends a ping in this packet, which must be answered.
func answered(h ip) func(*peer) {
	return func(p *peer) {
		m, answer := p.pingWith([]byte("abcdefgh"))
		h := h
		h.proto, h.payload = protoICMP, m
		p.send(h)
		p.expect("echo reply", answer)
	}
}

// ignored sends a ping in this packet, of which nothing may come.
func ignored(h ip) func(*peer) {
	return func(p *peer) {
		p.fence()
		m, _ := p.pingWith([]byte("abcdefgh"))
		h := h
		h.proto, h.payload = protoICMP, m
		if h.src != (ip4{}) {
			p.beyond(h.src)
			defer p.unbeyond(h.src)
		}
		before := len(p.lan.heard())
		p.send(h)
		p.none("an answer", anyIP)
		p.noBroadcast(before, m[4:8])
	}
}

func (p *peer) unbeyond(a ip4) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	delete(p.lan.addresses, a)
}

// noBroadcast demands that the host has sent no packet with these octets to all.
func (p *peer) noBroadcast(before int, mark []byte) {
	for _, k := range p.lan.heard()[before:] {
		if k.ip != nil && bytes.Contains(k.raw, mark) {
			p.fail("to all: %v", k)
		}
	}
}

// ignoredFrame sends a ping in a frame of another form.
func ignoredFrame(f func(p *peer, packet []byte) []byte) func(*peer) {
	return func(p *peer) {
		p.fence()
		m, _ := p.pingWith([]byte("abcdefgh"))
		p.frame(f(p, ip{src: p.ip, dst: p.lan.host, proto: protoICMP, id: 9, payload: m}.bytes()))
		p.none("an answer", anyIP)
	}
}

func ipCases() []testCase {
	const validity = "RFC 1122 §3.2.1.3"
	toOther := func(dst mac) func(*peer) {
		return ignoredFrame(func(p *peer, b []byte) []byte { return ether(dst, p.mac, typeIP, b) })
	}
	return []testCase{
		{level: must, clause: "RFC 791", name: "answer a ping", run: answered(ip{})},
		{level: must, clause: "RFC 894", name: "ignore a frame for another station, and go on", run: toOther(mac{2, 7, 7, 7, 7, 7})},
		{level: should, clause: "RFC 1122 §3.3.6", name: "ignore a frame for a group that it has not joined", kernel: "answers it", run: toOther(mac{1, 0, 0x5e, 7, 7, 7})},
		{level: should, clause: "RFC 1122 §3.3.6", name: "ignore a link broadcast of a packet for one host", kernel: "answers it", run: toOther(broadcastMAC)},
		{level: should, clause: "RFC 1122 §3.3.6", name: "ignore a link multicast of a packet for one host", kernel: "answers it", run: toOther(mac{1, 0, 0x5e, 0, 0, 1})},
		{level: should, clause: "RFC 1122 §3.3.6", name: "ignore a link broadcast of a datagram for one host", kernel: "answers it", run: func(p *peer) {
			p.fence()
			p.sendTo(broadcastMAC, ip{proto: protoUDP, payload: udp{src: 5, dst: echo, data: []byte("x")}.bytes(p.ip, p.lan.host)})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 1122 §3.2.1.2", name: "ignore a bad header checksum", run: ignored(ip{badSum: true})},
		{level: must, clause: "RFC 1122 §3.2.1.1", name: "ignore version 5", run: ignored(ip{version: 5})},
		{level: must, clause: "RFC 1122 §3.2.1.1", name: "ignore version 6", run: ignored(ip{version: 6})},
		{level: must, clause: "RFC 1122 §3.2.1.1", name: "ignore version 0", run: ignored(ip{version: 16})},
		{level: must, clause: "RFC 791 §3.1", name: "ignore a header of less than five words", run: ignored(ip{ihl: 4})},
		{level: must, clause: "RFC 791 §3.1", name: "ignore a header that is longer than the packet", run: ignored(ip{ihl: 15})},
		{level: must, clause: "RFC 791 §3.1", name: "ignore a total length less than the header", run: ignored(ip{length: 19})},
		{level: must, clause: "RFC 791 §3.1", name: "ignore a total length more than the frame", run: ignored(ip{length: 200})},
		{level: must, clause: "RFC 894", name: "not take padding for data", run: func(p *peer) {
			m, answer := p.pingWith([]byte("ab"))
			p.frame(ether(p.lan.hostMAC, p.mac, typeIP, append(ip{src: p.ip, dst: p.lan.host, proto: protoICMP, id: 1, payload: m}.bytes(), bytes.Repeat([]byte{0xee}, 60)...)))
			if k := p.expect("echo reply", answer); string(k.icmp.data) != "ab" {
				p.fail("the echo is % x", k.icmp.data)
			}
		}},
		{level: must, clause: "RFC 791", name: "ignore a frame that is cut in the header", run: ignoredFrame(func(p *peer, b []byte) []byte {
			return ether(p.lan.hostMAC, p.mac, typeIP, b)[:14+12]
		})},
		{level: must, clause: "RFC 791", name: "ignore a frame of the Ethernet header alone", run: ignoredFrame(func(p *peer, b []byte) []byte {
			return ether(p.lan.hostMAC, p.mac, typeIP, b)[:14]
		})},
		{level: should, clause: "RFC 1122 §2.3.3", name: "take a packet of RFC 1042", kernel: "does not", run: func(p *peer) {
			m, answer := p.pingWith([]byte("snap"))
			b := ip{src: p.ip, dst: p.lan.host, proto: protoICMP, id: 9, payload: m}.bytes()
			b = append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, b...)
			p.frame(ether(p.lan.hostMAC, p.mac, uint16(len(b)), b))
			for _, k := range p.fence() {
				if answer(k) {
					return
				}
			}
			p.fail("no echo reply")
		}},
		{level: must, clause: "RFC 1122 §3.2.1.7", name: "take a packet with a time to live of 1", run: answered(ip{ttl: 1})},
		{level: must, clause: "RFC 1122 §3.2.1.7", name: "take a packet with a time to live of 0", run: func(p *peer) {
			m, answer := p.pingWith([]byte("abc"))
			b := ip{src: p.ip, dst: p.lan.host, proto: protoICMP, id: 1, ttl: 64, payload: m}.bytes()
			b[8], b[10], b[11] = 0, 0, 0
			be.PutUint16(b[10:], sum(b[:20]))
			p.frame(ether(p.lan.hostMAC, p.mac, typeIP, b))
			p.expect("echo reply", answer)
		}},
		{level: must, clause: "RFC 1122 §3.2.1.7", name: "send with a time to live that crosses the Internet", run: func(p *peer) {
			m, answer := p.pingWith(nil)
			p.send(ip{proto: protoICMP, payload: m})
			if k := p.expect("echo reply", answer); k.ip.ttl < 32 {
				p.fail("it is %d", k.ip.ttl)
			}
		}},
		{level: must, clause: "RFC 1122 §3.2.1.6", name: "take every type of service", run: func(p *peer) {
			for _, tos := range []byte{1, 3, 0x10, 0x88, 0xb8, 0xff} {
				answered(ip{tos: tos})(p)
			}
		}},
		{level: must, clause: validity, name: "ignore a packet for another host", run: ignored(ip{dst: ip4{10, 9, 77, 77}})},
		{level: must, clause: validity, name: "not forward a packet for another network", run: ignored(ip{dst: ip4{198, 51, 100, 7}})},
		{level: must, clause: validity, name: "ignore a packet for the loopback network", run: ignored(ip{dst: ip4{127, 0, 0, 1}})},
		{level: must, clause: validity, name: "ignore a packet for 0.0.0.0", run: ignored(ip{to0: true})},
		{level: must, clause: validity, name: "ignore a packet for class E", run: ignored(ip{dst: ip4{240, 1, 2, 3}})},
		{level: must, clause: validity, name: "ignore a packet for a group that it has not joined", run: ignored(ip{dst: ip4{239, 1, 2, 3}})},
		{level: must, clause: validity, name: "ignore a packet from the loopback network", run: ignored(ip{src: ip4{127, 0, 0, 1}})},
		{level: must, clause: validity, name: "ignore a packet from its own address", run: ignored(ip{src: hostIP})},
		{level: must, clause: validity, name: "ignore a packet from the limited broadcast address", run: ignored(ip{src: broadcastIP})},
		{level: must, clause: validity, name: "ignore a packet from the broadcast address of its network", kernel: "answers it", run: ignored(ip{src: subnetBcast})},
		{level: must, clause: validity, name: "ignore a packet from a group", run: ignored(ip{src: ip4{224, 0, 0, 5}})},
		{level: must, clause: validity, name: "ignore a packet from 0.0.0.0", run: ignored(ip{from0: true})},
		{level: must, clause: validity, name: "ignore a packet from another address of network 0", kernel: "takes network 0 for hosts", run: ignored(ip{src: ip4{0, 1, 2, 3}})},
		{level: must, clause: "RFC 1122 §3.3.1.1", name: "answer another network through the gateway", run: func(p *peer) {
			far := ip4{203, 0, 113, byte(p.ip[3])}
			p.beyond(far)
			m, answer := p.pingWith(nil)
			p.send(ip{src: far, proto: protoICMP, payload: m})
			if k := p.expect("echo reply by the gateway", answer); k.dst != gatewayMAC {
				p.fail("it went to %v", k.dst)
			}
		}},
		{level: must, clause: "RFC 1122 §3.2.1.3", name: "answer from the address that was asked", run: func(p *peer) {
			m, answer := p.pingWith(nil)
			p.send(ip{proto: protoICMP, payload: m})
			if k := p.expect("echo reply", answer); k.ip.src != p.lan.host || k.src != p.lan.hostMAC {
				p.fail("from %v", k)
			}
		}},
		{level: should, clause: "RFC 1122 §3.2.2.1", name: "say that it has no such protocol", run: func(p *peer) {
			p.send(ip{proto: 99, payload: []byte("abcdefghijkl")})
			p.expect("protocol unreachable", isICMP(3, 2))
		}},
		{level: should, clause: "RFC 1122 §3.2.2.1", name: "say that it has no protocol 255", run: func(p *peer) {
			p.send(ip{proto: 255, payload: []byte("abcdefghijkl")})
			p.expect("protocol unreachable", isICMP(3, 2))
		}},
		{level: must, clause: "RFC 6864 §4.1", name: "not use an identification again while fragments may live", run: func(p *peer) {
			seen := map[uint16]bool{}
			for range 40 {
				m, _ := p.pingWith(make([]byte, 2000))
				p.sendFragments(ip{proto: protoICMP, payload: m}, 1480)
				k := p.expect("fragment", func(k *packet) bool { return k.ip != nil && k.ip.offset == 0 && k.ip.flags&moreFragments != 0 })
				if seen[k.ip.id] {
					p.fail("%d came twice in %d packets", k.ip.id, len(seen)+1)
				}
				seen[k.ip.id] = true
			}
		}},
		{level: must, clause: "RFC 6864 §4", name: "take any identification of a whole packet", run: func(p *peer) {
			for range 5 {
				answered(ip{id: 4242, flags: dontFragment})(p)
			}
		}},
		{level: must, clause: "RFC 1122 §3.3.6", name: "answer a broadcast from its own address, if at all", run: func(p *peer) {
			m, answer := p.pingWith(nil)
			p.sendTo(broadcastMAC, ip{dst: subnetBcast, proto: protoICMP, payload: m})
			p.none("another source", func(k *packet) bool { return answer(k) && k.ip.src != p.lan.host })
		}},
		{level: must, clause: "RFC 1122 §3.3.5", name: "not forward nor redirect between its neighbours", run: func(p *peer) {
			q := p.another()
			p.fence()
			q.fence()
			m, _ := p.pingWith(nil)
			p.send(ip{dst: q.ip, proto: protoICMP, payload: m})
			q.none("a forwarded packet", anyIP)
			p.none("an error or a redirect", anyIP)
		}},
		{level: must, clause: "RFC 791", name: "survive a thousand packets of chance", when: alone, run: func(p *peer) {
			for range 1000 {
				b := make([]byte, 1+p.rand.IntN(200))
				for i := range b {
					b[i] = byte(p.rand.Uint32())
				}
				if len(b) > 20 && p.rand.IntN(2) == 0 { // an honest header, and chance behind it
					h := ip{src: p.ip, dst: p.lan.host, proto: []byte{1, 2, 6, 17, 47}[p.rand.IntN(5)], id: 5, payload: b[20:]}.bytes()
					b = h
				}
				p.frame(ether(p.lan.hostMAC, p.mac, []uint16{typeIP, typeARP}[p.rand.IntN(2)], b))
			}
			p.sleep(50 * time.Millisecond)
			p.fence()
		}},
	}
}

func ipOptionCases() []testCase {
	const clause = "RFC 1122 §3.2.1.8"
	rr := func(pointer byte, words int) []byte {
		return append([]byte{7, byte(3 + 4*words), pointer}, make([]byte, 4*words)...)
	}
	ts := func(pointer, flags byte, n int) []byte {
		return append([]byte{68, byte(4 + n), pointer, flags}, make([]byte, n)...)
	}
	// echoed gives the option of the answer.
	echoedOption := func(p *peer, kind byte, options []byte) []byte {
		m, answer := p.pingWith([]byte("options"))
		p.send(ip{proto: protoICMP, payload: m, options: options})
		k := p.expect("echo reply", answer)
		v, ok := findOption(k.ip.options, kind)
		if !ok {
			p.fail("the answer has the options % x", k.ip.options)
		}
		return v
	}
	// notRouted demands that a source route is not followed.
	notRouted := func(kind byte) func(*peer) {
		return func(p *peer) {
			q := p.another()
			q.fence()
			p.fence()
			m, _ := p.pingWith(nil)
			p.send(ip{proto: protoICMP, payload: m, options: []byte{kind, 7, 4, q.ip[0], q.ip[1], q.ip[2], q.ip[3]}})
			q.none("a packet along the route", anyIP)
			p.none("a redirect", isICMP(5, 1))
		}
	}
	problem := func(options []byte) func(*peer) {
		return func(p *peer) {
			p.fence()
			m, answer := p.pingWith(nil)
			p.send(ip{proto: protoICMP, payload: m, options: options})
			p.none("an answer", answer)
			udpd := udp{src: 5, dst: echo, data: []byte("x")}.bytes(p.ip, p.lan.host)
			p.send(ip{proto: protoUDP, payload: udpd, options: options})
			k := p.expect("parameter problem", func(k *packet) bool { return k.icmp != nil && k.icmp.typ == 12 })
			if at := k.icmp.rest >> 24; k.icmp.code == 0 && (at < 20 || int(at) >= 20+(len(options)+3)/4*4) {
				p.fail("the pointer is %d", at)
			}
		}
	}
	harmless := func(options ...byte) func(*peer) { return answered(ip{options: options}) }
	return []testCase{
		{level: must, clause: clause, name: "take no-operation and end of list", run: harmless(1, 1, 1, 0)},
		{level: must, clause: clause, name: "look at nothing behind the end of list", run: harmless(0, 7, 0, 99, 7, 1, 2, 3)},
		{level: must, clause: clause, name: "ignore an unknown option", run: harmless(94, 4, 1, 2)},
		{level: must, clause: clause, name: "ignore an unknown option that is to be copied", run: harmless(0x80|30, 6, 1, 2, 3, 4)},
		{level: must, clause: clause, name: "ignore a stream identifier", run: harmless(136, 4, 0, 1)},
		{level: must, clause: clause, name: "take forty octets of options", run: func(p *peer) {
			answered(ip{options: append(bytes.Repeat([]byte{1}, 39), 0)})(p)
		}},
		{level: should, clause: "RFC 1122 §3.2.2.6", name: "record its route in an echo", run: func(p *peer) {
			v := echoedOption(p, 7, rr(4, 9))
			if v[0] < 8 || ip4(v[1:5]) != p.lan.host {
				p.fail("the record is % x", v)
			}
		}},
		{level: must, clause: "RFC 791 §3.1", name: "leave a full route record as it is", run: func(p *peer) {
			o := append(rr(12, 2)[:3], 1, 2, 3, 4, 5, 6, 7, 8)
			if v := echoedOption(p, 7, o); !bytes.Equal(v, o[2:]) {
				p.fail("the record is % x", v)
			}
		}},
		{level: should, clause: "RFC 1122 §3.2.2.6", name: "put a timestamp into an echo", run: func(p *peer) {
			if v := echoedOption(p, 68, ts(5, 0, 16)); v[0] < 9 || bytes.Equal(v[2:6], make([]byte, 4)) {
				p.fail("the option is % x", v)
			}
		}},
		{level: should, clause: "RFC 1122 §3.2.2.6", name: "put address and timestamp into an echo", run: func(p *peer) {
			if v := echoedOption(p, 68, ts(5, 1, 32)); v[0] < 13 || ip4(v[2:6]) != p.lan.host {
				p.fail("the option is % x", v)
			}
		}},
		{level: must, clause: "RFC 791 §3.1", name: "put a timestamp where its address is asked for, and only there", run: func(p *peer) {
			h := p.lan.host
			v := echoedOption(p, 68, []byte{68, 20, 5, 3, h[0], h[1], h[2], h[3], 0, 0, 0, 0, 192, 0, 2, 9, 0, 0, 0, 0})
			if len(v) != 18 || be.Uint32(v[6:]) == 0 || v[0] != 13 || be.Uint32(v[14:]) != 0 {
				p.fail("the option is % x", v)
			}
		}},
		{level: must, clause: "RFC 791 §3.1", name: "count an overflow of timestamps", run: func(p *peer) {
			o := append(ts(9, 0, 4)[:4], 1, 2, 3, 4)
			if v := echoedOption(p, 68, o); v[1]>>4 == 0 || !bytes.Equal(v[2:6], []byte{1, 2, 3, 4}) {
				p.fail("the option is % x", v)
			}
		}},
		{level: must, clause: "RFC 1122 §3.3.5", name: "not follow a loose source route to its neighbour", run: notRouted(131)},
		{level: must, clause: "RFC 1122 §3.3.5", name: "not follow a strict source route to its neighbour", run: notRouted(137)},
		{level: should, clause: "RFC 1122 §3.2.2.5", name: "tell of an option of length 0", run: problem([]byte{7, 0, 4, 0})},
		{level: should, clause: "RFC 1122 §3.2.2.5", name: "tell of an option of length 1", run: problem([]byte{7, 1, 4, 0})},
		{level: should, clause: "RFC 1122 §3.2.2.5", name: "tell of an option that is longer than the header", run: problem([]byte{7, 39, 4, 0})},
		{level: should, clause: "RFC 1122 §3.2.2.5", name: "tell of a route record with a pointer below 4", run: problem([]byte{7, 7, 3, 0, 0, 0, 0, 0})},
		{level: should, clause: "RFC 1122 §3.2.2.5", name: "tell of a timestamp option with a pointer below 5", run: problem([]byte{68, 8, 4, 0, 0, 0, 0, 0})},
		{level: must, clause: clause, name: "take options before UDP", run: func(p *peer) {
			p.send(ip{proto: protoUDP, options: []byte{1, 1, 1, 0}, payload: udp{src: 5000, dst: echo, data: []byte("o")}.bytes(p.ip, p.lan.host)})
			p.expect("echo", isUDP("o"))
		}},
		{level: must, clause: "RFC 9293 MUST-50", name: "take an unknown option before TCP", run: func(p *peer) {
			c := p.conn(echo)
			t := c.seg(syn)
			p.send(ip{proto: protoTCP, options: []byte{94, 4, 1, 2}, payload: t.bytes(p.ip, p.lan.host)})
			c.snd++
			c.awaitSYNACK()
		}},
	}
}
