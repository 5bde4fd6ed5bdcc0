package wiresuite

import "time"

// about makes an ICMP error about a segment that the host has sent, with so much
// of it as is asked for; spoil may change the quotation.
func (c *conn) icmpAbout(k *packet, typ, code byte, rest uint32, spoil func(b []byte)) {
	b := append([]byte(nil), k.raw[14:14+min(k.ip.total, 548)]...)
	if spoil != nil {
		spoil(b)
	}
	c.p.send(ip{src: gatewayIP, proto: protoICMP, payload: icmp{typ: typ, code: code, rest: rest, data: b[:min(len(b), 20+8)]}.bytes()})
}

// seqOf changes the sequence number that a quotation has.
func seqOf(delta uint32) func(b []byte) {
	return func(b []byte) { be.PutUint32(b[24:], be.Uint32(b[24:])+delta) }
}

func tcpICMPCases() []testCase {
	var cases []testCase
	add := func(l level, clause, name string, run func(*peer)) {
		cases = append(cases, testCase{level: l, clause: clause, name: name, run: run})
	}
	// held is a connection with an echo under way, and that echo.
	held := func(p *peer) (*conn, *packet) {
		c := p.open(echo)
		c.alive()
		c.say("under way")
		return c, c.await("echo", hasText)
	}
	for _, e := range []struct {
		typ, code byte
		name      string
		clause    string
	}{
		{3, 0, "a network unreachable", "RFC 9293 MUST-56"},
		{3, 1, "a host unreachable", "RFC 9293 MUST-56"},
		{3, 5, "a source route that failed", "RFC 9293 MUST-56"},
		{11, 0, "a time exceeded", "RFC 9293 MUST-56"},
		{11, 1, "a time exceeded in reassembly", "RFC 9293 MUST-56"},
		{12, 0, "a parameter problem", "RFC 9293 MUST-56"},
		{4, 0, "a source quench", "RFC 9293 MUST-55"},
	} {
		add(must, e.clause, "ESTABLISHED: live on after "+e.name, func(p *peer) {
			c, k := held(p)
			c.icmpAbout(k, e.typ, e.code, 0, nil)
			c.ack()
			c.alive()
		})
		if e.typ == 11 && e.code == 1 {
			continue
		}
		add(must, e.clause, "SYN-SENT: go on connecting after "+e.name, func(p *peer) {
			c := p.dial()
			c.icmpAbout(c.synAck, e.typ, e.code, 0, nil)
			p.fence()
			c.accept()
			c.alive()
		})
		if e.typ != 4 {
			cases[len(cases)-1].kernel = "gives up"
		}
	}
	for _, e := range []struct {
		code byte
		name string
	}{{2, "a protocol unreachable"}, {3, "a port unreachable"}} {
		add(should, "RFC 5927 §5.2", "ESTABLISHED: live on after "+e.name, func(p *peer) {
			c, k := held(p)
			c.icmpAbout(k, 3, e.code, 0, nil)
			c.ack()
			c.alive()
		})
		add(should, "RFC 9293 SHLD-26", "SYN-SENT: give up after "+e.name, func(p *peer) {
			c := p.dial()
			c.icmpAbout(c.synAck, 3, e.code, 0, nil)
			p.fence()
			t := c.seg(syn | ack)
			t.seq = c.iss
			c.out(t)
			c.await("reset", func(t *tcp) bool { return t.has(rst) })
		})
		add(should, "RFC 5927 §4.1", "SYN-SENT: go on after "+e.name+" about another number", func(p *peer) {
			c := p.dial()
			c.icmpAbout(c.synAck, 3, e.code, 0, seqOf(1000))
			p.fence()
			c.accept()
			c.alive()
		})
	}
	// smaller makes the host learn a path MTU, and gives its largest segment then.
	smaller := func(p *peer, rest uint32, spoil func([]byte)) int {
		c := p.open(chargen)
		k := c.await("full segment", func(t *tcp) bool { return len(t.data) == 1460 })
		for c.try(20*time.Millisecond, hasText) != nil {
		}
		if spoil == nil {
			spoil = func(b []byte) {}
		}
		c.icmpAbout(k, 3, 4, rest, spoil)
		p.fence()
		most := 0
		for range 6 {
			c.ack()
			for first := true; ; first = false {
				d := 20 * time.Millisecond
				if first {
					d = patience
				}
				k := c.try(d, hasText)
				if k == nil {
					break
				}
				most = max(most, len(k.tcp.data))
			}
		}
		c.abort()
		return most
	}
	add(must, "RFC 1191 §3", "send smaller segments after fragmentation needed", func(p *peer) {
		if n := smaller(p, 1000, nil); n > 960 {
			p.fail("segments of up to %d in a path of 1,000", n)
		}
	})
	add(must, "RFC 1191 §3", "send what was too large again, and smaller", func(p *peer) {
		c := p.open(chargen)
		k := c.await("full segment", func(t *tcp) bool { return len(t.data) == 1460 })
		for c.try(20*time.Millisecond, hasText) != nil {
		}
		c.icmpAbout(k, 3, 4, 1200, nil)
		c.await("smaller segment of the same number", func(t *tcp) bool { return t.seq == k.tcp.seq && len(t.data) > 0 && len(t.data) <= 1160 })
		c.abort()
	})
	add(must, "RFC 5927 §4.1", "not believe fragmentation needed about another number", func(p *peer) {
		if n := smaller(p, 1000, seqOf(1<<28)); n != 1460 {
			p.fail("segments of up to %d", n)
		}
	})
	add(must, "RFC 5927 §4.1", "not believe fragmentation needed about another connection", func(p *peer) {
		if n := smaller(p, 1000, func(b []byte) { b[23] ^= 1 }); n != 1460 {
			p.fail("segments of up to %d", n)
		}
	})
	add(must, "RFC 1191 §3", "not take a larger MTU from fragmentation needed", func(p *peer) {
		if n := smaller(p, 9000, nil); n > 1460 {
			p.fail("segments of up to %d", n)
		}
	})
	add(must, "RFC 1191 §3", "not go below 68 octets", func(p *peer) {
		if n := smaller(p, 20, nil); n < 28 {
			p.fail("segments of up to %d", n)
		}
	})
	add(must, "RFC 1191 §5", "send smaller segments after fragmentation needed of an old router", func(p *peer) {
		if n := smaller(p, 0, nil); n >= 1460 {
			p.fail("segments of up to %d", n)
		}
	})
	cases[len(cases)-1].level = should
	add(must, "RFC 792", "not believe an ICMP error with a bad checksum", func(p *peer) {
		c := p.dial()
		b := icmp{typ: 3, code: 3, data: c.synAck.raw[14 : 14+28]}.bytes()
		b[3] ^= 0x40
		p.send(ip{src: gatewayIP, proto: protoICMP, payload: b})
		p.fence()
		c.accept()
		c.alive()
	})
	add(must, "RFC 1122 §3.2.2", "survive an ICMP error that quotes too little", func(p *peer) {
		c, k := held(p)
		for n := range 28 {
			p.send(ip{src: gatewayIP, proto: protoICMP, payload: icmp{typ: 3, code: 3, data: k.raw[14 : 14+n]}.bytes()})
		}
		c.ack()
		c.alive()
	})
	add(must, "RFC 1122 §3.2.2", "not believe an ICMP error about a segment of another host", func(p *peer) {
		c := p.dial()
		c.icmpAbout(c.synAck, 3, 3, 0, func(b []byte) { b[15] ^= 4 })
		p.fence()
		c.accept()
		c.alive()
	})
	return cases
}

func tcpECNCases() []testCase {
	// ecn opens with ECN, and skips a host that does not do it.
	ecn := func(p *peer, port uint16) *conn {
		c := p.conn(port)
		t := c.seg(syn | ece | cwr)
		t.options = mss(1460)
		c.out(t)
		c.snd++
		c.awaitSYNACK()
		if c.synAck.tcp.flags&(ece|cwr) != ece {
			p.fail("the SYN-ACK has the flags %s", flagNames(c.synAck.tcp.flags))
		}
		c.ack()
		return c
	}
	// marked sends text in a packet that met congestion.
	marked := func(c *conn, text string) {
		t := c.seg(ack | psh)
		t.data = []byte(text)
		c.p.send(ip{proto: protoTCP, tos: 3, payload: t.bytes(c.p.ip, c.p.lan.host)})
		c.snd += uint32(len(text))
	}
	return []testCase{
		{level: should, clause: "RFC 9293 SHLD-8", name: "agree to ECN", run: func(p *peer) { ecn(p, echo) }},
		{level: must, clause: "RFC 3168 §6.1.1", name: "not agree to ECN with who says ECE alone", run: func(p *peer) {
			c := p.conn(echo)
			t := c.seg(syn | ece)
			c.out(t)
			c.snd++
			if k := c.awaitSYNACK(); k.tcp.flags&(ece|cwr) != 0 {
				p.fail("%v", k)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.1", name: "not mark segments as capable without ECN", run: func(p *peer) {
			c := p.open(echo)
			c.say("plain")
			if k := c.await("echo", hasText); k.ip.tos&3 != 0 || k.tcp.flags&(ece|cwr) != 0 {
				p.fail("type of service %#x, %v", k.ip.tos, k)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.1", name: "not mark a SYN-ACK as capable", run: func(p *peer) {
			if c := ecn(p, echo); c.synAck.ip.tos&3 != 0 {
				p.fail("type of service %#x", c.synAck.ip.tos)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.2", name: "mark text as capable", run: func(p *peer) {
			c := ecn(p, echo)
			c.say("capable")
			if k := c.await("echo", hasText); k.ip.tos&3 != 2 {
				p.fail("type of service %#x", k.ip.tos)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.4", name: "not mark acknowledgments as capable", run: func(p *peer) {
			c := ecn(p, discard)
			c.say("to nobody")
			if k := c.awaitAck(); k.ip.tos&3 != 0 {
				p.fail("type of service %#x", k.ip.tos)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.3", name: "echo congestion until it is heard", run: func(p *peer) {
			c := ecn(p, discard)
			marked(c, "congested")
			if k := c.awaitAck(); !k.tcp.has(ece) {
				p.fail("%v", k)
			}
			for range 3 {
				c.say("more")
				if k := c.awaitAck(); !k.tcp.has(ece) {
					p.fail("no longer: %v", k)
				}
			}
			t := c.seg(ack | psh | cwr)
			t.data = []byte("heard")
			c.out(t)
			c.snd += 5
			c.awaitAck()
			c.say("more")
			if k := c.awaitAck(); k.tcp.has(ece) {
				p.fail("still: %v", k)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.3", name: "not echo congestion without ECN", run: func(p *peer) {
			c := p.open(discard)
			marked(c, "congested")
			if k := c.awaitAck(); k.tcp.has(ece) {
				p.fail("%v", k)
			}
		}},
		{level: must, clause: "RFC 3168 §6.1.2", name: "slow down once when it hears of congestion, and say so", timed: true, run: func(p *peer) {
			c := ecn(p, chargen)
			c.await("text", hasText)
			before := 0
			for range 10 {
				for c.try(30*time.Millisecond, hasText) != nil {
				}
				if before = int(c.rcv - c.acked); before >= 16*1460 {
					break
				}
				c.ack()
			}
			c.out(c.seg(ack | ece))
			told := false
			heard := func(t *tcp) bool { told = told || t.has(cwr); return len(t.data) > 0 }
			c.await("text", heard)
			for c.try(30*time.Millisecond, heard) != nil {
			}
			after := int(c.rcv - c.acked)
			if !told {
				p.fail("no CWR")
			}
			if after > before*8/10 {
				p.fail("%d octets under way before, %d after", before, after)
			}
			c.abort()
		}},
		{level: must, clause: "RFC 3168 §6.1.5", name: "not mark a retransmission as capable", when: slow, run: func(p *peer) {
			c := ecn(p, echo)
			c.say("again")
			c.await("echo", hasText)
			if k := c.await("echo again", hasText); k.ip.tos&3 != 0 {
				p.fail("type of service %#x", k.ip.tos)
			}
			c.ack()
		}},
		{level: must, clause: "RFC 3168 §6.1.1", name: "answer a SYN in a packet that met congestion", run: func(p *peer) {
			c := p.conn(echo)
			t := c.seg(syn)
			t.options = mss(1460)
			p.send(ip{proto: protoTCP, tos: 3, payload: t.bytes(p.ip, p.lan.host)})
			c.snd++
			c.awaitSYNACK()
		}},
	}
}
