package host

import (
	"hash/fnv"
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
)

// Times that the server keeps.
const (
	offerHold   = time.Minute // an address that was offered and not asked for
	declineHold = time.Hour   // an address that a client found in use
)

// binding is an address of the pool and who has, had or is offered it. It stays
// after its end, so that a client that comes back gets its address again, until
// another client needs the room.
type binding struct {
	addr  netip.Addr
	key   string // of the client; empty when declined or abandoned
	mac   ethernet.Addr
	until time.Time // end of lease, offer or quarantine
	bound bool      // was granted
}

// serverEngine is the server without clock, socket and interface.
type serverEngine struct {
	id       netip.Addr
	prefix   netip.Prefix
	first    netip.Addr
	size     uint32 // addresses in the pool
	router   netip.Addr
	dns, ntp []netip.Addr
	domain   string
	lease    time.Duration
	reserved map[ethernet.Addr]netip.Addr
	taken    map[netip.Addr]bool // never given from the pool: reserved, the router's, our own

	byKey   map[string]*binding
	byAddr  map[netip.Addr]*binding
	out     []outgoing
	refused map[string]uint64
}

func (e *serverEngine) deadline() time.Time { return time.Time{} }
func (e *serverEngine) tick(time.Time)      {}

func (e *serverEngine) emit() (outgoing, bool) {
	if len(e.out) == 0 {
		return outgoing{}, false
	}
	o := e.out[0]
	e.out = e.out[1:]
	return o, true
}

// input takes a message from a client (RFC 2131 §4.3).
func (e *serverEngine) input(now time.Time, b []byte) {
	m, err := parse(b)
	switch {
	case err != nil:
		e.refused["malformed"]++
		return
	case m.reply || !m.mac.IsStation():
		e.refused["not from a client"]++
		return
	case m.giaddr.IsValid():
		e.refused["relayed"]++ // a server for the LAN it stands on
		return
	}
	key := "mac" + string(m.mac[:])
	if m.clientID != "" {
		key = "id" + m.clientID // §4.2
	}
	switch m.kind {
	case discover:
		if bd := e.choose(now, key, m.mac, m.requested); bd != nil {
			if !bd.bound || !now.Before(bd.until) {
				bd.bound, bd.until = false, now.Add(offerHold)
			}
			e.answer(m, offer, bd.addr)
		} else {
			e.refused["pool exhausted"]++
		}
	case request:
		e.request(now, m, key)
	case release:
		if bd := e.byKey[key]; bd != nil && bd.addr == m.ciaddr && m.server == e.id {
			bd.until = now
		}
	case decline:
		if bd := e.byKey[key]; bd != nil && bd.addr == m.requested && m.server == e.id {
			delete(e.byKey, key)
			bd.key, bd.bound, bd.until = "", false, now.Add(declineHold)
			e.refused["declined"]++
		}
	case inform:
		if e.prefix.Contains(m.ciaddr) {
			e.answer(m, ack, netip.Addr{})
		}
	default:
		e.refused["not from a client"]++
	}
}

// request answers a DHCPREQUEST in its four forms (§4.3.2).
func (e *serverEngine) request(now time.Time, m message, key string) {
	bd := e.byKey[key]
	want := m.requested
	switch {
	case m.server.IsValid() && m.server != e.id: // the client chose another server
		if bd != nil && !bd.bound {
			bd.until = now
		}
		return
	case m.server.IsValid(): // SELECTING
		if bd == nil || bd.addr != want {
			e.refuse(m)
			return
		}
	default: // INIT-REBOOT, RENEWING, REBINDING
		if !want.IsValid() {
			want = m.ciaddr
		}
		if bd == nil || bd.addr != want {
			// We may have forgotten the client, for our memory ends with us;
			// it keeps its address if that is free.
			if bd = e.claim(now, key, m.mac, want); bd == nil {
				e.refuse(m)
				return
			}
		}
	}
	bd.bound, bd.until = true, now.Add(e.lease)
	e.answer(m, ack, bd.addr)
}

// choose returns the binding to offer: the reserved address, the client's present
// or former one, the one it wishes, the one that its MAC address hashes to, or the
// next free one. A reserved client gets its address or nothing.
func (e *serverEngine) choose(now time.Time, key string, mac ethernet.Addr, wish netip.Addr) *binding {
	if a, ok := e.reserved[mac]; ok {
		return e.claim(now, key, mac, a)
	}
	if bd := e.byKey[key]; bd != nil {
		return bd
	}
	if bd := e.claim(now, key, mac, wish); bd != nil {
		return bd
	}
	if e.size == 0 {
		return nil
	}
	h := fnv.New32a()
	h.Write(mac[:])
	start := h.Sum32() % e.size
	// First an address that nobody ever had, then the one that has been free longest.
	var oldest *binding
	for n := range e.size {
		a := e.nth((start + n) % e.size)
		bd := e.byAddr[a]
		if bd == nil {
			if bd := e.claim(now, key, mac, a); bd != nil {
				return bd
			}
			continue
		}
		if !now.Before(bd.until) && !e.taken[a] && (oldest == nil || bd.until.Before(oldest.until)) {
			oldest = bd
		}
	}
	if oldest == nil {
		return nil
	}
	return e.claim(now, key, mac, oldest.addr)
}

// claim gives a to the client if nobody else has it, or nil.
func (e *serverEngine) claim(now time.Time, key string, mac ethernet.Addr, a netip.Addr) *binding {
	fixed, reserved := e.reserved[mac]
	if reserved && a != fixed || !reserved && !e.pooled(a) {
		return nil
	}
	if bd := e.byAddr[a]; bd != nil {
		switch {
		case bd.key == key:
			return bd
		case now.Before(bd.until) && !(reserved && bd.mac == mac): // one station may have several client ids
			return nil
		}
		delete(e.byKey, bd.key)
	}
	if was := e.byKey[key]; was != nil { // one address a client
		delete(e.byAddr, was.addr)
	}
	bd := &binding{addr: a, key: key, mac: mac, until: now}
	e.byAddr[a], e.byKey[key] = bd, bd
	return bd
}

// pooled reports whether a may be given to anybody.
func (e *serverEngine) pooled(a netip.Addr) bool {
	if !a.Is4() || e.taken[a] || a.Less(e.first) {
		return false
	}
	return number(a)-number(e.first) < e.size
}

func (e *serverEngine) nth(n uint32) netip.Addr { return address(number(e.first) + n) }

// answer sends an OFFER or ACK. Where the client has an address it goes there, and
// else to everybody, which §4.1 allows a server that cannot fill in a
// hardware address by hand.
func (e *serverEngine) answer(m message, kind messageType, a netip.Addr) {
	r := message{
		kind: kind, reply: true, xid: m.xid, broadcast: m.broadcast, mac: m.mac, ciaddr: m.ciaddr, yiaddr: a,
		server: e.id, clientID: m.clientID, // RFC 6842
		bits: e.prefix.Bits(), dns: e.dns, ntp: e.ntp, domain: e.domain,
	}
	if e.router.IsValid() {
		r.routers = []netip.Addr{e.router}
	}
	if a.IsValid() { // none for INFORM (§4.3.5)
		r.lease = e.lease
		if e.lease < infinite {
			r.t1, r.t2 = e.lease/2, e.lease/8*7
		}
	}
	to := broadcast
	if m.ciaddr.IsValid() && e.prefix.Contains(m.ciaddr) && !m.broadcast {
		to = m.ciaddr
	}
	e.out = append(e.out, outgoing{msg: r.encode(false), to: netip.AddrPortFrom(to, clientPort)})
}

// refuse sends a NAK, always to everybody (§4.3.2).
func (e *serverEngine) refuse(m message) {
	e.refused["nak"]++
	r := message{kind: nak, reply: true, xid: m.xid, broadcast: true, mac: m.mac, server: e.id, clientID: m.clientID, bits: -1}
	e.out = append(e.out, outgoing{msg: r.encode(false), to: netip.AddrPortFrom(broadcast, clientPort)})
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
