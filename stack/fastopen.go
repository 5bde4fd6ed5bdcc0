package stack

import (
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack/tcp"
)

const (
	// maxFastOpenPeers bounds the servers that are remembered for Fast Open.
	maxFastOpenPeers = 1024
	// fastOpenSigns is how many times in a row the path must have been in the way
	// of Fast Open, for a SYN may be lost like any packet, until it is not tried
	// with that server for fastOpenPause, twice as long after each further time.
	fastOpenSigns = 2
	fastOpenPause = time.Hour
	// maxFastOpenPauses bounds the doublings.
	maxFastOpenPauses = 6
	// fastOpenPenalty is how long a request that was reset counts as pending:
	// an attacker that makes others reset theirs gains nothing (RFC 7413 §5.1).
	fastOpenPenalty = time.Minute
)

// fastOpenPeer is what we know of a server (RFC 7413 §4.1.3).
type fastOpenPeer struct {
	cookie tcp.FastOpenCookie
	mss    uint16
	blocks uint8       // times in a row that the path was in the way
	paused tcp.Instant // Fast Open is not tried until then
}

// fastOpenKey names a server as one of our addresses sees it: the cookie is for
// that address.
type fastOpenKey struct{ local, remote [4]byte }

func (c *TCPConn) fastOpenKey() fastOpenKey { return fastOpenKey{c.key.local, c.key.remote} }

// fastOpenTo returns how a connection to remote begins.
func (s *Stack) fastOpenTo(d *Dialer, local, remote netip.Addr, now tcp.Instant) tcp.FastOpen {
	p := s.fastPeers[fastOpenKey{local.As4(), remote.As4()}]
	if p.paused > now {
		return tcp.FastOpen{}
	}
	none := p.cookie.IsZero()
	return tcp.FastOpen{Request: none && !d.FastOpenNoCookie, NoCookie: none && d.FastOpenNoCookie, Cookie: p.cookie, MSS: p.mss}
}

// fastOpenLearn remembers what c has learned of its server.
func (s *Stack) fastOpenLearn(c *TCPConn, r tcp.FastOpenResult, now tcp.Instant) {
	k := c.fastOpenKey()
	p := s.fastPeers[k]
	switch {
	case r.Accepted:
		s.stats.TCP.FastOpenActive++
		p.blocks = 0
	case r.Tried:
		s.stats.TCP.FastOpenActiveFail++
		if !r.Blocked {
			p.cookie = tcp.FastOpenCookie{} // unless the server gives another one
		}
	}
	if r.Blocked {
		s.stats.TCP.FastOpenBlackhole++
		if r.Unanswered { // no connection may ever come about otherwise
			p.blocks = max(p.blocks, fastOpenSigns-1)
		}
		if p.blocks++; p.blocks >= fastOpenSigns {
			p.blocks = min(p.blocks, fastOpenSigns+maxFastOpenPauses)
			p.paused = now.Add(fastOpenPause << (p.blocks - fastOpenSigns))
		}
	}
	if !r.Cookie.IsZero() {
		p.cookie, p.blocks = r.Cookie, 0
	}
	if r.MSS != 0 && (!p.cookie.IsZero() || r.Accepted) {
		p.mss = r.MSS
	}
	if p == (fastOpenPeer{}) {
		delete(s.fastPeers, k)
		return
	}
	if _, known := s.fastPeers[k]; !known && len(s.fastPeers) >= maxFastOpenPeers {
		for old := range s.fastPeers { // any one
			delete(s.fastPeers, old)
			break
		}
	}
	s.fastPeers[k] = p
}

// fastOpening is a listener's side of Fast Open.
type fastOpening struct {
	most    int // pending requests; 0 is off
	keys    []tcp.FastOpenKey
	open    bool          // no cookie is asked for
	pending int           // connections that took the text of a SYN and whose handshake is not over
	resets  []tcp.Instant // until when those that were reset count, oldest first
}

// SetFastOpen changes ListenConfig.FastOpen.
func (l *TCPListener) SetFastOpen(pending int) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.fast.most = max(pending, 0)
}

// SetFastOpenKeys changes ListenConfig.FastOpenKeys.
func (l *TCPListener) SetFastOpenKeys(keys ...tcp.FastOpenKey) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.fast.keys = slices.Clone(keys)
}

// SetFastOpenNoCookie changes ListenConfig.FastOpenNoCookie.
func (l *TCPListener) SetFastOpenNoCookie(on bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.fast.open = on
}

// fastOpen decides what a SYN with the option gets (RFC 7413 §4.2.2): a cookie,
// or to be let in. Where no cookies are asked for, text alone lets in.
func (l *TCPListener) fastOpen(cfg *tcp.Config, syn *tcp.Segment, now tcp.Instant) {
	f, s, o := &l.fast, l.s, &syn.Options
	if f.most == 0 || !o.FastOpen && !f.open {
		return
	}
	for len(f.resets) > 0 && f.resets[0] <= now {
		f.resets = f.resets[1:]
	}
	good := f.open && len(syn.Payload) > 0
	if !good {
		good = s.checkCookie(f.keys, cfg, o, now)
	}
	switch {
	case !good:
	case f.pending+len(f.resets) >= f.most:
		s.stats.TCP.FastOpenListenOverflow++
	default:
		s.stats.TCP.FastOpenPassive++
		cfg.FastOpen.Accept = true
	}
}

// checkCookie reports whether a SYN with options o bears a cookie of ours, and has
// the SYN-ACK give the peer one when it has none or an old one.
func (s *Stack) checkCookie(shared []tcp.FastOpenKey, cfg *tcp.Config, o *tcp.Options, now tcp.Instant) (good bool) {
	if !o.FastOpen {
		return false
	}
	keys := s.fastKeys
	keys.Shared = shared
	good, old := keys.Check(o.Cookie, cfg.Local.Addr(), cfg.Remote.Addr(), now)
	if !good || old {
		cfg.FastOpen.Cookie = keys.Cookie(cfg.Local.Addr(), cfg.Remote.Addr(), now)
		cfg.FastOpen.Old = o.FastOpenOld
	}
	switch {
	case o.Cookie.IsZero():
		s.stats.TCP.FastOpenCookieReqd++
	case !good:
		s.stats.TCP.FastOpenPassiveFail++
	}
	return good
}

// early gives c, whose SYN was let in, to Accept.
func (l *TCPListener) early(c *TCPConn) {
	c.early = l
	l.fast.pending++
	l.opened(c)
}

// earlyDone notes that the handshake of such a connection is over, well or not.
func (c *TCPConn) earlyDone(now tcp.Instant) {
	f := &c.early.fast
	c.early = nil
	f.pending--
	if c.m.Err() == tcp.ErrReset && len(f.resets) < f.most {
		f.resets = append(f.resets, now.Add(fastOpenPenalty))
	}
}

// Deferred reports whether the SYN waits for the first Write, to take text along
// (Dialer.FastOpen).
func (c *TCPConn) Deferred() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.m.Deferred()
}

// SynRoom returns how much text the SYN that waits for it can carry, in octets;
// 0 when none waits.
func (c *TCPConn) SynRoom() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.m.SynRoom()
}

// StartHandshake sends a SYN that waits for the first Write (Deferred) without
// text. It does nothing when there is none.
func (c *TCPConn) StartHandshake() error {
	return c.control("write", func(tcp.Instant) { c.startHandshake() })
}

// startHandshake sends a SYN that waits for text, because somebody waits for an
// answer.
func (c *TCPConn) startHandshake() bool {
	if !c.m.StartHandshake() {
		return false
	}
	c.changed()
	return true
}
