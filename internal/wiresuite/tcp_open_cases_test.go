package wiresuite

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// offer sends a SYN with these options and gives the answer.
func offer(p *peer, options ...[]byte) *tcp { return p.synReceived(echo, options...).synAck.tcp }

// largest reads from chargen with these options, and gives the largest segment.
func largest(p *peer, options ...[]byte) (most int) {
	c := p.open(chargen, options...)
	for range 8 {
		k := c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
		most = max(most, len(k.tcp.data))
		c.ack()
	}
	c.abort()
	return most
}

// abort resets the connection.
func (c *conn) abort() { c.out(c.seg(rst | ack)) }

// noAnswer sends a segment to a port and demands that nothing comes.
func noAnswer(host uint16, spoil func(p *peer, t *tcp, h *ip)) func(*peer) {
	return func(p *peer) {
		p.fence()
		c := p.conn(host)
		t := c.seg(syn)
		t.options = mss(1460)
		h := ip{proto: protoTCP}
		spoil(p, &t, &h)
		src, dst := h.src, h.dst
		if src == (ip4{}) && !h.from0 {
			src = p.ip
		}
		if dst == (ip4{}) {
			dst = p.lan.host
		}
		if h.src != (ip4{}) {
			p.beyond(h.src)
			defer p.unbeyond(h.src)
		}
		before := len(p.lan.heard())
		h.payload = t.bytes(src, dst)
		p.send(h)
		p.none("an answer", anyIP)
		p.noBroadcast(before, []byte{byte(host >> 8), byte(host), byte(c.port >> 8), byte(c.port)})
	}
}

func tcpOpenCases() []testCase {
	var cases []testCase
	add := func(l level, clause, name string, run func(*peer)) {
		cases = append(cases, testCase{level: l, clause: clause, name: name, run: run})
	}
	const listen = "RFC 9293 §3.10.7.2"
	add(must, listen, "answer a SYN with a SYN-ACK of the next number", func(p *peer) {
		if t := offer(p); t.flags&(syn|ack|rst|fin) != syn|ack || t.win == 0 || len(t.data) != 0 {
			p.fail("flags %s, window %d, %d octets", flagNames(t.flags), t.win, len(t.data))
		}
	})
	add(must, "RFC 9293 §3.5", "establish and carry text both ways", func(p *peer) { p.open(echo).alive() })
	add(must, "RFC 9293 MUST-14", "announce an MSS that fits the link", func(p *peer) {
		v, ok := offer(p).option(2)
		if !ok || len(v) != 2 || be.Uint16(v) > 1460 || be.Uint16(v) < 536 {
			p.fail("the option is % x", v)
		}
	})
	add(must, "RFC 9293 MUST-15", "take 536 for a peer that says no MSS", func(p *peer) {
		if n := largest(p, []byte{1, 1}); n > 536 {
			p.fail("a segment of %d", n)
		}
	})
	for _, most := range []int{64, 100} {
		add(must, "RFC 9293 MUST-16", "send no segment above an MSS of "+strconv.Itoa(most), func(p *peer) {
			if n := largest(p, mss(most)); n > most {
				p.fail("a segment of %d", n)
			}
		})
	}
	add(must, "RFC 9293 MUST-16", "fill an MSS of 1,000", func(p *peer) {
		if n := largest(p, mss(1000)); n != 1000 {
			p.fail("segments of up to %d", n)
		}
	})
	add(must, "RFC 9293 MUST-16", "send no segment above the MTU for an MSS of 65,535", func(p *peer) {
		if n := largest(p, mss(65535)); n > 1460 {
			p.fail("a segment of %d", n)
		}
	})
	add(must, "RFC 9293 MUST-16", "leave room for timestamps in a segment", func(p *peer) {
		if n := largest(p, mss(1460), stamps(77, 0)); n > 1448 {
			p.fail("a segment of %d besides timestamps", n)
		}
	})
	for _, n := range []int{0, 1} {
		add(must, "RFC 9293 MUST-14", "survive an MSS of "+string(rune('0'+n)), func(p *peer) { p.open(echo, mss(n)).alive() })
	}
	add(must, "RFC 9293 §3.4", "take text that a SYN carries, now or again", func(p *peer) {
		c := p.conn(echo)
		t := c.seg(syn)
		t.options, t.data = mss(1460), []byte("early")
		c.out(t)
		k := c.await("SYN-ACK", func(t *tcp) bool { return t.has(syn | ack) })
		if a := k.tcp.ack - c.iss; a != 1 && a != 6 {
			p.fail("it acknowledges %d", a)
		}
		c.snd, c.rcv = c.iss+1, k.tcp.seq+1
		c.say("early")
		c.awaitText("early")
		c.alive()
	})
	add(must, listen, "ignore a RST", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.flags = rst }))
	add(must, listen, "ignore a SYN with RST", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.flags = syn | rst }))
	add(must, listen, "ignore a RST with ACK", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.flags = rst | ack }))
	for _, f := range []byte{0, fin, psh, urg, fin | psh | urg} {
		add(must, listen, "ignore a segment with the flags '"+flagNames(f)+"'", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.flags = f }))
	}
	add(must, listen, "ignore text without ACK", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.flags, t.data = psh, []byte("abc") }))
	for _, f := range []byte{ack, syn | ack, fin | ack, psh | ack} {
		add(must, listen, "reset a segment with the flags '"+flagNames(f)+"'", func(p *peer) {
			c := p.conn(echo)
			t := c.seg(f)
			t.ack = 12345678
			c.out(t)
			if k := c.awaitReset(12345678); k.tcp.has(ack) {
				p.fail("it has an acknowledgment: %v", k)
			}
		})
	}
	const impossible = "RFC 9293 MUST-63"
	add(must, "RFC 9293 MUST-57", "ignore a SYN to the limited broadcast address", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.dst = broadcastIP }))
	add(must, "RFC 9293 MUST-57", "ignore a SYN to the broadcast address of its network", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.dst = subnetBcast }))
	add(must, "RFC 9293 MUST-57", "ignore a SYN to all hosts", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.dst = ip4{224, 0, 0, 1} }))
	add(must, impossible, "ignore a SYN from the broadcast address of its network", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.src = subnetBcast }))
	cases[len(cases)-1].kernel = "answers it"
	add(must, impossible, "ignore a SYN from the limited broadcast address", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.src = broadcastIP }))
	add(must, impossible, "ignore a SYN from a group", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.src = ip4{224, 0, 0, 9} }))
	add(must, impossible, "ignore a SYN from 0.0.0.0", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.from0 = true }))
	add(must, impossible, "ignore a SYN from the loopback network", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.src = ip4{127, 0, 0, 1} }))
	add(must, impossible, "ignore a SYN from its own address", noAnswer(echo, func(_ *peer, _ *tcp, h *ip) { h.src = hostIP }))
	add(must, "RFC 9293 MUST-57", "ignore a SYN in a link broadcast", func(p *peer) {
		p.fence()
		c := p.conn(echo)
		p.sendTo(broadcastMAC, ip{proto: protoTCP, payload: c.seg(syn).bytes(p.ip, p.lan.host)})
		p.none("an answer", anyTCP)
	})
	add(must, "RFC 9293 MUST-3", "ignore a SYN with a bad checksum", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.badSum = true }))
	add(must, "RFC 9293 §3.1", "ignore a header of less than five words", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.offset = 4 }))
	add(must, "RFC 9293 §3.1", "ignore a header that is longer than the segment", noAnswer(echo, func(_ *peer, t *tcp, _ *ip) { t.offset = 15 }))
	add(must, "RFC 9293 §3.1", "ignore a segment of ten octets", func(p *peer) {
		p.fence()
		p.send(ip{proto: protoTCP, payload: p.conn(echo).seg(syn).bytes(p.ip, p.lan.host)[:10]})
		p.none("an answer", anyIP)
	})
	add(must, "RFC 9293 §3.1", "ignore the reserved bits of a SYN", func(p *peer) {
		c := p.conn(echo)
		t := c.seg(syn)
		t.reserved = 0xe
		c.out(t)
		c.snd++
		c.awaitSYNACK()
		c.ack()
		c.alive()
	})
	return append(cases, sequenceCases()...)
}

// sequenceCases are about initial numbers.
func sequenceCases() []testCase {
	isn := func(p *peer, c *conn) uint32 {
		c.sendSYN()
		c.awaitSYNACK()
		c.out(func() tcp { t := c.seg(rst); return t }())
		p.fence()
		return c.irs
	}
	return []testCase{
		{level: must, clause: "RFC 9293 MUST-9", name: "choose initial numbers that others cannot foresee", run: func(p *peer) {
			var steps []uint32
			last := uint32(0)
			for i := range 12 {
				n := isn(p, p.conn(echo))
				if i > 0 {
					steps = append(steps, n-last)
				}
				last = n
			}
			slices.Sort(steps)
			if steps[len(steps)-1]-steps[0] < 1<<24 {
				p.fail("from port to port it moves by %d", steps)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-8", name: "choose numbers for the same addresses and ports by a clock", run: func(p *peer) {
			c := p.conn(echo)
			var last uint32
			var at time.Time
			for i := range 4 {
				c.iss += 100000
				c.snd = c.iss
				n := isn(p, c)
				if d := n - last; i > 0 && (d == 0 || d > uint32(2*time.Since(at)/(64*time.Nanosecond))) {
					p.fail("it moves by %d in %v", int32(d), time.Since(at))
				}
				last, at = n, time.Now()
				p.sleep(20 * time.Millisecond)
			}
		}},
	}
}

func tcpClosedCases() []testCase {
	const clause = "RFC 9293 §3.10.7.1"
	// refused sends a segment to a port that nobody has.
	refused := func(flags byte, data string, number uint32) func(*peer) {
		return func(p *peer) {
			c := p.conn(closed)
			t := c.seg(flags)
			t.data = []byte(data)
			if flags&ack != 0 {
				t.ack = 987654321
			}
			c.out(t)
			if flags&ack != 0 {
				if k := c.awaitReset(987654321); k.tcp.has(ack) {
					p.fail("it has an acknowledgment: %v", k)
				}
				return
			}
			if k := c.awaitReset(0); !k.tcp.has(ack) || k.tcp.ack != c.iss+number {
				p.fail("it acknowledges %d, not %d", k.tcp.ack-c.iss, number)
			}
		}
	}
	return []testCase{
		{level: must, clause: clause, name: "reset a SYN to a closed port", run: refused(syn, "", 1)},
		{level: must, clause: clause, name: "count text and SYN in that reset", run: refused(syn, "12345", 6)},
		{level: must, clause: clause, name: "count a FIN as well", run: refused(syn|fin, "12345", 7)},
		{level: must, clause: clause, name: "reset a FIN without ACK", run: refused(fin, "", 1)},
		{level: must, clause: clause, name: "reset text without ACK", run: refused(psh, "abc", 3)},
		{level: must, clause: clause, name: "reset a segment without flags", run: refused(0, "", 0)},
		{level: must, clause: clause, name: "reset an ACK by its number", run: refused(ack, "", 0)},
		{level: must, clause: clause, name: "reset a SYN-ACK by its number", run: refused(syn|ack, "", 0)},
		{level: must, clause: clause, name: "reset a FIN with ACK by its number", run: refused(fin|ack, "abc", 0)},
		{level: must, clause: clause, name: "not answer a RST", run: noAnswer(closed, func(_ *peer, t *tcp, _ *ip) { t.flags = rst })},
		{level: must, clause: clause, name: "not answer a RST with ACK", run: noAnswer(closed, func(_ *peer, t *tcp, _ *ip) { t.flags = rst | ack })},
		{level: must, clause: "RFC 9293 MUST-3", name: "not reset a segment with a bad checksum", run: noAnswer(closed, func(_ *peer, t *tcp, _ *ip) { t.badSum = true })},
		{level: must, clause: "RFC 9293 MUST-57", name: "not reset a broadcast", run: noAnswer(closed, func(_ *peer, _ *tcp, h *ip) { h.dst = subnetBcast })},
		{level: must, clause: "RFC 9293 §3.1", name: "not reset a segment whose header is too short", run: noAnswer(closed, func(_ *peer, t *tcp, _ *ip) { t.offset = 3 })},
	}
}

func tcpOptionCases() []testCase {
	fine := func(options ...[]byte) func(*peer) {
		return func(p *peer) { p.open(echo, options...).alive() }
	}
	without := func(kind byte, options ...[]byte) func(*peer) {
		return func(p *peer) {
			if v, ok := offer(p, options...).option(kind); ok {
				p.fail("option %d with % x", kind, v)
			}
		}
	}
	later := func(options ...byte) func(*peer) {
		return func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh)
			t.options, t.data = options, []byte("with options")
			c.out(t)
			c.snd += uint32(len(t.data))
			c.awaitText("with options")
		}
	}
	return []testCase{
		{level: must, clause: "RFC 9293 MUST-6", name: "ignore an unknown option of a SYN", run: fine([]byte{253, 6, 1, 2, 3, 4}, mss(1460))},
		{level: must, clause: "RFC 9293 MUST-6", name: "find the MSS behind an unknown option", run: func(p *peer) {
			if n := largest(p, []byte{200, 3, 7}, mss(700)); n != 700 {
				p.fail("segments of up to %d", n)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-64", name: "find the MSS at an odd place", run: func(p *peer) {
			if n := largest(p, []byte{1}, mss(700)); n != 700 {
				p.fail("segments of up to %d", n)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-4", name: "look at nothing behind the end of the options", run: func(p *peer) {
			if n := largest(p, mss(600), []byte{0}, mss(900)[:3]); n != 600 {
				p.fail("segments of up to %d", n)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-7", name: "survive an option of length 0", run: fine(mss(1460), []byte{200, 0, 1, 1})},
		{level: must, clause: "RFC 9293 MUST-7", name: "survive an option of length 1", run: fine(mss(1460), []byte{200, 1, 1, 1})},
		{level: must, clause: "RFC 9293 MUST-7", name: "survive an option that is longer than the header", run: fine(mss(1460), []byte{200, 40, 1, 1})},
		{level: must, clause: "RFC 9293 MUST-7", name: "survive an option that has no length any more", run: fine(mss(1460), []byte{1, 1, 1, 200})},
		{level: must, clause: "RFC 9293 MUST-7", name: "survive an MSS of a wrong length", run: fine([]byte{2, 3, 5, 1})},
		{level: must, clause: "RFC 7323 §2.2", name: "survive a window scale of a wrong length", run: fine(mss(1460), []byte{3, 4, 7, 7})},
		{level: must, clause: "RFC 7323 §3.2", name: "survive timestamps of a wrong length", run: fine(mss(1460), []byte{8, 6, 1, 2, 3, 4, 1, 1})},
		{level: must, clause: "RFC 9293 MUST-5", name: "take forty octets of options in a SYN", run: fine(bytes.Repeat([]byte{1}, 40))},
		{level: must, clause: "RFC 9293 MUST-5", name: "take options in every segment", run: later(1, 1, 1, 0)},
		{level: must, clause: "RFC 9293 MUST-6", name: "ignore an unknown option in every segment", run: later(254, 4, 9, 9)},
		{level: must, clause: "RFC 9293 MUST-7", name: "survive a broken option in every segment", run: later(254, 0, 9, 9)},
		{level: must, clause: "RFC 9293 MUST-65", name: "ignore an MSS outside of a SYN", run: func(p *peer) {
			c := p.open(chargen, mss(1000))
			t := c.seg(ack)
			t.options = mss(300)
			c.out(t)
			p.fence()
			for end := c.rcv + 100000; int32(end-c.rcv) > 0; c.ack() {
				if k := c.await("text", func(t *tcp) bool { return len(t.data) > 0 }); len(k.tcp.data) == 1000 {
					c.abort()
					return
				}
			}
			p.fail("no segment of 1,000 any more")
		}},
		{level: must, clause: "RFC 2018 §2", name: "not say that it can SACK when the SYN did not ask", run: without(4, mss(1460))},
		{level: must, clause: "RFC 7323 §2.2", name: "not scale windows when the SYN did not", run: without(3, mss(1460))},
		{level: must, clause: "RFC 7323 §3.2", name: "not stamp when the SYN did not", run: without(8, mss(1460))},
		{level: should, clause: "RFC 2018 §2", name: "SACK when the SYN asks", run: func(p *peer) {
			if _, ok := offer(p, mss(1460), sackPermitted()).option(4); !ok {
				p.fail("no option")
			}
		}},
		{level: should, clause: "RFC 7323 §2.2", name: "scale windows when the SYN does, by 14 at most", run: func(p *peer) {
			if v, ok := offer(p, mss(1460), wscale(7)).option(3); !ok || len(v) != 1 || v[0] > 14 {
				p.fail("the option is % x", v)
			}
		}},
		{level: must, clause: "RFC 7323 §2.3", name: "take a shift of 15 for 14", timed: true, run: func(p *peer) {
			c := p.synReceived(chargen, mss(1460), wscale(15))
			c.win = 1
			c.ack()
			most := uint32(0)
			for range 60 {
				k := c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
				if n := k.tcp.seq + uint32(len(k.tcp.data)) - c.rcv; int32(n) > 0 {
					p.fail("a gap of %d", n)
				}
				for { // all that is under way
					k := c.try(15*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 })
					if k == nil {
						break
					}
					most = max(most, c.rcv-c.acked)
				}
				most = max(most, c.rcv-c.acked)
				c.ack()
			}
			if most > 16384 || most < 15000 {
				p.fail("%d octets under way in a window of 16,384", most)
			}
		}},
		{level: must, clause: "RFC 7323 §2.2", name: "not scale the window of a SYN-ACK", run: func(p *peer) {
			if t := offer(p, mss(1460), wscale(7)); t.win < 4*1460 {
				p.fail("it is %d", t.win)
			}
		}},
	}
}
