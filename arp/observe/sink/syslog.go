package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"arpeggio/arp/observe"
)

// SyslogConfig configures Syslog. Addr is required.
type SyslogConfig struct {
	// Addr is where messages go: a Unix socket such as /dev/log, udp:HOST:PORT or
	// tcp:HOST:PORT; HOST or HOST:PORT alone is UDP, and the port is 514 unless it
	// is given. Over TCP each message has its length before it (RFC 6587 §3.4.1).
	Addr   string
	Header Header
	Options
}

// syslogTimeout is how long connecting or sending may take.
const syslogTimeout = 5 * time.Second

// Syslog returns a sink that sends messages of RFC 5424. It connects when there
// is something to send, and again when a connection broke. The error is about
// Addr only.
func Syslog(cfg SyslogConfig) (Sink, error) {
	networks, addr, err := syslogAddr(cfg.Addr)
	if err != nil {
		return nil, err
	}
	s := &syslog{networks: networks, addr: addr, header: cfg.Header.withDefaults()}
	q := newQueue("syslog "+cfg.Addr, cfg.Options)
	return q.start(1, func(ctx context.Context, l *observe.Line) error {
		m := s.header.Message(l)
		return q.retry(ctx, func(ctx context.Context) error { return s.send(ctx, m) })
	}, s.close), nil
}

// syslogAddr takes an address apart: the networks to try, and where.
func syslogAddr(s string) (networks []string, addr string, err error) {
	scheme, rest, ok := strings.Cut(s, ":")
	rest = strings.TrimPrefix(rest, "//")
	switch {
	case strings.HasPrefix(s, "/"):
		return []string{"unixgram", "unix"}, s, nil
	case ok && scheme == "unix" && rest != "":
		return []string{"unixgram", "unix"}, rest, nil
	case ok && (scheme == "udp" || scheme == "tcp"):
	default:
		scheme, rest = "udp", s
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil { // no port: a name, an address, an IPv6 address with or without brackets
		host, port = strings.Trim(rest, "[]"), syslogPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/ []") {
		return nil, "", fmt.Errorf("sink: %q is no syslog address: want /dev/log, udp:HOST:PORT or tcp:HOST:PORT", s)
	}
	return []string{scheme}, net.JoinHostPort(host, port), nil
}

const syslogPort = "514"

// syslog is a connection; it is for one goroutine.
type syslog struct {
	networks []string
	addr     string
	header   Header
	conn     net.Conn
	framed   bool // messages have their length before them
	buf      []byte
}

// send sends one message, over a new connection if need be.
func (s *syslog) send(ctx context.Context, m []byte) error {
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return err
		}
	}
	conn := s.conn
	conn.SetWriteDeadline(time.Now().Add(syslogTimeout))
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s.buf = s.buf[:0]
	if s.framed {
		s.buf = append(strconv.AppendInt(s.buf, int64(len(m)), 10), ' ')
	}
	s.buf = append(s.buf, m...)
	_, err := conn.Write(s.buf)
	if err != nil {
		s.close()
	}
	return err
}

func (s *syslog) dial(ctx context.Context) error {
	var errs []error
	for _, network := range s.networks {
		d := net.Dialer{Timeout: syslogTimeout}
		conn, err := d.DialContext(ctx, network, s.addr)
		if err == nil {
			s.conn, s.framed = conn, network == "tcp" || network == "unix"
			if s.framed {
				// A server says nothing: when reading ends then it is gone, and
				// writing is to fail, too.
				go func() {
					io.Copy(io.Discard, conn)
					conn.Close()
				}()
			}
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *syslog) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
