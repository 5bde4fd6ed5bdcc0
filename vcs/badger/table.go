package badger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"

	"arpeggio/vcs"
)

// tableScan is what was found in a table. Badger would find it, too, but in
// goroutines of its own, where a damaged block ends the process.
type tableScan struct {
	newest  uint64 // number of the newest transaction in it
	noIndex bool   // the index is damaged: blocks are those that were found without it
	blocks  int
	bad     int // blocks whose checksum is wrong, and the index if it cannot be read
}

// entry is a key with its transaction's number behind it, and a value with its
// meta data in front of it.
type entry struct{ key, value []byte }

// Layout of a table, from the end: length of a checksum, the checksum, length of
// the index, the index, and the blocks before it. A block ends alike: length of
// a checksum, the checksum, the number of entries, where each begins, and the
// entries before that. An entry shares the first bytes of its key with the
// block's first.

// scanTable checks a table and, when keep is not nil, hands it the entries that
// are there, those of damaged blocks as far as they look like ours.
func scanTable(b []byte, keep func(entry)) (s tableScan) {
	defer func() {
		if recover() != nil { // the index led astray
			s.bad = max(s.bad, 1)
		}
	}()
	raw, sum, ok := indexOf(b)
	if !ok || !sum.of(raw) {
		return walkTable(b, keep)
	}
	s.newest = fb.GetRootAsTableIndex(raw, 0).MaxVersion()
	for _, block := range blocksOf(b) {
		s.blocks++
		body, sum, ok := cutChecksum(block)
		intact := ok && sum.of(body)
		if !intact {
			s.bad++
		}
		if keep != nil && ok {
			blockEntries(body, intact, func(e entry) {
				// A damaged number could be the last one there is, and badger ends
				// the process when none is left.
				if intact || y.ParseTs(e.key) <= s.newest {
					keep(e)
				}
			})
		}
	}
	return s
}

// indexOf returns the index of a table and its checksum.
func indexOf(b []byte) (index []byte, sum checksum, ok bool) {
	body, sum, ok := cutChecksum(b)
	if !ok || len(body) < 4 {
		return nil, 0, false
	}
	size := uint64(binary.BigEndian.Uint32(body[len(body)-4:]))
	if body = body[:len(body)-4]; size > uint64(len(body)) {
		return nil, 0, false
	}
	return body[uint64(len(body))-size:], sum, true
}

// blocksOf returns the blocks of a table whose index is intact, none of another.
// It panics where the index leads astray all the same.
func blocksOf(b []byte) (blocks [][]byte) {
	raw, sum, ok := indexOf(b)
	if !ok || !sum.of(raw) {
		return nil
	}
	index := fb.GetRootAsTableIndex(raw, 0)
	var at fb.BlockOffset
	for i := range index.OffsetsLength() {
		index.Offsets(&at, i)
		blocks = append(blocks, b[at.Offset():][:at.Len()])
	}
	return blocks
}

// blockEntries yields the entries of a block.
func blockEntries(b []byte, intact bool, keep func(entry)) {
	if len(b) < 4 {
		return
	}
	n := uint64(binary.BigEndian.Uint32(b[len(b)-4:]))
	if b = b[:len(b)-4]; n > uint64(len(b)/4) {
		return
	}
	starts := b[uint64(len(b))-4*n:]
	b = b[:uint64(len(b))-4*n]
	var base []byte
	for i := range n {
		start, end := binary.LittleEndian.Uint32(starts[4*i:]), uint32(len(b))
		if i+1 < n {
			end = binary.LittleEndian.Uint32(starts[4*i+4:])
		}
		if start+4 > end || end > uint32(len(b)) {
			continue
		}
		e := b[start:end]
		shared, more := int(binary.LittleEndian.Uint16(e)), int(binary.LittleEndian.Uint16(e[2:]))
		if e = e[4:]; shared > len(base) || more > len(e) {
			continue
		}
		key := append(bytes.Clone(base[:shared]), e[:more]...)
		if i == 0 {
			base = key
		}
		x := entry{key, bytes.Clone(e[more:])}
		if intact || x.ours() {
			keep(x)
		}
	}
}

// ours reports whether an entry looks like one that this package wrote.
func (e entry) ours() bool {
	if len(e.key) < 9 || len(e.value) < 3 {
		return false
	}
	key, value := string(e.key[:len(e.key)-8]), len(e.value)-3
	switch key[0] {
	case metaKey[0]:
		return key == metaKey && value == metaLen
	case writtenKey[0]:
		return key == writtenKey
	case stateMark:
		return len(key) == len(stateKey(0))
	case verifiedKey[0]:
		return key == verifiedKey
	case objectMark:
		return len(key) == len(objectKey(vcs.ID{}))
	case refMark:
		return vcs.CheckRefName(key[1:]) == nil && (value == len(vcs.ID{}) || value == 0)
	case logMark:
		return len(key) == len(logKey(0))
	case chunkMark:
		return len(key) == len(chunkKey(0, 0))
	}
	return false
}

// checksum is badger's: a CRC-32C in a protocol buffer.
type checksum uint64

func (c checksum) of(b []byte) bool { return uint64(crc32.Checksum(b, castagnoli)) == uint64(c) }

// checksumField begins a checksum: the tag of field 2, a varint.
const checksumField = 2 << 3

// cutChecksum takes a checksum off the end.
func cutChecksum(b []byte) (rest []byte, sum checksum, ok bool) {
	if len(b) < 4 {
		return nil, 0, false
	}
	size := uint64(binary.BigEndian.Uint32(b[len(b)-4:]))
	if b = b[:len(b)-4]; size > uint64(len(b)) {
		return nil, 0, false
	}
	rest, b = b[:uint64(len(b))-size], b[uint64(len(b))-size:]
	for len(b) > 0 { // field 1, the algorithm, is the zero that is left out
		v, n := binary.Uvarint(b[1:])
		if b[0] != checksumField || n <= 0 {
			return nil, 0, false
		}
		sum, b = checksum(v), b[1+n:]
	}
	return rest, sum, true
}

// buildTable makes a table of entries; it is nil when there are none.
func buildTable(entries []entry) []byte {
	slices.SortFunc(entries, func(a, b entry) int { return y.CompareKeys(a.key, b.key) })
	entries = slices.CompactFunc(entries, func(a, b entry) bool { return bytes.Equal(a.key, b.key) })
	if len(entries) == 0 {
		return nil
	}
	size := 0
	for _, e := range entries {
		size += len(e.key) + len(e.value) + 64
	}
	b := table.NewTableBuilder(table.Options{BlockSize: 4 << 10, BloomFalsePositive: 0.01, TableSize: uint64(size)})
	defer b.Close()
	for _, e := range entries {
		var v y.ValueStruct
		v.Decode(e.value)
		b.Add(e.key, v, 0)
	}
	return bytes.Clone(b.Finish())
}

// tableName returns the name of a table's file.
func tableName(id uint64) string { return fmt.Sprintf("%06d.sst", id) }
