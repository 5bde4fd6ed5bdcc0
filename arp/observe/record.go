package observe

import (
	"fmt"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Phase says where in its episode an event stands.
type Phase uint8

// Phases.
const (
	PhaseOnce  Phase = iota // no episode: the event is all there is
	PhaseBegan              // the first of an episode
	PhaseEnded              // an episode is over; First, Last and Count sum it up
)

var phaseNames = [...]string{"once", "began", "ended"}

// String returns the lower-case name.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// EpisodeID names an episode. It is a function of the first frame of the
// episode, its timestamp, its interface and the type, so that two readers of
// one capture agree. 0 stands for no episode.
type EpisodeID uint64

// String returns 16 hexadecimal digits; the empty string for 0.
func (e EpisodeID) String() string {
	if e == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", uint64(e))
}

// MarshalText implements encoding.TextMarshaler with the form of String.
func (e EpisodeID) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Event is what happened, as an output tells it. It is a plain value.
type Event struct {
	Type Type
	// Under holds what the event would have been called, had Type not said
	// more: a bogon stands over new-station. A history records all of them.
	Under TypeSet

	Time  time.Time // of the frame; frames of an unsorted capture may go back
	Iface string    // name of the interface

	// Key is the address that it is about. Its Addr is invalid (IsValid is
	// false) when the event is about a MAC (scan, proxy-arp), where the frame
	// names none (ether-*, malformed), of a flood, and of a sum.
	Key arp.Key
	// MAC is the claimant, or who caused the event: of a sum (see
	// Config.FoldCount) who caused its first; zero in a flood.
	MAC ethernet.Addr
	// Old is the MAC that held the address before, the victim of a spoof, the
	// other one of a duplicate, or the holder that answered a probe.
	Old ethernet.Addr
	// Previous is when Old, or for new-activity MAC, was last seen with the
	// address; zero when there is none.
	Previous time.Time

	Kind   Kind
	Detail string // for people, in English, such as "100 targets in 3.2 s"; may be empty

	Phase   Phase
	Episode EpisodeID // 0 when Phase is PhaseOnce and no episode includes the event
	// First and Last are the timestamps between which Count frames (or
	// stations, targets, addresses: what the type counts) were seen. Of
	// PhaseOnce Count is 1.
	First, Last time.Time
	Count       uint64
}

// MaxEvidence is how many octets of a frame a Record keeps: a neighbour
// solicitation with two VLAN tags, a nonce and a link-layer address has 110.
const MaxEvidence = 128

// Record is one thing for the history. It is a plain value and holds nothing of
// the frame's memory.
type Record struct {
	Event

	// Op says what becomes of the binding of Key: arp.OpLearned (to MAC),
	// arp.OpMoved (from Old to MAC), arp.OpExpired (Old loses it, nobody has
	// it), arp.OpRefused (MAC claimed it, Old keeps it), arp.OpNone (nothing).
	Op arp.ChangeOp
	// Rule names the rule that decided, such as "compat" or "first"; empty
	// with arp.OpNone.
	Rule string

	// Alert: print it. Without, it stands in the record only.
	Alert bool
	// Folded: it is part of a flood or of a fast flip and belongs into the
	// summary of its second. A folded Record is never an Alert.
	Folded bool
	// HoldUntil is the frame time until which a later Record may explain this
	// one, so that it need not be printed (see Holder); zero when none can.
	HoldUntil time.Time

	// OldFirst, Previous and OldFrames close the interval of Old when Op is
	// arp.OpMoved or arp.OpExpired: when Old was first and last seen with the
	// address, in how many frames.
	OldFirst  time.Time
	OldFrames uint64

	// The evidence.
	Source    ethernet.Addr // of the Ethernet header
	Solicited bool          // it answers a request that was seen shortly before
	frame     [MaxEvidence]byte
	frameLen  uint8
	wide      bool // a flood of all VLANs
	newcomer  bool // a flood counts it
}

// Frame returns the frame that the record rests on, without padding and cut to
// MaxEvidence octets; nil when it rests on the passing of time.
func (r *Record) Frame() []byte {
	if r.frameLen == 0 {
		return nil
	}
	return r.frame[:r.frameLen]
}

// Binds reports whether the binding of Key changes.
func (r *Record) Binds() bool {
	return r.Op == arp.OpLearned || r.Op == arp.OpMoved || r.Op == arp.OpExpired
}

// Types returns the type of the event and those that it stands over.
func (r *Record) Types() TypeSet { return r.Under.With(r.Type) }
