package socketagent

import (
	"strings"
	"syscall"
	"time"

	"arpeggio/stack/tcp"
)

// Options of level SOL_TCP.
const (
	tcpNoDelay     = 1
	tcpMaxSeg      = 2
	tcpCork        = 3
	tcpKeepIdle    = 4
	tcpKeepIntvl   = 5
	tcpKeepCnt     = 6
	tcpSynCnt      = 7
	tcpLinger2     = 8
	tcpInfo        = 11
	tcpQuickAck    = 12
	tcpCongestion  = 13
	tcpUserTimeout = 18
	tcpNotsentLow  = 25
	tcpInq         = 36
)

// Seconds that FIN-WAIT-2 of a closed socket lasts; below zero it does not.
const (
	defaultLinger2 = 60
	maxLinger2     = 120
)

// finWait2 is TCP_LINGER2 as the stack has it, where zero would be the default.
func (o *options) finWait2() time.Duration {
	return max(time.Duration(o.linger2)*time.Second, time.Millisecond)
}

func (s *sock) setTCP(name int32, v []byte) error {
	o := &s.opt
	if name == tcpCongestion {
		cc := strings.TrimRight(string(v), "\x00")
		if cc != "reno" && cc != "cubic" {
			return syscall.ENOENT
		}
		if o.congestion = cc; s.conn != nil {
			return s.conn.SetCongestionControl(congestionControl(cc))
		}
		return nil
	}
	if name == tcpFastOpenKey {
		return s.setFastOpenKeys(v)
	}
	n, err := number(v)
	if err != nil {
		return err
	}
	within := func(low, high int32) error {
		if n < low || n > high {
			return syscall.EINVAL
		}
		return nil
	}
	switch name {
	case tcpNoDelay:
		if o.noDelay = n != 0; s.conn != nil {
			return s.conn.SetNoDelay(o.noDelay)
		}
	case tcpMaxSeg:
		if err := within(88, 32767); n != 0 && err != nil {
			return err
		}
		o.maxSeg = n
	case tcpCork:
		if o.cork = n != 0; s.conn != nil {
			return s.conn.SetCork(o.cork)
		}
	case tcpKeepIdle, tcpKeepIntvl:
		if err := within(1, 32767); err != nil {
			return err
		}
		if name == tcpKeepIdle {
			o.keepIdle = n
		} else {
			o.keepIntvl = n
		}
		s.applyKeepAlive()
	case tcpKeepCnt:
		if err := within(1, 127); err != nil {
			return err
		}
		o.keepCnt = n
		s.applyKeepAlive()
	case tcpSynCnt:
		if err := within(1, 127); err != nil {
			return err
		}
		if o.synCnt = min(n, 20); s.conn != nil { // later the sum of the time-outs is days
			return s.conn.SetConnectTimeout(o.connectTimeout())
		}
	case tcpLinger2: // 0: the default again
		if o.linger2 = min(max(n, -1), maxLinger2); n == 0 {
			o.linger2 = defaultLinger2
		}
		if s.conn != nil {
			return s.conn.SetFinWait2(o.finWait2())
		}
	case tcpQuickAck:
		if s.conn != nil {
			return s.conn.SetQuickAck(n != 0)
		}
	case tcpUserTimeout:
		if n < 0 {
			return syscall.EINVAL
		}
		if o.userTimeout = n; s.conn != nil {
			_ = s.conn.SetConnectTimeout(o.connectTimeout())
			return s.conn.SetUserTimeout(time.Duration(n) * time.Millisecond)
		}
	case tcpNotsentLow:
		o.notsentLow = uint32(n)
	case tcpFastOpen, tcpFastOpenConnect, tcpFastOpenNoCookie:
		return s.setFastOpen(name, n)
	case tcpInq:
		if err := within(0, 1); err != nil {
			return err
		}
		o.inq = n == 1
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

func congestionControl(name string) tcp.CongestionControl {
	if name == "reno" {
		return new(tcp.Reno)
	}
	return new(tcp.Cubic)
}

func (a *Agent) getTCP(s *sock, name int32) []byte {
	o := &s.opt
	switch name {
	case tcpNoDelay:
		return flag(o.noDelay)
	case tcpMaxSeg:
		switch {
		case s.conn != nil && s.conn.Info().State.Synchronized():
			return int32s(int32(s.conn.Info().SndMSS))
		case o.maxSeg > 0:
			return int32s(o.maxSeg)
		}
		return int32s(536)
	case tcpCork:
		return flag(o.cork)
	case tcpKeepIdle:
		return int32s(o.keepIdle)
	case tcpKeepIntvl:
		return int32s(o.keepIntvl)
	case tcpKeepCnt:
		return int32s(o.keepCnt)
	case tcpSynCnt:
		return int32s(o.synCnt)
	case tcpLinger2:
		return int32s(o.linger2)
	case tcpInfo:
		return a.tcpInfo(s)
	case tcpQuickAck:
		return flag(s.conn == nil || s.conn.Info().QuickAcks > 0)
	case tcpCongestion:
		return append([]byte(o.congestion), make([]byte, 16-len(o.congestion))...)
	case tcpUserTimeout:
		return int32s(o.userTimeout)
	case tcpNotsentLow:
		return int32s(int32(o.notsentLow))
	case tcpFastOpen:
		return int32s(o.fastOpen)
	case tcpFastOpenConnect:
		return flag(o.fastConnect)
	case tcpFastOpenNoCookie:
		return flag(o.fastNoCookie)
	case tcpFastOpenKey:
		return s.getFastOpenKeys()
	case tcpInq:
		return flag(o.inq)
	}
	return nil
}
