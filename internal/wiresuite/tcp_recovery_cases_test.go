package wiresuite

import "time"

// duplicate sends n acknowledgments of una, with these options.
func (c *conn) duplicate(una uint32, n int, options []byte) {
	for range n {
		t := c.seg(ack)
		t.ack, t.options = una, options
		c.out(t)
	}
}

// segments gives what comes at once: the places of the text from una on.
func (c *conn) segments(una uint32) (at []int) {
	for _, k := range c.p.fence() {
		c.take(k)
		if c.mine(k) && len(k.tcp.data) > 0 {
			at = append(at, int(int32(k.tcp.seq-una)))
		}
	}
	return at
}

// segment is how much text one of a flight carries.
const segment = 1000

func tcpRecoveryCases() []testCase {
	// lossy is a flight of segments of 1,000, of at least n.
	lossy := func(p *peer, n int, options ...[]byte) *conn {
		c := grown(p, n*segment/1448+1, append([][]byte{mss(segment)}, options...)...)
		return c
	}
	return []testCase{
		{level: must, clause: "RFC 5681 §3.2", name: "send again after three duplicate acknowledgments", run: func(p *peer) {
			p.retry("fast retransmission", func() bool {
				c := lossy(p, 12)
				una := c.acked
				c.duplicate(una, 3, nil)
				for _, at := range c.segments(una) {
					if at == 0 {
						return true
					}
				}
				return false
			})
		}},
		{level: must, clause: "RFC 5681 §3.2", name: "not send again after two", timed: true, run: func(p *peer) {
			c := lossy(p, 12)
			una := c.acked
			c.duplicate(una, 2, nil)
			start := time.Now()
			for _, at := range c.segments(una) {
				if at == 0 && time.Since(start) < 150*time.Millisecond {
					p.fail("at once")
				}
			}
		}},
		{level: should, clause: "RFC 3042 §2", name: "send new text for each of the first two duplicates", run: func(p *peer) {
			p.retry("limited transmit", func() bool {
				c := lossy(p, 12)
				una, next := c.acked, c.rcv
				c.duplicate(una, 1, nil)
				return len(c.segments(next)) >= 1
			})
		}},
		{level: must, clause: "RFC 5681 §3.2", name: "not take text for a duplicate acknowledgment", timed: true, run: func(p *peer) {
			c := lossy(p, 12)
			una := c.acked
			for range 5 { // each carries text
				t := c.seg(ack | psh)
				t.ack, t.data = una, []byte("z")
				c.out(t)
				c.snd++
			}
			start := time.Now()
			for _, at := range c.segments(una) {
				if at == 0 && time.Since(start) < 150*time.Millisecond {
					p.fail("it sends again")
				}
			}
		}},
		{level: must, clause: "RFC 5681 §3.2", name: "not take a window update for a duplicate acknowledgment", timed: true, run: func(p *peer) {
			c := p.synReceived(chargen, mss(segment))
			c.win = 20000
			c.ack()
			for range 5 {
				c.await("text", hasText)
				for c.try(20*time.Millisecond, hasText) != nil {
				}
				c.ack()
			}
			c.await("text", hasText)
			for c.try(20*time.Millisecond, hasText) != nil {
			}
			una := c.acked
			for i := range uint16(5) {
				t := c.seg(ack)
				t.ack, t.win = una, 20100+i*100
				c.out(t)
			}
			start := time.Now()
			for _, at := range c.segments(una) {
				if at == 0 && time.Since(start) < 150*time.Millisecond {
					p.fail("it sends again")
				}
			}
		}},
		{level: must, clause: "RFC 6582 §3.2", name: "send the next lost segment after a partial acknowledgment", kernel: "its rate reduction may hold it back", run: func(p *peer) {
			p.retry("retransmission of the second", func() bool {
				c := lossy(p, 16)
				una := c.acked
				c.duplicate(una, 14, nil) // of sixteen, the first and the fifth are lost
				c.segments(una)
				c.duplicate(una+4*segment, 1, nil)
				for _, at := range c.segments(una) {
					if at == 4*segment {
						return true
					}
				}
				return false
			})
		}},
		{level: must, clause: "RFC 5681 §3.2", name: "halve its flight after a loss", timed: true, run: func(p *peer) {
			c := lossy(p, 20)
			una := c.acked
			n := int(c.rcv - una)
			c.duplicate(una, 3, nil)
			c.await("retransmission", func(t *tcp) bool { return t.seq == una && len(t.data) > 0 })
			for c.try(20*time.Millisecond, hasText) != nil {
			}
			c.ack() // all of it
			c.await("text", hasText)
			for c.try(30*time.Millisecond, hasText) != nil {
			}
			if m := int(c.rcv - c.acked); m > n*8/10 {
				p.fail("%d octets under way before, %d after", n, m)
			}
		}},
		{level: must, clause: "RFC 2018 §5", name: "not send again what is SACKed", run: func(p *peer) {
			p.retry("retransmission of the holes", func() bool {
				c := lossy(p, 16, sackPermitted())
				una := c.acked
				// Lost are 0 and 2; the rest has come.
				top := una + uint32((c.rcv-una)/segment*segment)
				for range 4 {
					c.duplicate(una, 1, sackBlocks(una+3*segment, top, una+segment, una+2*segment))
				}
				seen := map[int]bool{}
				for _, at := range c.segments(una) {
					if at == segment || at >= 3*segment && at < int(top-una) {
						p.fail("it sends what was SACKed: %d", at)
					}
					seen[at] = true
				}
				return seen[0] && seen[2*segment]
			})
		}},
		{level: must, clause: "RFC 2018 §5", name: "survive SACK blocks of what it has never sent", run: func(p *peer) {
			c := lossy(p, 12, sackPermitted())
			una := c.acked
			c.duplicate(una, 4, sackBlocks(una+1<<20, una+1<<21))
			c.duplicate(una, 4, sackBlocks(una-5000, una-3000))
			c.duplicate(una, 4, sackBlocks(una+3*segment, una+2*segment))
			c.duplicate(una, 4, []byte{1, 1, 5, 7, 1, 2, 3, 4})
			c.segments(una)
			c.ack()
			c.await("text", hasText)
			c.abort()
		}},
		{level: must, clause: "RFC 2018 §8", name: "send again what was SACKed and never acknowledged", when: slow, run: func(p *peer) {
			c := lossy(p, 12, sackPermitted())
			una := c.acked
			for range 4 {
				c.duplicate(una, 1, sackBlocks(una+segment, una+6*segment))
			}
			c.await("retransmission of the first", func(t *tcp) bool { return t.seq == una && len(t.data) > 0 })
			// The receiver has thrown the others away: it goes on from the second.
			c.duplicate(una+segment, 1, nil)
			c.await("retransmission of the second", func(t *tcp) bool { return t.seq == una+segment && len(t.data) > 0 })
		}},
		{level: should, clause: "RFC 2018 §4", name: "SACK what comes early", run: func(p *peer) {
			c := p.open(echo, mss(1460), sackPermitted())
			c.sayAt(100, "early")
			wantBlocks(c, c.snd+100, c.snd+105)
		}},
		{level: should, clause: "RFC 2018 §4", name: "name the latest block first, and those before it again", run: func(p *peer) {
			c := p.open(echo, mss(1460), sackPermitted())
			c.sayAt(100, "early")
			wantBlocks(c, c.snd+100, c.snd+105)
			c.sayAt(200, "later")
			wantBlocks(c, c.snd+200, c.snd+205, c.snd+100, c.snd+105)
			c.sayAt(50, "between")
			wantBlocks(c, c.snd+50, c.snd+57, c.snd+200, c.snd+205, c.snd+100, c.snd+105)
		}},
		{level: should, clause: "RFC 2018 §4", name: "join blocks that touch", run: func(p *peer) {
			c := p.open(echo, mss(1460), sackPermitted())
			c.sayAt(100, "12345")
			wantBlocks(c, c.snd+100, c.snd+105)
			c.sayAt(105, "67890")
			wantBlocks(c, c.snd+100, c.snd+110)
		}},
		{level: must, clause: "RFC 2018 §3", name: "name three blocks at most beside timestamps", run: func(p *peer) {
			c := p.open(echo, mss(1460), sackPermitted(), stamps(1000, 0))
			for i := range 6 {
				c.sayAt(100+100*i, "block")
				k := c.await("ACK", pure)
				if v, _ := k.tcp.option(5); len(v) == 0 || len(v) > 24 || len(v)%8 != 0 {
					p.fail("at %d the option has %d octets", i, len(v))
				}
			}
		}},
		{level: must, clause: "RFC 2018 §4", name: "not SACK what is acknowledged", timed: true, run: func(p *peer) {
			c := p.open(echo, mss(1460), sackPermitted())
			c.sayAt(5, "world")
			c.awaitAck()
			c.say("hello")
			c.snd += 5
			k := c.awaitAck()
			if v, ok := k.tcp.option(5); ok {
				p.fail("% x", v)
			}
		}},
		{level: must, clause: "RFC 2018 §2", name: "not SACK for who did not permit it", run: func(p *peer) {
			c := p.open(echo)
			c.sayAt(100, "early")
			k := c.awaitAck()
			if _, ok := k.tcp.option(5); ok {
				p.fail("%v", k)
			}
		}},
		{level: should, clause: "RFC 2883 §4.1", name: "say by D-SACK what has come twice", run: func(p *peer) {
			c := p.open(discard, mss(1460), sackPermitted())
			c.say("twice")
			c.awaitAck()
			c.sayAt(-5, "twice")
			wantBlocks(c, c.snd-5, c.snd)
		}},
		{level: should, clause: "RFC 2883 §4.1", name: "say by D-SACK what has come early and twice", run: func(p *peer) {
			c := p.open(discard, mss(1460), sackPermitted())
			c.sayAt(100, "early")
			wantBlocks(c, c.snd+100, c.snd+105)
			c.sayAt(100, "early")
			wantBlocks(c, c.snd+100, c.snd+105, c.snd+100, c.snd+105)
		}},
		{level: should, clause: "RFC 8985 §7", name: "probe the tail of a flight soon", run: func(p *peer) {
			p.retry("tail loss probe", func() bool {
				c := lossy(p, 12, sackPermitted())
				last := c.rcv
				start := time.Now()
				k := c.await("probe", hasText)
				return k.at.Sub(start) < 190*time.Millisecond && int32(k.tcp.seq+uint32(len(k.tcp.data))-last) >= 0
			})
		}},
	}
}

// retry tries five times: a busy machine may let a timer come first.
func (p *peer) retry(what string, do func() bool) {
	for range 5 {
		if do() {
			return
		}
	}
	p.fail("no %s", what)
}

// wantBlocks waits for an acknowledgment with these SACK blocks.
func wantBlocks(c *conn, edges ...uint32) {
	k := c.await("ACK with SACK blocks", func(t *tcp) bool { _, ok := t.option(5); return ok || t.has(rst) })
	v, _ := k.tcp.option(5)
	var got []uint32
	for ; len(v) >= 4; v = v[4:] {
		got = append(got, be.Uint32(v))
	}
	for i, e := range edges {
		if i >= len(got) || got[i] != e || len(got) != len(edges) {
			for j := range got {
				got[j] -= c.snd
			}
			for j := range edges {
				edges[j] -= c.snd
			}
			c.p.fail("the blocks are %d, not %d (from the next number)", toInts(got), toInts(edges))
		}
	}
}

func toInts(u []uint32) (out []int32) {
	for _, v := range u {
		out = append(out, int32(v))
	}
	return out
}
