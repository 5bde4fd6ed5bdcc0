package observe

import (
	"errors"
	"time"
)

// ErrInterfaces is returned by AddInterface when there are too many.
var ErrInterfaces = errors.New("observe: more than 65,536 interfaces or domains")

// Engine turns Sightings into Records. Its methods must not be called
// concurrently. The zero value is not usable: see New.
type Engine struct {
	cfg     Config
	ifaces  []Interface
	domains []string // their index is part of a key
	domain  []uint64 // of each interface: index in domains
	now     int64    // Unix nanoseconds of the latest frame
	started bool
	out     []Record
	stats   Stats
}

// Stats counts what an Engine has done since it was made. It is a plain value.
type Stats struct {
	Frames    [NumKinds]uint64   // messages, by Kind
	Malformed [NumReasons]uint64 // frames that are none, by Reason; ReasonOther included
	Events    [NumTypes]uint64   // records of PhaseOnce and PhaseBegan, by Type
	Records   uint64

	Entries, Stations, Episodes int    // now: addresses, MACs, episodes under way
	Evicted                     uint64 // unconfirmed addresses that made room
	Overflow                    uint64 // claims of new addresses that found no room
}

// New returns an Engine that knows nothing yet.
func New(cfg Config) *Engine { return &Engine{cfg: cfg.withDefaults()} }

// AddInterface makes an interface known and returns the number that Sightings
// of its frames carry: 0 for the first, 1 for the second, and so on.
func (e *Engine) AddInterface(i Interface) (int, error) {
	i = i.withDefaults()
	d := 0
	for d < len(e.domains) && e.domains[d] != i.Domain {
		d++
	}
	if d > 0xffff || len(e.ifaces) > 0xffff {
		return 0, ErrInterfaces
	}
	if d == len(e.domains) {
		e.domains = append(e.domains, i.Domain)
	}
	e.ifaces, e.domain = append(e.ifaces, i), append(e.domain, uint64(d))
	return len(e.ifaces) - 1, nil
}

// Stats returns the counts.
func (e *Engine) Stats() Stats { return e.stats }

// nano returns t in Unix nanoseconds, within what they can hold.
func nano(t time.Time) int64 {
	switch s := t.Unix(); {
	case s < 0:
		return 0
	case s > 1<<33: // the year 2242
		return 1 << 33 * 1_000_000_000
	}
	return t.UnixNano()
}

// The methods to come, with their contracts (this block goes when they do):
//
//	// Input takes one sighting and returns what happened, in order. The slice is
//	// valid until the next call; Records are plain values. Sightings come in the
//	// order of arrival; a step back of time of more than 10 s ends all episodes.
//	// Other and malformed sightings must be handed in too: they are counted.
//	func (e *Engine) Input(s *Sighting) []Record
//
//	// Finish ends all episodes at the time of the last frame: at the end of a
//	// capture, or at exit. The slice is valid until the next call.
//	func (e *Engine) Finish() []Record
//
//	// Seed makes the engine know k, as after a restart, before the first Input.
//	func (e *Engine) Seed(k Known) error
//
//	// Lookup returns what is known about an address, with its MACs newest first.
//	func (e *Engine) Lookup(k arp.Key) (Known, bool)
//
//	// All yields every known address, in the order in which they became known.
//	func (e *Engine) All() iter.Seq[Known]
//
//	// Dirty yields the addresses that were seen since the last complete Dirty,
//	// for a side index of last-seen times and frame counts. It costs nothing for
//	// the others.
//	func (e *Engine) Dirty() iter.Seq[Known]
//
// And Holder, which stands before the sinks:
//
//	// Add takes a record in commit order, with a tag (the commit id) for output.
//	func (h *Holder) Add(r Record, commit string)
//	// Ready yields the lines to print at frame time now. Release(wall) does the
//	// same for a live run, where a line waits for at most Patience.
//	func (h *Holder) Ready(now time.Time) iter.Seq2[Record, string]
//	// Flush yields what is left, at exit.
//	func (h *Holder) Flush() iter.Seq2[Record, string]
