package tuntap

import (
	"encoding/binary"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

const (
	// smallHead is the least room that is offered to a received frame: one of
	// the usual MTU with two tags.
	smallHead = 2 << 10
	// spillLen holds what a super-frame has beyond that.
	spillLen = 64<<10 + 256
)

// room empties f and makes sure that a frame of the usual size fits.
func room(f *link.Frame) {
	f.Reset()
	if cap(f.Head) < smallHead {
		f.Head = make([]byte, 0, smallHead)
	}
}

// settle makes f.Head the frame of n octets whose beginning lies in f.Head's
// storage and whose rest lies in spill, with tag put back in front of the
// EtherType when its TPID is not zero.
func settle(f *link.Frame, n int, spill []byte, tag ethernet.Tag) {
	have := min(n, cap(f.Head))
	total := n
	if tag.TPID != 0 {
		total += ethernet.TagLen
	}
	f.Head = f.Head[:have]
	if total > cap(f.Head) {
		size := smallHead
		if total > smallHead {
			size = spillLen
		}
		f.Head = append(make([]byte, 0, max(size, total)), f.Head...)
	}
	f.Head = append(f.Head, spill[:n-have]...)
	if tag.TPID == 0 {
		return
	}
	const addresses = 12
	f.Head = f.Head[:total]
	copy(f.Head[addresses+ethernet.TagLen:], f.Head[addresses:n])
	binary.BigEndian.PutUint16(f.Head[addresses:], uint16(tag.TPID))
	binary.BigEndian.PutUint16(f.Head[addresses+2:], tag.TCI)
}
