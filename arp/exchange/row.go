package exchange

import (
	"errors"
	"fmt"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// State says what a tool thinks of a binding.
type State uint8

// States.
const (
	Dynamic State = iota // learned from the network
	Static               // set by an operator
)

// Row is one binding as another tool knows it. It is a plain value. What a
// format does not say is zero.
type Row struct {
	Key       arp.Key // the domain is the caller's to set when it is empty
	MAC       ethernet.Addr
	State     State
	Host      string // a name, without spaces
	Interface string // without spaces
	Seen      time.Time
	First     time.Time // no later than Seen
	Kind      string    // how it was seen: ARP_REQ, ND_NA, …
	Vendor    string
	Kernel    *Neighbor // of `ip -j neigh`
}

// Neighbor is what the kernel says beyond the binding.
type Neighbor struct {
	States []string // NUD states: REACHABLE, STALE, PERMANENT, …
	Router bool
	// Stats are the counters of `ip -s`, in seconds and probes; nil without.
	Stats *NeighborStats
}

// NeighborStats are the ages, in seconds, and the number of requests that were
// sent and not answered.
type NeighborStats struct {
	Refs                     int // references; left out when 0
	Used, Confirmed, Updated int
	Probes                   int
}

// ErrFormat is wrapped by the error for input that is not in the format at all.
var ErrFormat = errors.New("exchange: not in this format")

// LineError is a line that cannot be used, or an element of a JSON array.
type LineError struct {
	Line    int  // from 1
	Element bool // Line counts elements
	Text    string
	Err     error
}

// Error names the line and what is wrong with it.
func (e *LineError) Error() string {
	what := "line"
	if e.Element {
		what = "element"
	}
	return fmt.Sprintf("%s %d: %v: %.60q", what, e.Line, e.Err, e.Text)
}

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }
