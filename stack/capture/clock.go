package capture

import (
	"math/bits"
	"time"
)

// clock converts the timestamps of one interface (if_tsresol and if_tsoffset,
// draft-ietf-opsawg-pcapng §4.2).
type clock struct {
	resolution byte  // units are 10^-n seconds, or 2^-n with the high bit set
	offset     int64 // seconds to add
}

func (c clock) time(ts uint64) time.Time {
	var sec, nsec uint64
	if n := c.resolution & 0x7f; c.resolution&0x80 != 0 {
		sec, nsec = binarySeconds(ts, uint(n))
	} else {
		sec, nsec = decimalSeconds(ts, uint(n))
	}
	return time.Unix(int64(sec)+c.offset, int64(nsec))
}

// decimalSeconds splits ts × 10^-n seconds.
func decimalSeconds(ts uint64, n uint) (sec, nsec uint64) {
	for ; n > 9; n-- { // finer than a nanosecond
		ts /= 10
	}
	unit := uint64(1) // nanoseconds
	for range 9 - n {
		unit *= 10
	}
	per := 1_000_000_000 / unit // units a second
	return ts / per, ts % per * unit
}

// binarySeconds splits ts × 2^-n seconds.
func binarySeconds(ts uint64, n uint) (sec, nsec uint64) {
	var frac uint64 // in 2^-64 seconds
	switch {
	case n == 0:
		return ts, 0
	case n <= 64:
		frac = ts << (64 - n)
		if n < 64 {
			sec = ts >> n
		}
	default:
		frac = ts >> (n - 64)
	}
	nsec, _ = bits.Mul64(frac, 1_000_000_000)
	return sec, nsec
}
