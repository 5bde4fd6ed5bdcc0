package badger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"path/filepath"
)

// All that badger keeps has a CRC-32C for each block of a table and each entry of
// a write-ahead log. That sum does more than to tell damage: no two single bits of
// a block change it in the same way, so a single one that has flipped can be
// found, and set right. What was found by chance in something that is damaged
// otherwise, once in ten thousand times, is told by the sums and hashes within.

// flippedBit returns which bit has to be flipped back for b to have a checksum.
func flippedBit(b []byte, sum uint32) (bit int, ok bool) {
	var byTop [256]byte // the entries of the checksum's table by their top byte
	for i, x := range castagnoli {
		byTop[x>>24] = byte(i)
	}
	// Both checksums differ by what the bit adds and the bytes behind it make of
	// that: go back over them one by one.
	diff := crc32.Checksum(b, castagnoli) ^ sum
	for at := len(b) - 1; at >= 0; at-- {
		i := byTop[diff>>24]
		if castagnoli[i] == diff && bits.OnesCount8(i) == 1 {
			return 8*at + bits.TrailingZeros8(i), true
		}
		diff = (diff^castagnoli[i])<<8 | uint32(i)
	}
	return 0, false
}

// tryBits flips each bit of a short range until something is right, and leaves it
// so.
func tryBits(b []byte, right func() bool) bool {
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		if right() {
			return true
		}
		b[i/8] ^= 1 << (i % 8)
	}
	return false
}

// sumTail is more than a checksum takes at the end of what it is of.
const sumTail = 4 + 2 + binary.MaxVarintLen32

// mendSummed sets a flipped bit right in b, of which part returns what its
// checksum is of, and that.
func mendSummed(b []byte, part func([]byte) ([]byte, checksum, bool)) (mended bool) {
	right := func() bool {
		of, sum, ok := part(b)
		return ok && sum.of(of)
	}
	if right() {
		return false
	}
	if of, sum, ok := part(b); ok && sum <= 1<<32-1 {
		if bit, ok := flippedBit(of, uint32(sum)); ok {
			of[bit/8] ^= 1 << (bit % 8)
			return true
		}
	}
	return tryBits(b[max(0, len(b)-sumTail-4):], right)
}

// mendTable sets flipped bits right in a table, at most one in each block and one
// in the index. It changes b, and returns how many there were.
func mendTable(b []byte) (n int) {
	defer func() { _ = recover() }() // the index led astray
	if mendSummed(b, indexOf) {
		n++
	}
	for _, block := range blocksOf(b) {
		if mendSummed(block, cutChecksum) {
			n++
		}
	}
	return n
}

// maxWALHead is more than the head of an entry takes.
const maxWALHead = 2 + 2*binary.MaxVarintLen32 + binary.MaxVarintLen64

// mendWAL sets flipped bits right in a write-ahead log, at most one in each entry.
// It changes b, and returns how many there were. What a crash left of the last
// transaction stays as it is: there is more wrong with that, or its end is missing.
func mendWAL(b []byte) (n int) {
	for {
		w := readWAL("", b)
		if w.tail == 0 || w.end < walHeader {
			return n
		}
		fixed := bytes.Clone(b)
		if !mendEntries(fixed, w.end) || readWAL("", fixed).end <= w.end {
			return n
		}
		n += differing(b, fixed)
		copy(b, fixed)
	}
}

// mendEntries sets flipped bits right in the entries of the transaction at a
// place.
func mendEntries(b []byte, at int) (mended bool) {
	for at < len(b) {
		e := readWALEntry(b[at:])
		if e.size == 0 {
			if !mendEntry(b[at:]) {
				return mended
			}
			mended = true
			e = readWALEntry(b[at:])
		}
		if at += e.size; e.meta&walFin != 0 {
			return mended
		}
	}
	return mended
}

// mendEntry sets a flipped bit right in the entry that b begins with.
func mendEntry(b []byte) bool {
	right := func() bool { return readWALEntry(b).size > 0 }
	if _, _, size, ok := walEntryShape(b); ok {
		body, tail := b[:size-crc32.Size], b[size-crc32.Size:size]
		if bit, ok := flippedBit(body, binary.BigEndian.Uint32(tail)); ok {
			if body[bit/8] ^= 1 << (bit % 8); right() {
				return true
			}
			body[bit/8] ^= 1 << (bit % 8)
		}
		if tryBits(tail, right) {
			return true
		}
	}
	return tryBits(b[:min(len(b), maxWALHead)], right)
}

func differing(a, b []byte) (n int) {
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// mend sets flipped bits right in a damaged file, of which b is the content, and
// keeps it as it was.
func (r *repair) mend(name string, b []byte, mend func([]byte) int) (mended bool, err error) {
	n := mend(b)
	if n == 0 {
		return false, nil
	}
	if err := r.aside(name); err != nil {
		return false, err
	}
	if err := writeFile(filepath.Join(r.dir, name), b); err != nil {
		return false, err
	}
	what := "bits were"
	if n == 1 {
		what = "bit was"
	}
	r.broken(name, "%d flipped %s set right; nothing is lost by that, but the disk may be failing", n, what)
	return true, nil
}
