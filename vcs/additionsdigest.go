package vcs

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
)

// digester tells objects apart by hashes of 64 bits that nobody can foresee. It
// takes them from ids, or, where the log tells a history from its beginning, from
// what the objects are made of: a folder's digest is then the sum of its parts',
// and a change costs what changed, however large the folder is, and no SHA-1.
// Equal objects have equal digests of one kind.
type digester struct {
	seed maphash.Seed
	mode digestMode
	only bool // nobody asks for ids and contents of folders
	buf  []byte
}

type digestMode uint8

const (
	digestID   digestMode = iota // of the id
	digestTold                   // of what the log tells
	digestNone                   // nobody asks for digests
)

// errNotTold says that a state is not told by the log alone, but read from the
// store, where nothing is known of it but ids.
var errNotTold = errors.New("vcs: additions: a state that is not in the replay")

// of settles the digest of a version whose parts, or whose content and id, are
// known.
func (d *digester) of(n *version) {
	switch {
	case d.mode == digestID:
		n.sum = d.id(n.id)
	case d.mode == digestTold && !n.mode.IsDir():
		n.sum = maphash.Bytes(d.seed, n.content)
	}
}

func (d *digester) id(id ID) uint64 { return maphash.Bytes(d.seed, id[:]) }

// part returns what an entry of a folder adds to the folder's digest, and keeps
// it for when that is to be taken away.
func (d *digester) part(n *version, name string) uint64 {
	if d.mode != digestTold {
		return 0
	}
	sum := n.sum
	if n.mode == ModeSubmodule {
		sum = d.id(n.id)
	}
	d.buf = binary.LittleEndian.AppendUint64(d.buf[:0], sum)
	d.buf = binary.LittleEndian.AppendUint32(d.buf, uint32(n.mode))
	d.buf = append(d.buf, name...)
	n.part = maphash.Bytes(d.seed, d.buf)
	return n.part
}
