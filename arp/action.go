package arp

import (
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
)

// ActionKind says what an Action wants done.
type ActionKind uint8

// Kinds of actions; the fields that each uses stand behind it.
const (
	ActSend     ActionKind = iota + 1 // Dst, Packet: transmit
	ActPut                            // Change: Table.Put
	ActExpire                         // Change: Table.Expire
	ActRecord                         // Change: Recorder.Record
	ActBegin                          // Work: Tracker.Begin
	ActEnd                            // Work, Outcome: Tracker.End
	ActResolved                       // Addr, MAC: wake who waits for Addr
	ActFailed                         // Addr, Err: tell who waits for Addr
	ActConflict                       // Addr, MAC: our own Addr is claimed for good
	ActOwned                          // Addr: probed (if so configured) and in use from now on
	ActFree                           // Addr: Check has found nobody who has it
)

// Action is one thing that an Engine wants done. It is a plain value.
type Action struct {
	Kind    ActionKind
	Dst     ethernet.Addr
	Packet  Packet
	Change  Change
	Work    Work
	Outcome Outcome
	Addr    netip.Addr
	MAC     ethernet.Addr
	Err     error
}

// send queues a packet from our own MAC address.
func (e *Engine) send(dst ethernet.Addr, p Packet) {
	p.SenderMAC = e.mac
	e.out = append(e.out, Action{Kind: ActSend, Dst: dst, Packet: p})
}

// change queues what happened to n's address; n may be nil when key names it.
func (e *Engine) change(kind ActionKind, c Change, now time.Time) {
	c.Time, c.Interface = now, e.name
	e.out = append(e.out, Action{Kind: kind, Change: c})
}

// begin opens work for n and abandons what was under way.
func (e *Engine) begin(n *entry, k WorkKind, now time.Time) {
	e.finish(n, OutcomeDropped)
	e.works++
	n.work = Work{ID: e.works, Kind: k, Key: e.key(n.addr), MAC: n.mac, Time: now}
	e.out = append(e.out, Action{Kind: ActBegin, Work: n.work})
}

// finish ends the work of n, if any is under way.
func (e *Engine) finish(n *entry, o Outcome) {
	if n.work.ID == 0 {
		return
	}
	e.out = append(e.out, Action{Kind: ActEnd, Work: n.work, Outcome: o})
	n.work = Work{}
}

// evidence keeps the head of the frame that h and payload came from.
func evidence(h *ethernet.Header, payload []byte, k Kind) Evidence {
	ev := Evidence{Kind: k, Source: h.Src}
	b := h.AppendTo(ev.Frame[:0])
	b = append(b, payload[:min(len(payload), PacketLen)]...)
	ev.Len = uint8(len(b))
	return ev
}
