package wiresuite

import (
	"fmt"
	"time"
)

// tcpResetCases are SYN-RECEIVED, and resets that nobody has to believe.
func tcpResetCases() []testCase {
	const clause = "RFC 9293 §3.10.7.4"
	wrong := func(delta uint32) func(*peer) {
		return func(p *peer) {
			c := p.synReceived(echo)
			t := c.seg(ack)
			t.ack += delta
			c.out(t)
			c.awaitReset(t.ack)
		}
	}
	return []testCase{
		{level: must, clause: clause, name: "SYN-RECEIVED: reset an acknowledgment of more than the SYN", run: wrong(1)},
		{level: must, clause: clause, name: "SYN-RECEIVED: reset an acknowledgment of less than the SYN", run: wrong(^uint32(0))},
		{level: must, clause: clause, name: "SYN-RECEIVED: reset a wild acknowledgment", run: wrong(1 << 30)},
		{level: must, clause: clause, name: "SYN-RECEIVED: live on after a wrong acknowledgment", run: func(p *peer) {
			c := p.synReceived(echo)
			t := c.seg(ack)
			t.ack += 1 << 29
			c.out(t)
			c.awaitReset(t.ack)
			c.ack()
			c.alive()
		}},
		{level: must, clause: clause, name: "SYN-RECEIVED: answer the SYN when it comes again", run: func(p *peer) {
			c := p.synReceived(echo)
			t := c.seg(syn)
			t.seq, t.options = c.iss, mss(1460)
			p.sleep(1100 * time.Millisecond) // past a limit of such answers
			c.out(t)
			c.await("answer", func(t *tcp) bool { return t.has(ack) && t.ack == c.snd && !t.has(rst) })
			c.ack()
			c.alive()
		}},
		{level: must, clause: clause, name: "SYN-RECEIVED: return to LISTEN by a RST", run: func(p *peer) {
			c := p.synReceived(echo)
			c.out(c.seg(rst))
			c.gone()
			c.iss += 5000
			c.sendSYN()
			c.awaitSYNACK()
			c.ack()
			c.alive()
		}},
		{level: must, clause: clause, name: "take a SYN right behind a RST from the same port", run: func(p *peer) {
			c := p.open(echo)
			for range 4 {
				c.alive()
				c.out(c.seg(rst))
				c.iss += 1 << 20
				c.sendSYN()
				c.awaitSYNACK()
				c.ack()
			}
			c.alive()
		}},
		{level: must, clause: clause, name: "SYN-RECEIVED: take text with the acknowledgment", run: func(p *peer) {
			c := p.synReceived(echo)
			c.say("at once")
			c.awaitText("at once")
		}},
		{level: must, clause: clause, name: "SYN-RECEIVED: take a FIN with the acknowledgment", run: func(p *peer) {
			c := p.synReceived(echo)
			c.fin()
			c.awaitFIN()
			c.ack()
			c.gone()
		}},
		{level: must, clause: clause, name: "SYN-RECEIVED: take text when the acknowledgment was lost", run: func(p *peer) {
			c := p.synReceived(echo)
			t := c.seg(ack | psh)
			t.seq, t.data = c.snd+6, []byte("second")
			c.out(t)
			c.say("first ")
			c.snd += 6
			c.awaitText("first second")
		}},
		{level: must, clause: "RFC 9293 §3.8.1", name: "SYN-RECEIVED: send the SYN-ACK again", when: slow, run: func(p *peer) {
			c := p.synReceived(echo)
			for range 2 {
				c.await("SYN-ACK again", func(t *tcp) bool { return t.has(syn|ack) && t.seq == c.irs && t.ack == c.snd })
			}
			c.ack()
			c.alive()
		}},
		{level: must, clause: "RFC 6298 §2.1", name: "SYN-RECEIVED: wait a second before that, then twice as long", timed: true, when: slow, run: func(p *peer) {
			c := p.synReceived(echo)
			at := []time.Time{c.synAck.at}
			for range 3 {
				at = append(at, c.await("SYN-ACK again", func(t *tcp) bool { return t.has(syn | ack) }).at)
			}
			c.abort()
			growing(p, at, 950*time.Millisecond)
		}},
		{level: should, clause: "RFC 5961 §7", name: "limit challenge ACKs", when: alone, run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			n := 0
			for range 500 {
				t := c.seg(syn)
				t.seq += 10
				c.out(t)
			}
			for _, k := range p.fence() {
				if c.mine(k) && pure(k.tcp) {
					n++
				}
			}
			if n == 0 || n > 250 {
				p.fail("%d challenges of 500 SYNs", n)
			}
			c.alive()
		}},
		{level: must, clause: "RFC 5961 §3.2", name: "keep a connection under blind resets", when: alone, run: func(p *peer) {
			c := p.open(echo)
			c.alive()
			for i := range uint32(2000) {
				t := c.seg(rst)
				t.seq += 1 + i*30
				c.out(t)
			}
			p.fence()
			c.alive()
		}},
		{level: must, clause: "RFC 9293 §3.5.2", name: "not answer a reset with anything, ever", run: func(p *peer) {
			p.fence()
			for _, port := range []uint16{echo, closed} {
				for _, f := range []byte{rst, rst | ack, rst | fin, rst | psh | urg} {
					c := p.conn(port)
					c.out(c.seg(f))
				}
			}
			p.none("an answer", anyIP)
		}},
	}
}

// growing demands that the first gap is at least least, and that each is about
// twice the one before.
func growing(p *peer, at []time.Time, least time.Duration) {
	var gaps []time.Duration
	for i := range len(at) - 1 {
		gaps = append(gaps, at[i+1].Sub(at[i]))
	}
	text := fmt.Sprint(gaps)
	if gaps[0] < least {
		p.fail("the first gap is less than %v: %s", least, text)
	}
	for i := range len(gaps) - 1 {
		if r := float64(gaps[i+1]) / float64(gaps[i]); r < 1.7 {
			p.fail("the gaps do not double: %s", text)
		}
	}
}
