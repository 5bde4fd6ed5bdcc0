package wiresuite

import (
	"fmt"
	"time"
)

// text reports whether a segment carries any.
func hasText(t *tcp) bool { return len(t.data) > 0 }

// flight opens chargen and reads a first flight without acknowledging it.
func flight(p *peer, options ...[]byte) *conn {
	c := p.open(chargen, options...)
	c.await("text", hasText)
	for c.try(40*time.Millisecond, hasText) != nil {
	}
	c.p.none("more", func(k *packet) bool { c.take(k); return false })
	return c
}

// grown is a flight after some round trips, with at least n segments under way.
func grown(p *peer, n int, options ...[]byte) *conn {
	c := flight(p, options...)
	for range 20 {
		if c.rcv-c.acked >= uint32(n*1448) {
			return c
		}
		c.ack()
		c.await("text", hasText)
		for c.try(20*time.Millisecond, hasText) != nil {
		}
	}
	p.fail("%d octets under way", c.rcv-c.acked)
	return nil
}

func tcpSendCases() []testCase {
	return []testCase{
		{level: must, clause: "RFC 6928 §2", name: "begin with ten segments at most", run: func(p *peer) {
			if c := flight(p); c.rcv-c.irs-1 > 10*1460 {
				p.fail("%d octets", c.rcv-c.irs-1)
			}
		}},
		{level: must, clause: "RFC 6928 §2", name: "begin with ten small segments at most", run: func(p *peer) {
			if c := flight(p, mss(200)); c.rcv-c.irs-1 > 10*200 {
				p.fail("%d octets", c.rcv-c.irs-1)
			}
		}},
		{level: must, clause: "RFC 5681 §3.1", name: "not more than double its flight in a round trip", timed: true, run: func(p *peer) {
			c := flight(p)
			before := c.rcv - c.acked
			c.ack()
			c.await("text", hasText)
			for c.try(40*time.Millisecond, hasText) != nil {
			}
			if after := c.rcv - c.acked; after > 2*max(before, 10*1460) {
				p.fail("%d octets after %d", after, before)
			}
		}},
		{level: must, clause: "RFC 5681 §3.1", name: "grow in slow start", run: func(p *peer) { grown(p, 20) }},
		{level: must, clause: "RFC 3465 §2.3", name: "not grow by acknowledgments of single octets as by those of segments", run: func(p *peer) {
			c := flight(p)
			first := c.rcv
			start := c.acked
			t := c.seg(ack)
			for i := uint32(1); i <= 100; i++ {
				t.ack = start + i
				c.out(t)
			}
			c.p.none("more", func(k *packet) bool { c.take(k); return false })
			if n := c.rcv - first; n > 3*1460 {
				p.fail("%d octets for a hundred", n)
			}
			c.abort()
		}},
		{level: should, clause: "RFC 9293 SHLD-7", name: "collect small texts while one is under way", timed: true, run: func(p *peer) {
			c := p.open(echo)
			c.say("a")
			c.await("echo", func(t *tcp) bool { return string(t.data) == "a" })
			c.rcv-- // not acknowledged
			c.say("b")
			c.say("c")
			c.p.none("a second segment under way", func(k *packet) bool { return c.mine(k) && len(k.tcp.data) > 0 && k.tcp.seq == c.rcv+1 })
			c.rcv++
			c.ack()
			if k := c.await("the rest", hasText); string(k.tcp.data) != "bc" && string(k.tcp.data) != "a" {
				p.fail("%q", k.tcp.data)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-61", name: "push the last of what there is", run: func(p *peer) {
			c := p.open(echo)
			c.say("push me")
			if k := c.await("echo", hasText); !k.tcp.has(psh) {
				p.fail("%v", k)
			}
		}},
		{level: must, clause: "RFC 9293 §3.1", name: "acknowledge with every segment", run: func(p *peer) {
			c := p.open(echo)
			for i := range 10 {
				c.say(fmt.Sprint("text ", i))
				if k := c.await("echo", hasText); !k.tcp.has(ack) || k.tcp.ack != c.snd {
					p.fail("%v", k)
				}
				c.ack()
			}
		}},
		{level: should, clause: "RFC 1191 §3", name: "forbid fragments of its segments", run: func(p *peer) {
			c := p.open(chargen)
			if k := c.await("text", hasText); k.ip.flags&dontFragment == 0 {
				p.fail("%v", k)
			}
			c.abort()
		}},
		{level: must, clause: "RFC 9293 MUST-49", name: "send segments with a time to live that crosses the Internet", run: func(p *peer) {
			if k := p.synReceived(echo).synAck; k.ip.ttl < 32 {
				p.fail("it is %d", k.ip.ttl)
			}
		}},
		{level: must, clause: "RFC 9293 §3.8.1", name: "send lost text again, the same", when: slow, run: func(p *peer) {
			c := p.open(echo)
			c.say("again")
			first := c.await("echo", hasText)
			second := c.await("echo again", hasText)
			if second.tcp.seq != first.tcp.seq || string(second.tcp.data) != "again" {
				p.fail("%v", second)
			}
			c.ack()
			c.alive()
		}},
	}
}

func tcpTimerCases() []testCase {
	return []testCase{
		{level: should, clause: "RFC 6298 §2.4", name: "wait a second at least before text goes again", timed: true, when: slow, kernel: "waits 200 ms", ours: "the timeout is the smoothed round trip and 200 ms at least: RFC 8961 (BCP 233) §5, which is later, asks for no floor, as smaller ones have done no harm, and F-RTO takes back a timeout that was for nothing; Config.MinRTO sets another", run: func(p *peer) {
			c := p.open(echo)
			for range 10 {
				c.alive()
			}
			c.say("again")
			first := c.await("echo", hasText)
			if d := c.await("echo again", hasText).at.Sub(first.at); d < 950*time.Millisecond {
				p.fail("%v", d)
			}
		}},
		{level: must, clause: "RFC 6298 §5.5", name: "double the time before each next one", timed: true, when: slow, run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			c.say("again")
			var at []time.Time
			for range 4 {
				at = append(at, c.await("echo", hasText).at)
			}
			growing(p, at, 150*time.Millisecond)
		}},
		{level: must, clause: "RFC 9293 MUST-18", name: "double the time before each next FIN", timed: true, when: slow, run: func(p *peer) {
			c := p.lastAck()
			var at []time.Time
			for range 4 {
				at = append(at, c.awaitFIN().at)
			}
			growing(p, at, 150*time.Millisecond)
		}},
		{level: must, clause: "RFC 6298 §5.7", name: "wait three seconds for text after a SYN was lost", timed: true, when: slow, run: func(p *peer) {
			c := p.dial()
			c.awaitSYN() // the second
			c.accept()
			c.say("again")
			first := c.await("echo", hasText)
			if d := c.await("echo again", hasText).at.Sub(first.at); d < 2900*time.Millisecond {
				p.fail("%v", d)
			}
		}},
		{level: must, clause: "RFC 6298 §5.4", name: "send one segment when the timer expires", timed: true, when: slow, run: func(p *peer) {
			c := flight(p)
			una := c.acked
			k := c.await("retransmission", hasText)
			if k.tcp.seq != una {
				p.fail("it is that of %d, not of %d", k.tcp.seq-una, 0)
			}
			n := 1
			end := time.Now().Add(150 * time.Millisecond)
			for time.Now().Before(end) {
				if k := c.try(time.Until(end), hasText); k != nil {
					n++
				}
			}
			if n > 1 {
				p.fail("%d segments", n)
			}
		}},
		{level: must, clause: "RFC 5681 §3.1", name: "begin slowly after that", timed: true, when: slow, run: func(p *peer) {
			c := grown(p, 20)
			una := c.acked
			c.await("retransmission", func(t *tcp) bool { return len(t.data) > 0 && t.seq == una })
			t := c.seg(ack)
			t.ack = una + 1460
			c.out(t)
			n := 0
			for c.try(40*time.Millisecond, hasText) != nil {
				n++
			}
			if n < 1 || n > 4 {
				p.fail("%d segments after the first acknowledgment", n)
			}
		}},
		{level: should, clause: "RFC 9293 SHLD-11", name: "try for a hundred seconds", when: minutes, run: func(p *peer) {
			c := p.open(echo)
			c.say("for long")
			start := time.Now()
			for time.Since(start) < 100*time.Second {
				if c.try(time.Second, anyRST) != nil {
					p.fail("a reset after %v", time.Since(start))
				}
			}
			c.data = []byte("for long")
			c.rcv = c.irs + 1 + 8
			c.ack()
			c.alive()
		}},
		{level: must, clause: "RFC 9293 MUST-23", name: "try to connect for three minutes", when: minutes, kernel: "gives up after 127 s, or 63 s", run: func(p *peer) {
			c := p.dial()
			start := time.Now()
			last := start
			for time.Since(start) < 181*time.Second {
				if c.try(time.Second, func(t *tcp) bool { return t.has(syn) }) != nil {
					last = time.Now()
				}
			}
			// It has not given up: the answer is taken now.
			if c.out(func() tcp { t := c.seg(syn | ack); t.seq = c.iss; t.options = mss(1460); return t }()); true {
				c.snd = c.iss + 1
			}
			k := c.await("ACK", func(t *tcp) bool { return true })
			if k.tcp.has(rst) {
				p.fail("given up; the last SYN came after %v", last.Sub(start))
			}
		}},
		{level: must, clause: "RFC 9293 MUST-22", name: "send the SYN again after a second, then after twice as long", timed: true, when: slow, kernel: "begins with four SYNs in equal distances", run: func(p *peer) {
			c := p.dial()
			at := []time.Time{c.synAck.at}
			for range 3 {
				k := c.await("SYN", func(t *tcp) bool { return t.has(syn) && !t.has(ack) })
				if k.tcp.seq != c.irs {
					p.fail("with another number")
				}
				at = append(at, k.at)
			}
			growing(p, at, 950*time.Millisecond)
		}},
		{level: must, clause: "RFC 9293 MUST-25", name: "not keep alive unless asked to", when: slow, run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			p.sleep(100 * time.Millisecond)
			p.quiet(20*time.Second, "a segment", c.mine)
		}},
		{level: must, clause: "RFC 9293 MUST-25", name: "not keep alive for minutes", when: minutes, run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			p.sleep(100 * time.Millisecond)
			p.quiet(170*time.Second, "a segment", c.mine)
			c.alive()
		}},
	}
}

func anyRST(t *tcp) bool { return t.has(rst) }
