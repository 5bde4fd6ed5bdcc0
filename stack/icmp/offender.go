package icmp

import "net/netip"

// Offender describes a received packet that an error would be about.
type Offender struct {
	Src, Dst   netip.Addr
	Directed   bool   // Dst is a subnet's broadcast address, or Src is one
	Group      bool   // the frame was a link-layer broadcast or multicast
	Internal   bool   // it never was on a wire, so Src may be a loopback address
	FragOffset uint16 // of the packet's payload in its datagram
	IsICMP     bool
	Type       Type // when IsICMP
}

// MayReport reports whether an error may be sent about the packet. RFC 1122
// §3.2.2 forbids it for ICMP errors, for destinations of IP or link broadcast
// and multicast, for fragments other than the first, and for sources that are
// not one host's address. An ICMP message too short for a type counts as an
// error.
func (o *Offender) MayReport() bool {
	switch {
	case o.IsICMP && o.Type != Echo && o.Type != EchoReply && o.Type != Timestamp && o.Type != TimestampReply:
		return false
	case o.FragOffset != 0, o.Group, o.Directed:
		return false
	case !o.Dst.Is4() || o.Dst.IsMulticast() || isClassE(o.Dst):
		return false
	case !o.Src.Is4() || o.Src.IsUnspecified() || o.Src.IsLoopback() && !o.Internal || o.Src.IsMulticast() || isClassE(o.Src):
		return false
	}
	return true
}

// isClassE includes the limited broadcast address.
func isClassE(a netip.Addr) bool { return a.As4()[0] >= 240 }
