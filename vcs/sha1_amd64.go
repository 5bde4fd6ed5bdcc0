//go:build !purego

package vcs

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// haveSHA1 says that this processor has the SHA instructions, and those that
// bring the words into their order: SSSE3 and SSE4.1.
var haveSHA1 = func() bool {
	const sha = 1 << 29
	if max, _, _, _ := cpuid(0, 0); max < 7 {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&sha != 0 && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41
}()

// haveVL says that it has AVX-512 for registers of any length, too. Then the
// words of the schedule are made by that: Intel's SHA unit is busy enough.
var haveVL = cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL

// sha1Blocks takes blocks of 64 bytes into a state. With keep, the states after
// each of them go there.
func sha1Blocks(h *sha1State, p *byte, blocks int, keep *sha1State) {
	if haveVL {
		sha1BlocksVL(h, p, blocks, keep)
	} else {
		sha1BlocksNI(h, p, blocks, keep)
	}
}

// haveLanes says that it has what sha1Blocks16 needs.
var haveLanes = haveSHA1 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW

//go:noescape
func sha1BlocksNI(h *sha1State, p *byte, blocks int, keep *sha1State)

//go:noescape
func sha1BlocksVL(h *sha1State, p *byte, blocks int, keep *sha1State)

// sha1Blocks16 takes blocks into sixteen states at once, of messages that begin
// at these places behind base.
//
//go:noescape
func sha1Blocks16(h *sha1LaneStates, base *byte, at *[sha1LaneCount]int, blocks int)

// prefetch asks for cache lines that will be read soon; it touches nothing.
//
//go:noescape
func prefetch(p unsafe.Pointer, lines int)

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
