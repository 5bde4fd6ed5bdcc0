package tcp

import (
	"testing"
	"time"
)

// What is announced does not count options, and segments make room for those that
// they have.
//
//rfc:6691 announced options
func TestRFC6691(t *testing.T) { // §2
	p := inEstablished(t, withTimestamps, withSACK, withMSS(1460), config(func(c *Config) { c.MSS, c.NoDelay = 1460, true }))
	if m := p.segs[0].Options.MSS; m != 1460 {
		t.Errorf("%d announced", m)
	}
	p.mss = 1460
	p.recv(ACK, 1001, 1, 10) // a hole: the next segments have timestamps and a SACK block
	p.write(4000)
	n := 0
	for _, s := range p.segs {
		if size := len(s.Payload) + s.Options.len(); len(s.Payload) > 0 {
			if n++; size > 1460 || n < 3 && size < 1456 {
				t.Errorf("%d octets of text with %d of options", len(s.Payload), s.Options.len())
			}
		}
	}
	if n < 3 {
		t.Errorf("%d segments", n)
	}
}

// Losses of the first window can be seen.
//
//rfc:6928 monitored
func TestRFC6928Monitored(t *testing.T) { // §12
	p := sentSegments(t, 10)
	p.c.pool.Counters = Counters{}
	p.after(time.Second)
	if i, n := p.c.Info(), p.c.pool.Counters; i.Retransmits == 0 || n.RetransSegs != i.Retransmits || n.Timeouts == 0 {
		t.Errorf("%d sent again, %+v", i.Retransmits, n)
	}
}
