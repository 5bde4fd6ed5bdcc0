package vcs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// epochHead begins an epoch's stretch of the log.
type epochHead struct {
	number int
	began  time.Time // by the wall clock, in seconds
	opened extent    // what the roots take, and what is carried over
}

const epochHeadVersion = 1

// record returns the log record: its lead byte, version, CRC-32C of the rest,
// number, time, commits and bytes of roots and chains.
func (h *epochHead) record() []byte {
	b := []byte{recordEpoch, epochHeadVersion, 0, 0, 0, 0}
	b = binary.AppendUvarint(b, uint64(h.number))
	b = binary.AppendVarint(b, h.began.Unix())
	b = binary.AppendUvarint(b, uint64(h.opened.commits))
	b = binary.AppendUvarint(b, uint64(h.opened.bytes))
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

// parseEpochHead reads a record without its lead byte.
func parseEpochHead(raw []byte) (h epochHead, err error) {
	if len(raw) < 5 || raw[0] != epochHeadVersion {
		return h, fmt.Errorf("%w: log: not the head of an epoch of version %d", ErrCorrupt, epochHeadVersion)
	}
	if crc32.Checksum(raw[5:], castagnoli) != binary.BigEndian.Uint32(raw[1:]) {
		return h, fmt.Errorf("%w: log: the head of an epoch has a wrong checksum", ErrCorrupt)
	}
	r := byteReader{b: raw[5:]}
	number, seconds := r.uvarint(), r.varint()
	commits, bytes := r.uvarint(), r.uvarint()
	if number == 0 || number > 1<<31 || commits > 1<<31 || bytes > 1<<40 || len(r.b) > 0 {
		r.fail("head of an epoch out of range")
	}
	return epochHead{int(number), time.Unix(seconds, 0).UTC(), extent{int64(bytes), int(commits)}}, r.err
}
