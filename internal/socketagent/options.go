package socketagent

import (
	"encoding/binary"
	"math"
	"net"
	"syscall"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

// Options of sockets that package syscall does not have, or not everywhere.
const (
	solSocket = 1
	ipprotoIP = 0
	solTCP    = 6
	solUDP    = 17

	soReuseAddr  = 2
	soType       = 3
	soError      = 4
	soBroadcast  = 6
	soSndBuf     = 7
	soRcvBuf     = 8
	soKeepAlive  = 9
	soOOBInline  = 10
	soNoCheck    = 11
	soPriority   = 12
	soLinger     = 13
	soReusePort  = 15
	soRcvLowat   = 18
	soRcvTimeo   = 20
	soSndTimeo   = 21
	soAcceptConn = 30
	soProtocol   = 38
	soDomain     = 39
)

// options are what setsockopt(2) has set, in Linux's units.
type options struct {
	datagram                               datagramOptions
	reuse, broadcast, keepAlive, oobInline bool
	noDelay, cork, noCheck                 bool
	lingerOn                               bool
	linger                                 int32 // seconds
	rcvBuf, sndBuf                         int   // 0 is the stack's default
	rcvTimeout, sndTimeout                 time.Duration
	maxSeg                                 int32
	keepIdle, keepIntvl, keepCnt           int32
	synCnt, linger2                        int32
	userTimeout                            int32 // milliseconds
	notsentLow                             uint32
	rcvLow, priority                       int32
	header                                 stack.IPHeader
	discover                               int32 // IP_MTU_DISCOVER
	fastOpen                               int32 // of a listener: how many at a time
	fastConnect, fastNoCookie              bool
	fastKeys                               []tcp.FastOpenKey
	inq                                    bool // TCP_INQ, which no call here gives
	congestion                             string
	pacing                                 uint64 // octets a second, noPacing for no bound
}

// Linux's defaults where the stack has none of its own.
func defaultOptions() options {
	return options{keepIdle: 7200, keepIntvl: 75, keepCnt: 9, synCnt: 6, linger2: defaultLinger2, rcvLow: 1, congestion: "cubic", pacing: noPacing, discover: ipPMTUWant, datagram: defaultDatagramOptions()}
}

// quickAcks is how many segments Linux acknowledges at once at first.
const quickAcks = 16

// adjust writes the options into the configuration of a connection to come.
func (o *options) adjust(cfg *tcp.Config) {
	cfg.NoDelay = o.noDelay
	cfg.QuickAcks = quickAcks
	cfg.KeepAlive = tcp.KeepAlive{} // not the stack's
	if k := o.keep(); k.Enable {
		cfg.KeepAlive = tcp.KeepAlive{Idle: k.Idle, Interval: k.Interval, Probes: k.Count}
	}
	if o.maxSeg > 0 {
		cfg.MSS = min(cfg.MSS, uint16(o.maxSeg))
	}
	if o.rcvBuf > 0 {
		cfg.RcvBuf = o.rcvBuf
	}
	if o.sndBuf > 0 {
		cfg.SndBuf = o.sndBuf
	}
	cfg.ConnectTimeout = o.connectTimeout()
	cfg.UserTimeout = time.Duration(o.userTimeout) * time.Millisecond
	cfg.FinWait2 = o.finWait2()
	cfg.MaxPacingRate = o.pacingRate()
	if o.congestion == "reno" {
		cfg.CongestionControl = new(tcp.Reno)
	}
}

// connectTimeout returns how long a handshake may last: it ends when the last
// retransmission has had its time.
func (o *options) connectTimeout() time.Duration {
	d := time.Duration(1<<(o.synCnt+1)-1) * time.Second
	if o.userTimeout > 0 {
		d = min(d, time.Duration(o.userTimeout)*time.Millisecond)
	}
	return d
}

func (o *options) keep() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: o.keepAlive, Idle: time.Duration(o.keepIdle) * time.Second,
		Interval: time.Duration(o.keepIntvl) * time.Second, Count: int(o.keepCnt)}
}

// apply sets what is not in the configuration.
func (o *options) apply(c *stack.TCPConn) {
	c.CountSending()
	_ = c.SetUrgentInline(o.oobInline)
	_ = c.SetCork(o.cork)
	o.applyLinger(c)
}

func (o *options) applyLinger(c *stack.TCPConn) {
	if o.lingerOn {
		_ = c.SetLinger(int(o.linger))
	} else {
		_ = c.SetLinger(-1)
	}
}

// number reads an int option; shorter values are EINVAL, as in Linux.
func number(v []byte) (int32, error) {
	if len(v) < 4 {
		return 0, syscall.EINVAL
	}
	return int32(binary.LittleEndian.Uint32(v)), nil
}

// duration reads a struct timeval.
func duration(v []byte) (time.Duration, error) {
	if len(v) < 16 {
		return 0, syscall.EINVAL
	}
	sec, usec := int64(binary.LittleEndian.Uint64(v)), int64(binary.LittleEndian.Uint64(v[8:]))
	if usec < 0 || usec >= 1e6 {
		return 0, syscall.EDOM
	}
	return time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond, nil
}

func timeval(d time.Duration) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(d/time.Second))
	return binary.LittleEndian.AppendUint64(b, uint64(d%time.Second/time.Microsecond))
}

// Bounds of Linux's.
const (
	minSndBuf = 4608
	minRcvBuf = 2304
	maxBuf    = 16 << 20
)

// bufferSize is what Linux makes of SO_SNDBUF or SO_RCVBUF: twice as much, for its own
// needs, and no negative numbers.
func bufferSize(n int32) int { return int(min(uint32(n), maxBuf)) * 2 }

// buffers returns the bounds of the queues: what was set, or how far they have
// grown by themselves.
func (s *sock) buffers() (snd, rcv int) {
	snd, rcv = stack.DefaultBuffer, stack.DefaultBuffer
	if s.conn != nil {
		info := s.conn.Info()
		snd, rcv = info.SndBuf, info.RcvBuf
	}
	return or(s.opt.sndBuf, snd), or(s.opt.rcvBuf, rcv)
}

// publish has connections to come see the options.
func (s *sock) publish() {
	o := s.opt
	s.passive.Store(&o)
}

func (s *sock) setsockopt(level, name int32, v []byte) error {
	defer s.publish()
	switch {
	case level == solSocket:
		return s.setSocket(name, v)
	case level == solTCP && s.stream:
		return s.setTCP(name, v)
	case level == ipprotoIP:
		return s.setIP(name, v)
	}
	return syscall.ENOPROTOOPT
}

func (s *sock) setSocket(name int32, v []byte) error {
	o := &s.opt
	switch name {
	case soLinger:
		if len(v) < 8 {
			return syscall.EINVAL
		}
		on, _ := number(v)
		if o.lingerOn = on != 0; o.lingerOn {
			o.linger, _ = number(v[4:])
		}
		if s.conn != nil {
			o.applyLinger(s.conn)
		}
		return nil
	case soRcvTimeo, soSndTimeo:
		d, err := duration(v)
		if err == nil && name == soRcvTimeo {
			o.rcvTimeout = d
		} else if err == nil {
			o.sndTimeout = d
		}
		return err
	}
	n, err := number(v)
	if err != nil {
		return err
	}
	switch name {
	case soReuseAddr:
		o.reuse = n != 0
		if s.bound != nil {
			s.bound.SetReuse(o.reuse)
		}
	case soReusePort:
	case soRcvLowat:
		if n < 0 {
			n = math.MaxInt32
		}
		o.rcvLow = max(n, 1)
	case soMaxPacingRate:
		return s.setPacing(v)
	case soPriority: // our frames have none
		o.priority = n
	case soBroadcast:
		if o.broadcast = n != 0; s.udp != nil {
			_ = s.udp.SetBroadcast(o.broadcast)
		}
	case soNoCheck: // of no account for a stream
		if o.noCheck = n != 0; s.udp != nil {
			_ = s.udp.SetNoChecksum(o.noCheck)
		}
	case soSndBuf:
		o.sndBuf = max(bufferSize(n), minSndBuf)
		if s.conn != nil {
			_ = s.conn.SetWriteBuffer(o.sndBuf)
		}
	case soRcvBuf:
		o.rcvBuf = max(bufferSize(n), minRcvBuf)
		switch {
		case s.conn != nil:
			_ = s.conn.SetReadBuffer(o.rcvBuf)
		case s.udp != nil:
			_ = s.udp.SetReadBuffer(o.rcvBuf)
		}
	case soKeepAlive:
		o.keepAlive = n != 0
		s.applyKeepAlive()
	case soOOBInline:
		o.oobInline = n != 0
		if s.conn != nil {
			_ = s.conn.SetUrgentInline(o.oobInline)
		}
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

func (s *sock) applyKeepAlive() {
	if s.conn != nil {
		_ = s.conn.SetKeepAliveConfig(s.opt.keep())
	}
}

// getsockopt returns a value cut to length octets.
func (a *Agent) getsockopt(s *sock, level, name, length int32) reply {
	if length < 0 {
		return reply{err: syscall.EINVAL}
	}
	var v []byte
	switch {
	case level == solSocket:
		v = a.getSocket(s, name, length)
	case level == solTCP && s.stream:
		v = a.getTCP(s, name)
	case level == ipprotoIP:
		v = s.getIP(name, length)
	case level != solUDP || s.stream:
		return reply{err: syscall.EOPNOTSUPP}
	}
	if v == nil {
		return reply{err: syscall.ENOPROTOOPT}
	}
	return reply{data: v[:min(len(v), int(length))]}
}

func flag(on bool) []byte {
	if on {
		return int32s(1)
	}
	return int32s(0)
}

func (a *Agent) getSocket(s *sock, name, length int32) []byte {
	o := &s.opt
	switch name {
	case soReuseAddr:
		return flag(o.reuse)
	case soType:
		if s.stream {
			return int32s(syscall.SOCK_STREAM)
		}
		return int32s(syscall.SOCK_DGRAM)
	case soError:
		if err := s.takeErr(); err != nil {
			return int32s(int32(errnoOf(err)))
		}
		return int32s(0)
	case soBroadcast:
		return flag(o.broadcast)
	case soNoCheck:
		return flag(o.noCheck)
	case soSndBuf:
		snd, _ := s.buffers()
		return int32s(int32(snd))
	case soRcvBuf:
		_, rcv := s.buffers()
		return int32s(int32(rcv))
	case soKeepAlive:
		return flag(o.keepAlive)
	case soOOBInline:
		return flag(o.oobInline)
	case soLinger:
		return append(flag(o.lingerOn), int32s(o.linger)...)
	case soReusePort:
		return flag(false)
	case soRcvLowat:
		return int32s(o.rcvLow)
	case soPriority:
		return int32s(o.priority)
	case soMaxPacingRate:
		return o.getPacing(length)
	case soRcvTimeo:
		return timeval(o.rcvTimeout)
	case soSndTimeo:
		return timeval(o.sndTimeout)
	case soAcceptConn:
		return flag(s.ln != nil)
	case soProtocol:
		if s.stream {
			return int32s(syscall.IPPROTO_TCP)
		}
		return int32s(syscall.IPPROTO_UDP)
	case soDomain:
		return int32s(syscall.AF_INET)
	}
	return nil
}

func or(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}
