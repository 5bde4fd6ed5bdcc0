package wiresuite

import (
	"bytes"
	"strings"
	"time"
)

// soon tries up to five times to see something within d; once is enough, because
// the machine may be busy. do gives the time that it took.
func (p *peer) soon(what string, d time.Duration, do func() time.Duration) {
	var took []time.Duration
	for range 5 {
		t := do()
		if took = append(took, t); t <= d {
			return
		}
	}
	p.fail("%s: %v", what, took)
}

func tcpReceiveCases() []testCase {
	const clause = "RFC 9293 §3.10.7.4"
	full := strings.Repeat("x", 1460)
	return []testCase{
		{level: must, clause: "RFC 9293 MUST-40", name: "acknowledge text within half a second", when: slow, run: func(p *peer) {
			c := p.open(discard)
			p.soon("the acknowledgment took", 500*time.Millisecond, func() time.Duration {
				p.sleep(700 * time.Millisecond)
				at := time.Now()
				c.say("x")
				return c.awaitAck().at.Sub(at)
			})
		}},
		{level: should, clause: "RFC 9293 SHLD-18", name: "wait for company with acknowledgments", when: slow, kernel: "is quick with the short segments of a stream that goes one way", run: func(p *peer) {
			c := p.open(discard)
			for range 10 { // past a beginning with quick ones
				c.say(full)
				c.say(full)
				c.awaitAck()
			}
			for range 10 {
				n := 0
				for range 10 {
					at := time.Now()
					t := c.seg(ack) // a push would hurry some
					t.data = []byte("x")
					c.out(t)
					c.snd++
					if c.awaitAck().at.Sub(at) > 10*time.Millisecond {
						return
					}
					n++
				}
				p.sleep(50 * time.Millisecond)
			}
			p.fail("each segment is acknowledged at once")
		}},
		{level: should, clause: "RFC 9293 SHLD-19", name: "acknowledge each second full segment at once", run: func(p *peer) {
			c := p.open(discard)
			p.soon("the acknowledgment of two took", 30*time.Millisecond, func() time.Duration {
				c.say(full)
				c.say(full)
				at := time.Now()
				return c.awaitAck().at.Sub(at)
			})
		}},
		{level: should, clause: "RFC 9293 SHLD-31", name: "keep text that comes early", run: func(p *peer) {
			c := p.open(echo)
			c.sayAt(5, " world")
			p.fence()
			c.say("hello")
			c.snd += 6
			c.awaitAck()
			c.awaitText("hello world")
		}},
		{level: should, clause: "RFC 5681 §4.2", name: "acknowledge text that comes early at once", run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			p.soon("a duplicate acknowledgment took", 30*time.Millisecond, func() time.Duration {
				at := time.Now()
				c.sayAt(5, "early")
				return c.awaitAck().at.Sub(at)
			})
		}},
		{level: should, clause: "RFC 5681 §4.2", name: "acknowledge at once when a gap closes", run: func(p *peer) {
			c := p.open(discard)
			c.say(full)
			c.awaitAck()
			p.soon("the acknowledgment took", 30*time.Millisecond, func() time.Duration {
				c.sayAt(5, "early")
				c.awaitAck()
				at := time.Now()
				c.say("12345")
				c.snd += 5
				return c.awaitAck().at.Sub(at)
			})
		}},
		{level: must, clause: clause, name: "put text of any order and with overlaps together", run: func(p *peer) {
			c := p.open(echo)
			whole := "the quick brown fox jumps over the lazy dog"
			for _, r := range [][2]int{{40, 43}, {10, 20}, {15, 30}, {5, 12}, {35, 41}, {28, 36}, {0, 6}} {
				c.sayAt(r[0], whole[r[0]:r[1]])
			}
			c.snd += uint32(len(whole))
			c.awaitText(whole)
		}},
		{level: must, clause: clause, name: "take two hundred segments in reverse", run: func(p *peer) {
			c := p.open(echo)
			whole := string(text(200 * 20))
			for i := 199; i >= 0; i-- {
				c.sayAt(i*20, whole[i*20:i*20+20])
			}
			// What a host forgot comes again.
			for range 20 {
				if c.try(300*time.Millisecond, func(t *tcp) bool { return t.ack == c.snd+4000 }) != nil {
					break
				}
				for i := range 200 {
					c.sayAt(i*20, whole[i*20:i*20+20])
				}
			}
			c.snd += 4000
			c.awaitText(whole)
		}},
		{level: must, clause: clause, name: "take old and new text of one segment", run: func(p *peer) {
			c := p.open(echo)
			c.say("abc")
			c.awaitText("abc")
			c.sayAt(-3, "abcdef")
			c.snd += 3
			c.awaitText("abcdef")
		}},
		{level: must, clause: clause, name: "take the first of what came twice", run: func(p *peer) {
			c := p.open(echo)
			c.say("first")
			c.awaitText("first")
			c.sayAt(-5, "other")
			c.challenged("of a duplicate")
			c.alive()
			if string(c.data[:5]) != "first" {
				p.fail("%q", c.data)
			}
		}},
		{level: must, clause: "RFC 9293 MUST-3", name: "drop text with a bad checksum", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh)
			t.data, t.badSum = []byte("spoilt"), true
			c.out(t)
			c.unmoved("an answer")
			c.say("intact")
			c.awaitText("intact")
			if string(c.data) != "intact" {
				p.fail("%q", c.data)
			}
		}},
		{level: must, clause: "RFC 9293 §3.1", name: "ignore reserved bits of a segment", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh)
			t.data, t.reserved = []byte("reserved"), 0xe
			c.out(t)
			c.snd += 8
			c.awaitText("reserved")
		}},
		{level: must, clause: "RFC 9293 §3.8.4", name: "answer a keep-alive without text", run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			t := c.seg(ack)
			t.seq--
			c.out(t)
			c.challenged("of a keep-alive")
		}},
		{level: must, clause: "RFC 9293 MUST-30", name: "take urgent text", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh | urg)
			t.data, t.urg = []byte("urgent"), 6
			c.out(t)
			c.snd += 6
			c.awaitAck()
			c.say("and more")
			c.awaitAck()
			c.await("echo of the rest", func(t *tcp) bool { c.ack(); return bytes.HasSuffix(c.data, []byte("more")) })
		}},
		{level: must, clause: "RFC 9293 MUST-31", name: "take an urgent pointer beyond the segment", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | psh | urg)
			t.data, t.urg = []byte("soon"), 60000
			c.out(t)
			c.snd += 4
			c.awaitAck()
			c.alive()
		}},
		{level: must, clause: "RFC 9293 §3.8.5", name: "take URG without a pointer and without text", run: func(p *peer) {
			c := p.open(echo)
			c.out(c.seg(ack | urg))
			p.fence()
			c.say("a text")
			c.await("echo of the rest", func(t *tcp) bool { c.ack(); return bytes.HasSuffix(c.data, []byte("text")) })
		}},
		{level: must, clause: clause, name: "take ten thousand small segments", when: alone, run: func(p *peer) {
			c := p.open(discard)
			for range 50 {
				from := c.snd
				for try := 0; ; try++ { // a busy host may drop some
					c.snd = from
					for range 200 {
						c.say("y")
					}
					if c.try(2*time.Second, func(t *tcp) bool { return t.ack == c.snd && !t.has(rst) }) != nil {
						break
					}
					if try == 9 {
						p.fail("not all is acknowledged")
					}
				}
			}
		}},
		{level: must, clause: clause, name: "echo a hundred kilobytes intact", run: func(p *peer) {
			c := p.open(echo)
			whole := string(text(100_000))
			for at := 0; at < len(whole); at += 1000 {
				c.say(whole[at : at+1000])
				end := at + 1000
				for len(c.data) < end {
					c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
					c.ack()
				}
			}
			if string(c.data) != whole {
				p.fail("other text came back")
			}
		}},
		{level: must, clause: "RFC 793 §3.2", name: "take numbers that wrap around", run: func(p *peer) {
			c := p.conn(echo)
			c.iss = 0xffffff00
			c.snd = c.iss
			c.sendSYN()
			c.awaitSYNACK()
			c.ack()
			for range 5 {
				c.say(string(text(200)))
				c.awaitText(string(text(200)))
			}
		}},
	}
}
