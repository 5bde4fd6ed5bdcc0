package observer

import (
	"golang.org/x/net/bpf"

	"arpeggio/stack/ethernet"
)

// Numbers of IPv6 neighbour discovery (RFC 4861 §4): next header, and the first
// and last type.
const (
	nextICMPv6     = 58
	routerSolicit  = 133
	redirect       = 137
	oldOuterTag    = 0x9100 // before 802.1ad
	acceptAll      = 1 << 18
	tagsInTheFrame = 2 // the kernel has taken off another one
)

// neighbours returns the filter for the frames that an observer can use: ARP,
// RARP and neighbour discovery, behind up to two VLAN tags in the frame and one
// that the kernel has taken off. It runs in the kernel.
func neighbours() ([]bpf.RawInstruction, error) {
	var f []bpf.Instruction
	for tags := range tagsInTheFrame + 1 {
		at := uint32(12 + tags*ethernet.TagLen)
		last := tags == tagsInTheFrame
		// What follows the jumps of a round: to the next round, to accept.
		f = append(f,
			bpf.LoadAbsolute{Off: at, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ethernet.TypeARP), SkipTrue: 11},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ethernet.TypeRARP), SkipTrue: 10},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ethernet.TypeIPv6), SkipFalse: 5},
			bpf.LoadAbsolute{Off: at + 2 + 6, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: nextICMPv6, SkipFalse: 6},
			bpf.LoadAbsolute{Off: at + 2 + 40, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpLessThan, Val: routerSolicit, SkipTrue: 4},
			bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: redirect, SkipTrue: 3, SkipFalse: 4},
		)
		if last {
			f = append(f, bpf.RetConstant{}, bpf.RetConstant{}, bpf.RetConstant{}, bpf.RetConstant{}, bpf.RetConstant{Val: acceptAll})
			break
		}
		f = append(f,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ethernet.TypeVLAN), SkipTrue: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ethernet.TypeQinQ), SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: oldOuterTag, SkipTrue: 2},
			bpf.RetConstant{},
			bpf.RetConstant{Val: acceptAll},
		)
	}
	return bpf.Assemble(f)
}
