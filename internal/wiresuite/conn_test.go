package wiresuite

import (
	"bytes"
	"fmt"
	"time"
)

// Ports of the small services.
const (
	echo    = 7
	discard = 9
	daytime = 13
	chargen = 19
	command = 4000
	closed  = 4999 // nobody listens there
)

// Options of TCP.
func mss(n int) []byte      { return []byte{2, 4, byte(n >> 8), byte(n)} }
func wscale(n byte) []byte  { return []byte{1, 3, 3, n} }
func sackPermitted() []byte { return []byte{1, 1, 4, 2} }
func stamps(val, ecr uint32) []byte {
	return be.AppendUint32(be.AppendUint32([]byte{1, 1, 8, 10}, val), ecr)
}
func sackBlocks(edges ...uint32) []byte {
	b := []byte{1, 1, 5, byte(2 + 4*len(edges))}
	for _, e := range edges {
		b = be.AppendUint32(b, e)
	}
	return b
}

// conn is the station's end of a connection with the host.
type conn struct {
	p          *peer
	host, port uint16
	iss, snd   uint32 // snd: next to send
	irs, rcv   uint32 // rcv: next to receive
	win        uint16
	stamped    bool   // put timestamps into segments
	clock      uint32 // own timestamp
	echoed     uint32 // the host's last one
	acked      uint32 // the last acknowledgment that was sent
	said       tcp    // the last segment that was sent
	synAck     *packet
	data       []byte // what has been received in order
	peerFIN    bool
}

// conn prepares a connection from a new port.
func (p *peer) conn(host uint16) *conn {
	p.port++
	iss := p.rand.Uint32()
	return &conn{p: p, host: host, port: p.port, iss: iss, snd: iss, win: 65535, clock: 1000 + p.rand.Uint32()>>4}
}

// seg is a segment that the host would take next.
func (c *conn) seg(flags byte) tcp {
	t := tcp{src: c.port, dst: c.host, seq: c.snd, flags: flags, win: c.win}
	if flags&ack != 0 {
		t.ack = c.rcv
	}
	return t
}

// out sends a segment and moves nothing.
func (c *conn) out(t tcp) {
	if c.stamped && t.options == nil && t.flags&rst == 0 {
		t.options = stamps(c.clock, c.echoed)
	}
	if t.has(ack) {
		c.acked = t.ack
	}
	c.said = t
	c.p.send(ip{proto: protoTCP, payload: t.bytes(c.p.ip, c.p.lan.host)})
}

// say sends text and moves on.
func (c *conn) say(data string) {
	t := c.seg(ack | psh)
	t.data = []byte(data)
	c.out(t)
	c.snd += uint32(len(data))
}

// sayAt sends text that begins at an offset from the next number.
func (c *conn) sayAt(offset int, data string) {
	t := c.seg(ack | psh)
	t.seq += uint32(offset)
	t.data = []byte(data)
	c.out(t)
}

// ack acknowledges all that was received.
func (c *conn) ack() { c.out(c.seg(ack)) }

// fin ends the own stream.
func (c *conn) fin() {
	c.out(c.seg(ack | fin))
	c.snd++
}

// mine reports whether a packet is a segment of this connection.
func (c *conn) mine(k *packet) bool {
	return k.tcp != nil && k.tcp.src == c.host && k.tcp.dst == c.port && k.ip.dst == c.p.ip
}

// take keeps what comes in order.
func (c *conn) take(k *packet) {
	if !c.mine(k) || k.tcp.has(rst) {
		return
	}
	if v, ok := k.tcp.option(8); ok && len(v) == 8 {
		c.echoed = be.Uint32(v)
	}
	if k.tcp.has(syn) {
		return
	}
	skip := int32(c.rcv - k.tcp.seq)
	if skip < 0 || int(skip) > len(k.tcp.data) {
		return
	}
	c.data = append(c.data, k.tcp.data[skip:]...)
	c.rcv += uint32(len(k.tcp.data)) - uint32(skip)
	if k.tcp.has(fin) && !c.peerFIN {
		c.peerFIN = true
		c.rcv++
	}
}

func (c *conn) try(d time.Duration, match func(*tcp) bool) *packet {
	return c.p.try(d, func(k *packet) bool {
		if !c.mine(k) {
			return false
		}
		c.take(k)
		return match(k.tcp)
	})
}

// await waits for a segment of the connection that matches.
func (c *conn) await(what string, match func(*tcp) bool) *packet {
	k := c.try(patience, match)
	if k == nil {
		c.p.fail("no %s", what)
	}
	return k
}

// awaitAck waits until all that was said is acknowledged.
func (c *conn) awaitAck() *packet {
	return c.await("acknowledgment of what was sent", func(t *tcp) bool {
		if t.has(rst) {
			c.p.fail("a reset instead of an acknowledgment")
		}
		return t.has(ack) && t.ack == c.snd
	})
}

// awaitReset waits for a reset and checks its number.
func (c *conn) awaitReset(seq uint32) *packet {
	k := c.await("reset", func(t *tcp) bool { return t.has(rst) })
	if k.tcp.seq != seq {
		c.p.fail("the reset has sequence number %d, not %d", k.tcp.seq, seq)
	}
	return k
}

// awaitText waits until the host has sent this, and acknowledges it.
func (c *conn) awaitText(want string) {
	end := time.Now().Add(patience)
	for !bytes.HasSuffix(c.data, []byte(want)) {
		if c.try(time.Until(end), func(t *tcp) bool { return len(t.data) > 0 || t.has(rst) }) == nil {
			c.p.fail("got %q, not %q", c.data[max(0, len(c.data)-80):], want[max(0, len(want)-80):])
		}
		c.ack()
	}
}

// awaitFIN waits for the end of the host's stream, without acknowledging it.
func (c *conn) awaitFIN() *packet {
	return c.await("FIN", func(t *tcp) bool { return t.has(fin) })
}

// alive demands that text still goes through the echo service.
func (c *conn) alive() {
	text := fmt.Sprintf("still %d here", c.p.rand.Uint32())
	c.say(text)
	c.awaitText(text)
}

// unmoved demands that the host says nothing of this connection, then that it
// lives.
func (c *conn) unmoved(what string) {
	c.p.none(what, func(k *packet) bool { c.take(k); return c.mine(k) })
}

// pure reports whether a segment is no retransmission: an ACK alone, or a reset.
func pure(t *tcp) bool { return t.has(rst) || t.flags&(syn|fin) == 0 && len(t.data) == 0 }

// challenged demands an acknowledgment of the present state and nothing else, as the
// answer to what was sent last. A window probe or a retransmission that falls due
// just then may carry it: then the host is asked again.
func (c *conn) challenged(why string) {
	question := c.said
	for range 5 {
		k := c.await("ACK "+why, func(t *tcp) bool { return pure(t) || t.has(ack) && t.ack == c.snd })
		for _, next := range c.behind(k) {
			if c.mine(next) && pure(next.tcp) {
				k = next
				break
			}
		}
		switch {
		case !pure(k.tcp):
			c.out(question)
			continue
		case k.tcp.has(rst) || !k.tcp.has(ack) || k.tcp.ack != c.snd:
			c.p.fail("%s: %v instead of an ACK of %d", why, k, c.snd)
		}
		return
	}
	c.p.fail("no ACK %s, only text and FINs", why)
}

// behind returns what follows a segment that has text or a FIN and answers what was
// sent before, nothing for another one.
func (c *conn) behind(k *packet) []*packet {
	if pure(k.tcp) {
		return nil
	}
	next := c.p.fence()
	for _, k := range next {
		c.take(k)
	}
	return next
}

// unanswered demands that the host sends nothing but retransmissions.
func (c *conn) unanswered(what string) {
	c.p.none(what, func(k *packet) bool { c.take(k); return c.mine(k) && pure(k.tcp) })
}

// there demands that the connection still is: an old octet is acknowledged again.
func (c *conn) there() {
	c.sayAt(-1, "?")
	c.challenged("of an old octet")
}

// gone demands that the connection is no more.
func (c *conn) gone() {
	c.p.fence()
	c.out(c.seg(ack))
	c.awaitReset(c.rcv)
}

// open sends a SYN with these options, or a usual MSS, and finishes the handshake.
func (p *peer) open(host uint16, options ...[]byte) *conn {
	c := p.synReceived(host, options...)
	c.ack()
	return c
}

// synReceived leaves the host in SYN-RECEIVED.
func (p *peer) synReceived(host uint16, options ...[]byte) *conn {
	c := p.conn(host)
	c.sendSYN(options...)
	c.awaitSYNACK()
	return c
}

func (c *conn) sendSYN(options ...[]byte) {
	t := c.seg(syn)
	t.seq = c.iss
	t.options = mss(1460)
	if len(options) > 0 {
		t.options = bytes.Join(options, nil)
	}
	_, c.stamped = t.option(8)
	c.out(t)
	c.snd = c.iss + 1
}

func (c *conn) awaitSYNACK() *packet {
	c.synAck = c.await("SYN-ACK", func(t *tcp) bool { return t.has(syn|ack) && !t.has(rst) })
	if c.synAck.tcp.ack != c.iss+1 {
		c.p.fail("the SYN-ACK acknowledges %d, not %d", c.synAck.tcp.ack, c.iss+1)
	}
	c.irs = c.synAck.tcp.seq
	c.rcv = c.irs + 1
	if v, ok := c.synAck.tcp.option(8); ok && len(v) == 8 {
		c.echoed = be.Uint32(v)
	} else {
		c.stamped = false
	}
	return c.synAck
}

// dial makes the host connect to a new port of the station. It is in SYN-SENT then.
func (p *peer) dial() *conn {
	c := p.conn(0)
	p.command(fmt.Sprintf("dial %v %d", p.ip, c.port))
	c.awaitSYN()
	return c
}

// command sends a command to the host.
func (p *peer) command(text string) {
	p.port++
	p.send(ip{proto: protoUDP, payload: udp{src: p.port, dst: command, data: []byte(text)}.bytes(p.ip, p.lan.host)})
}

func (c *conn) awaitSYN() *packet {
	k := c.p.expect("SYN after dial", func(k *packet) bool {
		return k.tcp != nil && k.tcp.dst == c.port && k.tcp.has(syn) && !k.tcp.has(ack) && k.ip.dst == c.p.ip
	})
	c.host, c.irs, c.rcv, c.synAck = k.tcp.src, k.tcp.seq, k.tcp.seq+1, k
	if v, ok := k.tcp.option(8); ok && len(v) == 8 {
		c.echoed = be.Uint32(v)
	}
	return k
}

// accept answers the SYN of a dial and waits for the ACK.
func (c *conn) accept(options ...[]byte) *packet {
	t := c.seg(syn | ack)
	t.seq = c.iss
	t.options = mss(1460)
	if len(options) > 0 {
		t.options = bytes.Join(options, nil)
	}
	_, has := t.option(8)
	c.out(t)
	c.snd = c.iss + 1
	c.stamped = has
	return c.await("ACK of the SYN-ACK", func(t *tcp) bool { return t.has(ack) && t.ack == c.snd && !t.has(syn) })
}

// The states that need some steps. The host closes first on daytime.

// finWait1 leaves the host in FIN-WAIT-1: neither its text nor its FIN is acknowledged.
func (p *peer) finWait1(options ...[]byte) *conn {
	c := p.open(daytime, options...)
	c.awaitFIN()
	return c
}

// finWait2 acknowledges the FIN.
func (p *peer) finWait2(options ...[]byte) *conn {
	c := p.finWait1(options...)
	c.ack()
	return c
}

// closing sends a FIN that does not acknowledge the host's.
func (p *peer) closing() *conn {
	c := p.finWait1()
	t := c.seg(ack | fin)
	t.ack = c.rcv - 1
	c.out(t)
	c.snd++
	c.awaitAck()
	return c
}

// timeWait ends both streams, the host's first.
func (p *peer) timeWait(options ...[]byte) *conn {
	c := p.finWait2(options...)
	c.fin()
	c.awaitAck()
	return c
}

// closeWait leaves the host in CLOSE-WAIT, with an echo that a closed window holds.
func (p *peer) closeWait() *conn {
	c := p.synReceived(echo)
	c.win = 0
	c.ack()
	c.say("text that nobody takes")
	c.awaitAck()
	c.fin()
	c.awaitAck()
	return c
}

// lastAck leaves the host in LAST-ACK: it has sent its FIN after the station's.
func (p *peer) lastAck() *conn {
	c := p.open(discard)
	c.fin()
	c.awaitFIN()
	return c
}
