package tcp

import (
	"testing"
	"time"
)

// What comes with a reset or a SYN that is challenged is not taken.
//
//rfc:5961 reset-dropped syn-dropped
func TestRFC5961ChallengedSegmentsAreDropped(t *testing.T) { // §3.2, §4.2
	for _, f := range []Flags{RST | ACK, SYN | ACK} {
		p := inEstablished(t)
		p.recv(f, 3, 1, 10)
		p.expect("[.] 1 ack 1")
		p.recv(ACK, 1, 1, 2)
		p.read(1, 2)
		if p.c.Readable() {
			t.Errorf("the text of %v was taken", f)
		}
	}
}

//rfc:5961 tunable
func TestRFC5961ChallengeLimitIsTunable(t *testing.T) { // §7
	pool := &Pool{ChallengeLimit: 3, ChallengePeriod: 5 * time.Second}
	p := inEstablished(t, config(func(c *Config) { c.Pool = pool }))
	challenges := func() int {
		p.out = nil
		for range 20 {
			p.recv(RST, 5, 0, 0)
		}
		return len(p.out)
	}
	p.now = Instant(10 * time.Second)
	if n := challenges(); n != 3 {
		t.Errorf("%d challenges", n)
	}
	p.now = p.now.Add(4 * time.Second)
	if n := challenges(); n != 0 {
		t.Errorf("%d more in the same five seconds", n)
	}
	p.now = p.now.Add(time.Second)
	if n := challenges(); n != 3 {
		t.Errorf("%d challenges five seconds later", n)
	}
	pool.ChallengeLimit = 1000
	p.now = p.now.Add(5 * time.Second)
	if n := challenges(); n != 20 {
		t.Errorf("%d challenges without a bound that matters", n)
	}
}
