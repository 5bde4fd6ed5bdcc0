package tcp

// window returns the window field of the next segment and the right edge that
// it stands for. The edge never goes beyond the receive buffer, never moves
// left by more than the scale's rounding, and moves right in steps worth having
// (RFC 9293 §3.8.6.2.2; RFC 7323 §2.4 on rounding).
func (c *Conn) window() (field uint16, edge Seq) {
	unit := 1 << c.rcvScale
	// An edge short of what there is by the scale's unit leaves room to round up.
	edge = c.rcvq.rd.Add(c.recvSpace() + 1 - unit)
	if edge.Sub(c.rcvAdv) < c.windowStep() {
		edge = c.rcvAdv
	}
	wnd := max(0, edge.Sub(c.rcvNxt))
	if up := (wnd + unit - 1) &^ (unit - 1); c.rcvNxt.Add(up).BeforeEq(c.rcvq.rd.Add(int(c.rcvBuf))) {
		wnd = up
	}
	scaled := min(wnd>>c.rcvScale, 65535)
	return uint16(scaled), c.rcvNxt.Add(scaled << c.rcvScale)
}

// windowStep is the least by which the right edge moves: a full segment or half
// the buffer.
func (c *Conn) windowStep() int {
	return max(1, min(c.recvSpace()/2, int(c.maxMSS)))
}

// windowUpdateDue reports whether the user has read so much that the peer must
// hear of it although nothing else is to be sent: the edge can move, and what
// the peer may send at present is less than half of what it could be.
func (c *Conn) windowUpdateDue() bool {
	if c.state != Established && c.state != FinWait1 && c.state != FinWait2 || c.rcvNxt == c.irs.Add(1) {
		return false // no text is expected any more, or none has come yet
	}
	edge := c.rcvq.rd.Add(c.recvSpace() + 1 - 1<<c.rcvScale)
	left := max(0, c.rcvAdv.Sub(c.rcvNxt))
	return edge.Sub(c.rcvAdv) >= c.windowStep() && edge.Sub(c.rcvNxt) >= 2*left
}

// maxSACK returns how many blocks fit beside the other options, and on a very narrow
// link beside eight octets of text.
func (c *Conn) maxSACK() int {
	most := 4
	if c.timestamps {
		most = 3
	}
	return min(most, max(0, (c.win.MSS-leastText-4)/8)) // as sackLen counts
}

// leastText is how much text a segment has room for, whatever its options.
const leastText = 8

// sackOctets returns the option octets that fillSACK will take.
func (c *Conn) sackOctets() int {
	n := len(c.rcvq.early.s)
	if c.hasDSACK {
		n++
	}
	return sackLen(min(n, c.maxSACK()))
}

// fillSACK writes the SACK blocks: a duplicate first (RFC 2883 §4), then the
// spans that arrived last, newest first (RFC 2018 §4).
func (c *Conn) fillSACK(o *Options) {
	most := uint8(c.maxSACK())
	if c.hasDSACK && most > 0 {
		o.SACK[0], o.NSACK = c.dsack, 1
	}
	spans := c.rcvq.early.s
	for before := c.rcvq.early.clock; o.NSACK < most; {
		best := -1
		for i := range spans {
			if spans[i].stamp <= before && (best < 0 || spans[i].stamp > spans[best].stamp) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		o.SACK[o.NSACK] = SACKBlock{spans[best].start, spans[best].end}
		o.NSACK++
		before = spans[best].stamp - 1
	}
}
