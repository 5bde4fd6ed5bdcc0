package host

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A short list that names the same long name again and again is not worth the time
// and the memory that it asks for.
func TestDomainsBounds(t *testing.T) {
	label := func(n int) string { return string(rune(n)) + strings.Repeat("a", n) }
	longest := label(63) + label(63) + label(63) + label(61) + "\x00" // 255 octets
	if got := domains([]byte(longest)); len(got) != 1 || len(got[0]) != 253 {
		t.Errorf("the longest name is %q", got)
	}
	if got := domains([]byte(label(63) + label(63) + label(63) + label(62) + "\x00")); got != nil {
		t.Errorf("a name of 256 octets is %q", got)
	}
	bomb := append([]byte(longest), bytes.Repeat([]byte{0xc0, 0}, 1800)...)
	if got := domains(bomb); len(got) != maxSearch {
		t.Errorf("%d names", len(got))
	}
	// Pointers to pointers, and a name through them.
	if got := domains([]byte("\x03lan\x00\xc0\x00\x01a\xc0\x05")); fmt.Sprint(got) != "[lan lan a.lan]" {
		t.Errorf("through two pointers %q", got)
	}
	b := bytes.TrimRight(good(testEngine(), ack).encode(false), "\x00")
	b = b[:len(b)-1] // without END
	for range 5 {
		b = append(append(b, 119, 250), bytes.Repeat([]byte("\x04test"), 50)...)
	}
	if _, err := parse(append(b, 255)); err != errOption {
		t.Errorf("an option of 1250 octets: %v", err)
	}
}

// What is not for us is refused before its options are looked at; a server does not
// read what only clients do; and there is an end to the servers.
func TestOptionsAreReadForUs(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	m := good(e, offer)
	m.search = []string{"lan.test"}
	for range 20 {
		m.dns, m.ntp = append(m.dns, serverIP), append(m.ntp, serverIP)
	}
	got, err := parse(m.encode(false))
	if err != nil || len(got.search) != 1 || len(got.dns) != maxServers || len(got.ntp) != maxServers {
		t.Errorf("%d name servers, %d time servers, search list %q, %v", len(got.dns), len(got.ntp), got.search, err)
	}
	m.reply = false
	if got, err := parse(m.encode(false)); err != nil || got.search != nil {
		t.Errorf("a request has the search list %q, %v", got.search, err)
	}
	m.reply = true
	broken := m.encode(false)[:fileEnd] // no options at all
	if e.input(epoch, broken); e.refused["malformed"] != 1 {
		t.Errorf("for us, and broken: %v", e.refused)
	}
	m.xid[2]++
	if e.input(epoch, m.encode(false)[:fileEnd]); e.refused["not for us"] != 1 || e.refused["malformed"] != 1 {
		t.Errorf("for another one, and broken: %v", e.refused)
	}
	if e.input(epoch, broken[:fileEnd-1]); e.refused["malformed"] != 2 {
		t.Errorf("short: %v", e.refused)
	}
}

// RFC 2131 §3.1 step 3: the REQUEST has the seconds of the DISCOVER.
//
//rfc:2131 request-secs
func TestRequestSecs(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	e.tick(e.deadline()) // the second DISCOVER
	ds, _ := sends(t, e)
	now := e.next.Add(-time.Millisecond)
	e.input(now, good(e, offer).encode(false))
	e.tick(e.deadline())
	rs, _ := sends(t, e)
	if len(ds) != 2 || len(rs) != 2 || ds[1].secs == 0 || rs[0].secs != ds[1].secs || rs[1].secs != ds[1].secs {
		t.Errorf("sent %+v, then %+v", ds, rs)
	}
}

// RFC 2131 §4.4.1, table 5: what stands in DECLINE and RELEASE, and what does not.
//
//rfc:2131 parting-secs parting-options parting-reason parting-identifier parting-server decline-address release-address
func TestParting(t *testing.T) {
	for _, kind := range []messageType{decline, release} {
		e := testEngine()
		bound(t, e, epoch)
		if now := epoch.Add(100 * time.Second); kind == decline {
			e.reject(now, "taken")
		} else {
			e.release(now)
		}
		o, _ := e.emit()
		m, err := parse(o.msg)
		want := message{kind: kind, xid: m.xid, mac: clientHW, clientID: "\x01" + string(clientHW[:]), server: serverIP, bits: -1}
		if kind == decline {
			want.requested, want.reason = ourIP, "taken"
		} else {
			want.ciaddr, want.reason = ourIP, "not needed any more"
		}
		if got := fmt.Sprintf("%+v", m); err != nil || got != fmt.Sprintf("%+v", want) {
			t.Errorf("%s, %v\nwant %+v", got, err, want)
		}
		if bytes.Contains(o.msg[240:], append([]byte{55, byte(len(parameters))}, parameters...)) {
			t.Errorf("%d asks for parameters", kind)
		}
	}
}

// Whatever a list says: few names, and none that is longer than a name may be.
func FuzzDomains(f *testing.F) {
	f.Add([]byte("\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"))
	f.Add([]byte("\x03lan\x00\xc0\x00\x01a\xc0\x05"))
	f.Add([]byte("\x01a\xc0\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names := domains(b)
		if len(names) > maxSearch {
			t.Errorf("%d names", len(names))
		}
		for _, n := range names {
			if n == "" || len(n) > maxName-2 {
				t.Errorf("name %q", n)
			}
		}
	})
}
