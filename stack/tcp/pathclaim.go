package tcp

// pathClaim is what an ICMP message has said about a path that has carried more, as
// long as it may be true (RFC 5927 §7.2).
type pathClaim struct {
	size uint16 // as in SetPathMSS; 0 is none
	seq  Seq    // of the segment that it quotes
}

// Carried reports whether segments larger than mss, as in SetPathMSS, have arrived
// at the peer: that the path carries no more than mss is hard to believe then.
func (c *Conn) Carried(mss int) bool {
	return c.carried && mss < int(min(c.pathTop(), c.pathMSS))
}

// ClaimPathMSS is SetPathMSS for what an ICMP message says that quotes the segment
// with the number seq. Where larger segments have arrived, it may be a forgery, and
// is believed when that segment times out (RFC 5927 §7.2, with MAXSEGRTO 1); when it
// arrives, the message was not true. ClaimPathMSS reports whether it was believed at
// once. What is believed later is told by PathNews.
func (c *Conn) ClaimPathMSS(now Instant, seq Seq, mss int) bool {
	if c.Carried(mss) && !c.timedOutSince(seq) {
		c.ofSending().claim = pathClaim{c.boundMSS(mss), seq}
		return false
	}
	c.SetPathMSS(now, mss)
	return true
}

// timedOutSince reports whether seq is of text that was sent again after a timeout.
func (c *Conn) timedOutSince(seq Seq) bool {
	i := c.sent.search(seq)
	return c.loss == lossTimeout && i < len(c.sent.list) && c.sent.list[i].again
}

// pathClaimTimedOut believes what was claimed of the path when the segment that
// was too large has timed out.
func (c *Conn) pathClaimTimedOut(now Instant) {
	if c.send == nil || c.send.claim.size == 0 {
		return
	}
	k := c.send.claim
	c.send.claim = pathClaim{}
	if _, arrived := c.board.containing(k.seq); arrived || !c.Carried(int(k.size)) {
		return
	}
	c.pathMSS = c.pathLowered(now, k.size)
	c.resizeMSS()
	c.carried = true // so that the next claim has to prove itself, too
	if c.pmtu != nil {
		c.pmtu.news = true
	}
}

// carries learns from an acknowledgment what size of segments the path carries, and
// that a claim about what has arrived was false.
func (c *Conn) carries(d *delivery) {
	if mss := c.win.MSS; d.octets >= mss && d.octets > (int(d.segments)-1)*mss {
		c.carried = true
	}
	if c.send != nil && c.send.claim.size != 0 && c.sndUna.After(c.send.claim.seq) {
		c.send.claim = pathClaim{}
	}
}
