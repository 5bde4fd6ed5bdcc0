package tcp

import (
	"testing"
	"time"
)

// carried returns a connection whose path has carried segments of 1000 octets, and
// that has n more in flight, the first of them at 2001.
func carried(t *testing.T, n int, opts ...option) *script {
	t.Helper()
	p := inEstablished(t, opts...)
	p.write(2000)
	p.recv(ACK, 1, 2001, 0)
	p.out = nil
	p.write(n * 1000)
	p.out = nil
	return p
}

func (p *script) claim(seq, size int, believed bool) {
	p.t.Helper()
	if got := p.c.ClaimPathMSS(p.now, ourISS.Add(seq), size); got != believed {
		p.t.Errorf("a path of %d: believed %v, want %v", size, got, believed)
	}
	p.flush()
}

func (p *script) pathIs(want int) {
	p.t.Helper()
	if got := p.c.Info().PathMSS; got != want {
		p.t.Errorf("path of %d, want %d", got, want)
	}
}

// While a connection makes progress, nobody makes its segments smaller.
//
//rfc:5927 progress
func TestRFC5927ClaimIsRefuted(t *testing.T) { // §7.2
	p := carried(t, 4)
	p.claim(2001, 600, false)
	p.expect()
	p.recv(ACK, 1, 3001, 0)
	p.after(10 * time.Second) // the rest times out: for another reason
	p.pathIs(1000)
	if _, ok := p.c.PathNews(); ok {
		t.Error("there is news of the path")
	}

	p = carried(t, 4, withSACK)
	p.claim(4001, 600, false)
	p.recv(ACK, 1, 2001, 0, sacking([2]int{4001, 5001})) // it has arrived, before others
	p.after(10 * time.Second)
	p.pathIs(1000)
}

// When the segment times out, the claim is believed, and told to others. The next
// one has to wait again.
//
//rfc:5927 update
func TestRFC5927ClaimIsProved(t *testing.T) { // §7.2
	p := carried(t, 2)
	p.claim(2001, 600, false)
	p.after(300 * time.Millisecond)
	p.pathIs(600)
	p.expect("[.] 2001+600 ack 1")
	if n, ok := p.c.PathNews(); n != 600 || !ok {
		t.Errorf("news: %d, %v", n, ok)
	}
	p.recv(ACK, 1, 4001, 0)
	p.out = nil
	p.write(600)
	p.claim(4001, 500, false)
	p.recv(ACK, 1, 4601, 0)
	p.pathIs(600)
	// What has timed out already proves the next message at once.
	p.write(1200)
	p.after(1500 * time.Millisecond)
	p.claim(4601, 500, true)
	p.pathIs(500)
}

// Of segments that are larger than any that arrived, everything is believed at once:
// at the beginning, and of a probe.
//
//rfc:5927 initial
func TestRFC5927InitialDiscoveryIsQuick(t *testing.T) { // §7.2
	p := inEstablished(t)
	p.write(3000)
	p.out = nil
	p.claim(1, 600, true)
	p.pathIs(600)
	if len(p.out) == 0 || p.out[0] != "[.] 1+600 ack 1" {
		t.Errorf("%q", p.out)
	}
	// Small segments that arrived prove nothing of large ones.
	p = inEstablished(t, config(func(c *Config) { c.NoDelay = true }))
	for range 12 {
		p.write(100)
	}
	p.recv(ACK, 1, 1201, 0)
	p.write(1000)
	p.claim(1201, 600, true)
	p.pathIs(600)
}

// A timeout that proves a claim and is found spurious brings back as many segments as
// there were, not as many octets (RFC 4821 §4).
func TestSpuriousTimeoutAfterClaim(t *testing.T) {
	p := carried(t, 8, withSACK)
	before := p.c.win
	p.claim(2001, 500, false)
	p.after(300 * time.Millisecond)
	p.pathIs(500)
	p.recv(ACK, 1, 2001, 0, sacking([2]int{3001, 5001})) // the originals, only late
	if n := p.c.pool.Counters.SpuriousTimeouts; n != 1 {
		t.Fatalf("%d spurious timeouts: %+v", n, p.c.win)
	}
	if got, most := p.c.win.Cwnd/p.c.win.MSS, before.Cwnd/before.MSS; got > most+4 || got < most {
		t.Errorf("%d segments, %d before", got, most)
	}
}
