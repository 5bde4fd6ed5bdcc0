package tcp

import (
	"testing"
	"time"
)

func asking(cfg *Config, _ *Options) { cfg.ECN = ECNRequest }

func marked(s *Segment) { s.Mark = CE }

// inECN returns a connection that has agreed on ECN as the one that asked.
func inECN(t *testing.T, opts ...option) *script {
	t.Helper()
	p, syn := asked(t, opts...)
	p.recv(SYN|ACK|ECE, 0, 1, 0, func(s *Segment) { s.Options = syn })
	p.expect("[.] 1 ack 1")
	if !p.c.Info().ECN {
		t.Fatal("not agreed on")
	}
	return p
}

// asked returns a connection that has sent a SYN with ECN's bits.
func asked(t *testing.T, opts ...option) (*script, Options) {
	t.Helper()
	p, cfg, syn := newScript(t, append(opts, asking, reno))
	p.c = NewActive(cfg, p.now)
	p.flush()
	p.expect("[SEW] 0 ack 0")
	return p, syn
}

//rfc:3168 syn reflected no-mark-on-syn
func TestRFC3168ActiveSetup(t *testing.T) { // §6.1.1
	for flags, want := range map[Flags]bool{
		SYN | ACK | ECE:       true,
		SYN | ACK:             false,
		SYN | ACK | ECE | CWR: false, // a host that reflects what it does not know
		SYN | ACK | CWR:       false,
	} {
		p, syn := asked(t)
		if p.last().Mark != NotECT {
			t.Fatal("the SYN is ECN-capable")
		}
		p.recv(flags, 0, 1, 0, func(s *Segment) { s.Options = syn })
		if p.c.Info().ECN != want {
			t.Errorf("[%v]: %v, want %v", flags, !want, want)
		}
	}
	// Nobody asked.
	p, syn := inSynSent(t)
	p.recv(SYN|ACK|ECE, 0, 1, 0, func(s *Segment) { s.Options = syn })
	if p.c.Info().ECN {
		t.Error("agreed on what was not asked for")
	}
}

//rfc:3168 syn-ack not-asked unwilling
func TestRFC3168PassiveSetup(t *testing.T) { // §6.1.1
	for _, tc := range []struct {
		flags Flags
		mode  ECN
		want  string
	}{
		{SYN | ECE | CWR, ECNAccept, "[S.E] 0 ack 1"},
		{SYN | ECE | CWR, ECNRequest, "[S.E] 0 ack 1"},
		{SYN | ECE | CWR, ECNOff, "[S.] 0 ack 1"},
		{SYN | ECE, ECNAccept, "[S.] 0 ack 1"},
		{SYN, ECNRequest, "[S.] 0 ack 1"},
	} {
		p, cfg, syn := newScript(t, []option{config(func(c *Config) { c.ECN = tc.mode })})
		p.c = NewPassive(cfg, &Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Seq: peerISS, Flags: tc.flags, Window: p.win, Options: syn}, p.now)
		p.flush()
		if p.out[0] != tc.want || p.last().Mark != NotECT {
			t.Errorf("[%v]: %q marked %d, want %q", tc.flags, p.out[0], p.last().Mark, tc.want)
		}
	}
}

// What has swallowed the SYN may not like its bits: it goes again without, and a
// peer that sees both uses none (§6.1.1.1).
//
//rfc:3168 given-up
func TestRFC3168SetupIsGivenUp(t *testing.T) {
	p, syn := asked(t)
	p.after(time.Second)
	p.expect("[S] 0 ack 0")
	p.recv(SYN|ACK|ECE, 0, 1, 0, func(s *Segment) { s.Options = syn })
	if p.c.Info().ECN {
		t.Error("agreed on after the offer was withdrawn")
	}
	q, cfg, syn := newScript(t, nil)
	first := &Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Seq: peerISS, Flags: SYN | ECE | CWR, Window: q.win, Options: syn}
	q.c = NewPassive(cfg, first, q.now)
	q.flush()
	q.expect("[S.E] 0 ack 1")
	q.recv(SYN, 0, 0, 0)
	q.expect("[S.] 0 ack 1")
	q.recv(ACK, 1, 1, 0)
	if q.c.Info().ECN {
		t.Error("agreed on with a peer that has withdrawn")
	}
}

// Each acknowledgment echoes the mark until the peer has reduced its window.
//
//rfc:3168 echo echo-ends outside
func TestRFC3168Receiver(t *testing.T) { // §6.1.3
	p := inECN(t)
	p.recv(ACK, 1, 1, 100, marked)
	p.expect("[.E] 1 ack 101") // at once
	p.recv(ACK, 101, 1, 2000)
	p.expect("[.E] 1 ack 2101")
	p.recv(ACK|CWR, 2101, 1, 2000)
	p.expect("[.] 1 ack 4101")
	p.recv(ACK|CWR, 4101, 1, 2000, marked) // and marked again
	p.expect("[.E] 1 ack 6101")
	p.write(10)
	p.expect("[P.E] 1+10 ack 6101")
	// What is there already says nothing of the path now.
	p.recv(ACK|CWR, 4101, 1, 2000)
	p.expect("[.E] 11 ack 6101")

	q := inEstablished(t)
	q.recv(ACK, 1, 1, 2000, marked)
	q.expect("[.] 1 ack 2001")
}

// The window is halved once for what is in flight, whatever part of it the echo
// acknowledges, and the next new text says so.
//
//rfc:9293 SHLD-8
//rfc:3168 reaction reaction-once cwr cwr-once
func TestRFC3168Sender(t *testing.T) { // §6.1.2
	p := inECN(t)
	p.c.win.Cwnd, p.gso = 10_000, 20_000
	p.write(30_000)
	p.expect("[P.] 1+10000 ack 1")
	p.recv(ACK|ECE, 1, 2001, 0)
	if i := p.c.Info(); i.Cwnd != 5000 || i.Ssthresh != 5000 || i.Marks != 1 {
		t.Fatalf("%+v", i)
	}
	p.recv(ACK|ECE, 1, 5001, 0) // the same window
	if i := p.c.Info(); i.Marks != 1 || i.Ssthresh != 5000 {
		t.Fatalf("%+v", i)
	}
	p.expect()
	p.recv(ACK|ECE, 1, 8001, 0)
	if len(p.out) != 2 || p.out[0] != "[.W] 10001+1000 ack 1" || p.out[1] != "[P.] 11001+2000 ack 1" { // CWR on one segment
		t.Fatalf("%q", p.out)
	}
	p.out = nil
	p.recv(ACK, 1, 10001, 0)
	p.recv(ACK|ECE, 1, 11001, 0) // beyond: a new mark
	if i := p.c.Info(); i.Marks != 2 {
		t.Fatalf("%+v", i)
	}
}

// A loss has reduced the window already: no more for the same flight, but the
// peer is told.
//
//rfc:3168 reaction-or-loss
func TestRFC3168LossAndMark(t *testing.T) { // §6.1.2
	p := inECN(t, withSACK)
	p.c.win.Cwnd = 10_000
	p.write(30_000)
	p.now = p.now.Add(20 * time.Millisecond)
	p.out = nil
	p.recv(ACK|ECE, 1, 1, 0, sacking([2]int{1001, 5001}))
	if i := p.c.Info(); i.Ssthresh != 5000 || i.Marks != 0 {
		t.Fatalf("%+v", i)
	}
	p.recv(ACK|ECE, 1, 10001, 0)
	if i := p.c.Info(); i.Ssthresh != 5000 || i.Marks != 0 || len(p.out) < 2 || p.out[1] != "[.W] 10001+1000 ack 1" {
		t.Fatalf("%+v %q", i, p.out)
	}
}

// Only new text is ECN-capable: not what is sent again, not an acknowledgment,
// not a window probe (§6.1.4 to §6.1.6).
//
//rfc:3168 mark no-mark-on-ack no-mark-on-retransmission no-mark-on-probe cwr-new
func TestRFC3168Marks(t *testing.T) {
	p := inECN(t)
	p.write(1000)
	if m := p.last().Mark; m != ECT0 {
		t.Errorf("new text: %d", m)
	}
	p.after(time.Second)
	if m := p.last().Mark; m != NotECT || p.out[1] != "[P.] 1+1000 ack 1" {
		t.Errorf("retransmission: %d (%q)", m, p.out)
	}
	p.recv(ACK, 1, 1001, 0, window(0))
	p.recv(ACK, 1, 1001, 2000, window(0))
	if m := p.last().Mark; m != NotECT {
		t.Errorf("acknowledgment: %d", m)
	}
	p.write(1000)
	p.out = nil
	p.after(5 * time.Second)
	if len(p.out) == 0 || p.out[0] != "[P.] 1001+1 ack 2001" {
		t.Errorf("no window probe: %q", p.out)
	}
	for _, s := range p.segs[len(p.segs)-len(p.out):] {
		if s.Mark != NotECT {
			t.Errorf("window probe: %v, %d", &s, s.Mark)
		}
	}
}
