package tcp

import (
	"encoding/binary"
	"math/bits"
)

// sipHash is SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed hash for short
// inputs.
func sipHash(key [16]byte, p []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	v := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		v.take(binary.LittleEndian.Uint64(p))
	}
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	v.take(last)
	v[2] ^= 0xff
	v.rounds(4)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

type sipState [4]uint64

func (v *sipState) take(m uint64) {
	v[3] ^= m
	v.rounds(2)
	v[0] ^= m
}

func (v *sipState) rounds(n int) {
	for range n {
		v.mix(0, 1, 13)
		v[0] = bits.RotateLeft64(v[0], 32)
		v.mix(2, 3, 16)
		v.mix(0, 3, 21)
		v.mix(2, 1, 17)
		v[2] = bits.RotateLeft64(v[2], 32)
	}
}

func (v *sipState) mix(a, b, turn int) {
	v[a] += v[b]
	v[b] = bits.RotateLeft64(v[b], turn) ^ v[a]
}
