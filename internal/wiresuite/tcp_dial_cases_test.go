package wiresuite

import (
	"fmt"
	"time"
)

// reply answers the SYN of a dial with a segment of these flags and numbers.
func (c *conn) reply(flags byte, ackDelta uint32, data string, options ...byte) {
	t := c.seg(flags)
	t.seq = c.iss
	if flags&ack != 0 {
		t.ack = c.rcv + ackDelta
	}
	t.data, t.options = []byte(data), options
	c.out(t)
}

func tcpDialCases() []testCase {
	const clause = "RFC 9293 §3.10.7.3"
	// goesOn demands that the host still connects.
	goesOn := func(c *conn) {
		c.accept()
		c.alive()
	}
	ignored := func(flags byte, ackDelta uint32) func(*peer) {
		return func(p *peer) {
			c := p.dial()
			c.reply(flags, ackDelta, "")
			p.none("an answer", func(k *packet) bool { return c.mine(k) && !(k.tcp.has(syn) && k.tcp.seq == c.irs && !k.tcp.has(ack)) })
			goesOn(c)
		}
	}
	reset := func(flags byte, ackDelta uint32) func(*peer) {
		return func(p *peer) {
			c := p.dial()
			c.reply(flags, ackDelta, "")
			c.awaitReset(c.rcv + ackDelta)
			goesOn(c)
		}
	}
	return []testCase{
		{level: must, clause: "RFC 9293 §3.10.1", name: "connect with a SYN and an MSS", run: func(p *peer) {
			k := p.dial().synAck
			if v, ok := k.tcp.option(2); !ok || be.Uint16(v) > 1460 || be.Uint16(v) < 536 || k.tcp.flags&(rst|fin|ack|psh|urg) != 0 || len(k.tcp.data) != 0 || k.tcp.win == 0 {
				p.fail("%v", k)
			}
		}},
		{level: must, clause: clause, name: "acknowledge a SYN-ACK and carry text", run: func(p *peer) {
			c := p.dial()
			if k := c.accept(); k.tcp.seq != c.rcv {
				p.fail("%v", k)
			}
			c.alive()
		}},
		{level: must, clause: clause, name: "end when the other closes", run: func(p *peer) {
			c := p.dial()
			c.accept()
			c.alive()
			c.fin()
			c.awaitFIN()
			c.ack()
			c.gone()
		}},
		{level: must, clause: clause, name: "SYN-SENT: reset a SYN-ACK of too little", run: reset(syn|ack, ^uint32(0))},
		{level: must, clause: clause, name: "SYN-SENT: reset a SYN-ACK of too much", run: reset(syn|ack, 1)},
		{level: must, clause: clause, name: "SYN-SENT: reset an ACK of too much", run: reset(ack, 5000)},
		{level: must, clause: clause, name: "SYN-SENT: ignore an ACK alone", run: ignored(ack, 0)},
		{level: must, clause: clause, name: "SYN-SENT: ignore a RST without ACK", run: ignored(rst, 0)},
		{level: must, clause: clause, name: "SYN-SENT: ignore a RST of another number", run: ignored(rst|ack, 77)},
		{level: must, clause: clause, name: "SYN-SENT: not answer a RST with SYN-ACK of another number", run: ignored(rst|syn|ack, 77)},
		{level: must, clause: clause, name: "SYN-SENT: ignore a FIN", run: ignored(fin, 0)},
		{level: must, clause: clause, name: "SYN-SENT: ignore a segment without flags", run: ignored(0, 0)},
		{level: must, clause: clause, name: "SYN-SENT: ignore text", run: ignored(psh, 0)},
		{level: must, clause: clause, name: "SYN-SENT: give up when it is reset", when: slow, run: func(p *peer) {
			c := p.dial()
			c.reply(rst|ack, 0, "")
			p.quiet(4*time.Second, "a segment", c.mine)
			c.reply(syn|ack, 0, "")
			c.awaitReset(c.rcv)
		}},
		{level: must, clause: clause, name: "SYN-SENT: take text with the SYN-ACK, now or again", run: func(p *peer) {
			c := p.dial()
			c.reply(syn|ack, 0, "early", mss(1460)...)
			c.snd = c.iss + 1
			c.await("ACK", func(t *tcp) bool { return t.has(ack) && !t.has(syn) })
			c.say("early")
			c.awaitText("early")
			c.alive()
		}},
		{level: must, clause: "RFC 9293 MUST-15", name: "take 536 for a SYN-ACK without an MSS", run: func(p *peer) {
			c := p.dial()
			c.accept([]byte{1, 1})
			for range 3 {
				c.say(string(text(1000)))
			}
			for len(c.data) < 3000 {
				if k := c.await("echo", hasText); len(k.tcp.data) > 536 {
					p.fail("%v", k)
				}
				c.ack()
			}
		}},
		{level: must, clause: "RFC 9293 MUST-16", name: "keep to the MSS of a SYN-ACK", run: func(p *peer) {
			c := p.dial()
			c.accept(mss(300))
			for range 3 {
				c.say(string(text(1000)))
			}
			for len(c.data) < 3000 {
				if k := c.await("echo", hasText); len(k.tcp.data) > 300 {
					p.fail("%v", k)
				}
				c.ack()
			}
		}},
		{level: must, clause: "RFC 9293 MUST-10", name: "open at the same time as the other", run: func(p *peer) {
			c := p.dial()
			c.reply(syn, 0, "", mss(1460)...)
			c.snd = c.iss + 1
			k := c.await("SYN-ACK", func(t *tcp) bool { return t.has(syn | ack) })
			if k.tcp.seq != c.irs || k.tcp.ack != c.iss+1 {
				p.fail("%v", k)
			}
			c.ack()
			c.alive()
		}},
		{level: must, clause: "RFC 9293 MUST-10", name: "open at the same time when both answer", run: func(p *peer) {
			c := p.dial()
			c.reply(syn, 0, "", mss(1460)...)
			c.await("SYN-ACK", func(t *tcp) bool { return t.has(syn | ack) })
			c.reply(syn|ack, 0, "", mss(1460)...)
			c.snd = c.iss + 1
			c.alive() // figure 7: no more is needed
		}},
		{level: must, clause: "RFC 9293 MUST-11", name: "end an opening at the same time when it is reset", run: func(p *peer) {
			c := p.dial()
			c.reply(syn, 0, "", mss(1460)...)
			c.snd = c.iss + 1
			c.await("SYN-ACK", func(t *tcp) bool { return t.has(syn | ack) })
			c.out(c.seg(rst))
			p.fence()
			c.gone()
		}},
		{level: must, clause: "RFC 9293 §3.10.7.4", name: "answer a SYN-ACK that comes again", run: func(p *peer) {
			c := p.dial()
			c.accept()
			c.reply(syn|ack, 0, "", mss(1460)...)
			c.challenged("of a SYN-ACK")
			c.alive()
		}},
		{level: must, clause: "RFC 1122 §2.3.2", name: "ask for the address before the first SYN", run: func(p *peer) {
			p.command(fmt.Sprintf("dial %v 80", p.ip))
			p.expect("ARP request or SYN", func(k *packet) bool {
				if k.tcp != nil {
					p.fail("a SYN to whom?")
				}
				return arpRequestFor(p.ip)(k)
			})
		}},
		{level: must, clause: "RFC 1122 §3.3.1.1", name: "connect to another network through the gateway", run: func(p *peer) {
			far := ip4{203, 0, 113, byte(p.ip[3])}
			p.beyond(far)
			p.command(fmt.Sprintf("dial %v 80", far))
			if k := p.expect("SYN", anyTCP); k.dst != gatewayMAC || k.ip.dst != far {
				p.fail("%v", k)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-46", name: "connect to no broadcast and no group", run: func(p *peer) {
			before := len(p.lan.heard())
			for _, a := range []ip4{subnetBcast, broadcastIP, {224, 0, 0, 1}} {
				p.command(fmt.Sprintf("dial %v %d", a, 33000+p.n))
			}
			p.sleep(300 * time.Millisecond)
			p.noBroadcast(before, []byte{byte((33000 + p.n) >> 8), byte(33000 + p.n)})
		}},
		{level: should, clause: "RFC 6056 §3", name: "choose ports that others cannot foresee", run: func(p *peer) {
			var ports []int
			for range 8 {
				c := p.dial()
				ports = append(ports, int(c.host))
				c.reply(rst|ack, 0, "")
			}
			steps := map[int]bool{}
			for i := range len(ports) - 1 {
				steps[ports[i+1]-ports[i]] = true
			}
			for _, n := range ports {
				if n < 1024 {
					p.fail("port %d", n)
				}
			}
			if len(steps) < 4 {
				p.fail("%d", ports)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-9", name: "choose numbers for connections that others cannot foresee", run: func(p *peer) {
			seen := map[uint32]bool{}
			for range 6 {
				c := p.dial()
				seen[c.irs>>20] = true
				c.reply(rst|ack, 0, "")
			}
			if len(seen) < 4 {
				p.fail("%d different beginnings of 6", len(seen))
			}
		}},
		{level: must, clause: "RFC 7323 §2.2", name: "not scale windows when the SYN-ACK does not", run: func(p *peer) {
			c := p.dial()
			c.win = 3000
			c.accept()
			c.say(string(text(1400)))
			c.say(string(text(1400)))
			c.say(string(text(1400)))
			for c.try(300*time.Millisecond, hasText) != nil {
			}
			if n := c.rcv - c.irs - 1; n > 3000 {
				p.fail("%d octets in a window of 3,000", n)
			}
			c.ack()
			for len(c.data) < 4200 {
				c.await("the rest", hasText)
				c.ack()
			}
		}},
		{level: must, clause: "RFC 7323 §3.2", name: "stamp when the SYN-ACK agrees, and not else", run: func(p *peer) {
			c := p.dial()
			v, offered := c.synAck.tcp.option(8)
			k := c.accept()
			if _, ok := k.tcp.option(8); ok {
				p.fail("stamped without agreement")
			}
			if !offered {
				return
			}
			if len(v) != 8 {
				p.fail("% x", v)
			}
			c = p.dial()
			val, _ := stampOf(p, c.synAck.tcp)
			k = c.accept(mss(1460), stamps(4711, val))
			if _, ecr := stampOf(p, k.tcp); ecr != 4711 {
				p.fail("it echoes %d", ecr)
			}
			c.clock = 4712
			c.alive()
		}},
		{level: must, clause: "RFC 3168 §6.1.1", name: "connect to who mirrors the flags of ECN", run: func(p *peer) {
			c := p.dial()
			c.reply(syn|ack|ece|cwr, 0, "", mss(1460)...)
			c.snd = c.iss + 1
			c.await("ACK", func(t *tcp) bool { return t.has(ack) && t.ack == c.snd })
			c.say("mirror")
			if k := c.await("echo", hasText); k.ip.tos&3 != 0 {
				p.fail("marked as capable: %v", k)
			}
		}},
	}
}

func floodCases() []testCase {
	return []testCase{
		{level: must, clause: "RFC 4987 §3", name: "accept while SYNs flood, and keep what was agreed", when: alone, run: func(p *peer) {
			old := p.open(echo)
			old.alive()
			p.flood(6000)
			old.alive()
			q := p.another()
			q.fence()
			var c *conn
			for range 5 {
				c = q.conn(chargen)
				c.sendSYN(mss(900), sackPermitted(), wscale(7), stamps(c.clock, 0))
				if c.synAck = c.try(3*time.Second, func(t *tcp) bool { return t.has(syn | ack) }); c.synAck != nil {
					break
				}
			}
			if c.synAck == nil {
				p.fail("no SYN-ACK")
			}
			c.irs, c.rcv = c.synAck.tcp.seq, c.synAck.tcp.seq+1
			for _, kind := range []byte{3, 4, 8} {
				if _, ok := c.synAck.tcp.option(kind); !ok {
					p.fail("options %x", c.synAck.tcp.options)
				}
			}
			c.echoed, _ = stampOf(p, c.synAck.tcp)
			c.win = 10 // 1,280
			c.ack()
			k := c.await("text", hasText)
			for c.try(20*time.Millisecond, hasText) != nil {
			}
			if n := c.rcv - c.acked; len(k.tcp.data) > 888 || n > 1280 {
				p.fail("segments of %d, %d under way", len(k.tcp.data), n)
			}
			c.abort()
		}},
		{level: must, clause: "RFC 4987 §3", name: "answer after a flood of SYNs as before", when: alone, run: func(p *peer) {
			p.flood(3000)
			p.sleep(500 * time.Millisecond)
			for range 5 {
				p.open(echo).alive()
			}
		}},
		{level: must, clause: "RFC 9293 §3.10.7", name: "keep a connection under a flood of segments of chance", when: alone, run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			for range 4000 {
				t := tcp{src: c.port, dst: echo, seq: p.rand.Uint32(), ack: p.rand.Uint32(), flags: byte(p.rand.Uint32()), win: uint16(p.rand.Uint32()), urg: uint16(p.rand.Uint32())}
				if t.seq-c.snd < 1<<22 || c.snd-t.seq < 1<<22 {
					continue // by luck it may be right
				}
				c.out(t)
			}
			p.fence()
			c.alive()
		}},
		{level: must, clause: "RFC 9293 §3.10.7", name: "serve after two hundred connections that are left alone", when: alone, run: func(p *peer) {
			for range 200 {
				p.open(echo)
			}
			p.open(echo).alive()
		}},
	}
}

// flood sends SYNs that nobody will follow up.
func (p *peer) flood(n int) {
	for i := range n {
		src := ip4{198, 18, byte(i >> 8), byte(i)}
		t := tcp{src: uint16(1024 + i), dst: echo + uint16(i%2)*2, seq: p.rand.Uint32(), flags: syn, win: 1000, options: mss(1460)}
		h := ip{src: src, dst: p.lan.host, id: uint16(i), proto: protoTCP, payload: t.bytes(src, p.lan.host)}
		if err := p.lan.send(ether(p.lan.hostMAC, p.mac, typeIP, h.bytes())); err != nil { // not into the log
			p.fail("send: %v", err)
		}
	}
	p.fence()
}
