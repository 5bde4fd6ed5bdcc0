package tcp

import (
	"testing"
	"time"
)

// fromCookie has a SYN with opts answered by a cookie and returns the script of
// the connection that the peer's acknowledgment opens after d.
func fromCookie(t *testing.T, d time.Duration, flags Flags, opts ...option) (*script, Segment, bool) {
	t.Helper()
	p, cfg, syn := newScript(t, opts)
	k := &Cookies{Secret: [32]byte{1}}
	p.now = Instant(1000 * time.Second)
	s := Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Flags: flags, Seq: peerISS, Window: p.win, Options: syn}
	answer := k.Answer(&cfg, &s, p.now)
	p.now = p.now.Add(d)
	ack := Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Flags: ACK, Seq: peerISS.Add(1), Ack: answer.Seq.Add(1), Window: p.win}
	if syn.HasTimestamps {
		ack.Options.HasTimestamps, ack.Options.TSVal, ack.Options.TSEcr = true, syn.TSVal, answer.Options.TSVal
	}
	c, ok := k.Open(cfg, &ack, p.now)
	if ok {
		p.c = c
		c.Input(p.now, &ack)
		p.flush()
	}
	return p, answer, ok
}

// All that the peer offered with timestamps survives; without them its MSS.
//
//rfc:4987 cookies-options
func TestRFC4987CookieKeepsOptions(t *testing.T) {
	p, answer, ok := fromCookie(t, 30*time.Second, SYN|ECE|CWR, withSACK, withTimestamps, withScale(9), withMSS(1440),
		config(func(c *Config) { c.MSS, c.RcvBuf = 1460, 1<<20 }))
	if o := answer.Options; !ok || answer.Flags != SYN|ACK|ECE || o.MSS != 1460 || !o.SACKPermitted || !o.HasWindowScale || o.WindowScale != 5 || o.TSEcr != 100 {
		t.Fatalf("%v %v", ok, &answer)
	}
	p.state(Established)
	p.expect()
	if i := p.c.Info(); !i.SACK || !i.Timestamps || !i.ECN || i.SndScale != 9 || i.RcvScale != 5 || i.SndMSS != 1440-timestampsLen {
		t.Fatalf("%+v", i)
	}
	p, answer, ok = fromCookie(t, time.Second, SYN, withSACK, withScale(9), withMSS(1450), config(func(c *Config) { c.MSS = 1460 }))
	if o := answer.Options; !ok || o.SACKPermitted || o.HasWindowScale || o.MSS != 1460 {
		t.Fatalf("%v %v", ok, &answer)
	}
	if i := p.c.Info(); i.SACK || i.Timestamps || i.SndScale != 0 || i.SndMSS != 1440 { // rounded down
		t.Fatalf("%+v", i)
	}
}

// The connection works as any other.
//
//rfc:4987 cookies
func TestRFC4987CookieConnection(t *testing.T) {
	p, answer, _ := fromCookie(t, time.Second, SYN, withMSS(1000))
	p.write(1500)
	if len(p.segs) != 3 || p.segs[0].Seq != answer.Seq.Add(1) {
		t.Fatalf("%q", p.out)
	}
}

// Timestamps of cookies never lie in the future, and go back by 64 ms at most.
func TestRFC4987CookieTimestamp(t *testing.T) {
	for ms := range 200 {
		_, cfg, syn := newScript(t, []option{withTimestamps, withSACK, withScale(uint8(ms % 15))})
		cfg.TSOffset = 0xffff_ffff - 50
		s := Segment{SrcPort: 1, DstPort: 2, Flags: SYN, Options: syn}
		now := Instant(time.Duration(ms) * time.Millisecond).Add(time.Hour)
		answer := new(Cookies).Answer(&cfg, &s, now)
		clock := uint32(time.Hour/time.Millisecond) + uint32(ms) + cfg.TSOffset
		if d := int32(clock - answer.Options.TSVal); d < 0 || d >= 1<<cookieBits {
			t.Fatalf("%d ms old", d)
		}
	}
}

//rfc:4987 cookies-expire
func TestRFC4987CookieExpires(t *testing.T) {
	for d, want := range map[time.Duration]bool{0: true, cookieTick: true, CookieLife + time.Second: false, 32 * cookieTick: false, 33 * cookieTick: false} {
		if _, _, ok := fromCookie(t, d, SYN); ok != want {
			t.Errorf("after %v: %v", d, ok)
		}
	}
}

// Nobody makes a connection without having seen the SYN-ACK.
//
//rfc:4987 cookies-secret
func TestRFC4987CookieForged(t *testing.T) {
	_, cfg, syn := newScript(t, nil)
	k := &Cookies{Secret: [32]byte{1}}
	now := Instant(1000 * time.Second)
	s := Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Flags: SYN, Seq: peerISS, Options: syn}
	good := k.Answer(&cfg, &s, now).Seq
	open := func(k *Cookies, cfg Config, seq, ack Seq) bool {
		_, ok := k.Open(cfg, &Segment{Flags: ACK, Seq: seq, Ack: ack}, now)
		return ok
	}
	if !open(k, cfg, peerISS.Add(1), good.Add(1)) {
		t.Fatal("the right one is refused")
	}
	for bit := range 32 {
		if open(k, cfg, peerISS.Add(1), (good ^ 1<<bit).Add(1)) {
			t.Errorf("bit %d does not count", bit)
		}
	}
	other := cfg
	other.Remote = addrA
	if open(k, cfg, peerISS.Add(2), good.Add(1)) || open(k, other, peerISS.Add(1), good.Add(1)) || open(new(Cookies), cfg, peerISS.Add(1), good.Add(1)) {
		t.Error("another sequence number, address or secret opens")
	}
}
