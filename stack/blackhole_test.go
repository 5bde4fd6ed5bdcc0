package stack_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// A router on the way drops large packets and its ICMP messages do not come: the
// connection finds the size that passes, and the next one begins with it
// (RFC 4821).
//
//rfc:4821 stored
func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small := stack.Config{RcvBuf: 16 << 10} // little in flight: a search goes on after as many round trips
		l := newLAN(t, 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond, MTU: 1300}}, small, small)
		defer l.close()
		upload := func(n int64) time.Duration {
			c, s := l.connect()
			start := time.Now()
			go func() {
				_, _ = io.Copy(c, stream(1, n))
				c.Close()
			}()
			if err := same(s, 1, n); err != nil {
				t.Error(err)
			}
			took := time.Since(start)
			if mss := c.Info().PathMSS; mss > 1260 || mss < 1260-16 {
				t.Errorf("segments of %d octets, the path carries 1260", mss)
			}
			s.Close()
			return took
		}
		first, second := upload(4<<20), upload(4<<20)
		t.Logf("%v, then %v", first, second)
		// How long the text itself takes depends on how the reader's turns fall, in
		// both uploads alike; the search is what the first one takes beyond that.
		if search := first - second; search > 3*time.Second || search < time.Second {
			t.Errorf("%v, then %v", first, second)
		}
		if n := l.stacks[0].Stats().TCP.BlackHoles; n != 1 {
			t.Errorf("%d black holes", n)
		}
	})
}
