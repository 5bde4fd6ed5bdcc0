//go:build !linux

package tuntap

import (
	"fmt"
	"net/netip"
	"runtime"

	"arpeggio/stack/link"
)

// TAP is a TAP device; it exists on Linux only.
type TAP struct{ link.Device }

// Stats returns how many frames could not be moved.
func (*TAP) Stats() Stats { return Stats{} }

// Obstacle knows of none.
func (*TAP) Obstacle() string { return "" }

// Packet is a network card; it exists on Linux only.
type Packet struct{ link.Device }

// Stats returns how many frames could not be moved.
func (*Packet) Stats() Stats { return Stats{} }

// OpenTAP returns ErrUnsupported.
func OpenTAP(TAPConfig) (*TAP, error) { return nil, unsupported("TAP devices") }

// OpenPacket returns ErrUnsupported.
func OpenPacket(PacketConfig) (*Packet, error) { return nil, unsupported("packet sockets") }

// CreatePersistent returns ErrUnsupported.
func CreatePersistent(string, int) error { return unsupported("TAP devices") }

// Configure returns ErrUnsupported.
func Configure(string, netip.Prefix) error { return unsupported("interfaces") }

// Remove returns ErrUnsupported.
func Remove(string) error { return unsupported("TAP devices") }

func unsupported(what string) error {
	return fmt.Errorf("%w: %s has no %s that arpeggio can use", ErrUnsupported, runtime.GOOS, what)
}
