package tcp

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// Cookies answers SYNs without keeping anything of them (SYN cookies, RFC 4987
// §3.6 and appendix A): all that a connection needs goes out in the numbers of
// the SYN-ACK and comes back in the acknowledgment. The sequence number holds a
// clock, the peer's MSS rounded down to one of eight, and a keyed hash; the
// timestamp, where the peer sends them, holds its window scale and whether it
// takes SACK and ECN. Without timestamps a connection from a cookie has neither.
//
// Secret is random and stays. Methods may be called concurrently.
type Cookies struct {
	Secret [32]byte
}

const (
	cookieTick = 64 * time.Second // a cookie is good for one to two of them
	// CookieLife is how long a cookie is good at most.
	CookieLife = 2 * cookieTick

	cookieClockBits = 5
	cookieHashBits  = 24

	// Low bits of the timestamp of a cookie.
	cookieScale = 0xf // the peer's window scale, all set when it has none
	cookieSACK  = 1 << 4
	cookieECN   = 1 << 5
	cookieBits  = 6
)

// cookieMSS are the sizes that a cookie can name, the common ones among them.
var cookieMSS = [8]uint16{minSendMSS, 536, 1024, 1300, 1400, 1440, 1460, 8960}

// Answer returns the SYN-ACK for syn, of which nothing needs to be kept. It is
// sent once: a peer whose SYN-ACK is lost asks again. cfg.ISS is ignored.
func (k *Cookies) Answer(cfg *Config, syn *Segment, now Instant) Segment {
	c := newConn(cfg, now) // a scratch connection agrees on options as any other
	c.passive, c.state = true, SynReceived
	c.takeSYN(now, syn)
	c.ecnPeer(syn, cfg.ECN)
	size := 0
	for size+1 < len(cookieMSS) && cookieMSS[size+1] <= c.peerMSS {
		size++
	}
	s := Segment{SrcPort: cfg.Local.Port(), DstPort: cfg.Remote.Port(), Flags: SYN | ACK, Ack: c.rcvNxt,
		Seq: k.cookie(cfg.Local, cfg.Remote, c.irs, uint32(now/Instant(cookieTick)), size)}
	o := &s.Options
	o.MSS = c.maxMSS
	s.Window = uint16(c.synWindow())
	if !c.timestamps {
		return s
	}
	o.SACKPermitted, o.HasWindowScale, o.WindowScale = c.sack, c.scaling, c.rcvScale
	bits := uint32(cookieScale)
	if c.scaling {
		bits = uint32(c.sndScale)
	}
	if c.sack {
		bits |= cookieSACK
	}
	if c.ecn.ok {
		bits |= cookieECN
		s.Flags |= ECE
	}
	o.HasTimestamps, o.TSEcr = true, c.tsRecent
	// The latest time with these low bits that is not in the future.
	clock := c.tsNow(now) - c.tsOffset
	ts := clock&^(1<<cookieBits-1) | bits
	if int32(ts-clock) > 0 {
		ts -= 1 << cookieBits
	}
	o.TSVal = ts + c.tsOffset
	return s
}

// Open returns the connection that ack, a segment with ACK and neither SYN nor
// RST, completes the handshake of, in SYN-RECEIVED: the owner gives ack to its
// Input. ok is false when ack answers no cookie of ours, or one too old.
// cfg is as it was for Answer; its ISS is ignored.
func (k *Cookies) Open(cfg Config, ack *Segment, now Instant) (c *Conn, ok bool) {
	cookie, irs := ack.Ack.Add(-1), ack.Seq.Add(-1)
	clock := uint32(now / Instant(cookieTick))
	age := (clock - uint32(cookie)>>(32-cookieClockBits)) & (1<<cookieClockBits - 1)
	size := int(cookie >> cookieHashBits & 7)
	if age > 1 || k.cookie(cfg.Local, cfg.Remote, irs, clock-age, size) != cookie {
		return nil, false
	}
	syn := Segment{Flags: SYN, Seq: irs, Window: ack.Window, Options: Options{MSS: cookieMSS[size]}}
	if ack.Options.HasTimestamps {
		o := &syn.Options
		bits := ack.Options.TSEcr - cfg.TSOffset
		o.HasTimestamps, o.TSVal = true, ack.Options.TSVal
		o.SACKPermitted = bits&cookieSACK != 0
		if scale := uint8(bits & cookieScale); scale != cookieScale {
			o.HasWindowScale, o.WindowScale = true, scale
		}
		if bits&cookieECN != 0 {
			syn.Flags |= ECE | CWR
		}
	}
	cfg.ISS = cookie
	c = NewPassive(cfg, &syn, now)
	c.synDue = false
	c.sndNxt = c.iss.Add(1)
	c.sndMax = c.sndNxt
	c.armRetransmit(now)
	return c, true
}

// cookie returns the sequence number for a SYN at a tick of the clock.
func (k *Cookies) cookie(local, remote netip.AddrPort, irs Seq, clock uint32, size int) Seq {
	var b [32 + 16 + 16 + 2 + 2 + 4 + 4 + 1]byte
	n := copy(b[:], k.Secret[:])
	l, r := local.Addr().As16(), remote.Addr().As16()
	n += copy(b[n:], l[:])
	n += copy(b[n:], r[:])
	binary.BigEndian.PutUint16(b[n:], local.Port())
	binary.BigEndian.PutUint16(b[n+2:], remote.Port())
	binary.BigEndian.PutUint32(b[n+4:], uint32(irs))
	binary.BigEndian.PutUint32(b[n+8:], clock)
	b[n+12] = byte(size)
	sum := sha256.Sum256(b[:])
	hash := binary.BigEndian.Uint32(sum[:]) & (1<<cookieHashBits - 1)
	return Seq(clock<<(32-cookieClockBits) | uint32(size)<<cookieHashBits | hash)
}
