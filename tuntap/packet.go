package tuntap

import "golang.org/x/net/bpf"

// PacketConfig configures OpenPacket.
type PacketConfig struct {
	// Interface is the name of an Ethernet interface, such as eth0.
	Interface string
	// Promiscuous asks for the frames of other stations too. A stack whose
	// address is not the card's needs it. Frames for groups come in any case.
	Promiscuous bool
	// Outgoing asks also for the frames that other programs and the kernel
	// send through the card, as an observer wants. Frames of this Packet's own
	// WriteFrames are never among them.
	Outgoing bool
	// Down leaves the interface as it is; otherwise it is brought up, which
	// waits up to 1.2 s for a carrier.
	Down bool
	// Filter is run by the kernel on each frame, from the Ethernet header on and
	// without the VLAN tag that the kernel has taken off: no other frame is
	// received than those that it accepts. Nil accepts all.
	Filter []bpf.RawInstruction
	// Buffer is how many octets of memory may hold frames that are not read yet;
	// 8 MiB when 0. A short frame takes about 800 of them. Without
	// CAP_NET_ADMIN it is at most what net.core.rmem_max allows.
	Buffer int
}

// State is what an interface is doing.
type State uint8

// States of an interface.
const (
	Gone State = iota // there is none of that name
	Down
	Up
)
