package host

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

var (
	epoch    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clientHW = ethernet.MustParseAddr("02:50:00:00:00:77")
	serverIP = netip.MustParseAddr("10.0.0.1")
	ourIP    = netip.MustParseAddr("10.0.0.77")
)

func testEngine() *clientEngine {
	return newClientEngine(clientHW, "", "guest", netip.Addr{}, rand.New(rand.NewPCG(1, 2)))
}

// sends takes what e has to say.
func sends(t *testing.T, e engine) (ms []message, to []netip.AddrPort) {
	t.Helper()
	for {
		o, ok := e.emit()
		if !ok {
			return ms, to
		}
		m, err := parse(o.msg)
		if err != nil {
			t.Fatal(err)
		}
		ms, to = append(ms, m), append(to, o.to)
	}
}

// good is an OFFER or ACK for e that nothing is wrong with.
func good(e *clientEngine, kind messageType) message {
	return message{
		kind: kind, reply: true, xid: e.xid, mac: clientHW, yiaddr: ourIP, server: serverIP, bits: 24,
		routers: []netip.Addr{serverIP}, lease: time.Hour,
	}
}

// bound takes e to BOUND at now.
func bound(t *testing.T, e *clientEngine, now time.Time) {
	t.Helper()
	e.tick(now)
	e.input(now, good(e, offer).encode(false))
	e.input(now, good(e, ack).encode(false))
	if e.state != stateBound {
		t.Fatalf("state %d, refused %v", e.state, e.refused)
	}
	sends(t, e)
}

//rfc:2131 identifier requested broadcast-flag discover-server others unique
func TestDiscoverFields(t *testing.T) {
	e := testEngine()
	e.wish = ourIP
	e.tick(epoch)
	ms, to := sends(t, e)
	if len(ms) != 1 {
		t.Fatalf("%d messages", len(ms))
	}
	m := ms[0]
	if m.kind != discover || m.reply || !m.broadcast || m.mac != clientHW || m.hostname != "guest" || m.requested != ourIP ||
		m.clientID != "\x01"+string(clientHW[:]) || m.ciaddr.IsValid() || m.server.IsValid() {
		t.Errorf("%+v", m)
	}
	if to[0] != netip.MustParseAddrPort("255.255.255.255:67") {
		t.Errorf("sent to %v", to[0])
	}
}

// RFC 2131 §4.1: 4, 8, 16, 32, 64 s, each plus or minus one second, and 64 s from
// then on.
//
//rfc:2131 backoff
func TestBackoff(t *testing.T) {
	e := testEngine()
	now := epoch
	e.tick(now)
	for i, want := range []time.Duration{4, 8, 16, 32, 64, 64, 64} {
		d := e.deadline().Sub(now)
		if d < (want-1)*time.Second || d > (want+1)*time.Second {
			t.Errorf("wait %d is %v, want %d s ± 1 s", i, d, want)
		}
		e.tick(e.deadline().Add(-time.Nanosecond)) // too early: nothing happens
		now = e.deadline()
		e.tick(now)
	}
	ms, _ := sends(t, e)
	if len(ms) != 8 || ms[7].xid != ms[0].xid || ms[7].secs == 0 {
		t.Errorf("%d messages, last %+v", len(ms), ms[len(ms)-1])
	}
}

// RFC 2131 §3.1.5: four REQUESTs without an answer, then from the start.
//
//rfc:2131 request-server request-gives-up
func TestRequestGivesUp(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	sends(t, e)
	e.input(epoch, good(e, offer).encode(false))
	var kinds []messageType
	for range 5 {
		e.tick(e.deadline())
	}
	ms, _ := sends(t, e)
	for _, m := range ms {
		kinds = append(kinds, m.kind)
	}
	if len(ms) < 5 || ms[3].kind != request || ms[3].requested != ourIP || ms[3].server != serverIP || ms[4].kind != discover || ms[4].xid == ms[3].xid {
		t.Errorf("sent %v", kinds)
	}
}

// What no lease may say, each with the reason that is counted.
//
//rfc:2131 t1-t2 t2-end
func TestAbsurdOffers(t *testing.T) {
	a := netip.MustParseAddr
	for _, tc := range []struct {
		why  string
		edit func(*message)
	}{
		{"not for us", func(m *message) { m.xid[0]++ }},
		{"not for us", func(m *message) { m.mac[5]++ }},
		{"not a reply", func(m *message) { m.reply = false }},
		{"unexpected", func(m *message) { m.kind = ack }},
		{"unexpected", func(m *message) { m.kind = nak }},
		{"no server identifier", func(m *message) { m.server = netip.Addr{} }},
		{"no server identifier", func(m *message) { m.server = a("255.255.255.255") }},
		{"not a host address", func(m *message) { m.yiaddr = netip.Addr{} }},
		{"not a host address", func(m *message) { m.yiaddr = a("127.0.0.1") }},
		{"not a host address", func(m *message) { m.yiaddr = a("224.0.0.1") }},
		{"not a host address", func(m *message) { m.yiaddr = a("255.255.255.255") }},
		{"not a host address", func(m *message) { m.yiaddr = a("0.1.2.3") }},
		{"the server's own address", func(m *message) { m.yiaddr = serverIP }},
		{"network or broadcast address", func(m *message) { m.yiaddr = a("10.0.0.0") }},
		{"network or broadcast address", func(m *message) { m.yiaddr = a("10.0.0.255") }},
		{"no subnet mask", func(m *message) { m.bits = -1 }},
		{"no lease time", func(m *message) { m.lease = 0 }},
		{"lease too short", func(m *message) { m.lease = 9 * time.Second }},
	} {
		e := testEngine()
		e.tick(epoch)
		sends(t, e)
		m := good(e, offer)
		tc.edit(&m)
		e.input(epoch, m.encode(false))
		if e.refused[tc.why] != 1 || e.state != stateSelecting {
			t.Errorf("%s: state %d, refused %v", tc.why, e.state, e.refused)
		}
		if ms, _ := sends(t, e); len(ms) != 0 {
			t.Errorf("%s: answered with %v", tc.why, ms)
		}
	}
	t.Run("mask with a hole", func(t *testing.T) {
		e := testEngine()
		e.tick(epoch)
		b := good(e, offer).encode(false)
		for i := range len(b) - 6 {
			if string(b[i:i+6]) == "\x01\x04\xff\xff\xff\x00" {
				b[i+3] = 0xf0
			}
		}
		if e.input(epoch, b); e.refused["bad subnet mask"] != 1 {
			t.Errorf("refused %v", e.refused)
		}
	})
	t.Run("a router elsewhere is left out", func(t *testing.T) {
		m := good(testEngine(), ack)
		m.routers = []netip.Addr{a("192.0.2.1"), m.yiaddr, a("10.0.0.3")}
		if l, why := leaseFrom(m, epoch); why != "" || l.Router != a("10.0.0.3") {
			t.Errorf("router %v, %s", l.Router, why)
		}
	})
	t.Run("timers out of order", func(t *testing.T) {
		m := good(testEngine(), ack)
		m.t1, m.t2 = 2*time.Hour, 3*time.Hour
		if l, _ := leaseFrom(m, epoch); l.Renew != epoch.Add(30*time.Minute) || l.Rebind != epoch.Add(52*time.Minute+30*time.Second) {
			t.Errorf("T1 %v, T2 %v", l.Renew, l.Rebind)
		}
	})
}

//rfc:2131 xid
func TestAckMustMatch(t *testing.T) {
	for why, edit := range map[string]func(*message){
		"another address":          func(m *message) { m.yiaddr = m.yiaddr.Next() },
		"another server":           func(m *message) { m.server = m.server.Next() },
		"no lease time":            func(m *message) { m.lease = 0 },
		"not for us":               func(m *message) { m.xid[3]++ },
		"lease too short":          func(m *message) { m.lease = time.Second },
		"the server's own address": func(m *message) { m.server = m.yiaddr },
	} {
		e := testEngine()
		e.tick(epoch)
		e.input(epoch, good(e, offer).encode(false))
		m := good(e, ack)
		edit(&m)
		if e.input(epoch, m.encode(false)); e.refused[why] != 1 || e.state != stateRequesting || !e.lease.IsZero() {
			t.Errorf("%s: state %d, refused %v", why, e.state, e.refused)
		}
	}
	e := testEngine()
	e.tick(epoch)
	e.input(epoch, good(e, offer).encode(false))
	if e.input(epoch.Add(2*time.Hour), good(e, ack).encode(false)); e.refused["expired already"] != 1 {
		t.Errorf("an ACK that took two hours: %v", e.refused)
	}
}

// RFC 2131 §4.4.5: when to ask whom, and when to stop.
//
//rfc:2131 renew rebind renew-interval expire same-again
func TestRenewRebindExpire(t *testing.T) {
	e := testEngine()
	bound(t, e, epoch)
	type step struct {
		at time.Duration
		to string
	}
	var got []step
	for e.state != stateSelecting {
		now := e.deadline()
		e.tick(now)
		ms, to := sends(t, e)
		for i, m := range ms {
			if m.kind == request {
				got = append(got, step{now.Sub(epoch).Round(time.Second), to[i].Addr().String()})
				if m.ciaddr != ourIP || m.requested.IsValid() || m.server.IsValid() || m.broadcast {
					t.Errorf("at %v: %+v (table 4)", now.Sub(epoch), m)
				}
			}
		}
	}
	if t1 := 30 * time.Minute; got[0].to != "10.0.0.1" || got[0].at > t1 || got[0].at < t1-t1/renewFuzz-time.Second {
		t.Errorf("first at %v", got[0])
	}
	var rebind int
	for i, s := range got {
		if t2 := 52*time.Minute + 30*time.Second; i > 0 && s.at != t2 && s.at-got[i-1].at < time.Minute {
			t.Errorf("%v after %v", s.at, got[i-1].at)
		}
		if s.to == "255.255.255.255" && rebind == 0 {
			rebind = i
		}
	}
	if got[rebind].at != 52*time.Minute+30*time.Second {
		t.Errorf("rebinding from %v", got[rebind].at)
	}
	if !e.lease.IsZero() || e.wish != ourIP {
		t.Errorf("after the end: lease %v, wish %v", e.lease.Addr, e.wish)
	}
}

//rfc:2131 infinite
func TestInfiniteLease(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	for _, k := range []messageType{offer, ack} {
		m := good(e, k)
		m.lease = infinite
		e.input(epoch, m.encode(false))
	}
	if e.state != stateBound || !e.deadline().IsZero() || !e.lease.Expiry.IsZero() {
		t.Errorf("state %d, deadline %v, lease %+v", e.state, e.deadline(), e.lease)
	}
	if e.tick(epoch.AddDate(100, 0, 0)); e.state != stateBound {
		t.Error("it ended after all")
	}
}

// A server that refuses everything is asked ever more seldom.
//
//rfc:2131 nak
func TestNakBackoff(t *testing.T) {
	e := testEngine()
	now := epoch
	var last time.Duration
	for i := range 8 {
		e.tick(now)
		e.input(now, good(e, offer).encode(false))
		e.input(now, message{kind: nak, reply: true, xid: e.xid, mac: clientHW, server: serverIP, bits: -1}.encode(false))
		if e.state != stateInit {
			t.Fatalf("round %d: state %d", i, e.state)
		}
		d := e.deadline().Sub(now)
		if d < last || d < time.Second || d > lastRetry {
			t.Errorf("round %d: wait %v after %v", i, d, last)
		}
		last, now = d, e.deadline()
	}
	if last != lastRetry {
		t.Errorf("last wait %v", last)
	}
	// While renewing, a NAK takes the address away; from a stranger it does not.
	e = testEngine()
	bound(t, e, epoch)
	e.tick(e.deadline())
	stranger := message{kind: nak, reply: true, xid: e.xid, mac: clientHW, server: serverIP.Next(), bits: -1}
	if e.input(e.deadline(), stranger.encode(false)); e.lease.IsZero() {
		t.Error("a stranger's NAK took the address")
	}
	stranger.server = serverIP
	if e.input(e.deadline(), stranger.encode(false)); !e.lease.IsZero() {
		t.Error("the server's NAK was ignored")
	}
}

// Whatever arrives, in whatever state: no panic, no lease that is absurd, and never
// more than one message in return.
func FuzzClientInput(f *testing.F) {
	e := testEngine()
	e.tick(epoch)
	for _, k := range []messageType{offer, ack, nak, request} {
		f.Add(good(e, k).encode(false), uint8(k))
	}
	f.Add([]byte{}, uint8(0))
	f.Add(make([]byte, 240), uint8(1))
	full := good(e, ack)
	full.mtu, full.search = 1400, []string{"a.test", "b.test"}
	full.routes = []LeaseRoute{{netip.MustParsePrefix("0.0.0.0/0"), serverIP}, {netip.MustParsePrefix("10.1.0.0/16"), serverIP}}
	f.Add(full.encode(false), uint8(1))
	f.Add(overload(full.encode(false), 3, nil, nil), uint8(1))
	f.Add(good(e, ack).encode(false), uint8(4))
	f.Fuzz(func(t *testing.T, b []byte, state uint8) {
		e := testEngine() // seeded: its transaction id is that of the corpus
		if state%5 == 4 {
			e.reboot = ourIP
		}
		e.tick(epoch)
		switch state % 5 {
		case 1:
			e.input(epoch, good(e, offer).encode(false))
		case 2:
			bound(t, e, epoch)
		case 3:
			bound(t, e, epoch)
			e.tick(e.deadline())
		}
		e.out = nil
		now := epoch.Add(31 * time.Minute)
		e.input(now, b)
		if len(e.out) > 1 {
			t.Errorf("%d messages for one", len(e.out))
		}
		if l := e.lease; !l.IsZero() {
			if !isHost(l.Addr.Addr()) || l.Router.IsValid() && !isHost(l.Router) {
				t.Errorf("lease %+v", l)
			}
			for _, r := range l.Routes {
				if !r.Prefix.IsValid() || r.Prefix.Bits() == 0 || r.NextHop.IsValid() && !isHost(r.NextHop) {
					t.Errorf("route %v", r)
				}
			}
			if len(l.Routers) > maxRouters || len(l.Routes) > maxRoutes || l.MTU != 0 && l.MTU < minMTU {
				t.Errorf("lease %+v", l)
			}
			if !l.Expiry.IsZero() && (l.Renew.After(l.Rebind) || l.Rebind.After(l.Expiry)) {
				t.Errorf("timers of %+v", l)
			}
		}
	})
}
