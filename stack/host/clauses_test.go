package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// all returns every message that a client sends in its life, by the state it is in.
func all(t *testing.T, clientID string) map[string]outgoing {
	t.Helper()
	fresh := func() *clientEngine {
		return newClientEngine(clientHW, clientID, "guest", netip.Addr{}, rand.New(rand.NewPCG(1, 2)))
	}
	out := map[string]outgoing{}
	take := func(name string, e *clientEngine) {
		t.Helper()
		o, ok := e.emit()
		if !ok {
			t.Fatalf("%s: nothing is sent", name)
		}
		out[name] = o
		e.out = nil
	}
	e := fresh()
	e.tick(epoch)
	take("DISCOVER", e)
	e.input(epoch, good(e, offer).encode(false))
	take("SELECTING", e)
	e.input(epoch, good(e, ack).encode(false))
	e.tick(e.deadline())
	take("RENEWING", e)
	for e.state != stateRebinding {
		e.out = nil
		e.tick(e.deadline())
	}
	take("REBINDING", e)
	e.reject(epoch, "taken")
	take("DECLINE", e)
	e = fresh()
	e.reboot = ourIP
	e.tick(epoch)
	take("INIT-REBOOT", e)
	e.input(epoch, good(e, ack).encode(false))
	e.release(epoch)
	take("RELEASE", e)
	return out
}

// options returns the options of a message that uses each but once.
func options(b []byte) map[byte][]byte {
	o := map[byte][]byte{}
	for b = b[240:]; b[0] != 255; b = b[2+b[1]:] {
		o[b[0]] = b[2 : 2+b[1]]
	}
	return o
}

// RFC 2131 §2 and §4.4.1, table 5: the fixed fields.
//
//rfc:2131 fixed chaddr flags-zero
func TestFixedFields(t *testing.T) {
	for state, o := range all(t, "") {
		b := o.msg
		if b[0] != 1 || b[1] != 1 || b[2] != 6 || b[3] != 0 {
			t.Errorf("%s: op, htype, hlen, hops %v", state, b[:4])
		}
		if flags := binary.BigEndian.Uint16(b[10:]); flags&0x7fff != 0 {
			t.Errorf("%s: flags %04x", state, flags)
		}
		if !bytes.Equal(b[16:28], make([]byte, 12)) {
			t.Errorf("%s: yiaddr, siaddr, giaddr %v", state, b[16:28])
		}
		if !bytes.Equal(b[28:44], append(clientHW[:], make([]byte, 10)...)) {
			t.Errorf("%s: chaddr %x", state, b[28:44])
		}
	}
}

// RFC 2131 §4.3.6, table 4, and §4.4.1, table 5: which message has which address,
// and where it goes.
//
//rfc:2131 table-selecting table-reboot table-renew table-rebind
func TestTable4(t *testing.T) {
	const no = "invalid IP"
	us, it := ourIP.String(), serverIP.String()
	for state, want := range map[string][4]string{ // server identifier, requested address, ciaddr, destination
		"DISCOVER":    {no, no, no, "255.255.255.255"},
		"INIT-REBOOT": {no, us, no, "255.255.255.255"},
		"SELECTING":   {it, us, no, "255.255.255.255"},
		"RENEWING":    {no, no, us, it},
		"REBINDING":   {no, no, us, "255.255.255.255"},
		"DECLINE":     {it, us, no, "255.255.255.255"},
		"RELEASE":     {it, no, us, it},
	} {
		o := all(t, "")[state]
		m, err := parse(o.msg)
		if got := [4]string{m.server.String(), m.requested.String(), m.ciaddr.String(), o.to.Addr().String()}; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", state, got, err, want)
		}
	}
}

// RFC 2131 §3.5: the wishes of the DISCOVER stand in every REQUEST, and so does the
// length that the client can take.
//
//rfc:2131 parameters ask max-size no-reason
//rfc:3442 max-size
//rfc:2132 size-declined reason
func TestParametersInAllRequests(t *testing.T) {
	for state, o := range all(t, "") {
		opts := options(o.msg)
		asks := state != "DECLINE" && state != "RELEASE"
		if got := opts[55]; bytes.Equal(got, parameters) != asks || !asks && got != nil {
			t.Errorf("%s: parameters %v", state, got)
		}
		if got := opts[57]; asks && (len(got) != 2 || binary.BigEndian.Uint16(got) < 576) || !asks && got != nil {
			t.Errorf("%s: maximum size %v", state, got)
		}
		if _, there := opts[56]; there == asks {
			t.Errorf("%s: a message for people: %v", state, there)
		}
	}
}

// RFC 2131 §4.2: one identifier, the one that is given or else the station's own.
//
//rfc:2131 identifier identifier-given
//rfc:2132 identifier identifier-type identifier-unique
func TestSameIdentifierAlways(t *testing.T) {
	for given, want := range map[string]string{"": "\x01" + string(clientHW[:]), "\x00me": "\x00me"} {
		c, err := NewDHCPClient(DHCPClientConfig{Conn: silentConn{}, MAC: clientHW, ClientID: given})
		if err != nil || c.engine.clientID != want {
			t.Errorf("%q: %q, %v", given, c.engine.clientID, err)
		}
		for state, o := range all(t, given) {
			if got := options(o.msg)[61]; string(got) != want {
				t.Errorf("%q, %s: %q", given, state, got)
			}
		}
	}
}

// RFC 6842 §3: an answer says for whom it is where the question did, and one for
// somebody else is not taken.
//
//rfc:6842 compared
func TestAnswersForAnotherClient(t *testing.T) {
	for id, taken := range map[string]bool{"": true, "\x01" + string(clientHW[:]): true, "\x01" + string(clientHW[:5]): false, "other": false} {
		e := testEngine()
		e.tick(epoch)
		m := good(e, offer)
		m.clientID = id
		e.input(epoch, m.encode(false))
		if got := e.state == stateRequesting; got != taken || (e.refused["for another client"] == 0) != taken {
			t.Errorf("%q: taken %t, want %t; refused %v", id, got, taken, e.refused)
		}
	}
}

// The server's half: it returns the identifier as it came, or none.
//
//rfc:6842 returned absent
func TestServerReturnsTheIdentifier(t *testing.T) {
	for _, id := range []string{"", "\x00node 7", "\xff\x00\x00\x00\x01\x00\x03\x00\x01\x02\x03\x04\x05\x06\x07"} {
		s, err := newServerEngine(DHCPServerConfig{Addr: netip.PrefixFrom(serverIP, 24)})
		if err != nil {
			t.Fatal(err)
		}
		for kind, want := range map[messageType]messageType{discover: offer, request: nak} {
			q := message{kind: kind, xid: [4]byte{1}, mac: clientHW, clientID: id, requested: netip.MustParseAddr("192.0.2.9"), bits: -1}
			if kind == request {
				q.server = serverIP
			}
			s.input(epoch, q.encode(false))
			o, ok := s.emit()
			if !ok {
				t.Fatalf("%q: no answer to %v", id, kind)
			}
			got, has := options(o.msg)[61]
			if m, err := parse(o.msg); err != nil || m.kind != want || string(got) != id || has != (id != "") {
				t.Errorf("%q: %v has %q, %v", id, m.kind, got, err)
			}
		}
	}
}

// RFC 2131 §4.1: transaction ids and waits are random.
//
//rfc:2131 random-xid random-backoff
func TestClientsDiffer(t *testing.T) {
	xids, waits := map[[4]byte]bool{}, map[time.Duration]bool{}
	for seed := range uint64(16) {
		e := newClientEngine(clientHW, "", "", netip.Addr{}, rand.New(rand.NewPCG(seed, 1)))
		e.tick(epoch)
		xids[e.xid], waits[e.deadline().Sub(epoch)] = true, true
	}
	if len(xids) != 16 || len(waits) < 12 {
		t.Errorf("16 clients: %d transaction ids, %d waits", len(xids), len(waits))
	}
}

// RFC 2131 §4.3.2 and §4.4.1: what the ACK says counts, from the time when the
// request was sent.
//
//rfc:2131 ack-counts lease-start
func TestAckCounts(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	first := good(e, offer)
	first.dns = []netip.Addr{netip.MustParseAddr("10.0.0.8")}
	e.input(epoch, first.encode(false))
	second := good(e, ack)
	second.dns, second.lease = []netip.Addr{netip.MustParseAddr("10.0.0.9")}, 2*time.Hour
	e.input(epoch.Add(3*time.Second), second.encode(false))
	if got := fmt.Sprint(e.lease.DNS, e.lease.Expiry.Sub(epoch)); got != "[10.0.0.9] 2h0m0s" {
		t.Errorf("lease %s", got)
	}
}

// RFC 2131 §3.1.5: whoever waits for an address hears that there was no answer to
// the request, or a refusal.
//
//rfc:2131 notify-restart
func TestRestartsAreTold(t *testing.T) {
	e := testEngine()
	e.tick(epoch)
	e.input(epoch, good(e, offer).encode(false))
	for e.state == stateRequesting {
		e.tick(e.deadline())
	}
	e.input(epoch, good(e, offer).encode(false))
	e.input(epoch, message{kind: nak, reply: true, xid: e.xid, mac: clientHW, server: serverIP, bits: -1, reason: "not \"yours\""}.encode(false))
	want := `["no DHCP server answers the request for an address; beginning again" "the DHCP server refuses the address (\"not \\\"yours\\\"\"); beginning again"]`
	if got := fmt.Sprintf("%q", e.notices); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	var log bytes.Buffer
	c, err := NewDHCPClient(DHCPClientConfig{Conn: silentConn{}, MAC: clientHW, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	c.engine.notices = e.notices
	for range 2 { // once each
		c.settle(t.Context())
	}
	if got := log.String(); strings.Count(got, "no DHCP server answers") != 1 || strings.Count(got, "refuses the address") != 1 {
		t.Errorf("log %q", got)
	}
}

// RFC 3442: a message may be as long as the interface carries.
//
//rfc:3442 max-size-mtu
func TestMaximumSizeIsTheInterfaces(t *testing.T) {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	for mtu, want := range map[int]uint16{1400: 1500, 1500: 1500, 9000: 9000} {
		p, err := sw.Port(vnet.PortConfig{Name: fmt.Sprint(mtu), MTU: mtu})
		if err != nil {
			t.Fatal(err)
		}
		s := stack.New(stack.Config{})
		defer s.Close()
		i, err := s.AddInterface(stack.InterfaceConfig{Device: p, Resolver: stack.StaticResolver{}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewDHCPClient(DHCPClientConfig{Stack: s, Interface: i})
		if err != nil {
			t.Fatal(err)
		}
		c.engine.tick(epoch)
		o, _ := c.engine.emit()
		if got := options(o.msg)[57]; len(got) != 2 || binary.BigEndian.Uint16(got) != want {
			t.Errorf("an MTU of %d: % x, want %d", mtu, got, want)
		}
	}
}
