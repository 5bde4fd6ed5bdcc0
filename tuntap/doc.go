// Package tuntap opens the devices that carry arpeggio's frames outside the
// process: a TAP on a host, a network card through an AF_PACKET socket, and the
// wire of a QEMU machine through a Unix socket. Each is a link.Device.
//
// TAP and card ask the kernel for virtio network headers, so that checksums
// need not be computed and TCP super-frames of up to 64 KiB pass in one piece,
// which is worth a factor of seven to eleven on bulk transfers. They read
// without blocking and fall into poll(2) only when nothing is there: with one
// busy core that beats the runtime's poller and io_uring alike.
//
// TAP and Packet exist on Linux; elsewhere opening one returns ErrUnsupported.
// StreamWire works everywhere.
package tuntap

import "errors"

// Errors that callers may want to tell apart. What OpenTAP, OpenPacket and
// their relatives return wraps one of them where it applies and names the
// interface and the remedy.
var (
	// ErrUnsupported: this operating system has no such device.
	ErrUnsupported = errors.New("tuntap: needs Linux")
	// ErrNoDriver: the kernel has no TUN/TAP driver loaded.
	ErrNoDriver = errors.New("tuntap: no TUN/TAP driver")
	// ErrPermission: the process may not do that.
	ErrPermission = errors.New("tuntap: permission denied")
	// ErrBusy: another program holds the interface.
	ErrBusy = errors.New("tuntap: interface is in use")
	// ErrName: not a name that an interface can have.
	ErrName = errors.New("tuntap: bad interface name")
	// ErrNoInterface: there is no interface of that name, or there is none any
	// more.
	ErrNoInterface = errors.New("tuntap: no such interface")
	// ErrNotTAP: the interface exists and is something else.
	ErrNotTAP = errors.New("tuntap: interface is not a TAP")
	// ErrDown: the interface is down.
	ErrDown = errors.New("tuntap: interface is down")
	// ErrWire: the other end of a wire broke the framing or went away.
	ErrWire = errors.New("tuntap: wire is broken")
)

// Stats counts frames that a device could not move. Frames that it did move
// are counted by its owner.
type Stats struct {
	TxDropped   uint64 // no room in the device's queue
	RxDropped   uint64 // not read in time
	RxMalformed uint64 // shorter than an Ethernet header, or with an offload descriptor that makes no sense
	RxUnwanted  uint64 // super-frames of a protocol other than TCP
}
