package tcp

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

// Keys that servers share make the cookies that Linux makes with them; that of
// another key is good as well, and replaced.
func TestFastOpenSharedKeys(t *testing.T) {
	key := FastOpenKey{0xf7, 0x63, 0xbf, 0xa0, 0x81, 0x3d, 0x80, 0xed, 0x30, 0x1d, 0x64, 0xcd, 0x90, 0x4a, 0xbc, 0xce}
	server, client := netip.MustParseAddr("192.168.0.2"), netip.MustParseAddr("10.248.0.2")
	keys := FastOpenKeys{Shared: []FastOpenKey{key}}
	c := keys.Cookie(server, client, 1)
	if got := hex.EncodeToString(c.Bytes()); got != "00abaaabe8e954c2" {
		t.Errorf("cookie %s", got)
	}
	later := Instant(1000 * time.Hour)
	rolled := FastOpenKeys{Shared: []FastOpenKey{{1}, key}}
	for _, tc := range []struct {
		k           *FastOpenKeys
		c           FastOpenCookie
		from        netip.Addr
		good, renew bool
	}{
		{&keys, c, client, true, false},
		{&rolled, c, client, true, true},
		{&rolled, rolled.Cookie(server, client, 1), client, true, false},
		{&keys, c, server, false, false},
		{&keys, rolled.Cookie(server, client, 1), client, false, false},
		{&FastOpenKeys{}, c, client, false, false},
		{&keys, FastOpenCookie{}, client, false, false},
	} {
		if good, renew := tc.k.Check(tc.c, server, tc.from, later); good != tc.good || renew != tc.renew {
			t.Errorf("%x from %v: good %v, to be renewed %v; want %v, %v", tc.c.Bytes(), tc.from, good, renew, tc.good, tc.renew)
		}
	}
}

// The hash's own test vector, and all lengths of the last word.
func TestSipHash(t *testing.T) {
	var key [16]byte
	var in []byte
	for i := range key {
		key[i] = byte(i)
	}
	for i := range 15 {
		in = append(in, byte(i))
	}
	if got := sipHash(key, in); got != 0xa129ca6149be45e5 {
		t.Errorf("%#x", got)
	}
	seen := map[uint64]int{}
	for n := range 16 {
		h := sipHash(key, make([]byte, n))
		if old, twice := seen[h]; twice {
			t.Errorf("%d and %d octets have one hash", old, n)
		}
		seen[h] = n
	}
}

// A cookie that is asked for in the form of the experiments before RFC 7413 is
// given in it.
func TestFastOpenOldForm(t *testing.T) {
	p, cfg, syn := newScript(t, []option{fastOpening(FastOpen{Cookie: biscuit, Old: true})})
	syn.FastOpen, syn.FastOpenOld = true, true
	p.c = NewPassive(cfg, &Segment{Seq: peerISS, Flags: SYN, Window: p.win, Options: syn}, p.now)
	p.flush()
	p.expect("[S.] 0 ack 1")
	if o := p.last().Options; !o.FastOpen || !o.FastOpenOld || o.Cookie != biscuit {
		t.Errorf("%+v", o)
	}
}

// The form of the experiments is an option 254 with Fast Open's identifier: with
// another one it is not ours, and where it stands nothing else says the same
// (RFC 6994).
//
//rfc:6994 identifier others in-syn never-both
func TestExperimentalOption(t *testing.T) {
	cookie := string(biscuit.Bytes())
	for b, ours := range map[string]bool{
		"\xfe\x0c\xf9\x89" + cookie: true, "\xfe\x0c\xf9\x8a" + cookie: false, "\xfe\x0c\x00\x00" + cookie: false,
		"\xfd\x0c\xf9\x89" + cookie: false, "\xfe\x04\xf9\x89": true, "\xfe\x03\xf9\x89": false, "\xfe\x02": false,
	} {
		if o := parseOptions([]byte(b + "\x01\x01\x01\x01")); o.FastOpen != ours || o.FastOpenOld != ours {
			t.Errorf("%x: %+v", b, o)
		}
	}
	p, cfg, syn := newScript(t, []option{fastOpening(FastOpen{Cookie: biscuit, Old: true})})
	syn.FastOpen, syn.FastOpenOld = true, true
	p.c = NewPassive(cfg, &Segment{Seq: peerISS, Flags: SYN, Window: p.win, Options: syn}, p.now)
	p.flush()
	p.expect("[S.] 0 ack 1")
	synAck := p.last().Options
	if got := kinds(t, synAck.appendTo(nil)); got[optExperiment] != "\xf9\x89"+cookie || got[optFastOpen] != "" {
		t.Errorf("SYN-ACK: %q", got)
	}
	p.recv(ACK, 1, 1, 0)
	p.write(10)
	p.expect("[P.] 1+10 ack 1")
	text := p.last().Options
	if got := kinds(t, text.appendTo(nil)); got[optExperiment]+got[optFastOpen] != "" {
		t.Errorf("text: %q", got)
	}
}

// kinds returns the values of options by their kind, each of which stands there
// once.
func kinds(t *testing.T, b []byte) map[byte]string {
	t.Helper()
	out := map[byte]string{}
	for len(b) > 0 {
		if b[0] == optNop {
			b = b[1:]
			continue
		}
		if len(b) < 2 || int(b[1]) > len(b) || b[1] < 2 {
			t.Fatalf("options end in %x", b)
		}
		if _, twice := out[b[0]]; twice {
			t.Errorf("kind %d stands there twice", b[0])
		}
		out[b[0]] = string(b[2:b[1]])
		if b[1] == 2 {
			out[b[0]] = "empty"
		}
		b = b[b[1]:]
	}
	return out
}

// A client that needs no cookie sends its text with a bare SYN, and is refused as
// with one; a cookie that nobody asked for is not kept.
func TestFastOpenNoCookie(t *testing.T) {
	for name, ack := range map[string]int{"taken": 301, "not taken": 1} {
		t.Run(name, func(t *testing.T) {
			p, cfg, syn := newScript(t, []option{fastOpening(FastOpen{NoCookie: true, MSS: 1000})})
			p.c = NewActive(cfg, p.now)
			p.flush()
			p.expect()
			p.write(300)
			p.expect("[S] 0+300 ack 0")
			if o := p.last().Options; o.FastOpen {
				t.Errorf("%+v", o)
			}
			syn.FastOpen, syn.Cookie = true, biscuit
			p.synAck(ack, syn)
			want := "[.] 301 ack 1"
			if ack == 1 {
				want = "[P.] 1+300 ack 1"
			}
			p.expect(want)
			if r, ok := p.c.FastOpenResult(); !ok || r != (FastOpenResult{MSS: 1000, Tried: true, Accepted: ack > 1}) {
				t.Errorf("%+v, %v", r, ok)
			}
		})
	}
	t.Run("reset", func(t *testing.T) {
		p, cfg, _ := newScript(t, []option{fastOpening(FastOpen{NoCookie: true})})
		p.c = NewActive(cfg, p.now)
		p.write(3000)
		p.expect("[S] 0+960 ack 0") // with room for options
		p.recv(RST|ACK, 0, 1, 0)
		p.failed(ErrRefused)
	})
}

// What the server has left of the SYN's text goes at once, in however many
// segments: Nagle's algorithm collects new text. It was not all taken, so the
// connection does not say that it was.
func TestFastOpenRestIsNotNew(t *testing.T) {
	p, syn := inFastSyn(t, 900, withMSS(500))
	p.expect("[S] 0+900 ack 0")
	p.synAck(101, syn)
	p.expect("[.] 101+500 ack 1", "[P.] 601+300 ack 1")
	if i := p.c.Info(); i.SynData {
		t.Errorf("%+v", i)
	}
	p.c.FastOpenResult()
	p.write(700)
	p.expect("[.] 901+500 ack 1", "[P.] 1401+200 ack 1")
	p.write(10)
	p.expect()
}

// A client that has shown its cookie is let in also without text: the server may
// speak first.
func TestFastOpenServerSpeaksFirst(t *testing.T) {
	p := inFastSynReceived(t, 0)
	p.flush()
	p.expect("[S.] 0 ack 1")
	if !p.c.Sendable() || p.c.Info().SynData {
		t.Fatalf("%+v", p.c.Info())
	}
	p.write(100)
	p.expect("[P.] 1+100 ack 1")
	p.recv(ACK|PSH, 1, 101, 10)
	p.state(Established)
	if p.c.Buffered() != 10 || p.c.Info().SendQueue != 0 {
		t.Errorf("%+v", p.c.Info())
	}
}

// A router that finds the SYN too big for its link has it sent again at once,
// without its text.
func TestFastOpenSynTooBig(t *testing.T) {
	p, syn := inFastSyn(t, 900)
	p.expect("[S] 0+900 ack 0")
	p.c.SetPathMSS(p.now, 600)
	p.flush()
	p.expect("[S] 0 ack 0")
	p.c.SetPathMSS(p.now, 500)
	p.flush()
	p.expect()
	p.synAck(1, syn)
	p.expect("[.] 1+500 ack 1", "[P.] 501+400 ack 1")

	plain, _ := inSynSent(t)
	plain.c.SetPathMSS(plain.now, 600)
	plain.flush()
	plain.expect()
}

// The time for a handshake can be changed while it lasts; it runs from the SYN.
func TestSetConnectTimeout(t *testing.T) {
	p, _ := inSynSent(t)
	p.after(2 * time.Second)
	p.c.SetConnectTimeout(3 * time.Second)
	p.after(999 * time.Millisecond)
	p.state(SynSent)
	p.after(time.Millisecond)
	p.failed(ErrTimeout)

	p, cfg, _ := newScript(t, []option{fastOpening(FastOpen{Cookie: biscuit})})
	p.c = NewActive(cfg, p.now)
	p.c.SetConnectTimeout(3 * time.Second)
	p.after(time.Hour)
	p.write(1)
	p.after(2999 * time.Millisecond)
	p.state(SynSent)
	p.c.SetConnectTimeout(4 * time.Second)
	p.after(time.Second)
	p.state(SynSent)
	p.after(time.Millisecond)
	p.failed(ErrTimeout)

	p = inEstablished(t)
	p.c.SetConnectTimeout(time.Second)
	p.after(time.Minute)
	p.state(Established)
}

// A SYN-ACK that echoes a timestamp which no SYN of ours had is not for this
// connection; one that echoes any of ours is.
func TestSynAckEchoesAnotherSyn(t *testing.T) {
	for _, again := range []bool{false, true} {
		p, syn := inSynSent(t, withTimestamps)
		first := p.last().Options.TSVal
		if again {
			p.after(time.Second)
			p.expect("[S] 0 ack 0")
		}
		for _, wrong := range []uint32{first - 1, p.last().Options.TSVal + 1, first + 1<<31} {
			syn.TSEcr = wrong
			p.synAck(1, syn)
			p.expect("[R] 1 ack 0")
			p.state(SynSent)
		}
		syn.TSEcr = first
		p.synAck(1, syn)
		p.expect("[.] 1 ack 1")
		p.state(Established)
	}
}
