package tcp

import (
	"testing"
	"time"
)

// The transmissions of one connection have their own times: milliseconds tell
// segments apart where a round trip takes 20 ms.
//
//rfc:8985 sent-times
func TestRFC8985TimesOfTransmissions(t *testing.T) { // §4
	p := inFlight(t, 1)
	p.c.win.Cwnd = 100_000
	p.out = nil
	first := p.c.sent.list[len(p.c.sent.list)-1].at
	for i := 1; i < 4; i++ {
		p.now = p.now.Add(roundTrip / 20)
		p.write(1000)
		l := p.c.sent.list
		if got, want := l[len(l)-1].at.Sub(first), roundTrip+time.Duration(i)*roundTrip/20; got != want {
			t.Fatalf("segment %d left %v behind the first, want %v", i, got, want)
		}
	}
}

// Not everything that the peer reports comes in the newest acknowledgment.
//
//rfc:8985 scoreboard
//rfc:6675 scoreboard
func TestRFC8985Scoreboard(t *testing.T) { // §4
	p := inFlight(t, 10)
	p.recv(ACK, 1, 1001, 0, sacking(seg(1)))
	p.recv(ACK, 1, 1001, 0, sacking(seg(3)))
	p.recv(ACK, 1, 1001, 0, sacking(seg(5)))
	p.expect("[.] 1001+1000 ack 1")
	p.recv(ACK, 1, 2001, 0)
	p.after(roundTrip)
	for _, s := range p.out {
		if s == "[.] 2001+1000 ack 1" || s == "[.] 4001+1000 ack 1" {
			t.Errorf("%q was reported", s)
		}
	}
}

// A path that has become longer is believed after five minutes.
//
//rfc:8985 min-rtt-life
func TestRFC8985LeastRoundTripOfTheLastMinutes(t *testing.T) { // §6.2 step 1
	p := inFlight(t, 1)
	p.recv(ACK, 1, 2001, 0)
	least := p.c.rack.minRTT
	for range 2 {
		p.write(1000)
		p.now = p.now.Add(3 * roundTrip)
		p.recv(ACK, 1, p.c.sndNxt.Sub(ourISS), 0)
		if p.c.rack.minRTT != least {
			t.Fatalf("%v at once", p.c.rack.minRTT)
		}
	}
	p.after(5 * time.Minute)
	p.write(1000)
	p.now = p.now.Add(3 * roundTrip)
	p.recv(ACK, 1, p.c.sndNxt.Sub(ourISS), 0)
	if got := p.c.rack.minRTT; got != 3*roundTrip {
		t.Fatalf("%v five minutes later", got)
	}
}

// A copy measures no round trip (Karn's algorithm), so the next silence is not
// probed: it ends with the timeout, which begins when the probe was due.
//
//rfc:8985 probe-measured probe-skipped
func TestRFC8985ProbesLeaveRoomToMeasure(t *testing.T) { // §7.3
	p := inFlight(t, 3)
	p.after(3 * roundTrip)
	p.expect("[P.] 3001+1000 ack 1")
	p.recv(ACK, 1, 4001, 0, dsack(3001, 4001))
	p.write(2000)
	p.expect("[.] 4001+1000 ack 1", "[P.] 5001+1000 ack 1")
	due := p.c.tail.at
	if due != p.now.Add(2*p.c.srtt+tailSlack) || due >= p.c.rtxAt {
		t.Fatalf("due in %v, the timeout in %v", due.Sub(p.now), p.c.rtxAt.Sub(p.now))
	}
	p.c.rttAt = 0 // as if the measurement under way were spoilt
	p.after(due.Sub(p.now))
	p.expect()
	if n := p.c.pool.Counters.TailProbes; n != 1 {
		t.Errorf("%d probes", n)
	}
	if got := p.c.rtxAt.Sub(p.now); got != p.c.rto() {
		t.Fatalf("the timeout is in %v, want %v", got, p.c.rto())
	}
	p.after(p.c.rto())
	p.expect("[.] 4001+1000 ack 1")

	// One that was answered by new text measures, and the next goes.
	p = inFlight(t, 3)
	p.after(3 * roundTrip)
	p.recv(ACK, 1, 4001, 0, dsack(3001, 4001))
	p.write(1000)
	p.now = p.now.Add(roundTrip)
	p.recv(ACK, 1, 5001, 0)
	p.write(2000)
	p.out = nil
	p.after(2*p.c.srtt + tailSlack)
	p.expect("[P.] 6001+1000 ack 1")
}

// What a probe's acknowledgment says of losses depends on when the probe left,
// and the timeout counts from there.
//
//rfc:8985 probe-time probe-last-resort
func TestRFC8985ProbeIsATransmission(t *testing.T) { // §7.3
	p := inFlight(t, 3)
	p.after(p.c.tail.at.Sub(p.now))
	p.expect("[P.] 3001+1000 ack 1")
	l := p.c.sent.list
	if last := l[len(l)-1]; last.at < p.now || !last.again || p.c.sent.begin(len(l)-1) != ourISS.Add(3001) {
		t.Errorf("%+v at %v", last, p.now)
	}
	if got := p.c.rtxAt.Sub(p.now); got != p.c.rto() {
		t.Errorf("the timeout is in %v, want %v", got, p.c.rto())
	}
}
