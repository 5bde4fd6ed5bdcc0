package stack

import (
	"arpeggio/stack/icmp"
	"arpeggio/stack/igmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/udp"
)

// Stats counts what passed and what was dropped, by reason, since the stack was
// made. Every packet that does not reach its receiver is in one of these.
//
// Fields with a tag mib bear the names and follow the definitions of the MIBs:
// RFC 4293 (IP, ICMP), RFC 4022 (TCP), RFC 4113 (UDP). The others, without the
// tag, say why. Counters grow only; those with the tag metric:"gauge" tell how
// much there is now.
type Stats struct {
	Frames  FrameStats
	IP      IPStats
	ICMP    ICMPStats
	IGMP    IGMPStats
	UDP     UDPStats
	TCP     TCPStats
	Pending PendingStats

	AddrConflicts uint64 // addresses of ours claimed by others
}

// FrameStats are the counters of the link layer.
type FrameStats struct {
	In, Out uint64

	Runts       uint64 // shorter than their header
	Giants      uint64 // longer than the MTU
	Malformed   uint64 // too many VLAN tags
	ForeignVLAN uint64 // no interface for the VLAN
	ForeignMAC  uint64 // for another station
	OwnSource   uint64 // from our own address: a loop or an impostor
	BadSource   uint64 // from a group or the null address
	UnknownType uint64 // neither IPv4 nor the resolver's
	OutErrors   uint64 // refused by the device
}

// IPStats are the counters of IPv4. A super-frame counts as one datagram.
type IPStats struct {
	InReceives      uint64 `mib:"ipSystemStatsHCInReceives"`    // all, those in error included
	InOctets        uint64 `mib:"ipSystemStatsHCInOctets"`      // of InReceives
	InHdrErrors     uint64 `mib:"ipSystemStatsInHdrErrors"`     // Short, BadVersion, BadHeaderLen, BadChecksum, BadOptions, SourceRoute
	InAddrErrors    uint64 `mib:"ipSystemStatsInAddrErrors"`    // Martians, Spoofed, GroupFrame, OtherInterface, and Foreign that nobody forwards
	InTruncatedPkts uint64 `mib:"ipSystemStatsInTruncatedPkts"` // total length beyond the packet, or below its header's
	InUnknownProtos uint64 `mib:"ipSystemStatsInUnknownProtos"`
	InForwDatagrams uint64 `mib:"ipSystemStatsHCInForwDatagrams"` // given to Config.Forward
	InDelivers      uint64 `mib:"ipSystemStatsHCInDelivers"`      // given to ICMP, UDP or TCP
	OutRequests     uint64 `mib:"ipSystemStatsHCOutRequests"`     // datagrams of ours, before fragmentation
	OutTransmits    uint64 `mib:"ipSystemStatsHCOutTransmits"`    // datagrams and fragments given to an interface or to ourselves
	OutOctets       uint64 `mib:"ipSystemStatsHCOutOctets"`       // of OutTransmits
	OutNoRoutes     uint64 `mib:"ipSystemStatsHCOutNoRoutes"`     // answers without a way back, and segments of connections whose route is gone
	DeadGateways    uint64 // times that a gateway was taken for dead
	OutDiscards     uint64 `mib:"ipSystemStatsOutDiscards"` // no room to queue

	ReasmReqds     uint64 `mib:"ipSystemStatsReasmReqds"` // fragments received
	ReasmOKs       uint64 `mib:"ipSystemStatsReasmOKs"`   // datagrams put together
	ReasmFails     uint64 `mib:"ipSystemStatsReasmFails"` // FragmentErrors, FragmentOverlaps, FragmentEvicted, FragmentTimeouts
	OutFragReqds   uint64 `mib:"ipSystemStatsOutFragReqds"`
	OutFragOKs     uint64 `mib:"ipSystemStatsOutFragOKs"`
	OutFragFails   uint64 `mib:"ipSystemStatsOutFragFails"`   // DF, or too long
	OutFragCreates uint64 `mib:"ipSystemStatsOutFragCreates"` // fragments made

	Short          uint64 // shorter than a header
	BadVersion     uint64
	BadHeaderLen   uint64 // below five words, or beyond the packet
	BadChecksum    uint64
	BadOptions     uint64
	SourceRoute    uint64 // refused
	Martians       uint64 // impossible source or destination
	Spoofed        uint64 // from an address of ours
	GroupFrame     uint64 // our address in a link-layer broadcast
	OtherInterface uint64 // for the address of another interface than the one it came to (Config.StrongHost)
	Foreign        uint64 // for another host: given to Config.Forward or dropped

	RawQueueFull uint64 // copies that found the queue of an IPConn full

	FragmentErrors   uint64 // impossible lengths or positions
	FragmentOverlaps uint64 // RFC 5722
	FragmentEvicted  uint64 // datagrams that gave way to a cap
	FragmentTimeouts uint64
}

// ICMPStats are the counters of ICMP.
type ICMPStats struct {
	InMsgs    uint64 `mib:"icmpStatsInMsgs"`   // those in error included
	InErrors  uint64 `mib:"icmpStatsInErrors"` // Short, BadChecksum, BadQuote
	OutMsgs   uint64 `mib:"icmpStatsOutMsgs"`
	OutErrors uint64 `mib:"icmpStatsOutErrors"` // not sent: Limited

	// icmpMsgStatsTable, by the type of the message.
	InEchos, InEchoReps, InDestUnreachs, InTimeExcds, InParmProbs, InRedirects, InSrcQuenchs, InOthers uint64
	OutEchos, OutEchoReps, OutDestUnreachs, OutTimeExcds, OutParmProbs                                 uint64

	Short       uint64 // shorter than a header
	BadChecksum uint64
	BadQuote    uint64 // errors about what we cannot have sent
	BadOption   uint64 // echoes whose record of the route or of times cannot take our entry
	Ignored     uint64 // not answered or not believed
	Limited     uint64 // errors not sent, for the rate limit
}

// IGMPStats are the counters of IGMP.
type IGMPStats struct {
	InMsgs, OutMsgs uint64 // those in error included

	Short       uint64 // shorter than its form
	BadChecksum uint64
	BadType     uint64 // unknown
	BadGroup    uint64 // about what is no group, or about all of them and sent to one
}

// UDPStats are the counters of UDP.
type UDPStats struct {
	InDatagrams  uint64 `mib:"udpHCInDatagrams"` // queued for a reader; one for a group counts for each
	NoPorts      uint64 `mib:"udpNoPorts"`
	InErrors     uint64 `mib:"udpInErrors"` // Short, BadLength, BadChecksum, Unsummed, QueueFull
	OutDatagrams uint64 `mib:"udpHCOutDatagrams"`

	Short       uint64 // shorter than a header
	BadLength   uint64 // length field below 8 or beyond the packet
	BadChecksum uint64
	Unsummed    uint64 // without a checksum, for a socket that wants one (UDPConn.SetNeedChecksum)
	QueueFull   uint64
}

// TCPStats are the counters of TCP: those of the connections, and what became
// of segments before they reached one.
type TCPStats struct {
	tcp.Counters

	Short         uint64 // shorter than a header
	BadDataOffset uint64 // below five words, or beyond the packet
	BadPort       uint64 // zero
	BadChecksum   uint64
	ToGroup       uint64 // for a broadcast or multicast address (RFC 9293 §3.9.2.3)
	NoListener    uint64 // answered with a reset, unless it is one
	Unasked       uint64 // to a listener, and neither a SYN nor an answer to one
	BacklogFull   uint64 // SYNs and third segments that found no room
	OrphansReset  uint64 // connections that their users had closed, which made room for new ones
	CookiesSent   uint64 // SYN cookies (RFC 4987)
	CookiesUsed   uint64 // connections made of them
	CookiesBad    uint64 // acknowledgments that answer no cookie of ours

	FastOpenActive         uint64 // SYNs of ours whose text was taken (RFC 7413)
	FastOpenActiveFail     uint64 // and was not
	FastOpenBlackhole      uint64 // SYNs with the option unanswered, or reset, where a plain one was answered or nothing was
	FastOpenPassive        uint64 // SYNs whose text was taken
	FastOpenPassiveFail    uint64 // SYNs with a cookie that is not ours, or too old
	FastOpenListenOverflow uint64 // text not taken because too many such handshakes were pending
	FastOpenCookieReqd     uint64 // SYNs that asked for a cookie
}

// PendingStats count packets that wait for a neighbour's address.
type PendingStats struct {
	Queued  uint64
	Dropped uint64 // of these: displaced by newer ones, or their interface was removed
	Failed  uint64 // of these: the neighbour did not answer
}

// Stats returns a snapshot.
func (s *Stack) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.TCP.Counters = s.pool.Counters
	st.IP.FragmentEvicted = s.reasm.Evicted()
	st.sum()
	return st
}

// sum fills in those objects of the MIBs that are sums of reasons.
func (st *Stats) sum() {
	ip, ic, u, t := &st.IP, &st.ICMP, &st.UDP, &st.TCP
	ip.InHdrErrors = ip.Short + ip.BadVersion + ip.BadHeaderLen + ip.BadChecksum + ip.BadOptions + ip.SourceRoute
	ip.InAddrErrors = ip.Martians + ip.Spoofed + ip.GroupFrame + ip.OtherInterface + ip.Foreign - ip.InForwDatagrams
	ip.ReasmFails = ip.FragmentErrors + ip.FragmentOverlaps + ip.FragmentEvicted + ip.FragmentTimeouts
	ic.InErrors = ic.Short + ic.BadChecksum + ic.BadQuote
	ic.OutErrors = ic.Limited
	u.InErrors = u.Short + u.BadLength + u.BadChecksum + u.Unsummed + u.QueueFull
	t.InErrs = t.Short + t.BadDataOffset + t.BadPort + t.BadChecksum
}

// merge adds what was counted without the lock.
func (st *FrameStats) merge(o *FrameStats) {
	st.In += o.In
	st.Out += o.Out
	st.Runts += o.Runts
	st.Giants += o.Giants
	st.Malformed += o.Malformed
	st.ForeignVLAN += o.ForeignVLAN
	st.ForeignMAC += o.ForeignMAC
	st.OwnSource += o.OwnSource
	st.BadSource += o.BadSource
	st.UnknownType += o.UnknownType
	st.OutErrors += o.OutErrors
}

// transmitted counts a datagram or fragment of n octets that left, or that is
// for ourselves.
func (st *IPStats) transmitted(n int) {
	st.OutTransmits++
	st.OutOctets += uint64(n)
}

// refused counts a packet or fragment that package ipv4 did not take.
func (st *IPStats) refused(err error) {
	switch err {
	case ipv4.ErrShort:
		st.Short++
	case ipv4.ErrVersion:
		st.BadVersion++
	case ipv4.ErrHeaderLen:
		st.BadHeaderLen++
	case ipv4.ErrTotalLen:
		st.InTruncatedPkts++
	case ipv4.ErrChecksum:
		st.BadChecksum++
	case ipv4.ErrOption:
		st.BadOptions++
	case ipv4.ErrOverlap:
		st.FragmentOverlaps++
	default:
		st.FragmentErrors++
	}
}

// refused counts a message that package icmp did not take.
func (st *ICMPStats) refused(err error) {
	if err == icmp.ErrShort {
		st.Short++
	} else {
		st.BadChecksum++
	}
}

// arrived counts a message by its type.
func (st *ICMPStats) arrived(t icmp.Type) {
	switch t {
	case icmp.Echo:
		st.InEchos++
	case icmp.EchoReply:
		st.InEchoReps++
	case icmp.Unreachable:
		st.InDestUnreachs++
	case icmp.TimeExceeded:
		st.InTimeExcds++
	case icmp.ParamProblem:
		st.InParmProbs++
	case icmp.Redirect:
		st.InRedirects++
	case icmp.SourceQuench:
		st.InSrcQuenchs++
	default:
		st.InOthers++
	}
}

// sent counts a message of ours.
func (st *ICMPStats) sent(t icmp.Type) {
	st.OutMsgs++
	switch t {
	case icmp.Echo:
		st.OutEchos++
	case icmp.EchoReply:
		st.OutEchoReps++
	case icmp.Unreachable:
		st.OutDestUnreachs++
	case icmp.TimeExceeded:
		st.OutTimeExcds++
	case icmp.ParamProblem:
		st.OutParmProbs++
	}
}

// refused counts a message that package igmp did not take.
func (st *IGMPStats) refused(err error) {
	switch err {
	case igmp.ErrShort:
		st.Short++
	case igmp.ErrChecksum:
		st.BadChecksum++
	case igmp.ErrType:
		st.BadType++
	default:
		st.BadGroup++
	}
}

// refused counts a datagram that package udp did not take.
func (st *UDPStats) refused(err error) {
	if err == udp.ErrShort {
		st.Short++
	} else {
		st.BadLength++
	}
}

// refused counts a segment that package tcp did not take.
func (st *TCPStats) refused(err error) {
	switch err {
	case tcp.ErrShort:
		st.Short++
	case tcp.ErrDataOffset:
		st.BadDataOffset++
	default:
		st.BadPort++
	}
}
