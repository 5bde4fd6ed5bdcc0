package wiresuite

import "bytes"

func icmpCases() []testCase {
	const clause = "RFC 1122 §3.2.2.6"
	echoOf := func(n int) func(*peer) {
		return func(p *peer) {
			m, answer := p.pingWith(text(n))
			p.send(ip{proto: protoICMP, payload: m})
			if k := p.expect("echo reply", answer); !bytes.Equal(k.icmp.data, text(n)) || k.icmp.code != 0 {
				p.fail("%d octets came back, or others", len(k.icmp.data))
			}
		}
	}
	silent := func(m icmp) func(*peer) {
		return func(p *peer) {
			p.fence()
			p.send(ip{proto: protoICMP, payload: m.bytes()})
			p.none("an answer", anyIP)
		}
	}
	// unmoved demands that a message does not change the way to a far station.
	unmoved := func(m func(p *peer, far ip4) icmp, src ip4) func(*peer) {
		return func(p *peer) {
			far := ip4{203, 0, 113, p.ip[3]}
			p.beyond(far)
			ask := func() {
				b, answer := p.pingWith(nil)
				p.send(ip{src: far, proto: protoICMP, payload: b})
				if k := p.expect("echo reply", answer); k.dst != gatewayMAC {
					p.fail("it went to %v", k.dst)
				}
			}
			ask()
			from := src
			if from == (ip4{}) {
				from = p.ip
			}
			p.send(ip{src: from, proto: protoICMP, payload: m(p, far).bytes()})
			p.fence()
			ask()
		}
	}
	return []testCase{
		{level: must, clause: clause, name: "echo no data", run: echoOf(0)},
		{level: must, clause: clause, name: "echo an odd number of octets", run: echoOf(13)},
		{level: must, clause: clause, name: "echo a full frame", run: echoOf(1472)},
		{level: must, clause: clause, name: "echo what comes in fragments", run: reassembled(1473, 1480, nil)},
		{level: must, clause: "RFC 792", name: "check the checksum of an echo request", run: func(p *peer) {
			m, _ := p.pingWith([]byte("abc"))
			m[2] ^= 0x10
			p.fence()
			p.send(ip{proto: protoICMP, payload: m})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 792", name: "ignore a message of four octets", run: func(p *peer) {
			p.fence()
			p.send(ip{proto: protoICMP, payload: []byte{8, 0, 0xf7, 0xff}})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 792", name: "ignore an empty message", run: func(p *peer) {
			p.fence()
			p.send(ip{proto: protoICMP})
			p.none("an answer", anyIP)
		}},
		{level: should, clause: "RFC 1349 §5.1", name: "reply with the type of service of the request", run: func(p *peer) {
			m, answer := p.pingWith(nil)
			p.send(ip{proto: protoICMP, tos: 0x10, payload: m})
			if k := p.expect("echo reply", answer); k.ip.tos != 0x10 {
				p.fail("it is %#x", k.ip.tos)
			}
		}},
		{level: must, clause: "RFC 1122 §3.2.2", name: "ignore an unknown type", run: silent(icmp{typ: 44})},
		{level: must, clause: "RFC 1122 §3.2.2", name: "ignore type 1", run: silent(icmp{typ: 1})},
		{level: must, clause: "RFC 1122 §3.2.2", name: "ignore type 255", run: silent(icmp{typ: 255, data: text(40)})},
		{level: must, clause: clause, name: "ignore an echo reply that it did not ask for", run: silent(icmp{typ: 0, rest: 7, data: text(9)})},
		{level: should, clause: "RFC 1122 §3.2.2.7", name: "not answer an information request", run: silent(icmp{typ: 15, rest: 7})},
		{level: must, clause: "RFC 1122 §3.2.2.9", name: "not answer an address mask request", run: silent(icmp{typ: 17, rest: 7, data: make([]byte, 4)})},
		{level: must, clause: "RFC 1122 §3.2.2.9", name: "ignore an address mask reply", run: silent(icmp{typ: 18, rest: 7, data: []byte{255, 0, 0, 0}})},
		{level: must, clause: "RFC 1256 §5", name: "ignore a router solicitation", run: silent(icmp{typ: 10})},
		{level: must, clause: "RFC 1122 §3.2.2.8", name: "answer a timestamp request correctly, if at all", run: func(p *peer) {
			p.fence()
			m := icmp{typ: 13, rest: 0x01020304, data: []byte{0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0}}
			p.send(ip{proto: protoICMP, payload: m.bytes()})
			p.none("another answer", func(k *packet) bool {
				return anyIP(k) && (k.icmp == nil || k.icmp.typ != 14 || k.icmp.rest != m.rest || len(k.icmp.data) != 12 || !bytes.Equal(k.icmp.data[:4], m.data[:4]))
			})
		}},
		{level: should, clause: "RFC 1122 §3.2.2.2", name: "ignore a redirect from who is not its gateway", run: unmoved(func(p *peer, far ip4) icmp {
			return icmp{typ: 5, code: 1, rest: be.Uint32(p.ip[:]), data: ip{src: hostIP, dst: far, proto: protoICMP, id: 1, payload: text(8)}.bytes()}
		}, ip4{})},
		{level: should, clause: "RFC 1122 §3.2.2.2", name: "ignore a redirect to another network", run: unmoved(func(p *peer, far ip4) icmp {
			return icmp{typ: 5, code: 1, rest: 0xc0000201, data: ip{src: hostIP, dst: far, proto: protoICMP, id: 1, payload: text(8)}.bytes()}
		}, gatewayIP)},
		{level: must, clause: "RFC 1122 §3.2.2.2", name: "not send redirects", run: func(p *peer) {
			p.fence()
			m, _ := p.pingWith(nil)
			p.send(ip{dst: ip4{198, 51, 100, 9}, proto: protoICMP, payload: m})
			p.none("a redirect", func(k *packet) bool { return k.icmp != nil && k.icmp.typ == 5 })
		}},
		{level: must, clause: "RFC 1256 §6.2", name: "not follow an unasked router advertisement with other addresses", run: unmoved(func(p *peer, far ip4) icmp {
			return icmp{typ: 9, rest: 1<<24 | 2<<16 | 1800, data: append(p.ip[:], 0, 0, 0, 9)}
		}, ip4{})},
	}
}

// closedUDP is a datagram to a port that nobody has.
func (p *peer) closedUDP(data []byte) []byte {
	return udp{src: 5001, dst: closed, data: data}.bytes(p.ip, p.lan.host)
}

func icmpErrorCases() []testCase {
	const clause = "RFC 1122 §3.2.2"
	// noError sends a packet of which no error may come.
	noError := func(to func(p *peer) mac, make func(p *peer) ip) func(*peer) {
		return func(p *peer) {
			p.fence()
			h := make(p)
			if h.src != (ip4{}) {
				p.beyond(h.src)
				defer p.unbeyond(h.src)
			}
			before := len(p.lan.heard())
			p.sendTo(to(p), h)
			p.none("an error", func(k *packet) bool { return k.icmp != nil })
			p.noBroadcast(before, h.payload[:8])
		}
	}
	host := func(p *peer) mac { return p.lan.hostMAC }
	all := func(p *peer) mac { return broadcastMAC }
	toClosed := func(h ip) func(p *peer) ip {
		return func(p *peer) ip {
			src, dst := h.src, h.dst
			if src == (ip4{}) && !h.from0 {
				src = p.ip
			}
			if dst == (ip4{}) {
				dst = p.lan.host
			}
			h := h
			h.proto, h.payload = protoUDP, udp{src: uint16(p.n), dst: closed, data: []byte("abc")}.bytes(src, dst)
			return h
		}
	}
	// about is an ICMP error that quotes what the host never sent.
	about := func(typ, code byte) func(p *peer) ip {
		return func(p *peer) ip {
			q := ip{src: p.lan.host, dst: p.ip, proto: 99, id: 3, payload: text(8)}.bytes()
			return ip{proto: protoICMP, payload: icmp{typ: typ, code: code, data: q}.bytes()}
		}
	}
	unreachable := func(p *peer, n int) *packet {
		p.send(ip{proto: protoUDP, tos: 0x20, id: 4711, payload: p.closedUDP(text(n))})
		return p.expect("port unreachable", isICMP(3, 3))
	}
	return []testCase{
		{level: should, clause: "RFC 1122 §4.1.3.1", name: "say that a UDP port is closed", run: func(p *peer) { unreachable(p, 10) }},
		{level: must, clause: clause, name: "quote the header and eight octets, unchanged", run: func(p *peer) {
			k := unreachable(p, 10)
			want := ip{src: p.ip, dst: p.lan.host, proto: protoUDP, tos: 0x20, id: 4711, payload: p.closedUDP(text(10))}.bytes()
			if n := min(len(want), len(k.icmp.data)); n < 28 || !bytes.Equal(k.icmp.data[:n], want[:n]) {
				p.fail("it quotes % x of % x", k.icmp.data, want)
			}
		}},
		{level: should, clause: "RFC 1812 §4.3.2.3", name: "send no error of more than 576 octets", run: func(p *peer) {
			if k := unreachable(p, 1400); k.ip.total > 576 {
				p.fail("it has %d", k.ip.total)
			}
		}},
		{level: must, clause: clause, name: "quote the options of the header as well", run: func(p *peer) {
			p.send(ip{proto: protoUDP, options: []byte{1, 1, 1, 1}, payload: p.closedUDP(nil)})
			k := p.expect("port unreachable", isICMP(3, 3))
			if q, err := parseQuote(k.icmp.data); err != nil || q.ihl != 6 || be.Uint16(q.payload[2:]) != closed {
				p.fail("it quotes % x", k.icmp.data)
			}
		}},
		{level: must, clause: clause, name: "send the error from the address that was meant, with a whole time to live", run: func(p *peer) {
			if k := unreachable(p, 3); k.ip.src != p.lan.host || k.ip.ttl < 32 {
				p.fail("%v with a time to live of %d", k, k.ip.ttl)
			}
		}},
		{level: must, clause: clause, name: "leave the unused word of an error zero", run: func(p *peer) {
			if k := unreachable(p, 3); k.icmp.rest != 0 {
				p.fail("it is %x", k.icmp.rest)
			}
		}},
		{level: must, clause: clause, name: "send no error about an error", run: noError(host, func(p *peer) ip {
			h := about(3, 1)(p)
			h.options = []byte{7, 0, 0, 0}
			return h
		})},
		{level: must, clause: clause, name: "send no error about an ICMP error that fits nothing", run: noError(host, about(3, 3))},
		{level: must, clause: clause, name: "send no error about a time exceeded", run: noError(host, about(11, 0))},
		{level: must, clause: clause, name: "send no error about a parameter problem", run: noError(host, about(12, 0))},
		{level: must, clause: clause, name: "send no error about an error that is cut short", run: noError(host, func(p *peer) ip {
			return ip{proto: protoICMP, payload: icmp{typ: 3, code: 3, data: text(10)}.bytes()}
		})},
		{level: must, clause: clause, name: "send no error about a limited broadcast", run: noError(all, toClosed(ip{dst: broadcastIP}))},
		{level: must, clause: clause, name: "send no error about a broadcast to its network", run: noError(all, toClosed(ip{dst: subnetBcast}))},
		{level: must, clause: clause, name: "send no error about a broadcast that came to it alone", run: noError(host, toClosed(ip{dst: subnetBcast}))},
		{level: must, clause: clause, name: "send no error about a datagram to all hosts", run: noError(func(*peer) mac { return mac{1, 0, 0x5e, 0, 0, 1} }, toClosed(ip{dst: ip4{224, 0, 0, 1}}))},
		{level: must, clause: clause, name: "send no error about a link broadcast", run: noError(all, toClosed(ip{}))},
		{level: must, clause: clause, name: "send no error about an unknown protocol in a broadcast", run: noError(all, func(*peer) ip {
			return ip{dst: subnetBcast, proto: 99, payload: text(20)}
		})},
		{level: must, clause: clause, name: "send no error about a later fragment", run: noError(host, func(*peer) ip {
			return ip{proto: 99, offset: 64, payload: text(16)}
		})},
		{level: must, clause: clause, name: "send no error to 0.0.0.0", run: noError(host, toClosed(ip{from0: true}))},
		{level: must, clause: clause, name: "send no error to the loopback network", run: noError(host, toClosed(ip{src: ip4{127, 0, 0, 1}}))},
		{level: must, clause: clause, name: "send no error to a group", run: noError(host, toClosed(ip{src: ip4{224, 0, 0, 9}}))},
		{level: must, clause: clause, name: "send no error to the limited broadcast address", run: noError(host, toClosed(ip{src: broadcastIP}))},
		{level: must, clause: clause, name: "send no error to the broadcast address of its network", run: noError(host, toClosed(ip{src: subnetBcast})), kernel: "sends it"},
		{level: must, clause: clause, name: "send no error to class E", run: noError(host, toClosed(ip{src: ip4{240, 0, 0, 9}})), kernel: "takes class E for hosts"},
		{level: must, clause: clause, name: "send no parameter problem about a broadcast", run: noError(all, func(p *peer) ip {
			return ip{dst: subnetBcast, proto: protoUDP, options: []byte{7, 0, 0, 0}, payload: text(12)}
		})},
		{level: should, clause: "RFC 1812 §4.3.2.8", name: "limit the rate of errors", when: alone, run: func(p *peer) {
			p.fence()
			for range 2000 {
				p.send(ip{proto: protoUDP, payload: p.closedUDP(nil)})
			}
			n := 0
			for _, k := range p.fence() {
				if anyError(k) {
					n++
				}
			}
			if n == 0 || n > 1000 {
				p.fail("%d errors about 2,000 datagrams", n)
			}
		}},
	}
}
