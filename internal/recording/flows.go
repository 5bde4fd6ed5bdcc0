package recording

import (
	"slices"
	"time"
)

// Flow is what a recording holds of one connection.
type Flow struct {
	Connection
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	In      uint64    `json:"in"`  // packets received
	Out     uint64    `json:"out"` // packets sent
	InSize  uint64    `json:"in_octets"`
	OutSize uint64    `json:"out_octets"`
	States  []Change  `json:"states,omitempty"` // in the order of their packets
}

// Flows gathers the packets of a recording by connection.
type Flows struct {
	list []*Flow
	open map[Connection]*Flow
}

// Add takes in a packet. One that belongs to no connection is left out.
func (fs *Flows) Add(p *Packet) {
	if p.Connection == nil {
		return
	}
	f := fs.open[*p.Connection]
	if f == nil || f.ended() && begins(p) {
		f = &Flow{Connection: *p.Connection, First: p.Time}
		if fs.open == nil {
			fs.open = make(map[Connection]*Flow)
		}
		fs.open[*p.Connection] = f
		fs.list = append(fs.list, f)
	}
	f.Last = p.Time
	if p.Direction == "out" {
		f.Out++
		f.OutSize += uint64(p.Length)
	} else {
		f.In++
		f.InSize += uint64(p.Length)
	}
	f.States = append(f.States, p.States...)
}

// ended reports whether a change that was seen ends the connection; the end of
// TIME-WAIT stands beside no packet.
func (f *Flow) ended() bool {
	return slices.ContainsFunc(f.States, func(c Change) bool { return c.To == "CLOSED" || c.To == "TIME-WAIT" })
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
