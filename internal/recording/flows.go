package recording

import (
	"slices"
	"time"
)

// Flow is what a recording holds of one connection.
type Flow struct {
	Connection
	First   time.Time `json:"first,omitzero"` // by the packets' times, whatever their order
	Last    time.Time `json:"last,omitzero"`
	In      uint64    `json:"in"`  // packets received
	Out     uint64    `json:"out"` // packets sent
	InSize  uint64    `json:"in_octets"`
	OutSize uint64    `json:"out_octets"`
	States  []Change  `json:"states,omitempty"` // in the order of their packets
	ended   bool
}

// What a recording may make us remember, whoever wrote it. A connection goes through
// a dozen states at most.
const (
	maxFlows  = 1 << 20
	maxStates = 32
)

// Flows gathers the packets of a recording by connection, a million of them at most.
type Flows struct {
	// Left counts the packets for whose connection there was no room.
	Left uint64

	list []*Flow
	open map[Connection]*Flow
}

// Add takes in a packet. One that belongs to no connection is left out.
func (fs *Flows) Add(p *Packet) {
	if p.Connection == nil {
		return
	}
	f := fs.open[*p.Connection]
	if f == nil || f.ended && begins(p) {
		if len(fs.list) == maxFlows {
			fs.Left++
			return
		}
		f = &Flow{Connection: *p.Connection}
		if fs.open == nil {
			fs.open = make(map[Connection]*Flow)
		}
		fs.open[*p.Connection] = f
		fs.list = append(fs.list, f)
	}
	f.add(p)
}

func (f *Flow) add(p *Packet) {
	if !p.Time.IsZero() {
		if f.First.IsZero() || p.Time.Before(f.First) {
			f.First = p.Time
		}
		if p.Time.After(f.Last) {
			f.Last = p.Time
		}
	}
	if p.Direction == "out" {
		f.Out++
		f.OutSize += uint64(p.Length)
	} else {
		f.In++
		f.InSize += uint64(p.Length)
	}
	for _, c := range p.States {
		if len(f.States) < maxStates {
			f.States = append(f.States, c)
		}
		// The end of TIME-WAIT stands beside no packet.
		f.ended = f.ended || c.To == "CLOSED" || c.To == "TIME-WAIT"
	}
}

// begins reports whether a packet is the first of a connection.
func begins(p *Packet) bool {
	return len(p.States) > 0 && (p.States[0].From == "LISTEN" || p.States[0].From == "CLOSED")
}

// All returns the connections, in the order in which they were first seen.
func (fs *Flows) All() []*Flow { return fs.list }

// Path returns the states that the connection went through. Packets that cross each
// other on the wire may stand in another order than what they led to, so that each
// change is put behind the one that it goes on from.
func (f *Flow) Path() (out []string) {
	left := slices.Clone(f.States)
	for len(left) > 0 {
		next := 0
		if len(out) > 0 {
			next = max(0, slices.IndexFunc(left, func(c Change) bool { return c.From == out[len(out)-1] }))
		}
		c := left[next]
		left = slices.Delete(left, next, next+1)
		if len(out) == 0 || out[len(out)-1] != c.From {
			out = append(out, c.From)
		}
		out = append(out, c.To)
	}
	return out
}
