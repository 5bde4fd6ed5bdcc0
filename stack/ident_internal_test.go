package stack

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ipv4"
)

// RFC 6864 §4.3 and §5.2: identifications of one destination do not repeat within
// the lifetime of a datagram, however many there are.
//
//rfc:6864 unique
func TestIdentification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			n     int
			whole bool
			least int
		}{{1, false, 65536}, {1, true, 2 * wholeIDs}, {45, true, 2*wholeIDs - 2*45}} {
			s, n := seeded(1), c.n
			given := map[uint16]time.Time{}
			refused := 0
			for range 170_000 / n {
				time.Sleep(time.Duration(n) * time.Millisecond)
				h := ipv4.Header{Dst: netip.AddrFrom4([4]byte{10, 0, 0, 2})}
				if !s.identify(&h, n, c.whole) {
					refused++
					continue
				}
				for i := range uint16(n) {
					if at, ok := given[h.ID+i]; ok && time.Since(at) < maxDatagramLife {
						t.Fatalf("%d came again after %v", h.ID+i, time.Since(at))
					}
					given[h.ID+i] = time.Now()
				}
			}
			if len(given) < c.least || refused == 0 {
				t.Errorf("%+v: %d identifications, refused %d times", c, len(given), refused)
			}
			s.Close()
		}
	})
}
