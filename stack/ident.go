package stack

import (
	"hash/maphash"
	"time"

	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// maxDatagramLife is how long a datagram may be under way, RFC 791 §3.2: its
// identification is not given to another one before that.
const maxDatagramLife = 2 * time.Minute

// Identifications come in two halves. What leaves whole takes no more than the first
// part of each: a flood of it, which can do without, leaves the others to what has to
// be fragmented here.
const (
	halfIDs  = 1 << 15
	wholeIDs = halfIDs / 2
)

// identifications counts those of the datagrams to some destinations. A half of
// the 65536 is begun only when the lifetime of all that used it before is over.
type identifications struct {
	last uint16
	left [2]tcp.Instant // when the counter went out of each half
}

// ends reports whether n more go beyond what they may have of the half that the
// counter is in.
func (i *identifications) ends(n int, whole bool) bool {
	next := i.last + uint16(n)
	return next/halfIDs != i.last/halfIDs || whole && next%halfIDs >= wholeIDs
}

// take returns the first of n identifications in a row; ok is false when there are
// none that may come again. n is at most that of the segments of one super-frame.
// now counts only where a half ends.
func (i *identifications) take(n int, whole bool, now tcp.Instant) (first uint16, ok bool) {
	if i.ends(n, whole) {
		half := i.last / halfIDs
		if next := i.left[1-half]; next != 0 && now.Sub(next) < maxDatagramLife {
			return 0, false
		}
		i.left[half] = now
		i.last = (1-half)*halfIDs - 1 // the last of the half that ends
	}
	first = i.last + 1
	i.last += uint16(n)
	return first, true
}

// identify gives n packets with the header h, of which it sees the first, their
// identifications; whole says that none is fragmented here. Those that must not be
// fragmented on the way need none (RFC 6864 §4.1). Of the others there can be 65536
// in the lifetime of a datagram (§5.2): what is beyond that must not be fragmented
// either, and identify reports false.
func (s *Stack) identify(h *ipv4.Header, n int, whole bool) bool {
	if h.DF {
		return true
	}
	ids, now := &s.ids[uint8(maphash.Comparable(s.seed, h.Dst))], tcp.Instant(0)
	if ids.ends(n, whole) {
		now = s.now()
	}
	id, ok := ids.take(n, whole, now)
	h.ID, h.DF = id, !ok
	return ok
}
