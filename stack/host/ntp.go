package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ntpPort is where time servers listen (RFC 4330 §4).
const ntpPort = 123

// ntpLen is the length of a message without extension fields or authenticator, in
// octets. What follows it is not read.
const ntpLen = 48

// Modes and the leap indicator of RFC 4330 §4.
const (
	ntpVersion   = 4
	ntpClient    = 3
	ntpServer    = 4
	ntpUnsynced  = 3 // leap indicator: the server's clock is not set
	ntpMaxStrata = 15
)

// ntpEpoch is the start of NTP's first era.
var ntpEpoch = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

// Why a reply is not used. Those of errNTPServer are the server's own fault and
// end the exchange; any other message is ignored, for anybody may have sent it.
var (
	errNTPForeign = errors.New("not an answer to our request")
	errNTPServer  = errors.New("the server's answer is of no use")
)

// kissError is a kiss-o'-death: a server that asks for less, or for nothing at all
// (RFC 4330 §8, RFC 5905 §7.4).
type kissError string

func (k kissError) Error() string { return "kiss-o'-death " + string(k) }

// Kisses that mean something to a client (RFC 5905 §7.4). Others, such as INIT, say
// that the server has no time yet.
const (
	kissDeny     kissError = "DENY" // never ask again
	kissRestrict kissError = "RSTR" // likewise
	kissRate     kissError = "RATE" // ask more seldom
)

// ntpReply is what a server has said.
type ntpReply struct {
	stratum  uint8
	received time.Time     // T2, by the server's clock
	sent     time.Time     // T3
	distance time.Duration // how far the server may be off (RFC 5905 §11.1, without the way to us)
}

// appendNTPRequest appends a request. All fields but the first octet and the
// transmit timestamp are zero, and that is a number nobody can guess in the place
// of our time, which is nobody's business (RFC 4330 §5 has the server return it
// unread; RFC 9109 has the reasons for hiding what can be hidden).
func appendNTPRequest(b []byte, nonce uint64) []byte {
	m := make([]byte, ntpLen)
	m[0] = ntpVersion<<3 | ntpClient
	binary.BigEndian.PutUint64(m[40:], nonce)
	return append(b, m...)
}

// parseNTPReply checks a message as RFC 4330 §5 and RFC 5905 §8 say.
func parseNTPReply(b []byte, nonce uint64) (r ntpReply, err error) {
	if len(b) < ntpLen || b[0]&7 != ntpServer || b[0]>>3&7 != ntpVersion || binary.BigEndian.Uint64(b[24:]) != nonce {
		return r, errNTPForeign
	}
	refuse := func(format string, args ...any) (ntpReply, error) {
		return ntpReply{}, fmt.Errorf("%w: %s", errNTPServer, fmt.Sprintf(format, args...))
	}
	r.stratum = b[1]
	switch {
	case r.stratum == 0:
		if code := text(b[12:16]); code != "" {
			return r, kissError(code)
		}
		return refuse("stratum 0")
	case r.stratum > ntpMaxStrata:
		return refuse("stratum %d", r.stratum)
	case b[0]>>6 == ntpUnsynced:
		return refuse("its clock is not set")
	}
	reference, received, sent := b[16:24], b[32:40], b[40:48]
	if isZero(received) || isZero(sent) {
		return refuse("no timestamp")
	}
	r.received, r.sent = ntpTime(received), ntpTime(sent)
	if r.sent.Before(r.received) {
		return refuse("it answered before it was asked")
	}
	if !isZero(reference) && r.sent.Before(ntpTime(reference)) {
		return refuse("its clock was set in its own future")
	}
	r.distance = ntpShort(b[4:8])/2 + ntpShort(b[8:12])
	if r.distance >= maxDistance {
		return refuse("it may be off by %v", r.distance)
	}
	return r, nil
}

// maxDistance is how far from the true time an answer may be, by its own account
// (MAXDIST of RFC 5905 §11.1).
const maxDistance = 1500 * time.Millisecond

// offset returns by how much our clock is behind the server's, when the request
// left at sent and the reply came after elapsed, and how long the two were under
// way (RFC 4330 §5).
func (r ntpReply) offset(sent time.Time, elapsed time.Duration) (offset, delay time.Duration, err error) {
	if delay = elapsed - r.sent.Sub(r.received); delay < 0 {
		return 0, 0, fmt.Errorf("%w: it took longer than the answer took", errNTPServer)
	}
	if d := r.distance + delay/2; d >= maxDistance {
		return 0, 0, fmt.Errorf("%w: over this way it may be off by %v", errNTPServer, d)
	}
	there, back := r.received.Sub(sent), r.sent.Sub(sent.Add(elapsed))
	return there/2 + back/2, delay, nil
}

// ntpTime reads a timestamp. Its first bit tells the era: set is 1968 to 2036, not
// set 2036 to 2104 (RFC 4330 §3).
func ntpTime(b []byte) time.Time {
	s, frac := binary.BigEndian.Uint32(b), uint64(binary.BigEndian.Uint32(b[4:]))
	at := ntpEpoch.Unix() + int64(s)
	if s>>31 == 0 {
		at += 1 << 32
	}
	return time.Unix(at, int64(frac*1e9>>32)).UTC()
}

// ntpShort reads seconds in 16.16 bits. Below zero, which RFC 4330 allows for the
// root delay, counts as too much.
func ntpShort(b []byte) time.Duration {
	v := binary.BigEndian.Uint32(b)
	return time.Duration(uint64(v) * uint64(time.Second) >> 16)
}

func isZero(b []byte) bool { return binary.BigEndian.Uint64(b) == 0 }
