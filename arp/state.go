package arp

import (
	"net/netip"
	"strconv"
	"time"

	"arpeggio/stack/ethernet"
)

// State says how sure the engine is of a neighbour (RFC 4861 §7.3.2).
type State uint8

// Neighbour states.
const (
	StateNone       State = iota // not in the cache
	StateIncomplete              // asked for, not answered yet
	StateReachable               // it answered, or a transport confirmed it, within ReachableTime
	StateStale                   // bound, but unconfirmed for longer than that
	StateDelay                   // stale and in use: a transport may confirm it within DelayTime
	StateProbe                   // being asked whether it is still there
	StateFailed                  // did not answer; not asked again for FailedTime
	StatePermanent               // pinned by the operator
)

var stateNames = [...]string{"none", "incomplete", "reachable", "stale", "delay", "probe", "failed", "permanent"}

// String returns the lower-case name that `ip neigh` uses too.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// Neighbor is one entry of the cache as Neighbors reports it.
type Neighbor struct {
	Addr      netip.Addr
	MAC       ethernet.Addr // zero while incomplete or failed
	State     State
	Interface string
	VLAN      ethernet.VLAN
	Updated   time.Time // when the MAC address was bound
	Confirmed time.Time // when it last answered us or a transport confirmed it; zero: never
	Heard     time.Time // when it last said that it holds the address
	Used      time.Time // when it was last asked for; zero: never
}

// entry is the engine's knowledge of one address.
type entry struct {
	addr  netip.Addr
	mac   ethernet.Addr
	state State
	asked bool // somebody on this host has wanted it

	updated, confirmed, heard, used time.Time
	reachUntil                      time.Time // of StateReachable, which ends without a timer
	seen                            time.Time // when the owner was last heard or confirmed; zero: never, as after Seed

	next        time.Time // when Incomplete, Delay, Probe and Failed want attention
	tries       int       // requests sent in this state
	lastAsk     time.Time // of the last request, in whatever state
	outstanding bool      // it has not been answered
	broadcast   bool      // it went to everybody
	expiring    bool      // StateProbe because of the deadline, not because of use

	claim *claim // under verification
	hot   *hot   // for readers without the lock; nil: none yet
	hits  uint64 // of hot, as last seen
	noted int64  // the last confirmation of hot, as last seen
	work  Work   // under way when ID is not 0

	due        time.Time // in the heap while index >= 0
	index      int
	class      *lru
	prev, succ *entry
}

// claim is somebody else's claim on a live binding while the owner is asked.
type claim struct {
	mac   ethernet.Addr
	ev    Evidence
	at    time.Time
	next  time.Time
	asked bool
}

// bound reports whether the entry has a MAC address that may be used.
func (n *entry) bound() bool { return n.state != StateIncomplete && n.state != StateFailed }

// settle makes the transition that has no timer of its own, from
// reachable to stale, and returns the state at now.
func (n *entry) settle(now time.Time) State {
	if n.state == StateReachable && !now.Before(n.reachUntil) {
		n.state = StateStale
	}
	return n.state
}
