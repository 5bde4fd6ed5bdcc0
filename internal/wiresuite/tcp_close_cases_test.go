package wiresuite

import "time"

// tcpCloseCases are the ends of connections.
func tcpCloseCases() []testCase {
	const clause = "RFC 9293 §3.10.7.4"
	half := "a stream that ends"
	return []testCase{
		{level: must, clause: clause, name: "CLOSE-WAIT: acknowledge a FIN", run: func(p *peer) {
			c := p.open(echo)
			c.fin()
			c.awaitAck()
		}},
		{level: must, clause: "RFC 9293 §3.6", name: "CLOSE-WAIT: still send all that was to be sent", run: func(p *peer) {
			c := p.closeWait()
			c.win = 65535
			c.ack()
			c.awaitText("text that nobody takes")
			if !c.peerFIN {
				c.awaitFIN()
			}
			c.ack()
			c.gone()
		}},
		{level: must, clause: clause, name: "ESTABLISHED: take text and FIN of one segment", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | fin | psh)
			t.data = []byte(half)
			c.out(t)
			c.snd += uint32(len(half)) + 1
			c.awaitText(half)
			if !c.peerFIN {
				c.awaitFIN()
			}
		}},
		{level: must, clause: clause, name: "ESTABLISHED: keep a FIN that comes before its text", run: func(p *peer) {
			c := p.open(echo)
			t := c.seg(ack | fin)
			t.seq += uint32(len(half))
			c.out(t)
			p.fence()
			c.say(half)
			c.snd++
			c.awaitText(half)
			if !c.peerFIN {
				// A host may forget what came early.
				t = c.seg(ack | fin)
				t.seq--
				c.out(t)
				c.awaitFIN()
			}
		}},
		{level: must, clause: clause, name: "CLOSE-WAIT: ignore text behind the FIN", run: func(p *peer) {
			c := p.closeWait()
			c.say("behind")
			c.snd -= 6
			c.win = 65535
			p.fence()
			c.ack()
			c.awaitText("text that nobody takes")
		}},
		{level: must, clause: clause, name: "CLOSE-WAIT: acknowledge a FIN that comes again", run: func(p *peer) {
			c := p.closeWait()
			c.snd--
			c.fin()
			c.challenged("of a FIN")
		}},
		{level: must, clause: clause, name: "LAST-ACK: be closed by the ACK of the FIN", run: func(p *peer) {
			c := p.lastAck()
			c.ack()
			c.gone()
		}},
		{level: must, clause: clause, name: "LAST-ACK: send the FIN again", when: slow, run: func(p *peer) {
			c := p.lastAck()
			c.awaitFIN()
			c.awaitFIN()
			c.ack()
			c.gone()
		}},
		{level: must, clause: clause, name: "LAST-ACK: acknowledge a FIN that comes again", run: func(p *peer) {
			c := p.lastAck()
			t := c.seg(ack | fin)
			t.seq--
			t.ack-- // not the host's FIN
			c.out(t)
			c.challenged("of a FIN")
		}},
		{level: must, clause: clause, name: "FIN-WAIT-1: send the FIN again", when: slow, run: func(p *peer) {
			c := p.finWait1()
			c.awaitFIN()
			c.awaitFIN()
			c.ack()
			c.there()
		}},
		{level: must, clause: clause, name: "FIN-WAIT-1: go through CLOSING when both close at once", run: func(p *peer) {
			c := p.closing()
			c.ack()
			p.fence()
			c.there() // in TIME-WAIT
		}},
		{level: must, clause: clause, name: "FIN-WAIT-1: go to TIME-WAIT by a FIN that acknowledges", run: func(p *peer) {
			c := p.finWait1()
			c.fin()
			c.awaitAck()
			c.there()
		}},
		{level: must, clause: clause, name: "FIN-WAIT-2: acknowledge a FIN", run: func(p *peer) {
			c := p.finWait2()
			c.fin()
			c.awaitAck()
		}},
		{level: must, clause: clause, name: "FIN-WAIT-2: keep a FIN of another order out", run: func(p *peer) {
			c := p.finWait2()
			t := c.seg(ack | fin)
			t.seq += 1 << 24
			c.out(t)
			c.challenged("of a FIN beyond the window")
			c.fin()
			c.awaitAck()
		}},
		{level: must, clause: clause, name: "CLOSING: acknowledge a FIN that comes again", run: func(p *peer) {
			c := p.closing()
			t := c.seg(ack | fin)
			t.seq--
			t.ack--
			c.out(t)
			c.challenged("of a FIN")
		}},
		{level: must, clause: "RFC 9293 MUST-13", name: "TIME-WAIT: acknowledge a FIN that comes again", run: func(p *peer) {
			c := p.timeWait()
			c.snd--
			c.fin()
			c.challenged("of a FIN")
		}},
		{level: must, clause: "RFC 9293 MUST-13", name: "TIME-WAIT: last for a minute at least", when: minutes, run: func(p *peer) {
			c := p.timeWait()
			p.sleep(55 * time.Second)
			c.there()
		}},
		{level: should, clause: "RFC 6191 §2", name: "TIME-WAIT: take a SYN with a later timestamp", run: func(p *peer) {
			c := p.timeWait(mss(1460), stamps(5000, 0))
			c.iss = c.snd + 100000
			c.clock += 10000
			c.sendSYN(mss(1460), stamps(c.clock, 0))
			c.awaitSYNACK()
			c.ack()
		}},
		{level: should, clause: "RFC 6191 §2", name: "TIME-WAIT: take a SYN with a later number", run: func(p *peer) {
			c := p.timeWait()
			c.iss = c.snd + 100000
			c.sendSYN()
			c.awaitSYNACK()
			c.ack()
		}},
		{level: must, clause: "RFC 9293 §3.6.1", name: "TIME-WAIT: not take a SYN with an old number and an old timestamp", run: func(p *peer) {
			c := p.timeWait(mss(1460), stamps(1<<20, 0))
			t := c.seg(syn)
			t.seq -= 1000
			t.options = append(mss(1460), stamps(1<<19, 0)...)
			c.out(t)
			c.challenged("of an old SYN")
		}},
		{level: should, clause: "RFC 9293 SHLD-3", name: "reset when text comes that nobody will read", run: func(p *peer) {
			c := p.finWait2()
			c.say("to nobody")
			c.await("reset", func(t *tcp) bool { return t.has(rst) })
		}},
		{level: must, clause: "RFC 9293 §3.5.1", name: "tell a station that has forgotten, which can begin anew", run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			old := c.snd
			c.iss += 1 << 30
			t := c.seg(syn)
			t.seq, t.options = c.iss, mss(1460)
			c.out(t)
			k := c.await("challenge", pure)
			if k.tcp.ack != old {
				p.fail("it acknowledges %d, not %d", k.tcp.ack, old)
			}
			r := c.seg(rst)
			r.seq = k.tcp.ack
			c.out(r)
			p.fence()
			c.sendSYN()
			c.awaitSYNACK()
			c.ack()
			c.data = nil
			c.alive()
		}},
		{level: must, clause: "RFC 9293 §3.6", name: "close many connections at once", run: func(p *peer) {
			var cs []*conn
			for range 40 {
				cs = append(cs, p.open(discard))
			}
			for _, c := range cs {
				c.fin()
				c.awaitFIN()
				c.ack()
			}
			for _, c := range cs {
				c.gone()
			}
		}},
	}
}
