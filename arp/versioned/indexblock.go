package versioned

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
	"slices"
	"sort"

	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// indexRow is what the index of the record keeps of a commit.
type indexRow struct {
	id    vcs.ID
	time  int64 // Unix seconds
	flags byte
	types string          // causes and types of events, a line each
	macs  []ethernet.Addr // that it names, or writes into an entry, or takes out of one
	addrs []uint64        // that it names, or whose entry it changes; see addrTerm
}

// Flags of a row.
const (
	rowCut   = 1 << 0 // a log from it is it and all rows below, in their order
	rowEnd   = 1 << 1 // it has no parents
	rowMore  = 1 << 2 // macs and addrs may hold more than what it concerns
	rowSkew  = 1 << 3 // a parent of it is younger
	rowJoint = 1 << 4 // it is the root of an epoch, joined with the one before
)

// indexBlock is a run of rows, oldest first, as the file holds it: numbers with
// the lowest octet first,
//
//	8 place of its first row in the log, counted from the oldest commit
//	8 CRC-64 of the ids of all rows below
//	20 id of the row below, zero for none
//	8 time from which the times count
//	4 rows, 4 MAC postings, 4 address postings, 4 octets of sets
//	20 a row: ids
//	4 a row: times
//	1 a row: flags
//	1 a row: sets of types, by number; moreSets for one that has none
//	8 a posting, ascending: the MAC or address in 48 bits, the row in 16
//	the sets: uvarint length, text
//
// It is immutable, but rows at its end may have lost their validity.
type indexBlock struct {
	raw   []byte
	start uint64
	n     int // rows that are valid
	rows  int
	macs  int // postings
	addrs int
	sets  []string
	skew  bool // a row has rowSkew
	saved bool // the file has it
}

const (
	blockHead = 60
	maxRows   = 1 << 16
	moreSets  = 255 // sets of one block have numbers below
	maxTerm   = 1<<48 - 1
)

var crcTable = crc64.MakeTable(crc64.ECMA)

var errBlock = errors.New("versioned: not a block of an index")

// parseBlock reads a block and checks that all of it is there.
func parseBlock(raw []byte) (*indexBlock, error) {
	if len(raw) < blockHead {
		return nil, errBlock
	}
	number := func(at int) int { return int(binary.LittleEndian.Uint32(raw[at:])) }
	b := &indexBlock{raw: raw, start: binary.LittleEndian.Uint64(raw), rows: number(44), macs: number(48), addrs: number(52)}
	sets := number(56)
	if b.rows == 0 || b.rows > maxRows || b.start > 1<<40 || len(raw) != blockHead+26*b.rows+8*(b.macs+b.addrs)+sets {
		return nil, errBlock
	}
	b.n = b.rows
	for rest := raw[len(raw)-sets:]; len(rest) > 0; {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)-w) || len(b.sets) == moreSets {
			return nil, errBlock
		}
		b.sets = append(b.sets, string(rest[w:w+int(n)]))
		rest = rest[w+int(n):]
	}
	for i := range b.rows {
		if s := b.set(i); s != moreSets && int(s) >= len(b.sets) {
			return nil, errBlock
		}
		b.skew = b.skew || b.flags(i)&rowSkew != 0
	}
	return b, nil
}

// crcBelow is that of the ids below the block, below the id of the row there.
func (b *indexBlock) crcBelow() uint64 { return binary.LittleEndian.Uint64(b.raw[8:]) }
func (b *indexBlock) below() vcs.ID    { return vcs.ID(b.raw[16:]) }

func (b *indexBlock) id(i int) vcs.ID { return vcs.ID(b.raw[blockHead+20*i:]) }

func (b *indexBlock) time(i int) int64 {
	return int64(binary.LittleEndian.Uint64(b.raw[36:])) + int64(binary.LittleEndian.Uint32(b.raw[blockHead+20*b.rows+4*i:]))
}

func (b *indexBlock) flags(i int) byte { return b.raw[blockHead+24*b.rows+i] }
func (b *indexBlock) set(i int) byte   { return b.raw[blockHead+25*b.rows+i] }

// crc is that of the ids up to the last valid row.
func (b *indexBlock) crc() uint64 {
	return crc64.Update(b.crcBelow(), crcTable, b.raw[blockHead:blockHead+20*b.n])
}

// end is the place behind the last valid row.
func (b *indexBlock) end() uint64 { return b.start + uint64(b.n) }

// posting is the i-th one of the MACs, and then of the addresses.
func (b *indexBlock) posting(i int) uint64 {
	return binary.LittleEndian.Uint64(b.raw[blockHead+26*b.rows+8*i:])
}

// find returns the valid rows, ascending, that have one of some terms among the
// postings of MACs or those of addresses.
func (b *indexBlock) find(addresses bool, terms []uint64) (rows []int) {
	from, to := 0, b.macs
	if addresses {
		from, to = b.macs, b.macs+b.addrs
	}
	for _, t := range terms {
		i := from + sort.Search(to-from, func(i int) bool { return b.posting(from+i)>>16 >= t })
		for ; i < to; i++ {
			p := b.posting(i)
			if row := int(p & 0xffff); p>>16 != t {
				break
			} else if row < b.n {
				rows = append(rows, row)
			}
		}
	}
	if len(terms) > 1 {
		slices.Sort(rows)
		rows = slices.Compact(rows)
	}
	return rows
}

// blockBuilder makes a block.
type blockBuilder struct {
	start    uint64
	crcBelow uint64
	below    vcs.ID
	ids      []byte
	times    []int64
	low      int64 // of times
	high     int64
	flags    []byte
	set      []byte
	sets     []string
	setNo    map[string]byte
	macs     []uint64
	addrs    []uint64
}

// addRow appends a row.
func (w *blockBuilder) addRow(r *indexRow) {
	i := uint64(len(w.times))
	w.ids = append(w.ids, r.id[:]...)
	w.addTime(r.time)
	w.flags = append(w.flags, r.flags)
	w.set = append(w.set, w.setOf(r.types))
	for _, m := range r.macs {
		w.macs = append(w.macs, macTerm(m)<<16|i)
	}
	for _, a := range r.addrs {
		w.addrs = append(w.addrs, a<<16|i)
	}
}

// setOf numbers a set of types.
func (w *blockBuilder) setOf(types string) byte {
	no, ok := w.setNo[types]
	if !ok {
		if len(w.sets) == moreSets || len(types) > 1<<10 {
			return moreSets
		}
		if w.setNo == nil {
			w.setNo = make(map[string]byte)
		}
		no = byte(len(w.sets))
		w.setNo[types] = no
		w.sets = append(w.sets, types)
	}
	return no
}

// addBlock appends the valid rows of a block from one on.
func (w *blockBuilder) addBlock(b *indexBlock, from int) {
	first := uint64(len(w.times))
	w.ids = append(w.ids, b.raw[blockHead+20*from:blockHead+20*b.n]...)
	for i := from; i < b.n; i++ {
		w.addTime(b.time(i))
		w.flags = append(w.flags, b.flags(i))
		set := b.set(i)
		if set != moreSets {
			set = w.setOf(b.sets[set])
		}
		w.set = append(w.set, set)
	}
	for i := range b.macs + b.addrs {
		p := b.posting(i)
		switch row := int(p & 0xffff); {
		case row < from || row >= b.n:
		case i < b.macs:
			w.macs = append(w.macs, p-uint64(from)+first)
		default:
			w.addrs = append(w.addrs, p-uint64(from)+first)
		}
	}
}

// fits reports whether the times of a block can hold another's, too.
func (w *blockBuilder) fits(low, high int64) bool {
	if len(w.times) > 0 {
		low, high = min(low, w.low), max(high, w.high)
	}
	return high-low < 1<<32
}

// addTime appends a row's time.
func (w *blockBuilder) addTime(t int64) {
	if len(w.times) == 0 {
		w.low, w.high = t, t
	}
	w.low, w.high = min(w.low, t), max(w.high, t)
	w.times = append(w.times, t)
}

// block returns what was added; the builder must not be used again.
func (w *blockBuilder) block() *indexBlock {
	slices.Sort(w.macs)
	slices.Sort(w.addrs)
	w.macs, w.addrs = slices.Compact(w.macs), slices.Compact(w.addrs)
	var sets []byte
	for _, s := range w.sets {
		sets = append(binary.AppendUvarint(sets, uint64(len(s))), s...)
	}
	n := len(w.times)
	raw := make([]byte, 0, blockHead+26*n+8*(len(w.macs)+len(w.addrs))+len(sets))
	le := binary.LittleEndian
	raw = le.AppendUint64(le.AppendUint64(raw, w.start), w.crcBelow)
	raw = append(raw, w.below[:]...)
	raw = le.AppendUint64(raw, uint64(w.low))
	for _, count := range []int{n, len(w.macs), len(w.addrs), len(sets)} {
		raw = le.AppendUint32(raw, uint32(count))
	}
	raw = append(raw, w.ids...)
	for _, t := range w.times {
		raw = le.AppendUint32(raw, uint32(t-w.low))
	}
	raw = append(append(raw, w.flags...), w.set...)
	for _, p := range w.macs {
		raw = le.AppendUint64(raw, p)
	}
	for _, p := range w.addrs {
		raw = le.AppendUint64(raw, p)
	}
	raw = append(raw, sets...)
	b := &indexBlock{raw: raw, start: w.start, n: n, rows: n, macs: len(w.macs), addrs: len(w.addrs), sets: w.sets}
	b.skew = slices.ContainsFunc(w.flags, func(f byte) bool { return f&rowSkew != 0 })
	return b
}
