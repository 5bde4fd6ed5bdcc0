package stack

import (
	"container/list"
	"io"
	"net"
	"net/netip"
	"time"

	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// TCPConn is a TCP connection as a net.Conn. Its methods are safe for
// concurrent use.
type TCPConn struct {
	s        *Stack
	m        *tcp.Conn
	key      connKey
	route    hop
	listener *TCPListener  // until the handshake is complete
	early    *TCPListener  // the same when it has taken the text of its SYN (Fast Open)
	place    *list.Element // in its opening or, at the end, in s.orphans or s.timeWait

	header     IPHeader
	tos        uint8 // of the segment that came last
	dirty      bool  // in s.dirty
	dead       bool  // not in the tables any more
	orphan     bool  // in s.orphans
	timeWait   bool  // in s.timeWait
	stranded   bool  // no route leads to the peer any more
	wasted     bool  // and something was sent nevertheless
	advised    uint8 // retransmissions that the gateway was told of
	closed     bool  // by the user
	told       bool  // Read or Write has returned what ended the connection
	killed     error
	linger     time.Duration // of Close; below zero: return at once
	timerAt    tcp.Instant
	timerIndex int // in s.timers, -1 when not there

	rd, wr    waiter
	keepAlive tcp.KeepAlive
	probing   bool            // keepAlive is on
	urgent    chan<- struct{} // see NotifyUrgent
	notify    chan<- struct{} // see Notify
	soft      *softErrors     // see NotifyErrors
}

var _ net.Conn = (*TCPConn)(nil)

// newConn enters a connection into the tables.
func (s *Stack) newConn(m *tcp.Conn, route hop) *TCPConn {
	c := &TCPConn{
		s: s, m: m, key: keyOf(m.Local(), m.Remote()), route: route, timerIndex: -1, linger: -1,
		keepAlive: s.cfg.KeepAlive, probing: s.cfg.KeepAlive.Idle > 0,
	}
	c.rd.init(&s.mu)
	c.wr.init(&s.mu)
	s.conns[c.key] = c
	s.tcpPorts[c.key.lport]++
	return c
}

// remove takes a connection out of the tables. Its user may still read what
// had arrived.
func (s *Stack) remove(c *TCPConn) {
	if c.dead {
		return
	}
	c.dead = true
	delete(s.conns, c.key)
	if s.tcpPorts[c.key.lport]--; s.tcpPorts[c.key.lport] == 0 {
		delete(s.tcpPorts, c.key.lport)
	}
	switch {
	case c.timeWait:
		s.timeWait.Remove(c.place)
	case c.orphan:
		s.orphans.Remove(c.place)
	}
	s.disarm(c)
	s.empty.Broadcast()
}

// changed notes that the engine must be asked for output before the lock is
// released.
func (c *TCPConn) changed() {
	if !c.dirty {
		c.dirty = true
		c.s.dirty = append(c.s.dirty, c)
	}
}

// maxSuper is the largest payload of a super-frame: the IPv4 datagram that it
// looks like has room for no more.
const maxSuper = ipv4.MaxLen - ipv4.MinHeaderLen - tcp.MaxHeaderLen

// output lets the engine emit what is due and draws the consequences of what
// happened to it.
func (s *Stack) output(c *TCPConn, now tcp.Instant) {
	maxPayload := 0
	if i := c.route.Interface; i != nil && i.port.info.Caps.Has(link.CapTSO4|link.CapTxChecksum) {
		maxPayload = maxSuper
	}
	s.emitting = c
	c.m.Output(now, maxPayload, s.emit)
	s.emitting = nil
	st := c.m.State()
	if i := c.route.Interface; i != nil {
		acked := c.m.AckedNewData()
		if acked && i.confirm != nil {
			i.port.confirms = append(i.port.confirms, confirmation{i.confirm, c.route.next})
		}
		if c.route.gw != nil {
			c.advise(now, acked)
		}
		if c.soft != nil {
			c.reportRetries()
		}
	}
	if c.listener != nil && st == tcp.Closed {
		c.listener.leave(c)
	}
	if c.early != nil && st != tcp.SynReceived {
		c.earlyDone(now)
	}
	if n, ok := c.m.PathNews(); ok {
		s.pathNews(c, n, now)
	}
	if r, ok := c.m.FastOpenResult(); ok {
		s.fastOpenLearn(c, r, now)
	}
	if c.rd.waiting > 0 && (c.m.Readable() || st == tcp.Closed) {
		c.rd.wake()
	}
	if c.wr.waiting > 0 && (c.m.Writable() || st != tcp.SynSent) {
		c.wr.wake()
	}
	tell(c.notify)
	switch {
	case c.m.Done():
		s.remove(c)
	default:
		if st == tcp.TimeWait && !c.timeWait {
			s.lingers(c, now)
		}
		if !c.dead {
			s.arm(c, now)
		}
	}
}

// maxTimeWait bounds the connections in TIME-WAIT. Beyond it the oldest end
// early: memory is worth more than protection from their last duplicates.
const maxTimeWait = 16384

// lingers notes that c has only TIME-WAIT before it.
func (s *Stack) lingers(c *TCPConn, now tcp.Instant) {
	if c.orphan {
		s.orphans.Remove(c.place)
	}
	c.orphan, c.timeWait = false, true
	c.place = s.timeWait.PushBack(c)
	if s.timeWait.Len() > maxTimeWait {
		old := s.timeWait.Front().Value.(*TCPConn)
		old.m.Abort(now)
		s.remove(old)
	}
	s.empty.Broadcast()
}

// orphaned notes that the user of c has closed it, which sends what is queued.
func (s *Stack) orphaned(c *TCPConn) {
	if !c.dead && !c.timeWait {
		c.orphan, c.place = true, s.orphans.PushBack(c)
	}
}

// makeRoom reports whether there is room for one more connection, whose peer
// exists or which this host opens. Where there is none, the one that its user has
// closed for longest is reset.
func (s *Stack) makeRoom(now tcp.Instant) bool {
	if s.busy() < s.cfg.MaxConns {
		return true
	}
	oldest := s.orphans.Front()
	if oldest == nil {
		return false
	}
	c := oldest.Value.(*TCPConn)
	s.stats.TCP.OrphansReset++
	c.m.Abort(now)
	s.output(c, now)
	s.remove(c)
	return true
}

// busy returns how many connections count against Config.MaxConns.
func (s *Stack) busy() int { return len(s.conns) - s.timeWait.Len() }

// unreachable implements sender: the next hop did not answer.
func (c *TCPConn) unreachable(err error, _ netip.Addr) {
	c.m.HardError(err) // which is a soft one once the connection is open
	c.soft.report(err)
	c.changed()
}

// kill ends a connection with an error of this host's.
func (c *TCPConn) kill(err error, now tcp.Instant) {
	if c.killed == nil {
		c.killed = err
	}
	c.m.Abort(now)
	c.changed()
}

// abandon ends a connection that nobody has accepted.
func (c *TCPConn) abandon(now tcp.Instant) {
	c.closed = true
	c.m.Abort(now)
	c.changed()
}

// fail wraps err for op.
func (c *TCPConn) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return c.wrap(op, c.errno(err))
}

// errno returns what a user is told of the engine's error.
func (c *TCPConn) errno(err error) error {
	switch {
	case c.killed != nil:
		err = c.killed
	case err == tcp.ErrReset && c.m.PeerClosed() && !c.m.WriteClosed():
		err = tcp.ErrPipe // as Linux has it: the peer had closed, and now reads no more
	}
	return tcpErrno(err)
}

// wrap is opError with the ends of c.
func (c *TCPConn) wrap(op string, err error) error {
	return opError(op, "tcp", c.LocalAddr(), c.RemoteAddr(), err)
}

// usable returns an error once the user has closed the connection.
func (c *TCPConn) usable() error {
	if c.closed {
		return errClosed
	}
	return nil
}

// Read implements net.Conn.
func (c *TCPConn) Read(p []byte) (int, error) {
	s := c.s
	s.mu.Lock()
	for {
		if c.closed {
			s.mu.Unlock()
			return 0, c.wrap("read", errClosed)
		}
		if len(p) == 0 {
			s.mu.Unlock()
			return 0, nil
		}
		if err := c.rd.check(); err != nil {
			s.mu.Unlock()
			return 0, c.wrap("read", err)
		}
		n, err := c.m.Read(p)
		if err != nil && err != tcp.ErrWouldBlock && err != io.EOF && c.tell() {
			err = io.EOF
		}
		if err == tcp.ErrWouldBlock {
			if c.startHandshake() {
				s.unlock(s.now())
				s.mu.Lock()
				continue
			}
			c.rd.wait()
			continue
		}
		if n > 0 { // the window may have opened
			c.changed()
			s.unlock(s.now())
		} else {
			s.mu.Unlock()
		}
		return n, c.fail("read", err)
	}
}

// Write implements net.Conn. It returns when all of p is queued.
func (c *TCPConn) Write(p []byte) (int, error) { return c.write(p, c.m.Write) }

// write queues all of p by put.
func (c *TCPConn) write(p []byte, put func([]byte) (int, error)) (n int, err error) {
	s := c.s
	s.mu.Lock()
	if err := c.wr.acquire(c.usable); err != nil {
		s.mu.Unlock()
		return 0, c.wrap("write", err)
	}
	for {
		k, err := put(p[n:])
		n += k
		if k > 0 {
			c.changed()
		}
		if err == nil && n < len(p) {
			continue
		}
		if err == tcp.ErrWouldBlock {
			s.unlock(s.now())
			s.mu.Lock()
			if err = c.usable(); err == nil {
				err = c.wr.check()
			}
			if err == nil {
				if !c.m.Writable() {
					c.wr.wait()
				}
				continue
			}
			c.wr.release()
			s.mu.Unlock()
			return n, c.wrap("write", err)
		}
		switch {
		case err != nil && c.closed: // by Close, while this call waited
			c.wr.release()
			s.unlock(s.now())
			return n, c.wrap("write", errClosed)
		case err != nil && c.m.State() == tcp.Closed && c.tell():
			err = tcp.ErrPipe
		}
		c.wr.release()
		s.unlock(s.now())
		return n, c.fail("write", err)
	}
}

// Now returns the time on the clock of the connections' Info.
func (s *Stack) Now() tcp.Instant { return s.now() }
