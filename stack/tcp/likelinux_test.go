package tcp

import (
	"bytes"
	"testing"
	"time"
)

// What the RFCs leave open is done as Linux does it: scripts and middleboxes
// know that, and it costs nobody anything.

// Options come in Linux's order and with its padding.
func TestOptionsLaidOut(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		want []byte
	}{
		"SACK without timestamps": {
			Options{MSS: 1460, SACKPermitted: true, HasWindowScale: true, WindowScale: 8},
			[]byte{2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 8}},
		"SACK with timestamps": {
			Options{MSS: 1460, SACKPermitted: true, HasTimestamps: true, TSVal: 1, TSEcr: 2},
			[]byte{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}},
		"timestamps": {
			Options{HasTimestamps: true, TSVal: 1, TSEcr: 2},
			[]byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}},
		"Fast Open, a request":     {Options{FastOpen: true}, []byte{34, 2, 1, 1}},
		"Fast Open, a cookie":      {Options{FastOpen: true, Cookie: FastOpenCookie{4, [16]byte{5, 6, 7, 8}}}, []byte{34, 6, 5, 6, 7, 8, 1, 1}},
		"Fast Open, an old cookie": {Options{FastOpen: true, FastOpenOld: true, Cookie: FastOpenCookie{6, [16]byte{5, 6, 7, 8, 9, 10}}}, []byte{254, 10, 0xf9, 0x89, 5, 6, 7, 8, 9, 10, 1, 1}},
	} {
		if got := tc.o.appendTo(nil); !bytes.Equal(got, tc.want) || len(got) != tc.o.len() {
			t.Errorf("%s: % d in %d octets, want % d", name, got, tc.o.len(), tc.want)
		}
	}
}

// The last piece of a super-segment bears PSH: who joins the pieces again hands
// them on. Where something is lost it is left out.
func TestSuperSegmentsArePushed(t *testing.T) {
	p := inEstablished(t, withSACK)
	p.gso = 4500
	p.write(20_000)
	p.expect("[P.] 1+4000 ack 1", "[P.] 4001+4000 ack 1", "[P.] 8001+2000 ack 1")
	p.recv(ACK, 1, 1, 0, sacking([2]int{3001, 10_001}))
	for i, s := range p.segs[len(p.segs)-len(p.out):] {
		if s.Flags&PSH != 0 {
			t.Errorf("%s is pushed in recovery", p.out[i])
		}
	}
	if len(p.out) == 0 {
		t.Error("nothing is sent again")
	}
}

// The window grows with what an acknowledgment says has arrived, not once more
// with what duplicates, or reports, have told of before.
func TestWindowGrowsWithWhatArrives(t *testing.T) {
	for name, tc := range map[string]struct {
		opts []option
		edit func(i int) func(*Segment)
	}{
		"SACK":    {[]option{withSACK}, func(i int) func(*Segment) { return sacking([2]int{1001, 1001 + 1000*i}) }},
		"no SACK": {nil, func(int) func(*Segment) { return func(*Segment) {} }},
	} {
		t.Run(name, func(t *testing.T) {
			p := inEstablished(t, tc.opts...)
			for range 20 { // the handshake took no time
				p.c.sampleRTT(roundTrip)
			}
			p.c.rack.minRTT = roundTrip
			p.write(30_000)
			p.now = p.now.Add(roundTrip)
			was := p.c.Info().Cwnd
			p.out = nil
			p.recv(ACK, 1, 1, 0, tc.edit(1))
			p.recv(ACK, 1, 1, 0, tc.edit(2))
			p.expect("[.] 10001+1000 ack 1", "[.] 11001+1000 ack 1")
			p.recv(ACK, 1, 3001, 0)
			if now := p.c.Info().Cwnd; now != was+1000 {
				t.Errorf("the window went from %d to %d for one segment that is news", was, now)
			}
			p.expect("[.] 12001+1000 ack 1", "[.] 13001+1000 ack 1")
		})
	}
}

// A SYN that comes twice, once alone and once with the acknowledgment of ours, is
// reported as a duplicate.
func TestSimultaneousOpenReportsSYN(t *testing.T) {
	p, syn := inSynSent(t, withSACK)
	p.recv(SYN, 0, 0, 0, func(s *Segment) { s.Options = syn })
	p.recv(SYN|ACK, 0, 1, 0, func(s *Segment) { s.Options = syn })
	p.state(Established)
	if o := p.last().Options; o.NSACK != 1 || o.SACK[0] != (SACKBlock{peerISS, peerISS.Add(1)}) {
		t.Errorf("%s with %+v", show(&p.segs[len(p.segs)-1]), o)
	}
}

// Text that follows that of a SYN and leaves with the handshake's acknowledgment
// begins a conversation: what answers it is acknowledged with the delay. What
// comes again of a SYN does not.
func TestTextWithHandshakeDelaysAcks(t *testing.T) {
	for _, tc := range []struct {
		ack  int // of the SYN-ACK
		more int // written as it comes
		want string
		wait bool
	}{
		{501, 300, "[P.] 501+300 ack 1", true},
		{1, 0, "[P.] 1+500 ack 1", false},
	} {
		p, syn := inFastSyn(t, 500, config(func(c *Config) { c.QuickAcks = 16 }))
		p.out = nil
		p.take(SYN|ACK, 0, tc.ack, 0, func(s *Segment) { s.Options = syn })
		if tc.more > 0 {
			p.write(tc.more)
		} else {
			p.flush()
		}
		p.expect(tc.want)
		p.now = p.now.Add(10 * time.Millisecond)
		p.recv(PSH|ACK, 1, 501+tc.more, 100)
		if waits := len(p.out) == 0; waits != tc.wait {
			t.Errorf("SYN-ACK of %d: the acknowledgment waits: %v", tc.ack, waits)
		}
	}
}

// A tail loss probe is the last segment as it was cut: a FIN that went alone goes
// alone, and a short segment is not filled up with the text before it.
func TestTailProbeIsTheLastSegment(t *testing.T) {
	for name, tc := range map[string]struct {
		send func(p *script)
		want string
	}{
		"FIN":           {func(p *script) { p.c.Close(p.now); p.flush() }, "[F.] 4001 ack 1"},
		"short segment": {func(p *script) { p.c.SetNoDelay(true); p.write(300) }, "[P.] 4001+300 ack 1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := inFlight(t, 3)
			p.c.win.Cwnd = 10_000
			p.now = p.now.Add(time.Millisecond)
			tc.send(p)
			p.out = nil
			p.after(3 * roundTrip)
			if p.c.pool.Counters.TailProbes != 1 || p.out[0] != tc.want {
				t.Errorf("%q after %d probes, want %s", p.out, p.c.pool.Counters.TailProbes, tc.want)
			}
		})
	}
}
