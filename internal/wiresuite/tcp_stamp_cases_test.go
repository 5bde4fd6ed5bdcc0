package wiresuite

import "time"

// stampOf gives the timestamps of a segment.
func stampOf(p *peer, t *tcp) (val, ecr uint32) {
	v, ok := t.option(8)
	if !ok || len(v) != 8 {
		p.fail("no timestamps in %s len %d opts %x", flagNames(t.flags), len(t.data), t.options)
	}
	return be.Uint32(v), be.Uint32(v[4:])
}

func tcpStampCases() []testCase {
	stamped := func(p *peer, port uint16) *conn {
		c := p.conn(port)
		c.sendSYN(mss(1460), stamps(c.clock, 0))
		c.awaitSYNACK()
		c.ack()
		return c
	}
	return []testCase{
		{level: must, clause: "RFC 7323 §3.2", name: "echo the timestamp of a SYN", run: func(p *peer) {
			c := stamped(p, echo)
			if _, ecr := stampOf(p, c.synAck.tcp); ecr != c.clock {
				p.fail("it echoes %d, not %d", ecr, c.clock)
			}
		}},
		{level: must, clause: "RFC 7323 §3.2", name: "stamp every segment once that is agreed", run: func(p *peer) {
			c := stamped(p, echo)
			for range 5 {
				c.say("stamp")
				k := c.await("echo", func(t *tcp) bool { stampOf(p, t); return len(t.data) > 0 })
				stampOf(p, k.tcp)
				c.ack()
			}
			c.fin()
			k := c.awaitFIN()
			stampOf(p, k.tcp)
		}},
		{level: must, clause: "RFC 7323 §4.3", name: "echo the timestamp of the text that it acknowledges", run: func(p *peer) {
			c := stamped(p, echo)
			for range 5 {
				c.clock += 10
				c.say("stamp")
				k := c.await("echo", hasText)
				if _, ecr := stampOf(p, k.tcp); ecr != c.clock {
					p.fail("it echoes %d, not %d", ecr, c.clock)
				}
				c.ack()
			}
		}},
		{level: must, clause: "RFC 7323 §4.3", name: "not echo the timestamp of text that came early", run: func(p *peer) {
			c := stamped(p, discard)
			c.say("in order")
			c.awaitAck()
			before := c.clock
			c.clock += 100
			c.sayAt(10, "early")
			k := c.await("ACK", pure)
			if _, ecr := stampOf(p, k.tcp); ecr != before {
				p.fail("it echoes %d, not %d", ecr, before)
			}
		}},
		{level: must, clause: "RFC 7323 §5.4", name: "let its clock run by a millisecond to a second", timed: true, run: func(p *peer) {
			c := stamped(p, echo)
			v0, _ := stampOf(p, c.synAck.tcp)
			p.sleep(300 * time.Millisecond)
			c.say("later")
			k := c.await("echo", hasText)
			v1, _ := stampOf(p, k.tcp)
			d := k.at.Sub(c.synAck.at)
			if n := int32(v1 - v0); n < 0 || time.Duration(n) > 3*d/time.Millisecond+10 {
				p.fail("%d ticks in %v", n, d)
			}
		}},
		{level: must, clause: "RFC 7323 §5.2", name: "drop text with an old timestamp, and acknowledge", run: func(p *peer) {
			c := stamped(p, echo)
			c.alive()
			t := c.seg(ack | psh)
			t.data, t.options = []byte("old"), stamps(c.clock-1000, c.echoed)
			c.out(t)
			c.challenged("of an old timestamp")
			c.alive()
		}},
		{level: must, clause: "RFC 7323 §5.2", name: "take timestamps that wrap around", run: func(p *peer) {
			c := p.conn(echo)
			c.clock = 0xfffffff0
			c.sendSYN(mss(1460), stamps(c.clock, 0))
			c.awaitSYNACK()
			c.ack()
			for range 5 {
				c.clock += 10
				c.alive()
			}
		}},
		{level: should, clause: "RFC 7323 §3.2", name: "drop text without timestamps once they are agreed", kernel: "takes it", run: func(p *peer) {
			c := stamped(p, echo)
			c.alive()
			t := c.seg(ack | psh)
			t.data, t.options = []byte("bare"), []byte{1, 1, 1, 1}
			c.out(t)
			c.p.none("an acknowledgment", func(k *packet) bool { return c.mine(k) && k.tcp.ack != c.snd })
			c.alive()
		}},
		{level: must, clause: "RFC 7323 §3.2", name: "hear a RST without timestamps", run: func(p *peer) {
			c := stamped(p, echo)
			c.alive()
			c.out(c.seg(rst))
			p.fence()
			c.stamped = false
			c.gone()
		}},
		{level: must, clause: "RFC 7323 §5.2", name: "hear a RST with an old timestamp", run: func(p *peer) {
			c := stamped(p, echo)
			c.alive()
			t := c.seg(rst)
			t.options = stamps(c.clock-1000, c.echoed)
			c.out(t)
			p.fence()
			c.stamped = false
			c.gone()
		}},
		{level: must, clause: "RFC 7323 §3.2", name: "not take timestamps outside of what was agreed amiss", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh)
			t.data, t.options = []byte("stamped"), stamps(5, 6)
			c.out(t)
			c.snd += 7
			c.awaitText("stamped")
		}},
		{level: must, clause: "RFC 7323 §3.2", name: "stamp retransmissions anew", when: slow, run: func(p *peer) {
			c := stamped(p, echo)
			c.say("again")
			k1 := c.await("echo", hasText)
			k2 := c.await("echo again", hasText)
			v1, _ := stampOf(p, k1.tcp)
			v2, _ := stampOf(p, k2.tcp)
			if v1 == v2 {
				p.fail("both say %d", v1)
			}
			c.ack()
		}},
		{level: must, clause: "RFC 7323 §4.3", name: "measure by an echo after a retransmission", when: slow, run: func(p *peer) {
			c := stamped(p, echo)
			c.alive()
			c.say("again")
			c.await("echo", hasText)
			c.await("echo again", hasText)
			c.ack()
			c.alive()
		}},
		{level: must, clause: "RFC 1337", name: "keep TIME-WAIT under old text", run: func(p *peer) {
			c := p.timeWait(mss(1460), stamps(10000, 0))
			c.sayAt(-20, "old text of before")
			c.challenged("of old text")
			c.there()
		}},
	}
}
