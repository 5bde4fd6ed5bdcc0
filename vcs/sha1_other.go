//go:build !amd64 || purego

package vcs

import "unsafe"

// haveSHA1 says that crypto/sha1 does all the hashing.
const haveSHA1 = false

// haveLanes says that messages are hashed one after the other.
const haveLanes = false

func sha1Blocks(*sha1State, *byte, int, *sha1State) { panic("vcs: no sha1Blocks here") }

func sha1Blocks16(*sha1LaneStates, *byte, *[sha1LaneCount]int, int) {
	panic("vcs: no sha1Blocks16 here")
}

// prefetch leaves it to the processor what to read ahead.
func prefetch(unsafe.Pointer, int) {}
