package tcp

import (
	"testing"
	"time"
)

// When fast recovery ends, what the duplicates have lent is taken back: the flight
// stays within the threshold.
//
//rfc:5681 deflate
func TestRFC5681DeflatesAtTheEnd(t *testing.T) { // §3.2 step 6
	p := sentSegments(t, 10)
	p.c.win.Cwnd = 10_000
	p.write(60_000)
	for range 9 {
		p.recv(ACK, 1, 1, 0)
	}
	p.recv(ACK, 1, p.c.recover.Sub(ourISS), 0) // and nothing that was sent since
	if p.c.loss != lossNone || p.c.inflate != 0 || p.c.flight() > p.c.win.Ssthresh {
		t.Errorf("%v, inflated by %d, %d in flight, threshold %d", p.c.loss, p.c.inflate, p.c.flight(), p.c.win.Ssthresh)
	}
}

// On a path whose round trips are all alike the timeout keeps a distance from
// them, if only a tick of the clock.
//
//rfc:6298 granularity
func TestRFC6298ClockGranularity(t *testing.T) { // §4
	p := inEstablished(t, config(func(c *Config) { c.MinRTO = time.Millisecond }))
	for range 1000 {
		p.c.sampleRTT(50 * time.Millisecond)
	}
	if p.c.rttvar > time.Microsecond {
		t.Fatalf("RTTVAR %v", p.c.rttvar)
	}
	if d := p.c.rto() - p.c.srtt; d < clockG {
		t.Errorf("the timeout is %v behind the round trip", d)
	}
}
