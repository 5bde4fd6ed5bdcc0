package tcp

// CloseWrite sends FIN behind all queued data (RFC 9293 §3.10.4). It is
// idempotent. What the peer sends can still be read.
func (c *Conn) CloseWrite(now Instant) {
	if c.closing {
		return
	}
	switch c.state {
	case Closed:
		return
	case Established:
		c.setState(now, FinWait1)
	case CloseWait:
		c.setState(now, LastAck)
	}
	// In SYN-SENT and SYN-RECEIVED the FIN waits for ESTABLISHED.
	c.closing = true
}

// CloseRead says that nobody waits for text any more, as shutdown(2) with SHUT_RD
// on Linux: Read returns what has arrived and then, in the place of ErrWouldBlock,
// io.EOF. The peer is not told; what it sends later is acknowledged and can be read,
// until it fills the receive buffer. After CloseWrite, too, it resets the connection:
// the user has closed both directions (RFC 9293 §3.6.1).
func (c *Conn) CloseRead() { c.noReader = true }

// Close closes both directions for good. Data that wait to be sent still are.
// Data that nobody has read, or that arrive later, reset the connection, so
// that the peer learns of the loss (RFC 9293 §3.6.1); FIN-WAIT-2 then ends by
// itself. In SYN-SENT the connection is deleted.
func (c *Conn) Close(now Instant) {
	switch {
	case c.state == SynSent:
		c.end(ErrAborted)
		return
	case c.rcvq.n > 0 && c.state != Closed:
		c.abort(ErrAborted)
		return
	}
	c.orphan = true
	c.CloseRead()
	c.CloseWrite(now)
	if c.state == FinWait2 {
		c.setState(now, FinWait2)
	}
}

// Abort drops all queued data and sends a reset where the state asks for one
// (RFC 9293 §3.10.5); Output emits it. The state is CLOSED at once.
func (c *Conn) Abort(now Instant) { c.abort(ErrAborted) }

// abort ends the connection with err, and with a reset for the peer in the
// states in which it may still expect something.
func (c *Conn) abort(err error) {
	switch c.state {
	case SynReceived, Established, FinWait1, FinWait2, CloseWait:
		c.reply = resetReply{true, true, RST | ACK, c.ackSeq(), c.rcvNxt}
	case Closing, LastAck, TimeWait:
		if err == ErrAborted {
			err = nil // "respond with an ok": all data went both ways
		}
	}
	c.end(err)
}

// Reopens reports whether syn may open a new incarnation of this connection,
// which is in TIME-WAIT: it is newer than the old one by its timestamp
// (RFC 6191 §2) or else by its sequence number (RFC 9293 §3.10.7.4); timestamps
// says whether the new one would take that option. The owner then forgets this Conn
// and calls NewPassive with the returned ISS, which lies behind all that was used
// before (RFC 1122 §4.2.2.13).
func (c *Conn) Reopens(syn *Segment, timestamps bool) (iss Seq, ok bool) {
	if c.state != TimeWait || syn.Flags&(SYN|ACK|RST) != SYN {
		return 0, false
	}
	newer := syn.Seq.After(c.rcvNxt)
	if timestamps && syn.Options.HasTimestamps {
		if d := int32(syn.Options.TSVal - c.tsRecent); !c.timestamps {
			newer = true // what the old one has left has none, and is dropped for that
		} else if d != 0 {
			newer = d > 0
		}
	}
	return c.sndMax.Add(65535 + 2), newer
}
