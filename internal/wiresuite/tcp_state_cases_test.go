package wiresuite

// state is a synchronized state of the host and how it gets there. Segments that
// depend on it are judged in each.
type state struct {
	name    string
	enter   func(p *peer) *conn
	takes   bool // it takes text
	reopens bool // a RST or a SYN may end it by other rules: TIME-WAIT
	half    bool // SYN-RECEIVED: an ACK of what was not sent is reset
}

func states() []state {
	// held leaves the host's FIN without an acknowledgment.
	held := func(enter func(p *peer) *conn) func(p *peer) *conn {
		return func(p *peer) *conn {
			c := enter(p)
			c.rcv--
			return c
		}
	}
	return []state{
		{name: "SYN-RECEIVED", enter: func(p *peer) *conn { return p.synReceived(echo) }, half: true},
		{name: "ESTABLISHED", enter: func(p *peer) *conn { c := p.open(echo); c.alive(); return c }, takes: true},
		{name: "FIN-WAIT-1", enter: held(func(p *peer) *conn { return p.finWait1() })},
		{name: "FIN-WAIT-2", enter: func(p *peer) *conn { return p.finWait2() }},
		{name: "CLOSE-WAIT", enter: (*peer).closeWait},
		{name: "CLOSING", enter: held((*peer).closing)},
		{name: "LAST-ACK", enter: held((*peer).lastAck)},
		{name: "TIME-WAIT", enter: func(p *peer) *conn { return p.timeWait() }, reopens: true},
	}
}

// tcpStateCases are RFC 9293 §3.10.7.4 step by step, in each state.
func tcpStateCases() (cases []testCase) {
	const clause = "RFC 9293 §3.10.7.4"
	for _, s := range states() {
		add := func(l level, clause, name string, run func(c *conn)) {
			cases = append(cases, testCase{level: l, clause: clause, name: s.name + ": " + name, run: func(p *peer) {
				c := s.enter(p)
				p.fence()
				run(c)
			}})
		}
		add(must, clause, "acknowledge old text again", func(c *conn) { c.there() })
		add(must, clause, "acknowledge text beyond the window, and not take it", func(c *conn) {
			c.sayAt(1<<24, "far")
			c.challenged("of text beyond the window")
		})
		add(must, clause, "drop a segment without ACK", func(c *conn) {
			t := c.seg(psh)
			t.data = []byte("no ack")
			c.out(t)
			c.unanswered("an answer")
			if !s.half {
				c.there()
			}
		})
		add(must, clause, "ignore a RST outside of the window", func(c *conn) {
			t := c.seg(rst)
			t.seq -= 100
			c.out(t)
			t.seq += 1 << 24
			c.out(t)
			c.unanswered("an answer")
			c.there()
		})
		add(must, "RFC 9293 MUST-3", "ignore a RST with a bad checksum", func(c *conn) {
			t := c.seg(rst)
			t.badSum = true
			c.out(t)
			c.unanswered("an answer")
			c.there()
		})
		if s.half {
			continue
		}
		if !s.reopens {
			add(must, "RFC 5961 §3.2", "challenge a RST within the window that is not next", func(c *conn) {
				t := c.seg(rst)
				t.seq += 5
				c.out(t)
				c.challenged("of a RST")
				c.there()
			})
			add(must, clause, "end with a RST of the next number", func(c *conn) {
				c.out(c.seg(rst))
				c.unanswered("an answer to a RST")
				c.gone()
			})
			add(must, "RFC 5961 §4.2", "challenge a SYN within the window", func(c *conn) {
				t := c.seg(syn)
				t.seq += 10
				c.out(t)
				c.challenged("of a SYN")
				c.there()
			})
			add(must, "RFC 5961 §4.2", "challenge a SYN with the old number", func(c *conn) {
				t := c.seg(syn)
				t.seq = c.iss
				c.out(t)
				c.challenged("of a SYN")
				c.there()
			})
		}
		add(must, "RFC 9293 §3.10.7.4", "challenge a SYN-ACK", func(c *conn) {
			t := c.seg(syn | ack)
			t.seq = c.iss
			c.out(t)
			c.challenged("of a SYN-ACK")
			c.there()
		})
		if !s.reopens {
			add(must, clause, "not take an acknowledgment of what it has not sent", func(c *conn) {
				t := c.seg(ack | psh)
				t.ack += 70000
				t.data = []byte("acks the future")
				c.out(t)
				c.challenged("of an acknowledgment of the future")
				c.there()
			})
			add(must, "RFC 5961 §5.2", "not take text with an acknowledgment that is too old", func(c *conn) {
				t := c.seg(ack | psh)
				t.ack -= 1 << 30
				t.data = []byte("acks the past")
				c.out(t)
				c.challenged("of an acknowledgment of the far past")
				c.there()
			})
		}
		if s.takes {
			add(must, clause, "take text that begins before the window", func(c *conn) {
				c.say("known")
				c.awaitText("known")
				c.sayAt(-5, "known and new")
				c.snd += 8
				c.awaitText(" and new")
			})
		}
	}
	for i, c := range cases {
		switch c.name {
		case "FIN-WAIT-2: ignore a RST outside of the window", "FIN-WAIT-2: challenge a RST within the window that is not next",
			"FIN-WAIT-2: challenge a SYN within the window", "FIN-WAIT-2: not take an acknowledgment of what it has not sent",
			"FIN-WAIT-2: not take text with an acknowledgment that is too old", "TIME-WAIT: drop a segment without ACK":
			cases[i].kernel = "keeps a small record only of a connection that nobody holds any more"
		}
	}
	return cases
}
