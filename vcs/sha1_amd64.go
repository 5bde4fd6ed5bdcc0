//go:build !purego

package vcs

// haveSHA1 says that this processor has the SHA instructions, and those that
// bring the words into their order: SSSE3 and SSE4.1.
var haveSHA1 = func() bool {
	const ssse3, sse41, sha = 1 << 9, 1 << 19, 1 << 29
	if max, _, _, _ := cpuid(0, 0); max < 7 {
		return false
	}
	_, _, c, _ := cpuid(1, 0)
	_, b, _, _ := cpuid(7, 0)
	return c&ssse3 != 0 && c&sse41 != 0 && b&sha != 0
}()

// sha1Blocks takes blocks of 64 bytes into a state. With keep, the states after
// each of them go there.
func sha1Blocks(h *sha1State, p *byte, blocks int, keep *sha1State) { sha1BlocksNI(h, p, blocks, keep) }

//go:noescape
func sha1BlocksNI(h *sha1State, p *byte, blocks int, keep *sha1State)

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
