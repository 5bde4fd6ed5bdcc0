package wiresuite

import (
	"bytes"
	"strings"
	"time"
)

// whoHas is a request of the station for the host's address.
func (p *peer) whoHas() arp { return arp{1, p.mac, mac{}, p.ip, p.lan.host} }

// arpSilence sends a frame and demands that no ARP reply comes of it.
func arpSilence(f func(p *peer) []byte) func(*peer) {
	return func(p *peer) {
		p.fence() // so that the host knows the station already
		p.frame(f(p))
		p.none("an answer", isARPReply)
	}
}

// spoilt is the usual request with one octet of it changed.
func spoilt(at int, value byte) func(*peer) {
	return arpSilence(func(p *peer) []byte {
		b := p.whoHas().bytes()
		b[at] = value
		return ether(broadcastMAC, p.mac, typeARP, b)
	})
}

func (p *peer) expectReply() *packet {
	k := p.expect("ARP reply", isARPReply)
	if a := k.arp; a.sha != p.lan.hostMAC || a.spa != p.lan.host || a.tha != p.mac || k.src != p.lan.hostMAC {
		p.fail("the reply is %v", k)
	}
	return k
}

// udpEcho sends text to the echo service over UDP.
func (p *peer) udpEcho(text string) {
	p.send(ip{proto: protoUDP, payload: udp{src: 5000, dst: echo, data: []byte(text)}.bytes(p.ip, p.lan.host)})
}

func isUDP(text string) func(*packet) bool {
	return func(k *packet) bool { return k.udp != nil && string(k.udp.data) == text }
}

// disbelieves tells the host an impossible MAC for a station that it does not
// know, and demands that nothing is sent there.
func disbelieves(op uint16, lie mac) func(*peer) {
	return func(p *peer) {
		p.arp(broadcastMAC, arp{op, lie, mac{}, p.ip, p.lan.host})
		p.udpEcho("where do I live?")
		p.expect("echo at the true MAC", isUDP("where do I live?"))
	}
}

func arpCases() []testCase {
	const rfc826, host = "RFC 826", "RFC 1122 §2.3.2.1"
	return []testCase{
		{level: must, clause: rfc826, name: "answer a broadcast request", run: func(p *peer) {
			p.arp(broadcastMAC, p.whoHas())
			p.expectReply()
		}},
		{level: must, clause: rfc826, name: "answer a request that is sent to it alone", run: func(p *peer) {
			p.arp(p.lan.hostMAC, p.whoHas())
			p.expectReply()
		}},
		{level: must, clause: rfc826, name: "send the reply to who asked", run: func(p *peer) {
			p.arp(broadcastMAC, p.whoHas())
			if k := p.expectReply(); k.dst != p.mac || k.arp.tpa != p.ip {
				p.fail("sent to %v, about %v", k.dst, k.arp.tpa)
			}
		}},
		{level: must, clause: rfc826, name: "answer a request in a frame that is longer", run: func(p *peer) {
			p.frame(ether(broadcastMAC, p.mac, typeARP, append(p.whoHas().bytes(), bytes.Repeat([]byte{0xaa}, 200)...)))
			p.expectReply()
		}},
		{level: must, clause: rfc826, name: "not answer for an address of another", run: arpSilence(func(p *peer) []byte {
			a := p.whoHas()
			a.tpa = ip4{10, 9, 200, 200}
			return ether(broadcastMAC, p.mac, typeARP, a.bytes())
		})},
		{level: must, clause: rfc826, name: "not answer for another, asked alone", run: arpSilence(func(p *peer) []byte {
			a := p.whoHas()
			a.tpa = ip4{10, 9, 200, 200}
			return ether(p.lan.hostMAC, p.mac, typeARP, a.bytes())
		})},
		{level: must, clause: rfc826, name: "not answer for the broadcast address", run: arpSilence(func(p *peer) []byte {
			a := p.whoHas()
			a.tpa = subnetBcast
			return ether(broadcastMAC, p.mac, typeARP, a.bytes())
		})},
		{level: must, clause: rfc826, name: "not answer a request in a frame for another station", run: arpSilence(func(p *peer) []byte {
			return ether(mac{2, 7, 7, 7, 7, 7}, p.mac, typeARP, p.whoHas().bytes())
		})},
		{level: must, clause: rfc826, name: "not answer another hardware type", run: spoilt(1, 15)},
		{level: must, clause: rfc826, name: "not answer another protocol type", run: spoilt(2, 0x86)},
		{level: must, clause: rfc826, name: "not answer another hardware address length", run: spoilt(4, 8)},
		{level: must, clause: rfc826, name: "not answer another protocol address length", run: spoilt(5, 16)},
		{level: must, clause: rfc826, name: "not answer a reply", run: spoilt(7, 2)},
		{level: must, clause: rfc826, name: "not answer opcode 0", run: spoilt(7, 0)},
		{level: must, clause: "RFC 903", name: "not answer a reverse request", run: spoilt(7, 3)},
		{level: must, clause: "RFC 2390", name: "not answer an inverse request", run: spoilt(7, 8)},
		{level: must, clause: "RFC 5494 §2", name: "not answer an experimental opcode", run: spoilt(7, 24)},
		{level: must, clause: rfc826, name: "not answer a packet that is cut short", run: arpSilence(func(p *peer) []byte {
			return ether(broadcastMAC, p.mac, typeARP, p.whoHas().bytes())[:14+20]
		})},
		{level: must, clause: rfc826, name: "not answer under another EtherType", run: arpSilence(func(p *peer) []byte {
			return ether(broadcastMAC, p.mac, 0x8035, p.whoHas().bytes())
		})},
		{level: must, clause: rfc826, name: "learn the sender of a request for it", run: func(p *peer) {
			p.mute.Store(true)
			p.arp(broadcastMAC, p.whoHas())
			p.expectReply()
			p.udpEcho("known?")
			p.expect("echo without a question", func(k *packet) bool {
				if arpRequestFor(p.ip)(k) {
					p.fail("the host asks for who has just asked it")
				}
				return isUDP("known?")(k)
			})
		}},
		{level: must, clause: rfc826, name: "follow a known station to its new MAC", run: func(p *peer) {
			p.fence()
			p.mute.Store(true)
			q := p.another()
			q.takeAddress(p)
			q.arp(broadcastMAC, arp{1, q.mac, mac{}, q.ip, q.ip})
			for range 10 { // a careful host may ask the old one first
				q.udpEcho("moved")
				if q.try(time.Second, isUDP("moved")) != nil {
					return
				}
			}
			q.fail("the host still sends to the old one")
		}},
		{level: must, clause: "RFC 1812 §3.3.2", name: "not believe a request from a broadcast MAC", run: disbelieves(1, broadcastMAC), kernel: "believes it"},
		{level: must, clause: "RFC 1812 §3.3.2", name: "not believe a reply from a broadcast MAC", run: disbelieves(2, broadcastMAC)},
		{level: must, clause: "RFC 1812 §3.3.2", name: "not believe a request from a multicast MAC", run: disbelieves(1, mac{1, 0, 0x5e, 0, 0, 9}), kernel: "believes it"},
		{level: must, clause: "RFC 1812 §3.3.2", name: "not believe that its question is answered by a broadcast MAC", run: func(p *peer) {
			p.mute.Store(true)
			p.udpEcho("lost?")
			p.expect("ARP request", arpRequestFor(p.ip))
			p.arp(p.lan.hostMAC, arp{2, broadcastMAC, p.lan.hostMAC, p.ip, p.lan.host})
			p.fence2()
			p.mute.Store(false)
			p.expect("ARP request again", arpRequestFor(p.ip))
			p.expect("echo", isUDP("lost?"))
		}, kernel: "believes it"},
		{level: must, clause: rfc826, name: "ask all, with its own addresses, for whom it does not know", run: func(p *peer) {
			p.udpEcho("who am I?")
			k := p.expect("ARP request", arpRequestFor(p.ip))
			if a := k.arp; k.dst != broadcastMAC || k.src != p.lan.hostMAC || a.sha != p.lan.hostMAC || a.spa != p.lan.host || a.tha != (mac{}) && a.tha != broadcastMAC {
				p.fail("the request is %v", k)
			}
			p.expect("echo", isUDP("who am I?"))
		}},
		{level: must, clause: host, name: "not flood with requests for one address", timed: true, when: slow, run: func(p *peer) {
			p.mute.Store(true)
			var at []time.Time
			for range 30 {
				p.udpEcho("nobody")
				p.try(100*time.Millisecond, func(k *packet) bool {
					if arpRequestFor(p.ip)(k) {
						at = append(at, k.at)
					}
					return false
				})
			}
			if len(at) == 0 || len(at) > 6 {
				p.fail("%d requests in 3 s", len(at))
			}
		}},
		{level: should, clause: host, name: "ask at most once a second for one address", timed: true, when: slow, run: func(p *peer) {
			p.mute.Store(true)
			var last time.Time
			for range 60 {
				p.udpEcho("nobody")
				p.try(100*time.Millisecond, func(k *packet) bool {
					if arpRequestFor(p.ip)(k) {
						if d := k.at.Sub(last); d < 950*time.Millisecond {
							p.fail("again after %v", d)
						}
						last = k.at
					}
					return false
				})
			}
		}},
		{level: should, clause: "RFC 1122 §2.3.2.2", name: "keep the last packet while it asks", run: func(p *peer) {
			p.mute.Store(true)
			for _, s := range []string{"one", "two", "three"} {
				p.udpEcho(s)
			}
			p.expect("ARP request", arpRequestFor(p.ip))
			p.fence2()
			p.arp(p.lan.hostMAC, arp{2, p.mac, p.lan.hostMAC, p.ip, p.lan.host})
			p.expect("last packet", isUDP("three"))
		}},
		{level: must, clause: host, name: "ask again for a station that no longer confirms itself", when: minutes, run: func(p *peer) {
			p.fence()
			p.mute.Store(true)
			for range 100 {
				p.udpEcho("still")
				if p.try(time.Second, arpRequestFor(p.ip)) != nil {
					return
				}
			}
			p.fail("the entry is used unconfirmed for 100 s")
		}},
		{level: must, clause: "RFC 5227 §1.1", name: "answer a probe", run: func(p *peer) {
			p.arp(broadcastMAC, arp{1, p.mac, mac{}, ip4{}, p.lan.host})
			if k := p.expectReply(); k.dst != p.mac && k.dst != broadcastMAC {
				p.fail("the answer goes to %v", k.dst)
			}
		}},
		{level: should, clause: "RFC 5227 §2.1.1", name: "probe its address before it uses it", when: slow, timed: true, kernel: "does no conflict detection", run: func(p *peer) {
			l := p.lan
			if l.newcomer != nil {
				begun, stop := l.newcomer(p, ip4{})
				defer stop()
				l = begun.lan
				p.await("an announcement", func() bool { return len(l.claims()) > 0 || begun.err() != nil })
			}
			claims := l.claims()
			if len(claims) == 0 {
				p.fail("no announcement")
			}
			var probes []*packet
			for _, k := range l.heard() {
				if k.arp != nil && k.arp.op == 1 && k.arp.spa == (ip4{}) && k.arp.tpa == l.host && k.arp.sha == l.hostMAC {
					probes = append(probes, k)
				}
			}
			if len(probes) != 3 {
				p.fail("%d probes", len(probes))
			}
			for i, k := range append(probes[1:], claims[0]) {
				if d := k.at.Sub(probes[i].at); d < 500*time.Millisecond {
					p.fail("%v after %v", k, d)
				}
			}
		}},
		{level: must, clause: "RFC 5227 §2.1.1", name: "not use an address that another station has", when: slow, kernel: "does no conflict detection", run: func(p *peer) {
			if p.lan.newcomer == nil {
				p.fail("nobody asks")
			}
			begun, stop := p.lan.newcomer(p, hostIP)
			defer stop()
			p.await("the refusal", func() bool { return begun.err() != nil })
			if err := begun.err(); !strings.Contains(err.Error(), "is taken") {
				p.fail("it ends: %v", err)
			}
			if n := len(begun.lan.claims()); n > 0 {
				p.fail("it was claimed %d times", n)
			}
		}},
		{level: must, clause: "RFC 5227 §2.3", name: "announce its address", kernel: "does no conflict detection", run: func(p *peer) {
			if len(p.lan.claims()) < 1 {
				p.fail("no announcement")
			}
		}},
		{level: must, clause: "RFC 5227 §2.4", name: "defend its address and keep it", when: alone, kernel: "does no conflict detection", run: func(p *peer) {
			before := len(p.lan.heard())
			p.frame(ether(broadcastMAC, p.mac, typeARP, arp{1, p.mac, mac{}, p.lan.host, p.lan.host}.bytes()))
			end := time.Now().Add(patience)
			for defended := false; !defended; p.sleep(20 * time.Millisecond) {
				for _, k := range p.lan.heard()[before:] {
					defended = defended || k.arp != nil && k.arp.spa == p.lan.host && k.arp.sha == p.lan.hostMAC
				}
				if time.Now().After(end) {
					p.fail("no announcement against the other")
				}
			}
			p.fence()
			p.another().fence()
		}},
	}
}

// claims returns the packets in which the host has announced its address.
func (l *lan) claims() (out []*packet) {
	for _, k := range l.heard() {
		if k.arp != nil && k.arp.spa == l.host && k.arp.tpa == l.host {
			out = append(out, k)
		}
	}
	return out
}

// await waits until something has become true.
func (p *peer) await(what string, done func() bool) {
	for end := time.Now().Add(patience); !done(); p.sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.fail("%s does not come", what)
		}
	}
}

// fence2 is a fence of a second station, for one that the host cannot reach yet.
func (p *peer) fence2() { p.another().fence() }
