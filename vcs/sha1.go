package vcs

import (
	"crypto/sha1"
	"encoding/binary"
	"slices"
)

// Objects are hashed here and not by crypto/sha1 where the processor has
// instructions for that: most are so small that a digest's bookkeeping costs as
// much as its blocks, and a folder in which one entry changed needs only the
// blocks from there on, for which a digest's inner states would have to be had.
// What others send is hashed elsewhere, with collision detection.

// sha1State is the state between two blocks, FIPS 180-4 section 6.1.
type sha1State [5]uint32

const sha1Block = 64

func newSHA1() sha1State {
	return sha1State{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
}

// sha1Sum is sha1.Sum.
func sha1Sum(p []byte) ID {
	if !haveSHA1 {
		return sha1.Sum(p)
	}
	h := newSHA1()
	return h.finish(h.take(p), len(p))
}

// sha1Framed returns the hash of an object: of its header, which is shorter than
// a block, and its content.
func sha1Framed(head, content []byte) ID {
	size := len(head) + len(content)
	if !haveSHA1 {
		d := sha1.New()
		d.Write(head)
		d.Write(content)
		var id ID
		d.Sum(id[:0])
		return id
	}
	h := newSHA1()
	var first [4 * sha1Block]byte // most blobs and commits
	n := copy(first[:], head)
	if n += copy(first[n:], content); n < size {
		sha1Blocks(&h, &first[0], len(first)/sha1Block, nil)
		return h.finish(h.take(content[n-len(head):]), size)
	}
	padded := sha1Padded(size)
	if padded > len(first) {
		return h.finish(h.take(first[:size]), size)
	}
	sha1Pad(first[:padded], size)
	sha1Blocks(&h, &first[0], padded/sha1Block, nil)
	return h.id()
}

// headRoom holds any header of a tree or commit.
const headRoom = 16

var noHead [headRoom]byte

// sha1Behind returns the hash of an object whose content lies behind headRoom. It
// writes header and padding around it, where there may have to be more room.
func sha1Behind(k Kind, b []byte) (ID, []byte) {
	var tmp [headRoom]byte
	head := appendHeader(tmp[:0], k, len(b)-headRoom)
	from := headRoom - len(head)
	copy(b[from:], head)
	if !haveSHA1 {
		return sha1.Sum(b[from:]), b
	}
	size := len(b) - from
	b = slices.Grow(b, sha1Padded(size)-size)
	p := b[from : from+sha1Padded(size)]
	sha1Pad(p, size)
	h := newSHA1()
	sha1Blocks(&h, &p[0], len(p)/sha1Block, nil)
	return h.id(), b
}

// take takes whole blocks in and returns what is left.
func (h *sha1State) take(p []byte) []byte {
	n := len(p) / sha1Block
	if n > 0 {
		sha1Blocks(h, &p[0], n, nil)
	}
	return p[n*sha1Block:]
}

// finish returns the hash of a message of which this is left; size counts all.
func (h *sha1State) finish(rest []byte, size int) ID {
	var end [2 * sha1Block]byte
	copy(end[:], rest)
	padded := sha1Padded(len(rest))
	sha1Pad(end[:padded], len(rest))
	binary.BigEndian.PutUint64(end[padded-8:], uint64(size)*8)
	sha1Blocks(h, &end[0], padded/sha1Block, nil)
	return h.id()
}

func (h *sha1State) id() (id ID) {
	for i, w := range h {
		binary.BigEndian.PutUint32(id[4*i:], w)
	}
	return id
}

// sha1Padded returns the size of a message with its padding, FIPS 180-4 section
// 5.1.1.
func sha1Padded(size int) int { return (size + 1 + 8 + sha1Block - 1) &^ (sha1Block - 1) }

// sha1Pad writes the padding of a message of so many bytes behind it, to the end
// of p.
func sha1Pad(p []byte, size int) {
	p[size] = 0x80
	clear(p[size+1 : len(p)-8])
	binary.BigEndian.PutUint64(p[len(p)-8:], uint64(size)*8)
}

// sha1Marks are the states of a message that changes in place, after each of its
// blocks.
type sha1Marks struct {
	after []sha1State
	good  int // so many of them are right
}

// changed says that the message is another one from a byte on.
func (m *sha1Marks) changed(at int) { m.good = min(m.good, at/sha1Block) }

// sum returns the hash of a message, with its padding, and goes only through
// blocks that are not known. It is for machines that haveSHA1.
func (m *sha1Marks) sum(padded []byte) ID {
	blocks := len(padded) / sha1Block
	if len(m.after) != blocks {
		after := make([]sha1State, blocks)
		m.good = copy(after, m.after[:min(m.good, len(m.after))])
		m.after = after
	}
	if m.good < blocks {
		h := newSHA1()
		if m.good > 0 {
			h = m.after[m.good-1]
		}
		sha1Blocks(&h, &padded[m.good*sha1Block], blocks-m.good, &m.after[m.good])
		m.good = blocks
	}
	return m.after[blocks-1].id()
}
