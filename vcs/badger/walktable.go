package badger

import (
	"encoding/binary"
	"slices"

	"github.com/dgraph-io/badger/v4/y"
)

// maxEnds is how many places that look like the end of a block are tried, of
// which the others are inside of values. It bounds the work.
const maxEnds = 8

// walkTable is scanTable for a table without an index: it finds the blocks by
// their checksums, one behind the other. What is between them is left out.
func walkTable(b []byte, keep func(entry)) tableScan {
	s := tableScan{noIndex: true, bad: 1}
	ends := blockEnds(b)
	for start := 0; len(ends) > 0; {
		i := slices.IndexFunc(ends[:min(maxEnds, len(ends))], func(end int) bool { return intactBlock(b[start:end]) })
		if i < 0 { // not a block: go on behind what may end one
			start, ends = ends[0], ends[1:]
			continue
		}
		body, _, _ := cutChecksum(b[start:ends[i]])
		s.blocks++
		blockEntries(body, true, func(e entry) {
			if len(e.key) < 8 {
				return
			}
			s.newest = max(s.newest, y.ParseTs(e.key))
			if keep != nil {
				keep(e)
			}
		})
		start, ends = ends[i], ends[i+1:]
	}
	return s
}

// blockEnds returns where something ends that looks like a checksum with its
// length behind it.
func blockEnds(b []byte) []int {
	var ends []int
	for end := 4; end <= len(b); end++ {
		tail := b[end-4 : end]
		if tail[0]|tail[1]|tail[2] != 0 || tail[3] > 1+binary.MaxVarintLen32 || end-4 < int(tail[3]) {
			continue
		}
		sum := b[end-4-int(tail[3]) : end-4]
		if len(sum) < 2 || sum[0] != checksumField {
			continue
		}
		if _, n := binary.Uvarint(sum[1:]); n == len(sum)-1 {
			ends = append(ends, end)
		}
	}
	return ends
}

// intactBlock reports whether b is a block whose checksum is right.
func intactBlock(b []byte) bool {
	body, sum, ok := cutChecksum(b)
	return ok && len(body) > 4 && sum.of(body)
}
