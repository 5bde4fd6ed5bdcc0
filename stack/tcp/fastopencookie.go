package tcp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	minFastOpenCookie = 4 // RFC 7413 §4.1.1
	maxFastOpenCookie = 16
	fastOpenMACLen    = 8 // of the cookies that we make

	// DefaultFastOpenPeriod is how long a key makes cookies.
	DefaultFastOpenPeriod = time.Hour
)

// FastOpenCookie proves to a server that the sender of a SYN has its address: it
// has received the cookie there (RFC 7413 §4.1.2). Values are comparable; the
// zero value is none.
type FastOpenCookie struct {
	n uint8
	b [maxFastOpenCookie]byte
}

// NewFastOpenCookie returns the cookie of the octets b; ok is false unless these
// are 4 to 16 and even in number (RFC 7413 §4.1.1).
func NewFastOpenCookie(b []byte) (c FastOpenCookie, ok bool) {
	if len(b) < minFastOpenCookie || len(b) > maxFastOpenCookie || len(b)%2 != 0 {
		return c, false
	}
	c.n = uint8(copy(c.b[:], b))
	return c, true
}

// Bytes returns the cookie's octets, none for the zero value.
func (c FastOpenCookie) Bytes() []byte { return c.b[:c.n] }

// IsZero reports whether there is no cookie.
func (c FastOpenCookie) IsZero() bool { return c.n == 0 }

// equal takes the same time wherever they differ.
func (c FastOpenCookie) equal(o FastOpenCookie) bool { return hmac.Equal(c.Bytes(), o.Bytes()) }

// FastOpenKey is a key that servers share, so that each takes the cookies of all.
// Its cookies for IPv4 are those that Linux makes with the same 16 octets
// (TCP_FASTOPEN_KEY): SipHash-2-4 of the client's and the server's address.
type FastOpenKey [16]byte

func (k FastOpenKey) cookie(local, remote netip.Addr) (c FastOpenCookie) {
	l, r := local.As4(), remote.As4()
	c.n = fastOpenMACLen
	binary.LittleEndian.PutUint64(c.b[:], sipHash(k, append(r[:], l[:]...)))
	return c
}

// FastOpenKeys makes and checks a server's cookies: a MAC of both addresses under
// a key that changes by itself. Nothing is kept for a cookie. Secret is random and
// stays. Methods may be called concurrently.
type FastOpenKeys struct {
	Secret [32]byte
	// Period is how long a key makes cookies; they are good for as long again.
	// Zero means DefaultFastOpenPeriod.
	Period time.Duration
	// Shared, when there are any, stand for Secret and Period: the first makes
	// cookies, those of the others are good as well and about to expire.
	Shared []FastOpenKey
}

// Cookie returns the cookie for remote.
func (k *FastOpenKeys) Cookie(local, remote netip.Addr, now Instant) FastOpenCookie {
	if len(k.Shared) > 0 {
		return k.Shared[0].cookie(local, remote)
	}
	return k.cookie(local, remote, k.tick(now))
}

// Check reports whether c is a cookie for remote, and whether it is about to
// expire, so that remote should get another one.
func (k *FastOpenKeys) Check(c FastOpenCookie, local, remote netip.Addr, now Instant) (good, old bool) {
	for i, s := range k.Shared {
		if c.equal(s.cookie(local, remote)) {
			return true, i > 0
		}
	}
	if len(k.Shared) > 0 {
		return false, false
	}
	tick := k.tick(now)
	if c.equal(k.cookie(local, remote, tick)) {
		return true, false
	}
	good = c.equal(k.cookie(local, remote, tick-1))
	return good, good
}

func (k *FastOpenKeys) tick(now Instant) uint64 {
	return uint64(now) / uint64(or(k.Period, DefaultFastOpenPeriod))
}

func (k *FastOpenKeys) cookie(local, remote netip.Addr, tick uint64) (c FastOpenCookie) {
	var b [8 + 16 + 16]byte
	binary.BigEndian.PutUint64(b[:], tick)
	l, r := local.As16(), remote.As16()
	copy(b[8:], l[:])
	copy(b[24:], r[:])
	m := hmac.New(sha256.New, k.Secret[:])
	_, _ = m.Write(b[:])
	var sum [sha256.Size]byte
	c.n = uint8(copy(c.b[:], m.Sum(sum[:0])[:fastOpenMACLen]))
	return c
}
