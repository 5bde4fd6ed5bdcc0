package tcp

import (
	"testing"
	"time"
)

// What is reported beyond the recovery point is still known when recovery ends.
//
//rfc:6675 reports-stay
func TestRFC6675ReportsOutliveRecovery(t *testing.T) { // §5 step A
	p := inFlight(t, 10)
	p.write(20_000)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 11_001}))
	for to := 12_001; to <= 14_001; to += 1000 {
		p.now = p.now.Add(time.Millisecond)
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 11_001}))
	}
	if p.c.loss != lossRecovery || p.c.sndNxt.Sub(ourISS) < 13_001 {
		t.Fatalf("%v, %d", p.c.loss, p.c.sndNxt.Sub(ourISS))
	}
	p.recv(ACK, 1, 11_001, 0, sacking([2]int{12_001, 13_001}))
	if p.c.sndUna.Before(p.c.recover) || p.c.board.octets != 1000 {
		t.Errorf("%d octets are reported", p.c.board.octets)
	}
}

// A timeout in recovery moves the recovery point to what was sent by then, and no
// fast recovery begins before that.
//
//rfc:6675 timeout-recovery
func TestRFC6675TimeoutInRecovery(t *testing.T) { // §5.1
	p := inFlight(t, 10)
	p.write(20_000)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 11_001}))
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 11_001}))
	was := p.c.recover
	p.after(time.Second)
	if p.c.loss != lossTimeout || p.c.recover != p.c.sndNxt || p.c.recover == was {
		t.Fatalf("%v, recovery point %d of %d", p.c.loss, p.c.recover.Sub(ourISS), p.c.sndNxt.Sub(ourISS))
	}
	recoveries := p.c.pool.Counters.Recoveries
	p.recv(ACK, 1, was.Sub(ourISS), 0)
	if p.c.loss != lossTimeout || p.c.pool.Counters.Recoveries != recoveries {
		t.Errorf("%v below the recovery point", p.c.loss)
	}
}
