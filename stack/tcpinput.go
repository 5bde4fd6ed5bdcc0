package stack

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// connKey names a connection.
type connKey struct {
	local, remote [4]byte
	lport, rport  uint16
}

func keyOf(local, remote netip.AddrPort) connKey {
	return connKey{local.Addr().As4(), remote.Addr().As4(), local.Port(), remote.Port()}
}

// receiveTCP verifies a segment and gives it to its connection, to a listener,
// or to the rules for segments that belong to nobody (RFC 9293 §3.10.7).
func (s *Stack) receiveTCP(h *ipv4.Header, payload []byte, a arrival) {
	if a.csum == link.CsumUnknown && !a.trusted &&
		checksum.Checksum(checksum.Sum(payload, checksum.Pseudo(h.Src, h.Dst, uint8(h.Proto), len(payload)))) != 0 {
		s.pool.Counters.InSegs++
		s.stats.TCP.BadChecksum++
		return
	}
	seg, err := tcp.ParseSegment(payload)
	if err != nil {
		s.pool.Counters.InSegs++
		s.stats.TCP.refused(err)
		return
	}
	seg.Mark, seg.GSOSize = h.TOS&3, a.gso
	s.pool.Counters.InSegs += uint64(seg.Pieces())
	if !s.local(h.Dst) { // RFC 9293 §3.9.2.3 (MUST-57): no connections with groups
		s.stats.TCP.ToGroup++
		return
	}
	local, remote := netip.AddrPortFrom(h.Dst, seg.DstPort), netip.AddrPortFrom(h.Src, seg.SrcPort)
	k := keyOf(local, remote)
	c := s.conns[k]
	if c != nil && c.m.State() == tcp.Closed { // since this batch began: its ports are free
		s.output(c, a.now)
		c = s.conns[k]
	}
	if c == nil {
		s.listen(local, remote, &seg, 0, false, a.now)
		s.began(k, h.TOS)
		return
	}
	if seg.Flags.Has(tcp.SYN) && c.m.State() == tcp.TimeWait {
		if l := s.listener(local); l != nil {
			cfg := s.passiveConfig(l, local, remote, c.route, a.now)
			if iss, ok := c.m.Reopens(&seg, !cfg.NoTimestamps); ok {
				s.output(c, a.now) // its last acknowledgment, if any, before the new SYN-ACK
				s.remove(c)
				s.listen(local, remote, &seg, iss, true, a.now)
				s.began(k, h.TOS)
				return
			}
		}
	}
	c.tos = h.TOS
	c.m.Input(a.now, &seg)
	c.announce()
	if c.listener != nil && c.m.State().Synchronized() {
		c.listener.opened(c) // at once: the next segment may ask for its place
	}
	if c.m.Disordered() || c.m.Hurried() {
		s.output(c, a.now) // not after the batch
		return
	}
	c.changed()
}

// listen handles a segment without a connection: the LISTEN and CLOSED states
// of RFC 9293 §3.10.7.1 and §3.10.7.2.
func (s *Stack) listen(local, remote netip.AddrPort, seg *tcp.Segment, iss tcp.Seq, reopen bool, now tcp.Instant) {
	l := s.listener(local)
	if l != nil && seg.Flags&(tcp.ACK|tcp.SYN|tcp.RST) == tcp.ACK && s.openCookie(l, local, remote, seg, now) {
		return
	}
	if l == nil || seg.Flags.Has(tcp.ACK) || seg.Flags.Has(tcp.RST) {
		if l == nil {
			s.stats.TCP.NoListener++
		}
		s.reset(local, remote, seg)
		return
	}
	if !seg.Flags.Has(tcp.SYN) || seg.Flags.Has(tcp.FIN) {
		s.stats.TCP.Unasked++
		return
	}
	if len(l.ready) >= l.backlog || s.busy() >= s.cfg.MaxConns && l.opening.Len() == 0 && s.orphans.Len() == 0 {
		s.stats.TCP.BacklogFull++
		return
	}
	route, ok := s.wayBack(remote.Addr(), local.Addr())
	if !ok {
		return
	}
	cfg := s.passiveConfig(l, local, remote, route, now)
	if l.opening.Len()+len(l.ready) >= l.backlog || s.busy() >= s.cfg.MaxConns {
		// No room for one more that may come from nowhere: the peer keeps it.
		l.cookieAt = now
		answer := s.cookies.Answer(&cfg, seg, now)
		if s.answer(route, local, remote, &answer) {
			s.stats.TCP.CookiesSent++
		}
		return
	}
	if reopen {
		cfg.ISS = iss
	}
	l.fastOpen(&cfg, seg, now)
	c := s.newConn(tcp.NewPassive(cfg, seg, now), route)
	c.header = l.header
	l.begin(c)
	if cfg.FastOpen.Accept {
		l.early(c)
	}
	c.changed()
}

// began notes the type of service of the segment that a connection began with, if
// one did.
func (s *Stack) began(k connKey, tos uint8) {
	if c := s.conns[k]; c != nil {
		c.tos = tos
	}
}

// openCookie handles an acknowledgment without a connection as the answer to a
// SYN cookie, where cookies were sent of late. It reports false when it is none.
func (s *Stack) openCookie(l *TCPListener, local, remote netip.AddrPort, seg *tcp.Segment, now tcp.Instant) bool {
	if l.cookieAt == 0 || now.Sub(l.cookieAt) > tcp.CookieLife {
		return false
	}
	route, ok := s.wayBack(remote.Addr(), local.Addr())
	if !ok {
		return false
	}
	m, ok := s.cookies.Open(s.passiveConfig(l, local, remote, route, now), seg, now)
	if !ok {
		s.stats.TCP.CookiesBad++
		return false
	}
	if s.busy() >= s.cfg.MaxConns && l.opening.Len() > 0 {
		l.evict(now) // this peer exists, that one may not
	}
	if len(l.ready) >= l.backlog || !s.makeRoom(now) {
		s.stats.TCP.BacklogFull++ // it comes again with the peer's first text
		return true
	}
	s.stats.TCP.CookiesUsed++
	c := s.newConn(m, route)
	c.header = l.header
	l.begin(c)
	m.Input(now, seg)
	c.announce()
	if m.State().Synchronized() {
		l.opened(c)
	}
	c.changed()
	return true
}

// passiveConfig is the configuration of a connection that l accepts.
func (s *Stack) passiveConfig(l *TCPListener, local, remote netip.AddrPort, route hop, now tcp.Instant) tcp.Config {
	cfg := s.connConfig(local, remote, route, now)
	cfg.ConnectTimeout = time.Minute
	l.adjust(&cfg)
	return cfg
}

// reset answers a segment that belongs to no connection.
func (s *Stack) reset(local, remote netip.AddrPort, seg *tcp.Segment) {
	r, ok := tcp.ResetFor(seg)
	if !ok {
		return
	}
	via, ok := s.wayBack(remote.Addr(), local.Addr())
	if !ok {
		return
	}
	s.answer(via, local, remote, &r)
}

// answer sends a segment that belongs to no connection, and reports whether
// there was room for it.
func (s *Stack) answer(via hop, local, remote netip.AddrPort, seg *tcp.Segment) bool {
	if !s.sendTCP(via, local.Addr(), remote.Addr(), seg, nil) {
		s.stats.IP.OutDiscards++
		return false
	}
	n := &s.pool.Counters
	n.OutSegs++
	if seg.Flags.Has(tcp.RST) {
		n.OutRsts++
	}
	return true
}

// connConfig fills in what all connections have in common.
func (s *Stack) connConfig(local, remote netip.AddrPort, route hop, now tcp.Instant) tcp.Config {
	sum := s.hash(keyOf(local, remote), 'i')
	cfg := tcp.Config{
		Local: local, Remote: remote,
		MSS: uint16(linkMTU(route) - ipv4.MinHeaderLen - tcp.HeaderLen),
		// RFC 6528 §3: a hash of the addresses and a secret, plus a clock of 4 µs.
		ISS:      tcp.Seq(binary.BigEndian.Uint32(sum[0:]) + uint32(now/4000)),
		TSOffset: binary.BigEndian.Uint32(sum[4:]),
		RcvBuf:   s.cfg.RcvBuf, SndBuf: s.cfg.SndBuf,
		NoDelay:   true, // as package net sets it
		KeepAlive: s.cfg.KeepAlive,
		MinRTO:    s.cfg.MinRTO, TimeWait: s.cfg.TimeWait,
		ECN:  s.cfg.ECN,
		Pool: &s.pool,
	}
	s.setPath(&cfg, route, now)
	if s.cfg.CongestionControl != nil {
		cfg.CongestionControl = s.cfg.CongestionControl()
	}
	return cfg
}

// hash returns a keyed hash of k for the given purpose.
func (s *Stack) hash(k connKey, purpose byte) [sha256.Size]byte {
	var b [32 + 13]byte
	copy(b[:], s.secret[:])
	copy(b[32:], k.local[:])
	copy(b[36:], k.remote[:])
	binary.BigEndian.PutUint16(b[40:], k.lport)
	binary.BigEndian.PutUint16(b[42:], k.rport)
	b[44] = purpose
	return sha256.Sum256(b[:])
}
