package tuntap

// PacketConfig configures OpenPacket.
type PacketConfig struct {
	// Interface is the name of an Ethernet interface, such as eth0.
	Interface string
	// Promiscuous asks for the frames of other stations too. A stack whose
	// address is not the card's needs it.
	Promiscuous bool
	// Outgoing asks also for the frames that other programs and the kernel
	// send through the card, as an observer wants. Frames of this Packet's own
	// WriteFrames are never among them.
	Outgoing bool
	// Down leaves the interface as it is; otherwise it is brought up, which
	// waits up to 1.2 s for a carrier.
	Down bool
}
