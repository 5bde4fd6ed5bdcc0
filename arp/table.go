package arp

import (
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"arpeggio/stack/ethernet"
)

// DefaultDomain is the broadcast domain of an interface that names none.
const DefaultDomain = "lan"

// Key names a neighbour: an address within a VLAN of a broadcast domain. It is
// comparable.
type Key struct {
	Domain string
	VLAN   ethernet.VLAN
	Addr   netip.Addr
}

// String returns the address, behind its domain and VLAN where they are not
// the usual ones.
func (k Key) String() string {
	s := k.Addr.String()
	if !k.VLAN.IsZero() {
		s = "vlan-" + k.VLAN.String() + "/" + s
	}
	if k.Domain != DefaultDomain && k.Domain != "" {
		s = k.Domain + "/" + s
	}
	return s
}

// ParseKey reads what String writes. The key has always a domain.
func ParseKey(s string) (Key, error) {
	k := Key{Domain: DefaultDomain}
	place, addr := "", s
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		place, addr = s[:i], s[i+1:]
	}
	var err error
	if k.Addr, err = netip.ParseAddr(addr); err != nil {
		return Key{}, fmt.Errorf("arp: key %.80q: want DOMAIN/vlan-N/ADDRESS, DOMAIN/ADDRESS or ADDRESS", s)
	}
	if i := strings.LastIndexByte(place, '/') + 1; strings.HasPrefix(place[i:], "vlan-") {
		if v, err := ethernet.ParseVLAN(place[i+len("vlan-"):]); err == nil {
			k.VLAN, place = v, place[:max(i-1, 0)]
		}
	}
	if place != "" {
		k.Domain = place
	}
	return k, nil
}

// Binding is what a Table knows about a Key.
type Binding struct {
	MAC    ethernet.Addr
	Static bool      // pinned by the operator of this node; packets do not change it
	Since  time.Time // when this MAC was bound; zero when unknown
}

// Table keeps the bindings. Its methods are called from many goroutines, never
// with a lock of the Service held that the Service's own methods need, but one
// change at a time and in the order in which they happened. They must be fast
// and must neither wait for a disk nor call the Service back; a Table that
// persists does so behind a queue.
//
// The optional abilities Recorder, Tracker, Lister and Watcher are found by
// type assertion.
type Table interface {
	// Get returns the binding that holds for k. Expired ones do not hold.
	Get(k Key) (Binding, bool)
	// Put makes c.MAC the binding of c.Key. c.Op is one of OpLearned, OpMoved,
	// OpPinned and OpUnpinned. A Put of what holds already is not a change:
	// it happens when the cache has forgotten what the Table remembers.
	Put(c Change)
	// Expire ends the binding of c.Key to c.Old, if it holds (OpExpired). A
	// binding to another MAC address stays; a zero c.Old stands for any.
	Expire(c Change)
}

// Recorder is a Table that also keeps what changes no binding: OpRefused,
// OpConflict and OpQueryFailed.
type Recorder interface {
	Record(c Change)
}

// Tracker is a Table that wants to hear when work begins whose outcome comes
// later. Every Begin is followed by one End with the same Work.ID, after the
// Change (if there is one) that carries this ID.
type Tracker interface {
	Begin(w Work)
	End(w Work, o Outcome)
}

// Lister is a Table whose bindings can be listed, which warms the cache when
// the Service starts.
type Lister interface {
	All() iter.Seq2[Key, Binding]
}

// Watcher is a Table that others change too. Watch calls changed, without locks
// held, after a binding came (ok) or went from outside, until stop returns. A
// static one is an order of this node's operator, and so is what it tells about
// an address that was pinned here.
type Watcher interface {
	Watch(changed func(k Key, b Binding, ok bool)) (stop func())
}

// ChangeOp says what happened to a binding.
type ChangeOp uint8

// What can happen to a binding.
const (
	OpNone        ChangeOp = iota
	OpLearned              // nobody held the address, MAC does now
	OpMoved                // Old held it, MAC does now
	OpExpired              // Old held it, nobody does now
	OpPinned               // the operator bound it to MAC
	OpUnpinned             // MAC holds it still, but no longer by order
	OpRefused              // MAC claimed it and was not believed; Old holds it
	OpConflict             // MAC claimed our own address; Old is our MAC
	OpQueryFailed          // nobody answered for it
)

var changeNames = [...]string{"none", "learned", "moved", "expired", "pinned", "unpinned", "refused", "conflict", "query-failed"}

// String returns the lower-case name.
func (o ChangeOp) String() string {
	if int(o) < len(changeNames) {
		return changeNames[o]
	}
	return "op(" + strconv.Itoa(int(o)) + ")"
}

// MaxEvidence is the number of octets of a frame that a Change keeps. An ARP
// frame with two VLAN tags has 50.
const MaxEvidence = 64

// Evidence is the frame that a Change rests on. Len is 0 when it rests on a
// deadline or an order instead.
type Evidence struct {
	Frame     [MaxEvidence]byte
	Len       uint8
	Kind      Kind
	Solicited bool          // it answered a request of ours
	Source    ethernet.Addr // of the Ethernet header; differs from the sender MAC when someone speaks for another
}

// Bytes returns the kept octets of the frame.
func (e *Evidence) Bytes() []byte { return e.Frame[:e.Len] }

// Change is one thing that happened to a binding. It is a plain value.
type Change struct {
	Op        ChangeOp
	Key       Key
	MAC, Old  ethernet.Addr
	Time      time.Time
	Interface string
	// Rule names the rule of the engine that decided, such as "solicited",
	// "verify: old owner is silent" or "deadline".
	Rule     string
	Evidence Evidence
	// LastSeen is when Old, which loses the address, was last heard or confirmed
	// as its owner; zero when that was never.
	LastSeen time.Time
	// Deadline is when the binding ends unless something confirms it; zero
	// when it does not end by itself.
	Deadline time.Time
	// Work is the ID of the work that led to this change; 0 when none did.
	Work uint64
}

// WorkKind says what kind of work was begun.
type WorkKind uint8

// Kinds of work.
const (
	WorkQuery  WorkKind = iota + 1 // an unknown address is asked for
	WorkExpiry                     // a binding is probed, or its deadline fell due
)

// Work is a unit of work with a beginning and an end.
type Work struct {
	ID   uint64 // unique within a Service and never 0
	Kind WorkKind
	Key  Key
	MAC  ethernet.Addr // the binding that is at stake; zero for a query
	Time time.Time     // when it began
}

// Outcome says how work ended.
type Outcome uint8

// Outcomes of work.
const (
	OutcomeAnswered Outcome = iota + 1 // the query was answered, or the probed binding survived
	OutcomeFailed                      // nobody answered, the binding expired
	OutcomeDropped                     // it became pointless: evicted, pinned, moved, or closed
)
