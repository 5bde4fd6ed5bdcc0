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
		if free(port) && !s.reserved(port) {
			return port
		}
	}
	return 0
}

// portDraws is how often randomPort draws before it counts what there is to draw
// from.
const portDraws = 16

// randomPort picks a local port as choosePort does, but each at random (RFC 6056
// §3.3.1 and §5): what a datagram socket hears, a forger could have sent, who must
// not be able to conclude from one port to the next (RFC 5452 §9.2).
func (s *Stack) randomPort(free func(port uint16) bool) uint16 {
	r := s.cfg.Ports
	n := uint32(r.Last) - uint32(r.First) + 1
	usable := func(port uint16) bool { return !s.reserved(port) && free(port) }
	for range portDraws {
		if port := r.First + uint16(s.below(n)); usable(port) {
			return port
		}
	}
	var left []uint16
	for i := range n {
		if port := r.First + uint16(i); usable(port) {
			left = append(left, port)
		}
	}
	if len(left) == 0 {
		return 0
	}
	return left[s.below(uint32(len(left)))]
}

// below returns a number from 0 to n-1 that nobody can foretell.
func (s *Stack) below(n uint32) uint32 {
	var b [8]byte
	s.random(b[:])
	return uint32(binary.BigEndian.Uint64(b[:]) % uint64(n))
}

// reserved reports whether Config keeps the port out of what the stack chooses.
func (s *Stack) reserved(port uint16) bool {
	return slices.ContainsFunc(s.cfg.ReservedPorts, func(r PortRange) bool { return r.contains(port) })
}
