package stack

import "arpeggio/stack/ipv4"

// FrameStats are the counters of the link layer.
type FrameStats struct {
	FramesIn, FramesOut uint64

	FrameRunts       uint64 // shorter than their header
	FrameGiants      uint64 // longer than the MTU
	FrameMalformed   uint64 // too many VLAN tags
	FrameForeignVLAN uint64 // no interface for the VLAN
	FrameForeignMAC  uint64 // for another station
	FrameOwnSource   uint64 // from our own address: a loop or an impostor
	FrameBadSource   uint64 // from a group or the null address
	FrameUnknownType uint64 // neither IPv4 nor the resolver's
	FrameOutErrors   uint64 // refused by the device, or no room to queue
}

// Stats counts what passed and what was dropped, by reason, since the stack was
// made. Every packet that does not reach its receiver is in one of these.
type Stats struct {
	FrameStats

	IPIn, IPDelivered, IPOut uint64

	IPMalformed    uint64 // version, lengths
	IPBadChecksum  uint64
	IPBadOptions   uint64
	IPMartians     uint64 // impossible source or destination
	IPSpoofed      uint64 // from an address of ours
	IPSourceRoute  uint64 // refused
	IPGroupFrame   uint64 // our address in a link-layer broadcast
	IPForeign      uint64 // for another host: given to Config.Forward or dropped
	IPUnknownProto uint64
	IPNoRoute      uint64 // no way back

	IPFragmentsIn, IPFragmentsOut, IPReassembled uint64

	IPFragmentErrors     uint64 // impossible lengths or positions
	IPFragmentOverlaps   uint64
	IPFragmentEvicted    uint64 // datagrams that gave way to a cap
	IPReassemblyTimeouts uint64

	PendingQueued  uint64 // packets that waited for a neighbour's address
	PendingDropped uint64 // of these: displaced by newer ones
	PendingFailed  uint64 // of these: the neighbour did not answer

	ICMPIn, ICMPOut uint64

	ICMPMalformed uint64
	ICMPIgnored   uint64 // not answered or not believed
	ICMPLimited   uint64 // errors not sent, for the rate limit

	UDPIn, UDPOut uint64

	UDPMalformed   uint64
	UDPBadChecksum uint64
	UDPNoPort      uint64
	UDPQueueFull   uint64

	TCPIn, TCPOut                   uint64
	TCPActiveOpens, TCPPassiveOpens uint64
	TCPResetsOut                    uint64 // to segments without a connection
	TCPMalformed                    uint64
	TCPBadChecksum                  uint64
	TCPNoListener                   uint64
	TCPBacklogFull                  uint64 // SYNs and third segments that found no room
	TCPCookiesSent, TCPCookiesUsed  uint64 // SYN cookies (RFC 4987), and connections made of them
	TCPCookiesBad                   uint64 // acknowledgments that answer no cookie of ours
	TCPMemoryShort                  uint64 // segments not taken, or not all, for lack of memory
	TCPBuffersDenied                uint64 // times a buffer was not let grow, for lack of memory
	TCPEarlyPruned                  uint64 // times text out of order gave way to text in order, for lack of memory
	AddrConflicts                   uint64 // addresses of ours claimed by others
}

// Stats returns a snapshot.
func (s *Stack) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.IPFragmentEvicted = s.reasm.Evicted()
	st.TCPMemoryShort = s.pool.Refused()
	st.TCPBuffersDenied, st.TCPEarlyPruned = s.pool.Denied(), s.pool.Pruned()
	return st
}

// merge adds what was counted without the lock.
func (st *FrameStats) merge(o *FrameStats) {
	st.FramesIn += o.FramesIn
	st.FramesOut += o.FramesOut
	st.FrameRunts += o.FrameRunts
	st.FrameGiants += o.FrameGiants
	st.FrameMalformed += o.FrameMalformed
	st.FrameForeignVLAN += o.FrameForeignVLAN
	st.FrameForeignMAC += o.FrameForeignMAC
	st.FrameOwnSource += o.FrameOwnSource
	st.FrameBadSource += o.FrameBadSource
	st.FrameUnknownType += o.FrameUnknownType
	st.FrameOutErrors += o.FrameOutErrors
}

// countIP counts a packet or fragment that package ipv4 refused.
func (st *Stats) countIP(err error) {
	switch err {
	case ipv4.ErrChecksum:
		st.IPBadChecksum++
	case ipv4.ErrOption:
		st.IPBadOptions++
	case ipv4.ErrOverlap:
		st.IPFragmentOverlaps++
	case ipv4.ErrFragment, ipv4.ErrFragLimit, ipv4.ErrFragECN:
		st.IPFragmentErrors++
	default:
		st.IPMalformed++
	}
}
