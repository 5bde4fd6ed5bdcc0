package stack

import (
	"hash/maphash"
	"net/netip"
	"time"

	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/udp"
)

// Numbers of the path MTU caches (RFC 1191 §6.3: at least five minutes between
// attempts to find a larger one; ten are recommended).
const (
	pathTimeout = 10 * time.Minute
	pathMax     = 1024
	// minPathMTU is Linux's floor: below it an ICMP message is more likely an
	// attack than a link (RFC 5927 §7.2).
	minPathMTU = 552
)

// pathCache remembers the path MTU of destinations that said "too big". TCP and UDP
// have one each: an ICMP message about a segment quotes a number that is in flight,
// one about a datagram a checksum of 16 bits, which is easier to guess
// (RFC 5927 §7.2). So UDP believes both, TCP only its own.
type pathCache struct{ m map[netip.Addr]path }

type path struct {
	mtu   int
	until time.Time
}

// ForgetPeers forgets what has been learned of other hosts: path MTUs, and the
// cookies of Fast Open. Connections keep what they know.
func (s *Stack) ForgetPeers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.paths.m)
	clear(s.udpPaths.m)
	clear(s.fastPeers)
}

// get returns what is known of dst; p.mtu is ipv4.MaxLen when nothing is.
func (c *pathCache) get(dst netip.Addr, now time.Time) path {
	p, ok := c.m[dst]
	if ok && now.After(p.until) {
		delete(c.m, dst)
		ok = false
	}
	if !ok {
		return path{mtu: ipv4.MaxLen}
	}
	return p
}

// put remembers what dst's path carries from now on. When the cache is full, the
// oldest knowledge gives way.
func (c *pathCache) put(dst netip.Addr, mtu int, now time.Time) {
	if _, known := c.m[dst]; !known && len(c.m) >= pathMax {
		var oldest netip.Addr
		var until time.Time
		for a, p := range c.m {
			if !oldest.IsValid() || p.until.Before(until) {
				oldest, until = a, p.until
			}
		}
		delete(c.m, oldest)
	}
	if c.m == nil {
		c.m = map[netip.Addr]path{}
	}
	c.m[dst] = path{mtu, now.Add(pathTimeout)}
}

// linkMTU returns the largest packet that leaves by h.
func linkMTU(h hop) int {
	if h.Interface == nil {
		return ipv4.MaxLen
	}
	return h.mtu
}

// datagramMTU returns the largest datagram for dst on h that goes in one piece.
func (s *Stack) datagramMTU(h hop, dst netip.Addr, now time.Time) int {
	if h.Interface == nil {
		return ipv4.MaxLen
	}
	return min(h.mtu, s.paths.get(dst, now).mtu, s.udpPaths.get(dst, now).mtu)
}

// setPath tells a connection that begins what its path carries, and when to try
// whether that is more.
func (s *Stack) setPath(cfg *tcp.Config, route hop, now tcp.Instant) {
	if route.Interface == nil {
		return
	}
	if p := s.paths.get(cfg.Remote.Addr(), s.time(now)); p.mtu < route.mtu {
		cfg.PathMSS, cfg.PathUntil = uint16(p.mtu-ipv4.MinHeaderLen-tcp.HeaderLen), s.instant(p.until)
	}
}

// pathNews notes what a connection has found out about its path by probing.
func (s *Stack) pathNews(c *TCPConn, mss int, now tcp.Instant) {
	dst, mtu := c.m.Remote().Addr(), mss+ipv4.MinHeaderLen+tcp.HeaderLen
	if mtu >= linkMTU(c.route) {
		delete(s.paths.m, dst)
		return
	}
	s.paths.put(dst, mtu, s.time(now))
}

// claimedMTU returns the size that a "fragmentation needed" message about packets
// of at most cur octets asks for. Routers older than RFC 1191 say none; then it is
// the next of its plateaus.
func claimedMTU(m *icmp.Message, cur int) int {
	mtu := m.MTU()
	if mtu == 0 {
		for _, p := range [...]int{32000, 17914, 8166, 4352, 2002, 1492, 1006, minPathMTU} { // RFC 1191 §7.1
			if mtu = p; p < cur {
				break
			}
		}
	}
	return max(mtu, minPathMTU)
}

// tooBigTCP has connections to c's peer send packets of the size that m asks for at
// most, those that begin later too. m quotes c's segment with the number seq; while
// c's larger packets have arrived, it is not believed before that one has timed out,
// and other connections whose packets have arrived wait for a message of their own
// (RFC 5927 §7.2). It never raises what one has found out: the cache forgets sooner
// than connections do.
func (s *Stack) tooBigTCP(c *TCPConn, seq tcp.Seq, m *icmp.Message, now tcp.Instant) {
	dst := c.m.Remote().Addr()
	cur := min(linkMTU(c.route), s.paths.get(dst, s.time(now)).mtu)
	mtu := claimedMTU(m, cur)
	size := mtu - ipv4.MinHeaderLen - tcp.HeaderLen
	if size < c.m.PathLimit() && !c.m.ClaimPathMSS(now, seq, size) {
		return
	}
	if mtu >= cur {
		s.stats.ICMP.Ignored++
		return // and others have heard of it: a peer that says it again costs nothing
	}
	s.paths.put(dst, mtu, s.time(now))
	for _, o := range s.conns {
		if o.m.Remote().Addr() == dst && !o.m.Carried(size) && size < o.m.PathLimit() {
			o.m.SetPathMSS(now, size)
			o.changed()
		}
	}
}

// tooBigUDP is tooBigTCP for datagrams to dst that are not to be fragmented.
func (s *Stack) tooBigUDP(dst netip.Addr, m *icmp.Message, now tcp.Instant) {
	route, ok := s.lookup(dst, nil)
	if !ok {
		return
	}
	cur := s.datagramMTU(route, dst, s.time(now))
	if mtu := claimedMTU(m, cur); mtu < cur {
		s.udpPaths.put(dst, mtu, s.time(now))
	} else {
		s.stats.ICMP.Ignored++
	}
}

// maxBigSent is how many datagrams that are not to be fragmented a socket remembers.
const maxBigSent = 128

// bigSent remembers the last large datagrams that a socket has sent with DF set, by
// keyed hashes of destination, length and checksum, so that a message about one can
// be told from a forged one.
type bigSent struct {
	sent [maxBigSent]uint64
	next uint8
}

// sentKey is what an ICMP message quotes of a datagram.
type sentKey struct {
	to       netip.AddrPort
	len, sum uint16
}

// note remembers a datagram, header first.
func (b *bigSent) note(seed maphash.Seed, to netip.AddrPort, datagram []byte) {
	k, _ := sentKeyOf(to, datagram)
	b.sent[b.next%maxBigSent] = maphash.Comparable(seed, k)
	b.next++
}

// has reports whether the datagram that is quoted, from its header on, is one that
// was sent of late.
func (b *bigSent) has(seed maphash.Seed, to netip.AddrPort, quoted []byte) bool {
	k, ok := sentKeyOf(to, quoted)
	if b == nil || !ok {
		return false
	}
	h := maphash.Comparable(seed, k)
	for _, o := range b.sent {
		if o == h {
			return true
		}
	}
	return false
}

func sentKeyOf(to netip.AddrPort, b []byte) (k sentKey, ok bool) {
	if len(b) < udp.HeaderLen {
		return k, false
	}
	return sentKey{to, uint16(b[4])<<8 | uint16(b[5]), uint16(b[6])<<8 | uint16(b[7])}, true
}
