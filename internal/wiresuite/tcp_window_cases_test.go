package wiresuite

import "time"

func tcpWindowCases() []testCase {
	return []testCase{
		{level: must, clause: "RFC 9293 §3.8.6", name: "not send beyond the window", run: func(p *peer) {
			c := p.synReceived(chargen)
			c.win = 3000
			c.ack()
			for range 30 {
				c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
				for c.try(10*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 }) != nil {
				}
				if n := c.rcv - c.acked; n > 3000 {
					p.fail("%d octets in a window of 3,000", n)
				}
				c.ack()
			}
			c.abort()
		}},
		{level: must, clause: "RFC 9293 MUST-1", name: "take the window as a number without sign", run: func(p *peer) {
			c := p.open(chargen) // window 65,535
			for range 40 {
				c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
				c.ack()
			}
			c.abort()
		}},
		{level: must, clause: "RFC 9293 MUST-38", name: "not send a small segment into a window that opens a little", timed: true, run: func(p *peer) {
			c := p.synReceived(chargen)
			c.win = 8 * 1460
			c.ack()
			for c.try(100*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 }) != nil {
			}
			c.win = 50
			c.ack()
			for _, k := range p.fence() {
				if c.mine(k) && len(k.tcp.data) > 0 && k.tcp.seq == c.rcv {
					p.fail("a segment of %d", len(k.tcp.data))
				}
			}
		}},
		{level: must, clause: "RFC 9293 §3.8.6.2.1", name: "send into a small window in the end", when: slow, run: func(p *peer) {
			c := p.synReceived(chargen)
			c.win = 8 * 1460
			c.ack()
			for c.try(100*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 }) != nil {
			}
			c.win = 50
			next := c.rcv
			c.ack()
			for range 10 { // acknowledge whatever probes
				c.await("text", func(t *tcp) bool { return true })
				if c.rcv != next {
					return
				}
				c.ack()
			}
			p.fail("nothing")
		}},
		{level: must, clause: "RFC 9293 MUST-39", name: "close its window when nobody reads, and keep its right edge", when: slow, run: fillWindow(false)},
		{level: must, clause: "RFC 9293 MUST-39", name: "open its window by a full segment at least", when: slow, run: fillWindow(true)},
		{level: must, clause: "RFC 9293 MUST-34", name: "survive a window that is taken back", run: func(p *peer) {
			c := p.synReceived(chargen)
			c.win = 20000
			c.ack()
			for c.try(100*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 }) != nil {
			}
			t := c.seg(ack)
			t.ack, t.win = c.acked, 1000
			c.out(t)
			p.fence()
			c.win = 30000
			c.ack()
			from := c.rcv
			for c.rcv == from {
				c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
			}
			c.abort()
		}},
		{level: should, clause: "RFC 9293 SHLD-15", name: "send nothing new when the window is taken back", timed: true, run: func(p *peer) {
			c := p.synReceived(chargen)
			c.win = 8 * 1460
			c.ack()
			for c.try(100*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 }) != nil {
			}
			edge := c.rcv
			t := c.seg(ack)
			t.ack, t.win = c.rcv-1460, 100
			c.out(t)
			p.none("text beyond", func(k *packet) bool { return c.mine(k) && int32(k.tcp.seq+uint32(len(k.tcp.data))-edge) > 0 })
			c.abort()
		}},
		{level: must, clause: "RFC 9293 MUST-36", name: "probe a closed window, again and again", when: slow, run: func(p *peer) {
			c := closedWindow(p)
			for range 3 {
				c.await("probe", func(t *tcp) bool { return !t.has(rst) })
				c.ack()
			}
			c.win = 65535
			c.ack()
			c.awaitText("text that nobody takes")
		}},
		{level: should, clause: "RFC 9293 SHLD-30", name: "double the time between probes", timed: true, when: slow, run: func(p *peer) {
			c := closedWindow(p)
			var at []time.Time
			for range 4 {
				at = append(at, c.await("probe", func(t *tcp) bool { return true }).at)
				c.ack()
			}
			growing(p, at, 100*time.Millisecond)
		}},
		{level: must, clause: "RFC 9293 MUST-37", name: "keep a connection whose window stays closed", when: minutes, run: func(p *peer) {
			c := closedWindow(p)
			for end := time.Now().Add(150 * time.Second); time.Now().Before(end); {
				if c.try(5*time.Second, func(t *tcp) bool { return !t.has(rst) }) != nil {
					c.ack()
				}
			}
			c.win = 65535
			c.ack()
			c.awaitText("text that nobody takes")
		}},
		{level: must, clause: "RFC 9293 §3.8.6", name: "send at once when a closed window opens", run: func(p *peer) {
			c := closedWindow(p)
			c.win = 65535
			c.ack()
			c.awaitText("text that nobody takes")
		}},
		{level: must, clause: "RFC 9293 MUST-66", name: "hear an acknowledgment, a FIN and a RST while its own window is closed", run: func(p *peer) {
			c := closedWindow(p)
			c.fin()
			c.awaitAck()
			c.out(c.seg(rst))
			c.gone()
		}},
		{level: must, clause: "RFC 7323 §2.3", name: "scale the windows that it gets", timed: true, run: func(p *peer) {
			c := p.synReceived(chargen, mss(1460), wscale(4))
			c.win = 500 // 8,000
			c.ack()
			for range 20 {
				c.await("text", func(t *tcp) bool { return len(t.data) > 0 })
				for c.try(10*time.Millisecond, func(t *tcp) bool { return len(t.data) > 0 }) != nil {
				}
				if n := c.rcv - c.acked; n > 8000 || n < 1460 {
					p.fail("%d octets in a window of 8,000", n)
				}
				c.ack()
			}
			c.abort()
		}},
	}
}

// closedWindow leaves text in the host that a closed window holds.
func closedWindow(p *peer) *conn {
	c := p.synReceived(echo)
	c.win = 0
	c.ack()
	c.say("text that nobody takes")
	c.awaitAck()
	return c
}

// fillWindow sends to an echo that cannot go out until the host's window is
// closed, watches its right edge, and then reads if open is set.
func fillWindow(open bool) func(*peer) {
	return func(p *peer) {
		c := p.synReceived(echo)
		c.win = 0
		edge := c.rcv // of the host: what it has acknowledged and offered
		edge = c.snd + uint32(c.synAck.tcp.win)
		c.ack()
		window := uint32(c.synAck.tcp.win)
		watch := func(t *tcp) bool {
			if t.has(rst) || !t.has(ack) {
				p.fail("flags %s", flagNames(t.flags))
			}
			e := t.ack + uint32(t.win)
			if int32(e-edge) < 0 && t.ack == c.snd { // of an old segment it may be less
				p.fail("the right edge went back by %d", edge-e)
			}
			if int32(e-edge) > 0 {
				edge = e
			}
			window = uint32(t.win)
			return t.ack == c.snd
		}
		block := string(text(1460))
		for total := 0; window > 0; {
			n := min(len(block), int(edge-c.snd))
			if n <= 0 {
				break
			}
			c.say(block[:n])
			if total += n; total > 64<<20 {
				p.fail("64 MB and the window is open")
			}
			if c.try(patience, watch) == nil {
				p.fail("no acknowledgment at a window of %d", window)
			}
		}
		// The window is closed: an octet more is not taken.
		c.sayAt(0, "!")
		k := c.await("answer to a probe", pure)
		if k.tcp.has(rst) || k.tcp.ack != c.snd || k.tcp.win != 0 {
			p.fail("a probe of a closed window is answered by %v", k)
		}
		if !open {
			c.abort()
			return
		}
		c.win = 65535
		c.ack()
		for {
			k := c.await("window", func(t *tcp) bool { return true })
			if k.tcp.win != 0 {
				if k.tcp.win < 1460 {
					p.fail("the window opens to %d", k.tcp.win)
				}
				break
			}
			c.ack()
		}
		c.abort()
	}
}
