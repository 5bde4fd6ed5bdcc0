package tcp

import (
	"testing"
	"time"
)

// Only a path that turns out to carry less has text sent again: not the same news
// twice, which every oversized segment of a flight brings, and not better news.
//
//rfc:1191 resend-once no-resend-of-better
func TestRFC1191ResendsOnlyWhenSmaller(t *testing.T) { // §6.3, §6.4
	p := sentSegments(t, 3)
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	if len(p.out) != 5 {
		t.Fatalf("%q", p.out)
	}
	p.out = nil
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	p.expect()
	p.c.SetPathMSS(p.now, 900)
	p.flush()
	p.expect()
}

// What our own link takes is announced whole, and to everybody.
//
//rfc:1191 mss
func TestRFC1191AnnouncesWhatTheLinkTakes(t *testing.T) { // §3.1
	p, cfg, _ := newScript(t, []option{config(func(c *Config) { c.MSS = 8960 })})
	p.c = NewActive(cfg, p.now)
	p.flush()
	if m := p.last().Options.MSS; m != 8960 {
		t.Errorf("%d", m)
	}
}

// What has not left the host goes again when the owner says so, whatever it is, and
// nothing does where nothing is outstanding.
func TestSendAgain(t *testing.T) {
	again := func(p *script, want ...string) {
		t.Helper()
		p.out = nil
		p.c.SendAgain(p.now)
		p.flush()
		p.expect(want...)
	}
	p, _ := inSynSent(t)
	again(p, "[S] 0 ack 0")
	p.after(1100 * time.Millisecond)
	p.expect("[S] 0 ack 0") // by the timer, which began anew

	// A SYN that had not left is no retransmission (RFC 6298 §5.7, RFC 5681 §3.1).
	p, _ = inSynSent(t)
	again(p, "[S] 0 ack 0")
	p.now = p.now.Add(roundTrip)
	p.recv(SYN|ACK, 0, 1, 0)
	if i := p.c.Info(); p.c.win.Cwnd != initialWindow(p.c.win.MSS) || i.RTO >= time.Second || i.SRTT != roundTrip || i.Retransmits != 0 {
		t.Errorf("window %d, RTO %v, round trip %v, %d retransmissions", p.c.win.Cwnd, i.RTO, i.SRTT, i.Retransmits)
	}
	// One that timed out before that may be under way.
	p, _ = inSynSent(t)
	p.after(1100 * time.Millisecond)
	again(p, "[S] 0 ack 0")
	p.recv(SYN|ACK, 0, 1, 0)
	if i := p.c.Info(); p.c.win.Cwnd != p.c.win.MSS || i.RTO != 3*time.Second {
		t.Errorf("window %d, RTO %v", p.c.win.Cwnd, i.RTO)
	}

	again(inSynReceived(t), "[S.] 0 ack 1")
	again(inEstablished(t))
	again(inFinWait1(t), "[F.] 1 ack 1")
	again(inFinWait2(t))
	again(inTimeWait(t))

	p = inEstablished(t)
	p.win = 0
	p.recv(ACK, 1, 1, 0)
	p.write(10)
	again(p, "[P.] 1+1 ack 1")

	p = inEstablished(t)
	p.c.win.Cwnd = 30_000
	p.write(30_000)
	p.out = nil
	p.c.SendAgain(p.now)
	p.flush()
	if n := len(p.out); n != 10 || p.out[0] != "[.] 1+1000 ack 1" {
		t.Errorf("%q, want an initial window (RFC 6928)", p.out)
	}
	if n := p.c.pool.Counters.Timeouts; n != 0 || p.c.backoff != 0 {
		t.Errorf("%d timeouts", n)
	}
}
