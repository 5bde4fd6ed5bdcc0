package host

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"arpeggio/stack"
)

// exchange is one question by UDP, as a connection for package net: what is
// written goes to one server after the other until one has an answer, which is
// what is read. One goroutine uses it.
type exchange struct {
	r       *Resolver
	query   []byte
	servers []netip.Addr // not asked yet
	end     time.Time    // of the caller's patience; zero is none

	asked netip.Addr     // the server that is being asked
	conn  *stack.UDPConn // to it; nil when there is none
	until time.Time      // how long it is waited for
	local net.Addr       // of the last conn
	poor  []byte         // an answer that says no more than that its server has none; until Read returns it
	weak  []netip.Addr   // the servers that said so
	err   error          // of the last server that failed
}

var _ net.PacketConn = (*exchange)(nil) // package net tells datagrams by this

// Write keeps the question for Read.
func (x *exchange) Write(p []byte) (int, error) {
	if err := askable(p); err != nil {
		return 0, err
	}
	x.query = slices.Clone(p)
	return len(p), nil
}

// errNoAnswer is what Read says when every server has answered, and none of them
// well.
var errNoAnswer = errors.New("no name server has an answer")

// Read returns the next datagram that answers the question. Called again, it goes
// on waiting for a better one.
func (x *exchange) Read(p []byte) (int, error) {
	for {
		if x.conn == nil && !x.next() {
			if poor := x.poor; poor != nil {
				x.poor = nil // package net may dislike it, and asks for the next one then
				return copy(p, poor), nil
			}
			if x.err == nil {
				return 0, errNoAnswer
			}
			return 0, x.err
		}
		n, err := x.conn.Read(p)
		if err != nil {
			x.failed(err)
			continue
		}
		switch judge(x.query, p[:n]) {
		case answerPoor:
			x.poor, x.weak = slices.Clone(p[:n]), append(x.weak, x.asked)
			x.hangUp()
		case answerGood:
			for _, a := range x.weak { // the next question, by TCP perhaps, goes to this one first
				x.r.demote(a)
			}
			x.weak = nil
			return n, nil
		}
	}
}

// next asks the next server and reports false when there is none left, or no time.
func (x *exchange) next() bool {
	for len(x.servers) > 0 {
		if !x.end.IsZero() && !time.Now().Before(x.end) {
			x.err = os.ErrDeadlineExceeded
			return false
		}
		x.asked, x.servers = x.servers[0], x.servers[1:]
		c, err := x.r.stack.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(x.asked, dnsPort)) // from a port that nobody can guess
		if err != nil {
			x.failed(err)
			continue
		}
		x.conn, x.local = c, c.LocalAddr()
		x.until = time.Now().Add(x.r.share(x.end, len(x.servers)+1))
		if err = c.SetReadDeadline(x.until); err == nil {
			_, err = c.Write(x.query)
		}
		if err == nil {
			return true
		}
		x.failed(err)
	}
	return false
}

// failed notes that a server gave no answer.
func (x *exchange) failed(err error) {
	x.err = err
	x.r.demote(x.asked)
	x.hangUp()
}

func (x *exchange) hangUp() {
	if x.conn != nil {
		_ = x.conn.Close() // ours alone: it cannot have been closed before
		x.conn = nil
	}
}

// errLocalName and errLinkLocalName are why a question is not asked.
var (
	errLocalName     = errors.New("no name server is asked for names under localhost and invalid (RFC 6761 §6.3, §6.4)")
	errLinkLocalName = errors.New("the name of a link-local address means something on its own link only, and no name server is asked for it (RFC 3927 §1.4)")
)

// linkLocalNames is the domain in which link-local addresses would have names.
const linkLocalNames = "254.169.in-addr.arpa"

// askable returns why a question must not leave the host. What cannot be read is
// left to the server.
func askable(query []byte) error {
	var q dnsmessage.Parser
	if _, err := q.Start(query); err != nil {
		return nil
	}
	question, err := q.Question()
	if err != nil {
		return nil
	}
	switch name := question.Name.String(); {
	case isUnder(name, linkLocalNames):
		return errLinkLocalName
	case isUnder(name, "localhost"), isUnder(name, "invalid"):
		return errLocalName
	}
	return nil
}

// overTCP is a connection to a name server by TCP, for package net, which writes a
// question at once, with its length in two octets before it (RFC 1035 §4.2.2).
type overTCP struct{ *stack.TCPConn }

// Write sends a question that may be asked.
func (c overTCP) Write(p []byte) (int, error) {
	if len(p) > 2 {
		if err := askable(p[2:]); err != nil {
			return 0, err
		}
	}
	return c.TCPConn.Write(p)
}

// answer says what a datagram is worth.
type answer uint8

const (
	answerForeign answer = iota // not to our question: a forgery, or late
	answerPoor                  // from a server that cannot say; another one may
	answerGood
)

// judge looks whether response answers query (RFC 5452 §9.1), and how.
func judge(query, response []byte) answer {
	var q, r dnsmessage.Parser
	qh, err := q.Start(query)
	if err != nil {
		return answerForeign
	}
	rh, err := r.Start(response)
	if err != nil || !rh.Response || rh.ID != qh.ID {
		return answerForeign
	}
	want, err := q.Question()
	if err != nil {
		return answerForeign
	}
	got, err := r.Question()
	if err != nil || got.Type != want.Type || got.Class != want.Class ||
		!sameName(got.Name, want.Name) {
		return answerForeign
	}
	switch rh.RCode {
	case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
		return answerGood
	}
	return answerPoor
}

// sameName compares names as package net does, which looks at the answer once more:
// only the letters of ASCII have a case (RFC 4343).
func sameName(a, b dnsmessage.Name) bool {
	if a.Length != b.Length {
		return false
	}
	for i, c := range a.Data[:a.Length] {
		if lower(c) != lower(b.Data[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Close implements net.Conn.
func (x *exchange) Close() error {
	x.hangUp()
	x.servers = nil
	return nil
}

// SetDeadline bounds Read, if end does not come before; Write never waits.
func (x *exchange) SetDeadline(t time.Time) error {
	if x.end.IsZero() || t.Before(x.end) {
		x.end = t
	}
	return nil
}

// SetReadDeadline is SetDeadline.
func (x *exchange) SetReadDeadline(t time.Time) error { return x.SetDeadline(t) }

// SetWriteDeadline does nothing: Write never waits.
func (x *exchange) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr returns the end of the last question sent.
func (x *exchange) LocalAddr() net.Addr { return x.local }

// RemoteAddr returns the server that was asked last.
func (x *exchange) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(x.asked, dnsPort))
}

// ReadFrom is Read with RemoteAddr.
func (x *exchange) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := x.Read(p)
	return n, x.RemoteAddr(), err
}

// WriteTo is Write.
func (x *exchange) WriteTo(p []byte, _ net.Addr) (int, error) { return x.Write(p) }
