package arp

import "strconv"

// DropReason says why a packet, or what it claimed, was not used.
type DropReason uint8

// Reasons to drop a packet.
const (
	_                   DropReason = iota
	DropShort                      // fewer than 28 octets
	DropUnusable                   // not IPv4 over Ethernet
	DropOperation                  // an operation that does not concern us
	DropReverse                    // RARP
	DropInverse                    // InARP
	DropSenderNull                 // sender MAC 00:00:00:00:00:00
	DropSenderBroadcast            // sender MAC ff:ff:ff:ff:ff:ff
	DropSenderMulticast            // sender MAC is a group's
	DropSenderIP                   // sender IP is nobody's: 0.0.0.0 in a reply, broadcast, multicast, loopback
	DropEcho                       // our own MAC as sender
	DropNotForUs                   // unicast to another station
	DropForeignTarget              // a reply sent to us that answers somebody else
	DropMismatch                   // Ethernet source is not the sender (Config.RejectMismatch)
	DropOffLink                    // the sender is outside our networks; answered, not learned
	DropPolicy                     // the learning policy does not want it; answered, not learned
	DropFull                       // no room in the cache
	NumDropReasons
)

var dropNames = [...]string{"", "short", "unusable", "operation", "reverse", "inverse", "sender-null", "sender-broadcast",
	"sender-multicast", "sender-ip", "echo", "not-for-us", "foreign-target", "mismatch", "off-link", "policy", "full"}

// String returns a lower-case label.
func (r DropReason) String() string {
	if int(r) < len(dropNames) {
		return dropNames[r]
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// Stats counts what an Engine has done since it was made. It is a plain value.
type Stats struct {
	Received   [len(kindNames)]uint64 // sane packets, by Kind
	Dropped    [NumDropReasons]uint64 // by DropReason
	Mismatched uint64                 // sane packets whose Ethernet source is not their sender

	RequestsSent, RepliesSent, AnnouncementsSent, ProbesSent uint64

	Hits, Misses                 uint64 // of Resolve
	Queries, Answered, TimedOut  uint64
	Waited                       Durations // of the answered queries
	Learned, Moved, Refused      uint64
	Refreshed, Verified, Expired uint64
	Evicted, Conflicts, Defended uint64

	Entries, Pending int // now; Pending of them are unanswered or failed
}
