package stack

import (
	"net/netip"
	"time"

	"arpeggio/stack/tcp"
)

const (
	// maxFastOpenPeers bounds the servers that are remembered for Fast Open.
	maxFastOpenPeers = 1024
	// fastOpenPause is how long Fast Open is not tried with a server after the
	// path was in its way, twice as long after each further time.
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
func (s *Stack) fastOpenTo(local, remote netip.Addr, now tcp.Instant) tcp.FastOpen {
	p := s.fastPeers[fastOpenKey{local.As4(), remote.As4()}]
	if p.paused > now {
		return tcp.FastOpen{}
	}
	return tcp.FastOpen{Request: p.cookie.IsZero(), Cookie: p.cookie, MSS: p.mss}
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
		p.paused = now.Add(fastOpenPause << min(p.blocks, maxFastOpenPauses))
		p.blocks = min(p.blocks+1, maxFastOpenPauses)
	}
	if !r.Cookie.IsZero() {
		p.cookie, p.mss = r.Cookie, r.MSS
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
	most    int           // pending requests; 0 is off
	pending int           // connections that took the text of a SYN and whose handshake is not over
	resets  []tcp.Instant // until when those that were reset count, oldest first
}

// SetFastOpen changes ListenConfig.FastOpen.
func (l *TCPListener) SetFastOpen(pending int) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.fast.most = max(pending, 0)
}

// fastOpen decides what a SYN with the option gets (RFC 7413 §4.2.2): a cookie,
// or its text taken.
func (l *TCPListener) fastOpen(cfg *tcp.Config, syn *tcp.Segment, now tcp.Instant) {
	f, s := &l.fast, l.s
	if f.most == 0 || !syn.Options.FastOpen {
		return
	}
	good, old := s.fastKeys.Check(syn.Options.Cookie, cfg.Local.Addr(), cfg.Remote.Addr(), now)
	if !good || old {
		cfg.FastOpen.Cookie = s.fastKeys.Cookie(cfg.Local.Addr(), cfg.Remote.Addr(), now)
	}
	for len(f.resets) > 0 && f.resets[0] <= now {
		f.resets = f.resets[1:]
	}
	switch {
	case syn.Options.Cookie.IsZero():
		s.stats.TCP.FastOpenCookieReqd++
	case !good:
		s.stats.TCP.FastOpenPassiveFail++
	case len(syn.Payload) == 0:
	case f.pending+len(f.resets) >= f.most:
		s.stats.TCP.FastOpenListenOverflow++
	default:
		s.stats.TCP.FastOpenPassive++
		cfg.FastOpen.Accept = true
	}
}

// early gives c, which has taken the text of its SYN, to Accept.
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
