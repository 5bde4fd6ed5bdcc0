package versioned

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"

	"arpeggio/vcs"
)

// RecordIndex says which commits of a branch name a MAC address, an address or a
// type of event, and which were made at a time, without going through all of them.
// It holds the commits in the order of a log and can be kept in a file beside the
// repository, with some 50 octets a commit.
//
// It is never trusted beyond what it is: each row says whether a log from its
// commit is that row and all rows below, which follows from the commit's id and
// from nothing else. Update looks for the newest such row that the branch still
// has, reads what came after it, and drops what did. A file that is torn, damaged,
// old or of another repository costs time and changes no answer.
//
// It is for one goroutine.
type RecordIndex struct {
	path   string // "" for none
	file   int64  // octets of the file that are whole, 0 when it is to be made anew
	first  uint64 // place of the first row, when there is none yet
	blocks []*indexBlock
	tail   []indexRow // behind the blocks
}

// RecordIndexPath returns the file of the index of a branch, for a repository in a
// directory.
func RecordIndexPath(dir, branch string) string { return branchFile(dir, "arp-index", branch) }

// branchFile is a file beside a repository, of one branch.
func branchFile(dir, name, branch string) string {
	if branch != "" && branch != Primary {
		name += "-" + strings.ReplaceAll(branch, "/", "-")
	}
	return filepath.Join(dir, name)
}

// tailRows is how many rows are kept before they become a block.
const tailRows = 4096

// Len returns the number of commits.
func (x *RecordIndex) Len() int {
	n := len(x.tail)
	for _, b := range x.blocks {
		n += b.n
	}
	return n
}

// Head returns the newest commit, zero when there is none.
func (x *RecordIndex) Head() vcs.ID {
	if n := len(x.tail); n > 0 {
		return x.tail[n-1].id
	}
	return x.top()
}

// top returns the newest commit of the blocks.
func (x *RecordIndex) top() vcs.ID {
	if n := len(x.blocks); n > 0 {
		return x.blocks[n-1].id(x.blocks[n-1].n - 1)
	}
	return vcs.ID{}
}

// push appends a row.
func (x *RecordIndex) push(r indexRow) {
	x.tail = append(x.tail, r)
	if len(x.tail) >= tailRows {
		x.seal()
	}
}

// seal makes blocks of the tail, and one of blocks that are small for their place:
// each is about twice as large as the next one, so that there are few.
func (x *RecordIndex) seal() {
	for len(x.tail) > 0 {
		w := x.builder(nil)
		n := 0
		for n < len(x.tail) && n < maxRows && w.fits(x.tail[n].time, x.tail[n].time) {
			w.addRow(&x.tail[n])
			n++
		}
		x.tail = x.tail[n:]
		x.append(w.block())
	}
	x.tail = nil
}

// append appends a block, with those before it that are to become one with it.
func (x *RecordIndex) append(b *indexBlock) {
	for k := len(x.blocks) - 1; k >= 0; k-- {
		last := x.blocks[k]
		if last.n >= 2*b.n || last.n+b.n > maxRows {
			break
		}
		w := x.builder(last)
		w.addBlock(last, 0)
		if low, high := b.times(); !w.fits(low, high) {
			break
		}
		w.addBlock(b, 0)
		b = w.block()
		x.blocks = x.blocks[:k]
	}
	x.blocks = append(x.blocks, b)
}

// pushBlock appends the rows of a block, of another index, from one on.
func (x *RecordIndex) pushBlock(b *indexBlock, from int) {
	if from < b.n {
		w := x.builder(nil)
		w.addBlock(b, from)
		x.append(w.block())
	}
}

// builder starts a block in the place of one, or behind all.
func (x *RecordIndex) builder(at *indexBlock) *blockBuilder {
	if at != nil {
		return &blockBuilder{start: at.start, crcBelow: at.crcBelow(), below: at.below()}
	}
	if n := len(x.blocks); n > 0 {
		last := x.blocks[n-1]
		return &blockBuilder{start: last.end(), crcBelow: last.crc(), below: x.top()}
	}
	return &blockBuilder{start: x.first}
}

// reset drops everything.
func (x *RecordIndex) reset() { x.blocks, x.tail, x.file, x.first = nil, nil, 0, 0 }

// cut drops the rows from a place on.
func (x *RecordIndex) cut(place uint64) {
	x.seal()
	for n := len(x.blocks); n > 0 && x.blocks[n-1].end() > place; n-- {
		b := x.blocks[n-1]
		if b.start >= place {
			x.blocks = x.blocks[:n-1]
			continue
		}
		short := *b
		short.n = int(place - b.start)
		x.blocks[n-1] = &short
	}
}

// add takes in a block that was read from a file. Ok is false when it does not go
// with those before.
func (x *RecordIndex) add(b *indexBlock) bool {
	if len(x.blocks) > 0 {
		if b.start < x.blocks[0].start {
			return false
		}
		if b.start == x.blocks[0].start {
			below, crc := x.blocks[0].below(), x.blocks[0].crcBelow()
			x.blocks = append(x.blocks[:0], b)
			return below == b.below() && crc == b.crcBelow()
		}
		x.cut(b.start)
		if last := x.blocks[len(x.blocks)-1]; last.end() != b.start || last.crc() != b.crcBelow() || x.top() != b.below() {
			return false
		}
	}
	x.blocks = append(x.blocks, b)
	return true
}

// times returns the lowest and the highest time of the rows.
func (b *indexBlock) times() (low, high int64) {
	low, high = b.time(0), b.time(0)
	for i := range b.n {
		t := b.time(i)
		low, high = min(low, t), max(high, t)
	}
	return low, high
}

// place returns where a commit is.
func (x *RecordIndex) place(id vcs.ID, unix int64) (b *indexBlock, row int, ok bool) {
	x.seal()
	for _, b := range slices.Backward(x.blocks) {
		t := unix - int64(binary.LittleEndian.Uint64(b.raw[36:]))
		if t < 0 || t >= 1<<32 {
			continue
		}
		column := b.raw[blockHead+20*b.rows:]
		for i := b.n - 1; i >= 0; i-- {
			if binary.LittleEndian.Uint32(column[4*i:]) == uint32(t) && b.id(i) == id {
				return b, i, true
			}
		}
	}
	return nil, 0, false
}
