package wiresuite

import (
	"bytes"
	"fmt"
	"time"
)

func udpCases() []testCase {
	const clause = "RFC 768"
	// echoes sends a datagram and demands data back.
	echoes := func(u udp, want []byte) func(*peer) {
		return func(p *peer) {
			u := u
			u.src, u.dst = 6000, echo
			p.send(ip{proto: protoUDP, payload: u.bytes(p.ip, p.lan.host)})
			k := p.expect("echo", func(k *packet) bool { return k.udp != nil && k.udp.src == echo })
			if k.udp.dst != 6000 || !bytes.Equal(k.udp.data, want) {
				p.fail("%v: % x", k, k.udp.data)
			}
		}
	}
	dropped := func(make func(p *peer) (mac, ip)) func(*peer) {
		return func(p *peer) {
			p.fence()
			to, h := make(p)
			h.proto = protoUDP
			if h.src != (ip4{}) {
				p.beyond(h.src)
				defer p.unbeyond(h.src)
			}
			before := len(p.lan.heard())
			p.sendTo(to, h)
			p.fence2()
			p.none("an answer", anyIP)
			p.noBroadcast(before, []byte(fmt.Sprint("mark", p.n)))
		}
	}
	spoilt := func(u udp) func(*peer) {
		return dropped(func(p *peer) (mac, ip) {
			u := u
			u.src, u.dst = 6000, echo
			return p.lan.hostMAC, ip{payload: u.bytes(p.ip, p.lan.host)}
		})
	}
	from := func(src ip4) func(*peer) {
		return dropped(func(p *peer) (mac, ip) {
			return p.lan.hostMAC, ip{src: src, from0: true, payload: udp{src: 6000, dst: echo, data: []byte(fmt.Sprint("mark", p.n))}.bytes(src, p.lan.host)}
		})
	}
	data := []byte("datagram")
	return []testCase{
		{level: must, clause: "RFC 862", name: "echo a datagram", run: echoes(udp{data: data}, data)},
		{level: must, clause: clause, name: "echo a datagram of no data", run: echoes(udp{}, nil)},
		{level: must, clause: clause, name: "echo a datagram of a full frame", run: echoes(udp{data: text(1472)}, text(1472))},
		{level: must, clause: "RFC 1122 §4.1.3.4", name: "take a datagram without checksum", run: echoes(udp{data: data, noSum: true}, data)},
		{level: must, clause: "RFC 1122 §4.1.3.4", name: "drop a datagram with a bad checksum", run: spoilt(udp{data: data, badSum: true})},
		{level: must, clause: "RFC 1122 §4.1.3.4", name: "send a checksum", run: func(p *peer) {
			p.udpEcho("sum")
			if k := p.expect("echo", isUDP("sum")); k.udp.sum == 0 {
				p.fail("none")
			}
		}},
		{level: must, clause: clause, name: "send the checksum zero as all ones", run: func(p *peer) {
			u := udp{src: 6000, dst: echo, data: []byte{0, 0, 1, 2}}
			b := u.bytes(p.ip, p.lan.host)
			copy(u.data, b[6:8]) // what is missing to all ones
			p.send(ip{proto: protoUDP, payload: u.bytes(p.ip, p.lan.host)})
			if k := p.expect("echo", isUDP(string(u.data))); k.udp.sum != 0xffff {
				p.fail("it is %#x", k.udp.sum)
			}
		}},
		{level: must, clause: clause, name: "drop a datagram with a length of 7", run: spoilt(udp{data: data, length: 7})},
		{level: must, clause: clause, name: "drop a datagram with a length that is more than came", run: spoilt(udp{data: data, length: 40})},
		{level: must, clause: clause, name: "take a length that is less than came", run: func(p *peer) {
			b := udp{src: 6000, dst: echo, data: data}.bytes(p.ip, p.lan.host)
			p.send(ip{proto: protoUDP, payload: append(b, "behind the end"...)})
			p.expect("echo without what is behind", isUDP(string(data)))
		}},
		{level: must, clause: clause, name: "drop a datagram that is cut in the header", run: dropped(func(p *peer) (mac, ip) {
			return p.lan.hostMAC, ip{payload: udp{src: 6000, dst: echo}.bytes(p.ip, p.lan.host)[:6]}
		})},
		{level: must, clause: clause, name: "survive a datagram to port 0", run: func(p *peer) {
			p.send(ip{proto: protoUDP, payload: udp{src: 6000, data: data}.bytes(p.ip, p.lan.host)})
			p.none("data", func(k *packet) bool { return k.udp != nil })
		}},
		{level: must, clause: clause, name: "survive a datagram from port 0", run: func(p *peer) {
			p.send(ip{proto: protoUDP, payload: udp{dst: echo, data: data}.bytes(p.ip, p.lan.host)})
			p.fence()
		}},
		{level: must, clause: "RFC 1122 §4.1.3.5", name: "answer from the address and port that were asked", run: func(p *peer) {
			p.udpEcho("from")
			if k := p.expect("echo", isUDP("from")); k.ip.src != p.lan.host || k.udp.src != echo {
				p.fail("%v", k)
			}
		}},
		{level: must, clause: "RFC 1122 §4.1.3.5", name: "answer a broadcast from its own address, if at all", run: func(p *peer) {
			p.sendTo(broadcastMAC, ip{dst: broadcastIP, proto: protoUDP, payload: udp{src: 6000, dst: echo, data: data}.bytes(p.ip, broadcastIP)})
			p.fence2()
			p.none("another source", func(k *packet) bool { return k.ip != nil && k.ip.src != p.lan.host })
		}},
		{level: must, clause: "RFC 1122 §4.1.3.6", name: "drop a datagram from 0.0.0.0", run: from(ip4{})},
		{level: must, clause: "RFC 1122 §4.1.3.6", name: "drop a datagram from a group", run: from(ip4{224, 1, 1, 1})},
		{level: must, clause: "RFC 1122 §4.1.3.6", name: "drop a datagram from the limited broadcast address", run: from(broadcastIP)},
		{level: must, clause: "RFC 1122 §4.1.3.6", name: "drop a datagram from the broadcast address of its network", run: from(subnetBcast), kernel: "answers it"},
		{level: must, clause: "RFC 1122 §4.1.3.6", name: "drop a datagram from the loopback network", run: from(ip4{127, 9, 9, 9})},
		{level: must, clause: "RFC 1122 §4.1.3.6", name: "drop a datagram from its own address", run: from(hostIP)},
		{level: must, clause: "RFC 862", name: "echo a hundred datagrams, each once", run: func(p *peer) {
			p.fence()
			seen := map[string]int{}
			for i := range 100 {
				p.udpEcho(fmt.Sprint("number ", i))
				if i%10 == 9 {
					for range 10 {
						seen[string(p.expect("echo", func(k *packet) bool { return k.udp != nil }).udp.data)]++
					}
				}
			}
			for i := range 100 {
				if seen[fmt.Sprint("number ", i)] != 1 {
					p.fail("number %d came %d times", i, seen[fmt.Sprint("number ", i)])
				}
			}
		}},
		{level: must, clause: "RFC 862", name: "echo to each of many ports", run: func(p *peer) {
			for i := range uint16(20) {
				p.send(ip{proto: protoUDP, payload: udp{src: 7000 + i*13, dst: echo, data: data}.bytes(p.ip, p.lan.host)})
				p.expect("echo at its port", func(k *packet) bool { return k.udp != nil && k.udp.dst == 7000+i*13 })
			}
		}},
		{level: must, clause: "RFC 1122 §4.1.3.3", name: "not be moved by an ICMP error about an echo", run: func(p *peer) {
			p.udpEcho("a")
			k := p.expect("echo", isUDP("a"))
			p.send(ip{proto: protoICMP, payload: icmp{typ: 3, code: 3, data: k.raw[14:]}.bytes()})
			p.udpEcho("b")
			p.expect("echo", isUDP("b"))
		}},
		{level: must, clause: clause, name: "go on after a flood of datagrams", when: alone, run: func(p *peer) {
			p.fence()
			for range 5000 {
				p.udpEcho(string(text(1000)))
			}
			p.sleep(300 * time.Millisecond)
			p.udpEcho("after")
			for range 20 { // the queue may have been full
				if p.try(time.Second, isUDP("after")) != nil {
					return
				}
				p.udpEcho("after")
			}
			p.fail("no echo any more")
		}},
	}
}

// igmpMessage is one of eight octets, with its checksum.
func igmpMessage(typ, code byte, group ip4, more ...byte) []byte {
	b := append([]byte{typ, code, 0, 0, group[0], group[1], group[2], group[3]}, more...)
	be.PutUint16(b[2:], sum(b))
	return b
}

func igmpCases() []testCase {
	var allHosts = ip4{224, 0, 0, 1}
	allHostsMAC := mac{1, 0, 0x5e, 0, 0, 1}
	// noReport demands that a query brings no report of all hosts.
	noReport := func(m []byte, options ...byte) func(*peer) {
		return func(p *peer) {
			before := len(p.lan.heard())
			p.sendTo(allHostsMAC, ip{dst: allHosts, ttl: 1, proto: protoIGMP, options: options, payload: m})
			p.sleep(11 * time.Second)
			for _, k := range p.lan.heard()[before:] {
				if k.ip == nil || k.ip.proto != protoIGMP {
					continue
				}
				b := k.ip.payload
				if len(b) >= 8 && (b[0] == 0x12 || b[0] == 0x16) && ip4(b[4:8]) == allHosts || len(b) >= 16 && b[0] == 0x22 && bytes.Contains(b[8:], allHosts[:]) {
					p.fail("a report of 224.0.0.1: % x", b)
				}
			}
		}
	}
	alert := []byte{0x94, 4, 0, 0}
	return []testCase{
		{level: must, clause: "RFC 2236 §6", name: "not report all hosts to a query of version 1", when: slow, run: noReport(igmpMessage(0x11, 0, ip4{}))},
		{level: must, clause: "RFC 2236 §6", name: "not report all hosts to a query of version 2", when: slow, run: noReport(igmpMessage(0x11, 100, ip4{}), alert...)},
		{level: must, clause: "RFC 2236 §6", name: "not report all hosts when asked for it", when: slow, run: noReport(igmpMessage(0x11, 10, allHosts), alert...)},
		{level: must, clause: "RFC 3376 §6", name: "not report all hosts to a query of version 3", when: slow, run: noReport(igmpMessage(0x11, 100, ip4{}, 2, 125, 0, 0), alert...)},
		{level: must, clause: "RFC 3376 §7", name: "ignore a query with a bad checksum", run: func(p *peer) {
			m := igmpMessage(0x11, 1, ip4{})
			m[2] ^= 9
			p.sendTo(allHostsMAC, ip{dst: allHosts, ttl: 1, proto: protoIGMP, options: alert, payload: m})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 3376 §4", name: "ignore a message that is cut short", run: func(p *peer) {
			p.sendTo(allHostsMAC, ip{dst: allHosts, ttl: 1, proto: protoIGMP, options: alert, payload: []byte{0x11, 0}})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 3376 §4", name: "ignore a query that counts more sources than it has", run: func(p *peer) {
			p.sendTo(allHostsMAC, ip{dst: allHosts, ttl: 1, proto: protoIGMP, options: alert, payload: igmpMessage(0x11, 1, ip4{224, 1, 1, 1}, 2, 125, 0xff, 0xff)})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 3376 §4", name: "ignore an unknown type", run: func(p *peer) {
			p.sendTo(allHostsMAC, ip{dst: allHosts, ttl: 1, proto: protoIGMP, options: alert, payload: igmpMessage(0x99, 1, ip4{})})
			p.none("an answer", anyIP)
		}},
		{level: must, clause: "RFC 1112 §7.2", name: "answer a ping to all hosts from its own address, if at all", run: func(p *peer) {
			m, answer := p.pingWith(nil)
			p.sendTo(allHostsMAC, ip{dst: allHosts, ttl: 1, proto: protoICMP, payload: m})
			p.none("another source", func(k *packet) bool { return answer(k) && k.ip.src != p.lan.host })
		}},
	}
}
