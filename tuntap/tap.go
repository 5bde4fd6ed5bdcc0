package tuntap

// TAPConfig configures OpenTAP. The zero value creates a TAP that the kernel
// names, without offload and down.
type TAPConfig struct {
	// Name of the interface, at most 15 octets. It is created when it does not
	// exist, and then vanishes with Close. When empty the kernel picks tap0,
	// tap1 and so on.
	Name string
	// Offload asks for virtio network headers: partial checksums and TCP
	// super-frames in both directions. A kernel that refuses leaves a TAP
	// without; Info().Caps says which it is.
	Offload bool
	// Up brings the interface up, which waits up to 1.2 s for its carrier.
	Up bool
	// MTU sets the interface's MTU; 0 leaves it (1500 for a new one).
	MTU int
}
