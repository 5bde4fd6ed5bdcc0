package observe

import (
	"iter"
	"strconv"
	"strings"
	"time"
)

// Type names what happened. Its text form, in the table of Types, stands in
// commit trailers, JSON and syslog.
type Type uint8

// Types of events. TypeNone marks a Record that is no event: an expiry.
const (
	TypeNone Type = iota
	NewStation
	Changed
	FlipFlop
	Reused
	NewActivity
	Bogon
	EtherMismatch
	EtherBroadcast
	EtherMulticast
	IPBroadcast
	Malformed
	ACDConflict
	DupIP
	Spoof
	ProxyARP
	Flood
	Scan
	NumTypes // the number of types, TypeNone included
)

// Severity says how urgent an event is; the numbers are those of syslog
// (RFC 5424 §6.2.1).
type Severity uint8

// Severities that events have.
const (
	SeverityAlert   Severity = 1 // somebody lies
	SeverityWarning Severity = 4 // something is broken or about to break
	SeverityNotice  Severity = 5 // significant and ordinary
	SeverityInfo    Severity = 6
)

// Info is what there is to know about a Type.
type Info struct {
	Type     Type
	Name     string
	Meaning  string // one line
	Severity Severity
	// Threshold is the number that it takes and Window the time within which;
	// zero where one is enough. Both are defaults of Config.
	Threshold int
	Window    time.Duration
	// Episode: the event has a beginning and an end, and one line is printed.
	Episode bool
}

// Defaults of Config that the table of Types quotes.
const (
	DefaultNewActivity = 180 * 24 * time.Hour // arpwatch's six months
	DefaultDupWindow   = time.Minute
	DefaultProxyCount  = 8
	DefaultProxyWindow = time.Minute
	DefaultFloodCount  = 100
	DefaultFloodWindow = 10 * time.Second
	DefaultScanCount   = 100
	DefaultScanWindow  = 10 * time.Second
	DefaultACDWindow   = 2 * time.Second
)

// Each type, once. docs/events.md repeats it; a test compares them.
var types = [NumTypes]Info{
	{TypeNone, "none", "no event", SeverityInfo, 0, 0, false},
	{NewStation, "new-station", "an address is used for the first time", SeverityInfo, 0, 0, false},
	{Changed, "changed", "an address is used by a MAC that was not seen for it before", SeverityNotice, 0, 0, false},
	{FlipFlop, "flip-flop", "an address went back to the MAC it had before", SeverityNotice, 0, 0, false},
	{Reused, "reused", "an address went back to a MAC it had earlier than that", SeverityNotice, 0, 0, false},
	{NewActivity, "new-activity", "an address is used again by its MAC after a long silence", SeverityInfo, 0, DefaultNewActivity, false},
	{Bogon, "bogon", "an address is outside the networks of the interface", SeverityNotice, 0, 0, true},
	{EtherMismatch, "ether-mismatch", "the Ethernet source is not the sender that the message names", SeverityNotice, 0, 0, true},
	{EtherBroadcast, "ether-broadcast", "a sender names the broadcast MAC as its own", SeverityWarning, 0, 0, true},
	{EtherMulticast, "ether-multicast", "a sender names a multicast MAC as its own", SeverityWarning, 0, 0, true},
	{IPBroadcast, "ip-broadcast", "a sender names a broadcast address as its own", SeverityWarning, 0, 0, true},
	{Malformed, "malformed", "a message that cannot be right", SeverityNotice, 0, 0, true},
	{ACDConflict, "acd-conflict", "a station probed for an address (RFC 5227, RFC 4862) and its holder answered", SeverityWarning, 0, DefaultACDWindow, true},
	{DupIP, "dup-ip", "two stations use one address", SeverityWarning, 0, DefaultDupWindow, true},
	{Spoof, "spoof", "a MAC that owns another address claims one whose owner still talks", SeverityAlert, 0, DefaultDupWindow, true},
	{ProxyARP, "proxy-arp", "one MAC answers for many addresses", SeverityNotice, DefaultProxyCount, DefaultProxyWindow, true},
	{Flood, "flood", "many new stations in a short time", SeverityWarning, DefaultFloodCount, DefaultFloodWindow, true},
	{Scan, "scan", "one MAC asks for many addresses in a short time", SeverityWarning, DefaultScanCount, DefaultScanWindow, true},
}

// Info returns what there is to know about t; an unknown type is TypeNone's.
func (t Type) Info() Info {
	if t < NumTypes {
		return types[t]
	}
	return types[TypeNone]
}

// String returns the name, such as "new-station".
func (t Type) String() string {
	if t < NumTypes {
		return types[t].Name
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// MarshalText implements encoding.TextMarshaler with the name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// ParseType returns the type with that name, and false when there is none.
func ParseType(name string) (Type, bool) {
	for t := NewStation; t < NumTypes; t++ {
		if types[t].Name == name {
			return t, true
		}
	}
	return TypeNone, false
}

// Types yields all types but TypeNone, in the order of their numbers.
func Types() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		for _, i := range types[NewStation:] {
			if !yield(i) {
				return
			}
		}
	}
}

// TypeSet is a set of types. The zero value is empty; it is comparable.
type TypeSet uint32

// With returns the set with t in it. TypeNone is in no set.
func (s TypeSet) With(t Type) TypeSet {
	if t == TypeNone || t >= NumTypes {
		return s
	}
	return s | 1<<t
}

// Has reports whether t is in the set.
func (s TypeSet) Has(t Type) bool { return t < NumTypes && s&(1<<t) != 0 }

// All yields the types of the set in the order of their numbers.
func (s TypeSet) All() iter.Seq[Type] {
	return func(yield func(Type) bool) {
		for t := NewStation; t < NumTypes; t++ {
			if s.Has(t) && !yield(t) {
				return
			}
		}
	}
}

// String returns the names with commas between them.
func (s TypeSet) String() string {
	var b strings.Builder
	for t := range s.All() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(t.String())
	}
	return b.String()
}
