package stack

import (
	"encoding/binary"
	"slices"
)

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// What RFC 6056 §3.2 asks to draw ports from: all but those of the system.
const (
	firstPort = 1024
	lastPort  = 65535
)

// setDefaults fills in what was left open, and all of a range that holds nothing.
func (r *PortRange) setDefaults() {
	if r.First == 0 {
		r.First = firstPort
	}
	if r.Last == 0 {
		r.Last = lastPort
	}
	if r.First > r.Last {
		*r = PortRange{firstPort, lastPort}
	}
}

func (r PortRange) contains(port uint16) bool { return r.First <= port && port <= r.Last }

// choosePort picks a local port that free accepts and that nobody has reserved,
// starting from a hash of the two ends so that an outsider cannot guess it, and
// moving on by a counter so that one pair of hosts does not meet its own old
// connections (RFC 6056 §3.3.3). It returns 0 when none is free.
func (s *Stack) choosePort(k connKey, free func(port uint16) bool) uint16 {
	r := s.cfg.Ports
	n := uint32(r.Last) - uint32(r.First) + 1
	sum := s.hash(k, 'p')
	offset := binary.BigEndian.Uint32(sum[:])
	for range n {
		s.portSeq++
		port := r.First + uint16((offset+s.portSeq)%n)
		if free(port) && !slices.ContainsFunc(s.cfg.ReservedPorts, func(o PortRange) bool { return o.contains(port) }) {
			return port
		}
	}
	return 0
}
