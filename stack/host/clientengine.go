package host

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"arpeggio/stack/ethernet"
)

// clientState is the state of RFC 2131 §4.4, figure 5.
type clientState uint8

const (
	stateInit clientState = iota
	stateSelecting
	stateRequesting
	stateRebooting // and INIT-REBOOT, which lasts no time
	stateBound
	stateRenewing
	stateRebinding
)

// Timers of RFC 2131.
const (
	firstRetry   = 4 * time.Second  // §4.1, doubled each time
	lastRetry    = 64 * time.Second // §4.1
	jitter       = time.Second      // §4.1: plus or minus
	requestTries = 4                // §3.1.5: then start over
	rebootTries  = 2                // then as if there had been no lease before
	minRenewWait = time.Minute      // §4.4.5
	declineWait  = 10 * time.Second // §3.1.5: after DHCPDECLINE
	renewFuzz    = 32               // §4.4.5: T1 is early by up to this part of it
)

// clientEngine is the client without clock, socket and interface.
//
// It deviates from RFC 2131 §4.4.1 by not waiting 1 to 10 s before the first
// DISCOVER: that wait is for a building that gets its power back, and we would
// pay it at every boot of a machine that is ready in one second. And of two things
// that §3.2 allows it chooses the safe one: when nobody answers after a reboot, the
// rest of the old lease is not used, for the network may be another one.
type clientEngine struct {
	mac      ethernet.Addr
	clientID string
	hostname string
	wish     netip.Addr // asked for in DISCOVER
	reboot   netip.Addr // asked for once, without an offer; then it is the wish
	longest  int        // octets of a message that the interface carries, with its headers; 0 is not known
	rnd      *rand.Rand

	state   clientState
	xid     [4]byte
	started time.Time // of this acquisition, for secs
	secs    uint16    // of the last DISCOVER
	sent    time.Time // of the last new REQUEST, which the lease counts from
	tries   int
	naks    int
	next    time.Time // when to do what state says
	offered Lease     // in stateRequesting
	lease   Lease     // bound; zero when not
	fresh   bool      // bound, and not yet confirmed by accept or reject
	alone   int       // DISCOVERs since anybody made an offer
	out     []outgoing
	notices []string // for people, until the shell has logged them
	refused map[string]uint64
}

func newClientEngine(mac ethernet.Addr, clientID, hostname string, wish netip.Addr, rnd *rand.Rand) *clientEngine {
	if clientID == "" {
		clientID = "\x01" + string(mac[:]) // RFC 2132 §9.14: type 1 is Ethernet
	}
	return &clientEngine{mac: mac, clientID: clientID, hostname: hostname, wish: wish, rnd: rnd, refused: make(map[string]uint64)}
}

func (e *clientEngine) deadline() time.Time { return e.next }

func (e *clientEngine) emit() (outgoing, bool) {
	if len(e.out) == 0 {
		return outgoing{}, false
	}
	o := e.out[0]
	e.out = e.out[1:]
	return o, true
}

// tick does what is due at now.
func (e *clientEngine) tick(now time.Time) {
	if e.state != stateInit && e.next.IsZero() || now.Before(e.next) {
		return
	}
	if !e.lease.Expiry.IsZero() && !now.Before(e.lease.Expiry) { // §4.4.5: stop using the address at once
		e.restart(now, 0)
	}
	switch e.state {
	case stateInit:
		e.started, e.tries = now, 0
		e.newXID()
		if e.reboot.IsValid() {
			e.state = stateRebooting
			e.sendRequest(now)
			return
		}
		e.state = stateSelecting
		e.sendDiscover(now)
	case stateSelecting:
		e.sendDiscover(now)
	case stateRequesting, stateRebooting:
		limit := requestTries
		if e.state == stateRebooting {
			limit = rebootTries
		}
		if e.tries >= limit {
			e.notices = append(e.notices, "no DHCP server answers the request for an address; beginning again") // §3.1.5
			e.restart(now, 0)
			e.tick(now)
			return
		}
		e.sendRequest(now)
	case stateBound: // T1
		e.state, e.started = stateRenewing, now
		e.newXID()
		e.sendRequest(now)
	case stateRenewing:
		if !now.Before(e.lease.Rebind) { // T2
			e.state = stateRebinding
		}
		e.sendRequest(now)
	case stateRebinding:
		e.sendRequest(now)
	}
}

func (e *clientEngine) sendDiscover(now time.Time) {
	m := e.message(now, discover)
	m.requested, e.secs = e.wish, m.secs
	e.send(m, broadcast)
	e.alone++
	e.next = now.Add(e.backoff())
}

// sendRequest sends the REQUEST of the present state (§4.3.2, table 4).
func (e *clientEngine) sendRequest(now time.Time) {
	m, to := e.message(now, request), broadcast
	switch e.state {
	case stateRequesting:
		m.requested, m.server = e.offered.Addr.Addr(), e.offered.Server
		m.secs = e.secs // §3.1: so that relays send it to the servers that had the DISCOVER
		e.next = now.Add(e.backoff())
	case stateRebooting:
		m.requested = e.reboot
		e.next = now.Add(e.backoff())
	case stateRenewing:
		m.ciaddr, m.broadcast, to = e.lease.Addr.Addr(), false, e.lease.Server
		e.next = halfway(now, e.lease.Rebind)
	case stateRebinding:
		m.ciaddr, m.broadcast = e.lease.Addr.Addr(), false
		e.next = halfway(now, e.lease.Expiry)
	}
	e.sent = now
	e.send(m, to)
}

// halfway is when to ask again: half of what remains until end, a minute at
// least, and end itself at the latest (§4.4.5).
func halfway(now, end time.Time) time.Time {
	next := now.Add(max(end.Sub(now)/2, minRenewWait))
	if next.After(end) {
		return end
	}
	return next
}

// backoff is the wait after a message that is sent for the tries-th time (§4.1).
func (e *clientEngine) backoff() time.Duration {
	d := min(firstRetry<<min(e.tries, 4), lastRetry)
	e.tries++
	return d + time.Duration(e.rnd.Int64N(int64(2*jitter))) - jitter
}

func (e *clientEngine) newXID() {
	v := e.rnd.Uint32()
	e.xid = [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// message begins a message of this acquisition. The broadcast flag is set while
// we have no address: the stack hears no unicast before (§4.1).
func (e *clientEngine) message(now time.Time, kind messageType) message {
	return message{
		kind: kind, xid: e.xid, secs: uint16(min(now.Sub(e.started)/time.Second, 0xffff)), broadcast: true,
		mac: e.mac, clientID: e.clientID, hostname: e.hostname, longest: e.longest,
	}
}

// parting begins a DECLINE or RELEASE of the lease, which says nothing of the
// client but who it is, and why it parts (§4.4.1, table 5).
func (e *clientEngine) parting(kind messageType, why string) message {
	return message{kind: kind, xid: e.xid, mac: e.mac, clientID: e.clientID, server: e.lease.Server, reason: why}
}

// send queues a message. One that does not name our address comes from nobody's
// (§4.1), even while there is a link-local one.
func (e *clientEngine) send(m message, to netip.Addr) {
	e.out = append(e.out, outgoing{
		msg: m.encode(m.kind == discover || m.kind == request), to: netip.AddrPortFrom(to, serverPort), anonymous: !m.ciaddr.IsValid(),
	})
}

// restart forgets lease and offer and begins again after wait.
func (e *clientEngine) restart(now time.Time, wait time.Duration) {
	if e.reboot.IsValid() {
		e.wish, e.reboot = e.reboot, netip.Addr{}
	}
	if !e.lease.IsZero() {
		e.wish = e.lease.Addr.Addr()
	}
	e.state, e.lease, e.offered, e.fresh = stateInit, Lease{}, Lease{}, false
	e.next = now.Add(wait)
}

// foreign returns why b is none of our business, or "". It looks at the fixed
// fields alone: what is not for us is not worth more.
func (e *clientEngine) foreign(b []byte) string {
	switch {
	case len(b) < fileEnd:
		return "malformed"
	case b[0] != byte(dhcpv4.OpcodeBootReply):
		return "not a reply"
	case ethernet.Addr(b[chaddrStart:][:6]) != e.mac || [4]byte(b[xidStart:][:4]) != e.xid: // for another client, as broadcasts are
		return "not for us"
	}
	return ""
}

// input takes a message from a server.
func (e *clientEngine) input(now time.Time, b []byte) {
	if why := e.foreign(b); why != "" {
		e.refused[why]++
		return
	}
	m, err := parse(b)
	switch {
	case err != nil:
		e.refused["malformed"]++
	case m.clientID != "" && m.clientID != e.clientID: // RFC 6842 §3
		e.refused["for another client"]++
	case m.kind == offer && e.state == stateSelecting:
		l, why := leaseFrom(m, now)
		if why != "" {
			e.refused[why]++
			return
		}
		e.offered, e.state, e.tries, e.alone = l, stateRequesting, 0, 0
		e.sendRequest(now)
	case m.kind == offer && e.state == stateRequesting:
		e.refused["another offer"]++ // the first one is as good; its server sees whom we ask
	case m.kind == ack && e.state >= stateRequesting && e.state != stateBound:
		e.acknowledged(now, m)
	case m.kind == nak && e.state >= stateRequesting && e.state != stateBound:
		if s := e.server(); s.IsValid() && m.server.IsValid() && m.server != s {
			e.refused["another server"]++
			return
		}
		wait := min(time.Second<<min(e.naks, 6), lastRetry)
		e.naks++
		e.refused["nak"]++
		why := "it does not say why"
		if m.reason != "" {
			why = strconv.Quote(m.reason)
		}
		e.notices = append(e.notices, "the DHCP server refuses the address ("+why+"); beginning again")
		e.restart(now, wait)
		e.wish = netip.Addr{} // that is what was refused
	default:
		e.refused["unexpected"]++
	}
}

// server is the one whose answer we wait for; the zero Addr means any.
func (e *clientEngine) server() netip.Addr {
	switch e.state {
	case stateRequesting:
		return e.offered.Server
	case stateRenewing:
		return e.lease.Server
	}
	return netip.Addr{}
}

// asked is the address that we wait to be granted.
func (e *clientEngine) asked() netip.Addr {
	switch e.state {
	case stateRequesting:
		return e.offered.Addr.Addr()
	case stateRebooting:
		return e.reboot
	}
	return e.lease.Addr.Addr()
}

func (e *clientEngine) acknowledged(now time.Time, m message) {
	l, why := leaseFrom(m, e.sent)
	from := e.server()
	switch {
	case why != "":
	case l.Addr.Addr() != e.asked():
		why = "another address"
	case from.IsValid() && l.Server != from:
		why = "another server"
	case !l.Expiry.IsZero() && !now.Before(l.Expiry):
		why = "expired already"
	}
	if why != "" {
		e.refused[why]++
		return
	}
	e.fresh = e.lease.IsZero()
	e.lease, e.offered, e.reboot, e.state = l, Lease{}, netip.Addr{}, stateBound
	e.naks, e.tries, e.alone = 0, 0, 0
	if e.next = l.Renew; !l.Renew.IsZero() {
		// §4.4.5: hosts that came up together do not renew together.
		e.next = e.next.Add(-time.Duration(e.rnd.Int64N(int64(l.Renew.Sub(l.Start)/renewFuzz) + 1)))
	}
}

// reject gives back an address that somebody else uses, or that cannot be used
// (§4.4.4).
func (e *clientEngine) reject(now time.Time, why string) {
	m := e.parting(decline, why)
	m.requested = e.lease.Addr.Addr()
	e.send(m, broadcast)
	e.restart(now, declineWait)
	e.wish = netip.Addr{}
}

// release gives the address back (§4.4.6).
func (e *clientEngine) release(now time.Time) {
	if e.lease.IsZero() {
		return
	}
	e.newXID()
	m := e.parting(release, "not needed any more")
	m.ciaddr = e.lease.Addr.Addr()
	e.send(m, e.lease.Server)
	e.restart(now, 0)
}
