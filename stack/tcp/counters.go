package tcp

// Counters counts what the connections of one Pool did, and why they dropped
// segments, since the Pool was made. The first group has the names and the
// definitions of the TCP-MIB (RFC 4022 §4), all in 64 bits: InSegs and OutSegs
// are its tcpHCInSegs and tcpHCOutSegs. A super-segment counts as the segments
// that it is cut into. InSegs, InErrs and the segments that no connection sends
// are the owner's to count: it verifies checksums and knows the listeners.
//
// The tag mib is the object's name in the MIB; the tag metric marks what is no
// counter but a gauge.
type Counters struct {
	ActiveOpens  uint64 `mib:"tcpActiveOpens"`              // CLOSED to SYN-SENT
	PassiveOpens uint64 `mib:"tcpPassiveOpens"`             // LISTEN to SYN-RECEIVED
	AttemptFails uint64 `mib:"tcpAttemptFails"`             // SYN-SENT or SYN-RECEIVED to CLOSED or LISTEN
	EstabResets  uint64 `mib:"tcpEstabResets"`              // ESTABLISHED or CLOSE-WAIT to CLOSED
	CurrEstab    uint64 `mib:"tcpCurrEstab" metric:"gauge"` // connections in ESTABLISHED or CLOSE-WAIT now
	InSegs       uint64 `mib:"tcpHCInSegs"`                 // received, those in error included
	OutSegs      uint64 `mib:"tcpHCOutSegs"`                // sent, without those that only repeat octets
	RetransSegs  uint64 `mib:"tcpRetransSegs"`              // sent with an octet, SYN or FIN that was sent before
	InErrs       uint64 `mib:"tcpInErrs"`                   // received in error: a bad checksum or header
	OutRsts      uint64 `mib:"tcpOutRsts"`                  // sent with RST

	// Segments that a connection dropped, by reason.
	OldTimestamps uint64 // older than what was seen: PAWS (RFC 7323 §5.3)
	NoTimestamps  uint64 // without the timestamp that was agreed on (RFC 7323 §3.2)
	OutOfWindow   uint64 // no sequence number in the window (RFC 9293 §3.10.7.4, first step)
	BlindResets   uint64 // RST in the window that does not hit RCV.NXT (RFC 5961 §3.2)
	BlindSyns     uint64 // SYN on a synchronized connection (RFC 5961 §4.2)
	NoAcks        uint64 // without ACK (RFC 9293 §3.10.7.4, fifth step)
	BadAcks       uint64 // acknowledging what was never sent, or long ago (RFC 5961 §5.2)
	LateText      uint64 // text for a user who has closed (RFC 9293 §3.6.1)

	// Text of accepted segments that was not taken.
	TextRepeated  uint64 // segments with octets that were there already
	TextBeyond    uint64 // segments with octets beyond the window
	TextScattered uint64 // segments that would have been one hole too many
	TextRefused   uint64 // segments for whose text, or a part of it, memory was short

	// What shortness of memory has led to.
	EarlyPruned   uint64 // times text out of order gave way to text in order
	BuffersDenied uint64 // times a buffer was not let grow

	// Recovery and probing.
	Timeouts           uint64 // retransmission timeouts (RFC 6298 §5.4)
	SpuriousTimeouts   uint64 // of these, undone (RFC 5682)
	Recoveries         uint64 // fast recoveries (RFC 6675, RFC 6582)
	SpuriousRecoveries uint64 // of these, undone: nothing was lost (RFC 9438 §4.9.2)
	TailProbes         uint64 // RFC 8985 §7
	WindowProbes       uint64 // RFC 9293 §3.8.6.1
	BlackHoles         uint64 // times segments were made smaller because large ones got no answer (RFC 4821 §7.7)
	PathProbes         uint64 // segments sent to see whether the path carries their size (RFC 4821)
	PathProbesLost     uint64 // of these, lost
	KeepAliveProbes    uint64 // RFC 9293 §3.8.4
	ChallengeAcks      uint64 // RFC 5961 §7
	ChallengesSpared   uint64 // of these, not sent: the limit was reached
}

// opened reports whether the TCP-MIB counts the state in tcpCurrEstab.
func (s State) opened() bool { return s == Established || s == CloseWait }

// enter moves to s, counts the transition and tells of it.
func (c *Conn) enter(s State) {
	n, was := &c.pool.Counters, c.state
	c.state = s
	switch {
	case s.opened() && !was.opened():
		n.CurrEstab++
	case was.opened() && !s.opened():
		n.CurrEstab--
	}
	switch {
	case s != Closed:
	case was.opened():
		n.EstabResets++
	case was == SynSent, was == SynReceived:
		n.AttemptFails++
	}
	if f := c.pool.OnState; f != nil && s != was {
		f(c, was, s)
	}
}

// countOut counts a segment that was emitted, as new, as a repetition, or as
// both.
func (c *Conn) countOut(s *Segment) {
	n, segs := &c.pool.Counters, uint64(s.Pieces())
	if s.Flags&RST != 0 {
		n.OutRsts++
	}
	end := s.Seq.Add(s.Len())
	old := c.sndMax.Sub(s.Seq) // octets that were sent before
	if s.Len() == 0 || end.After(c.sndMax) {
		n.OutSegs += segs
	}
	switch {
	case s.Len() == 0 || old <= 0:
	case end.BeforeEq(c.sndMax):
		n.RetransSegs += segs
	default:
		n.RetransSegs++
		if size := int(s.GSOSize); size > 0 {
			n.RetransSegs += uint64((old - 1) / size)
		}
	}
}
