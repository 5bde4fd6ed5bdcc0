// Package link states the contract between the stack and whatever carries its
// Ethernet frames: a TAP, a network card behind AF_PACKET, a port of the
// software switch, a capture wrapped around any of them. A device moves frames
// in batches and tells its owner when to come back; it knows no protocol.
package link

import (
	"errors"
	"time"

	"arpeggio/stack/ethernet"
)

// Errors that every Device returns in the same situation.
var (
	// ErrClosed is returned by every method of a closed device.
	ErrClosed = errors.New("link: device is closed")
	// ErrTooBig is returned by WriteFrames for a frame that exceeds the MTU
	// and carries no segmentation descriptor that the device can honour.
	ErrTooBig = errors.New("link: frame exceeds the device's MTU")
)

// Device carries Ethernet frames. ReadFrames and Wait belong to one goroutine,
// the run loop that owns the device; WriteFrames, Wake and Close may be called
// from any goroutine, also while Wait blocks. No method keeps a reference to a
// caller's Frame or to its slices after it has returned.
type Device interface {
	// Info describes the device; the answer does not change.
	Info() Info

	// ReadFrames moves frames that have already arrived into f, filling each
	// element's Head (or growing it), and returns how many it filled. It never
	// waits: (0, nil) means that nothing is there. Storage in f[i].Head is
	// reused when its capacity suffices and replaced when it does not, so a
	// caller that passes the same slice again allocates nothing.
	ReadFrames(f []Frame) (n int, err error)

	// WriteFrames sends the frames in order and returns how many it took.
	// It does not wait for room: frames that do not fit are dropped by the
	// device and counted there, as a network card would. An error concerns
	// f[n]; the frames before it were taken.
	WriteFrames(f []Frame) (n int, err error)

	// Wait blocks until a frame can be read, Wake is called, the deadline
	// passes, or the device is closed (ErrClosed). The zero deadline never
	// passes. Spurious returns are allowed. A Wake that comes while nobody
	// waits makes the next Wait return at once.
	Wait(deadline time.Time) error

	// Wake makes a pending or the next Wait return.
	Wake()

	// Close releases the device and makes a pending Wait return ErrClosed.
	// It is idempotent.
	Close() error
}

// Info describes a device.
type Info struct {
	Name string        // as the system names it: tap0, eth0, port 3
	Addr ethernet.Addr // the device's own MAC address; zero when it has none (a TAP held from outside)
	MTU  int           // largest network-layer packet in octets, without Ethernet header and tags
	Caps Caps
}

// Caps says which work a device takes off the stack.
type Caps uint32

const (
	// CapTxChecksum: WriteFrames completes the checksum that Frame.Csum describes.
	CapTxChecksum Caps = 1 << iota
	// CapRxChecksum: ReadFrames marks frames whose transport checksum needs no
	// verification with CsumValid, or CsumPartial when they never left this machine.
	CapRxChecksum
	// CapTSO4: WriteFrames cuts TCP over IPv4 super-frames as Frame.GSO describes.
	CapTSO4
	// CapTSO6 is CapTSO4 for TCP over IPv6.
	CapTSO6
	// CapGRO: ReadFrames may deliver frames larger than the MTU, merged by the
	// sender or by the card, with GSO set.
	CapGRO
)

// Has reports whether every capability in want is present.
func (c Caps) Has(want Caps) bool { return c&want == want }

// CsumState says what is known about a frame's transport checksum.
type CsumState uint8

const (
	// CsumUnknown: on receive, verify it; on transmit, it is complete.
	CsumUnknown CsumState = iota
	// CsumValid: somebody below has verified it (VIRTIO_NET_HDR_F_DATA_VALID).
	CsumValid
	// CsumPartial: the field holds only the pseudo-header's sum and the rest,
	// from Start to the end of the packet, is still to be added and stored at
	// Start+Offset (VIRTIO_NET_HDR_F_NEEDS_CSUM). On receive it may be trusted:
	// the frame was made on this machine and never crossed a wire.
	CsumPartial
)

// Csum describes the transport checksum of a frame.
type Csum struct {
	State  CsumState
	Start  uint16 // octets from the start of the frame to the first summed one
	Offset uint16 // octets from Start to the checksum field
}

// GSOType says how a super-frame is to be cut.
type GSOType uint8

const (
	GSONone GSOType = iota
	GSOTCP4         // TCP over IPv4
	GSOTCP6         // TCP over IPv6
)

// GSO describes a super-frame: one set of headers and more payload than fits a
// packet, to be cut into packets of Size octets of payload each.
type GSO struct {
	Type   GSOType
	HdrLen uint16 // octets of Ethernet, IP and TCP header together
	Size   uint16 // octets of TCP payload a packet (the MSS)
	ECN    bool   // CWR is set on the first packet only
}

// Frame is one Ethernet frame, from the destination address to the end of the
// payload, without preamble and frame check sequence.
type Frame struct {
	// Head holds the frame's first octets: on receive all of them, on transmit
	// the headers and as much payload as the sender liked to copy.
	Head []byte
	// Payload continues Head on transmit with slices that the device gathers
	// (writev) and does not modify. It is empty on receive.
	Payload [][]byte

	Csum Csum
	GSO  GSO

	// Tag is what a wrapper of the device knows a received frame by, for those
	// that tell it later what became of the frame; zero when nobody asks.
	Tag uint64

	// Time is when the frame was received; zero when the device has no better
	// knowledge than "now".
	Time time.Time
}

// Len returns the length of the whole frame in octets.
func (f *Frame) Len() int {
	n := len(f.Head)
	for _, p := range f.Payload {
		n += len(p)
	}
	return n
}

// AppendTo appends the whole frame to b, flattened, and returns the extended
// slice.
func (f *Frame) AppendTo(b []byte) []byte {
	b = append(b, f.Head...)
	for _, p := range f.Payload {
		b = append(b, p...)
	}
	return b
}

// Reset makes f an empty frame that keeps Head's and Payload's storage.
func (f *Frame) Reset() {
	*f = Frame{Head: f.Head[:0], Payload: f.Payload[:0]}
}
