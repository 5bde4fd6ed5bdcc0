package tcp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

var biscuit, _ = NewFastOpenCookie([]byte("chocolat"))

func fastOpening(f FastOpen) option { return config(func(c *Config) { c.FastOpen = f }) }

// inFastSyn returns an active connection with a cookie whose SYN carries n octets.
func inFastSyn(t *testing.T, n int, opts ...option) (*script, Options) {
	t.Helper()
	p, cfg, syn := newScript(t, append(opts, config(func(c *Config) { c.FastOpen.Cookie, c.FastOpen.MSS = biscuit, 1000 })))
	p.c = NewActive(cfg, p.now)
	p.flush()
	p.expect()
	if !p.c.Deferred() || !p.c.Sendable() || p.c.Deadline() != 0 {
		t.Fatal("the SYN does not wait for text")
	}
	p.write(n)
	return p, syn
}

// synAck is the server's SYN-ACK.
func (p *script) synAck(ack int, syn Options, edits ...func(*Segment)) {
	p.t.Helper()
	p.recv(SYN|ACK, 0, ack, 0, append([]func(*Segment){func(s *Segment) { s.Options = syn }}, edits...)...)
}

// inFastSynReceived returns a passive connection that took n octets of the SYN.
func inFastSynReceived(t *testing.T, n int, opts ...option) *script {
	t.Helper()
	p, cfg, syn := newScript(t, append(opts, config(func(c *Config) { c.FastOpen.Accept = true })))
	p.c = NewPassive(cfg, &Segment{Seq: peerISS, Flags: SYN, Window: p.win, Options: syn, Payload: text(1, n)}, p.now)
	return p
}

// A client without a cookie asks for one; what it writes goes after the
// handshake (RFC 7413 §4.1.3).
//
//rfc:7413 request-first
func TestRFC7413RequestsACookie(t *testing.T) {
	p, cfg, syn := newScript(t, []option{fastOpening(FastOpen{Request: true})})
	p.c = NewActive(cfg, p.now)
	p.write(100)
	p.expect("[S] 0 ack 0")
	if o := p.last().Options; !o.FastOpen || !o.Cookie.IsZero() {
		t.Fatalf("%+v", o)
	}
	if _, ok := p.c.FastOpenResult(); ok {
		t.Error("a result before the answer")
	}
	syn.FastOpen, syn.Cookie = true, biscuit
	p.synAck(1, syn)
	p.expect("[P.] 1+100 ack 1")
	if r, ok := p.c.FastOpenResult(); !ok || r != (FastOpenResult{Cookie: biscuit, MSS: 1000}) {
		t.Errorf("%+v, %v", r, ok)
	}
	if _, ok := p.c.FastOpenResult(); ok {
		t.Error("the result comes twice")
	}
}

// With a cookie the SYN carries text, as much as fits beside the options.
//
//rfc:7413 text text-bound
func TestRFC7413TextInSyn(t *testing.T) {
	p, syn := inFastSyn(t, 3000)
	p.expect("[S] 0+960 ack 0") // 40 octets are for options
	if o := p.last().Options; o.Cookie != biscuit {
		t.Fatalf("%+v", o)
	}
	p.synAck(1+960, syn)
	p.expect("[.] 961+1000 ack 1", "[.] 1961+1000 ack 1", "[P.] 2961+40 ack 1")
	p.recv(ACK, 1, 2961, 0)
	if r, ok := p.c.FastOpenResult(); !ok || !r.Tried || !r.Accepted || r.Blocked {
		t.Errorf("%+v, %v", r, ok)
	}
	if i := p.c.Info(); !i.SynData || i.BytesAcked != 2960 || i.Retransmits != 0 {
		t.Errorf("%+v", i)
	}
	p.recv(ACK, 1, 3001, 0)
	p.state(Established)
}

// A server that does not take the text acknowledges the SYN alone: the text goes
// again (RFC 7413 §4.2.2).
//
//rfc:7413 not-taken
func TestRFC7413TextNotTaken(t *testing.T) {
	p, syn := inFastSyn(t, 500)
	p.expect("[S] 0+500 ack 0")
	syn.FastOpen, syn.Cookie = true, FastOpenCookie{n: 4}
	p.synAck(1, syn)
	p.expect("[P.] 1+500 ack 1")
	if r, _ := p.c.FastOpenResult(); !r.Tried || r.Accepted || r.Blocked || r.Cookie.n != 4 {
		t.Errorf("%+v", r)
	}
	p.recv(ACK, 1, 501, 0)
	if p.c.Info().SendQueue != 0 {
		t.Error("the text is not acknowledged")
	}
}

// The text may be taken in part.
func TestRFC7413TextTakenInPart(t *testing.T) {
	p, syn := inFastSyn(t, 500)
	p.expect("[S] 0+500 ack 0")
	p.synAck(1+200, syn)
	p.expect("[P.] 201+300 ack 1")
	if r, _ := p.c.FastOpenResult(); !r.Accepted {
		t.Errorf("%+v", r)
	}
}

// An acknowledgment of more than was sent is answered with a reset.
func TestRFC7413AckBeyondTheText(t *testing.T) {
	p, syn := inFastSyn(t, 500)
	p.expect("[S] 0+500 ack 0")
	p.synAck(502, syn)
	p.expect("[R] 502 ack 0")
	p.state(SynSent)
}

// What swallows a SYN with text gets a plain SYN (RFC 7413 §4.1.3, §7.1).
//
//rfc:7413 plain-again
func TestRFC7413FallsBack(t *testing.T) {
	p, syn := inFastSyn(t, 500)
	p.expect("[S] 0+500 ack 0")
	p.after(time.Second)
	p.expect("[S] 0 ack 0")
	if o := p.last().Options; o.FastOpen {
		t.Errorf("%+v", o)
	}
	p.synAck(1, syn)
	p.expect("[P.] 1+500 ack 1")
	if r, _ := p.c.FastOpenResult(); !r.Blocked || r.Accepted {
		t.Errorf("%+v", r)
	}
}

// A reset of a SYN with a cookie means what it always means (RFC 9293 §3.10.7.3),
// whether it acknowledges the text or not.
func TestRFC7413ResetRefuses(t *testing.T) {
	for _, ack := range []int{1, 501} {
		p, _ := inFastSyn(t, 500)
		p.expect("[S] 0+500 ack 0")
		p.recv(RST|ACK, 0, ack, 0)
		p.failed(ErrRefused)
	}
}

// The first SYN was taken, its answer was lost, and the answer to the second
// acknowledges the text of the first.
func TestRFC7413AnswerToTheFirstSyn(t *testing.T) {
	p, syn := inFastSyn(t, 500)
	p.after(time.Second)
	p.expect("[S] 0+500 ack 0", "[S] 0 ack 0")
	p.synAck(501, syn)
	p.expect("[.] 501 ack 1")
	if r, _ := p.c.FastOpenResult(); !r.Accepted || r.Blocked {
		t.Errorf("%+v", r)
	}
}

// A SYN that waits for text goes without when that is asked for, or when none
// will come; the time for the handshake runs from there.
func TestFastOpenWithoutText(t *testing.T) {
	for name, start := range map[string]func(p *script){
		"asked":  func(p *script) { p.c.StartHandshake() },
		"closed": func(p *script) { p.c.CloseWrite(p.now) },
	} {
		t.Run(name, func(t *testing.T) {
			p, cfg, _ := newScript(t, []option{fastOpening(FastOpen{Cookie: biscuit}), config(func(c *Config) { c.ConnectTimeout = time.Minute })})
			p.c = NewActive(cfg, p.now)
			p.after(time.Hour)
			p.expect()
			start(p)
			p.flush()
			p.expect("[S] 0 ack 0")
			p.after(59 * time.Second)
			p.state(SynSent)
			p.after(time.Second)
			p.failed(ErrTimeout)
		})
	}
}

// Both ends open at the same time: what the SYN carried goes again.
func TestFastOpenSimultaneous(t *testing.T) {
	p, syn := inFastSyn(t, 500)
	p.expect("[S] 0+500 ack 0")
	p.recv(SYN, 0, 0, 0, func(s *Segment) { s.Options = syn })
	p.expect("[S.] 0 ack 1")
	p.recv(ACK, 1, 1, 0)
	p.state(Established)
	p.expect("[P.] 1+500 ack 1")
	p.recv(ACK, 1, 501, 0)
	if p.c.Info().SendQueue != 0 {
		t.Error("the text is not acknowledged")
	}
}

// The server takes the text at once, acknowledges it in the SYN-ACK, and answers
// before the handshake is over (RFC 7413 §4.2.2).
func TestRFC7413ServerAnswersEarly(t *testing.T) {
	p := inFastSynReceived(t, 300, withSACK, config(func(c *Config) { c.NoDelay = true }))
	p.read(1, 300)
	if n, err := p.c.Write(text(0, 1500)); n != 1500 || err != nil || !p.c.Sendable() {
		t.Fatal(n, err)
	}
	p.flush()
	p.expect("[S.] 0 ack 301", "[.] 1+1000 ack 301", "[P.] 1001+500 ack 301")
	p.recv(ACK, 301, 1501, 0)
	p.expect()
	p.state(Established)
	if i := p.c.Info(); i.Flight != 0 || i.BytesAcked != 1500 || i.BytesIn != 300 || !i.SynData {
		t.Errorf("%+v", i)
	}
	p.recv(ACK, 301, 1501, 100)
	p.read(301, 100)
}

// The window of a SYN begins behind our own SYN: an early answer fills it whole.
func TestRFC7413EarlyAnswerFillsTheWindow(t *testing.T) {
	p, cfg, syn := newScript(t, []option{withSACK, config(func(c *Config) { c.FastOpen.Accept, c.NoDelay = true, true })})
	p.c = NewPassive(cfg, &Segment{Seq: peerISS, Flags: SYN, Window: 2000, Options: syn, Payload: text(1, 300)}, p.now)
	p.read(1, 300)
	p.write(2000)
	p.expect("[S.] 0 ack 301", "[.] 1+1000 ack 301", "[P.] 1001+1000 ack 301")
}

// The early answer may be acknowledged by a third segment that is lost; what
// follows it completes the handshake. Whatever is lost is sent again.
func TestRFC7413ServerLosses(t *testing.T) {
	p := inFastSynReceived(t, 300, withSACK)
	p.write(500)
	p.expect("[S.] 0 ack 301", "[P.] 1+500 ack 301")
	p.after(time.Second) // nothing arrives
	p.expect("[S.] 0 ack 301")
	p.recv(ACK, 301, 1, 0) // the answer came too early for the peer
	p.expect("[P.] 1+500 ack 301")
	p.recv(ACK, 301, 501, 50)
	p.state(Established)
	p.read(1, 350)

	p = inFastSynReceived(t, 300, withSACK)
	p.write(500)
	p.recv(ACK, 301, 1, 0) // of the SYN-ACK alone
	p.out = nil
	p.after(time.Second)
	if len(p.out) == 0 || p.out[0] != "[P.] 1+500 ack 301" {
		t.Errorf("the lost answer is not sent again: %q", p.out)
	}
}

// A FIN waits for the end of the handshake, a reset ends it.
func TestRFC7413ServerCloses(t *testing.T) {
	p := inFastSynReceived(t, 300)
	p.read(1, 300)
	p.write(10)
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect("[S.] 0 ack 301", "[P.] 1+10 ack 301")
	p.recv(ACK, 301, 11, 0)
	p.expect("[F.] 11 ack 301")
	p.state(FinWait1)

	p = inFastSynReceived(t, 300)
	p.flush()
	p.recv(RST, 301, 0, 0)
	p.failed(ErrReset)
	p.read(1, 300) // what was taken can be read
}

// A SYN in the window does not take the connection away from its user.
func TestFastOpenBlindSyn(t *testing.T) {
	p := inFastSynReceived(t, 300)
	p.flush()
	p.out = nil
	p.recv(SYN, 301, 0, 0)
	p.expect("[.] 1 ack 301")
	p.state(SynReceived)
}

// Without Accept the text is not taken, and the SYN-ACK gives a cookie, once.
//
//rfc:7413 cookie-reply plain-again
func TestRFC7413ServerGivesACookie(t *testing.T) {
	p, cfg, syn := newScript(t, []option{fastOpening(FastOpen{Cookie: biscuit})})
	p.c = NewPassive(cfg, &Segment{Seq: peerISS, Flags: SYN, Window: p.win, Options: syn, Payload: text(1, 100)}, p.now)
	p.flush()
	p.expect("[S.] 0 ack 1")
	if o := p.last().Options; !o.FastOpen || o.Cookie != biscuit {
		t.Errorf("%+v", o)
	}
	if p.c.Sendable() || p.c.Readable() {
		t.Error("open before the handshake is over")
	}
	p.after(time.Second)
	p.expect("[S.] 0 ack 1")
	if p.last().Options.FastOpen {
		t.Error("the option goes again")
	}
	p.recv(ACK, 1, 1, 100)
	p.read(1, 100)
}

// The SYN's text fills the window; the SYN-ACK promises no more than the buffer.
func TestRFC7413WindowAfterSynText(t *testing.T) {
	p := inFastSynReceived(t, 900, config(func(c *Config) { c.RcvBuf = 1000 }))
	p.flush()
	if w := p.last().Window; w != 100 {
		t.Errorf("window %d", w)
	}
	p.recv(ACK, 901, 1, 200)
	if n := p.c.Buffered(); n != 1000 {
		t.Errorf("%d octets taken into a buffer of 1000", n)
	}
	p.read(1, 1000)
}

//rfc:7413 cookie-length
func TestRFC7413CookieLengths(t *testing.T) { // §4.1.1
	for n := range 20 {
		if _, ok := NewFastOpenCookie(make([]byte, n)); ok != (n >= 4 && n <= 16 && n%2 == 0) {
			t.Errorf("%d octets: %v", n, ok)
		}
	}
}

// A cookie is good for one address under one secret, for one to two periods.
//
//rfc:7413 cookie-secret
func TestFastOpenCookies(t *testing.T) {
	k := FastOpenKeys{Secret: [32]byte{1}}
	other := FastOpenKeys{Secret: [32]byte{2}}
	local, remote := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	now := Instant(1).Add(100 * time.Hour)
	c := k.Cookie(local, remote, now)
	if len(c.Bytes()) != 8 {
		t.Errorf("%d octets", len(c.Bytes()))
	}
	for _, tc := range []struct {
		name      string
		k         *FastOpenKeys
		l, r      netip.Addr
		at        Instant
		good, old bool
	}{
		{"now", &k, local, remote, now, true, false},
		{"an hour later", &k, local, remote, now.Add(time.Hour), true, true},
		{"two hours later", &k, local, remote, now.Add(2 * time.Hour), false, false},
		{"before", &k, local, remote, now.Add(-time.Hour), false, false},
		{"from another address", &k, local, local, now, false, false},
		{"to another address", &k, remote, remote, now, false, false},
		{"of another secret", &other, local, remote, now, false, false},
	} {
		if good, old := tc.k.Check(c, tc.l, tc.r, tc.at); good != tc.good || old != tc.old {
			t.Errorf("%s: %v, %v", tc.name, good, old)
		}
	}
	if good, _ := k.Check(FastOpenCookie{}, local, remote, now); good {
		t.Error("no cookie is good")
	}
	if short, _ := NewFastOpenCookie(c.Bytes()[:4]); short.IsZero() {
		t.Error("four octets are a cookie")
	} else if good, _ := k.Check(short, local, remote, now); good {
		t.Error("a part of a cookie is good")
	}
}

// A whole conversation over a bad wire: request in the SYN, answer in the first
// round trip, and whatever is lost comes again.
func TestFastOpenOverABadWire(t *testing.T) {
	for seed := range uint64(30) {
		s := newSim(t, seed)
		s.both(func(e *simEnd) {
			e.imp = impairment{delay: 10 * time.Millisecond, loss: 0.2, dup: 0.1, jitter: 5 * time.Millisecond}
		})
		s.ends[0].cfg.FastOpen = FastOpen{Cookie: biscuit, MSS: 1460}
		s.ends[1].cfg.FastOpen.Accept = true
		s.transfer(20_000, 3*time.Minute)
	}
}

// One round trip for question and answer.
func TestFastOpenSavesARoundTrip(t *testing.T) {
	s := newSim(t, 1)
	s.ends[0].cfg.FastOpen = FastOpen{Cookie: biscuit, MSS: 1460}
	s.ends[1].cfg.FastOpen.Accept = true
	s.ends[0].want, s.ends[1].want = []byte("question"), []byte("answer")
	s.start()
	s.run(time.Second, func() bool { return bytes.Equal(s.ends[0].got, []byte("answer")) })
	if d := s.now.Sub(1); d != 20*time.Millisecond {
		t.Errorf("the answer came after %v", d)
	}
}
