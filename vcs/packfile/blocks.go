package packfile

import "io"

// blocks reads a file through a few blocks that it keeps: entries that are read
// one after the other lie near to each other.
type blocks struct {
	r    io.ReaderAt
	size int64
	kept [keptBlocks]block
	tick uint64
}

type block struct {
	at   int64 // of its first byte, plus one; 0: nothing
	used uint64
	b    []byte
}

const (
	blockBytes = 16 << 10
	keptBlocks = 8
)

// ReadAt implements io.ReaderAt, for one goroutine at a time.
func (c *blocks) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		b, err := c.block(off &^ (blockBytes - 1))
		if err != nil {
			return n, err
		}
		k := copy(p[n:], b[off&(blockBytes-1):])
		n += k
		off += int64(k)
	}
	return n, nil
}

// block returns the block that begins at a multiple of its length.
func (c *blocks) block(at int64) ([]byte, error) {
	c.tick++
	oldest := &c.kept[0]
	for i := range c.kept {
		k := &c.kept[i]
		if k.at == at+1 {
			k.used = c.tick
			return k.b, nil
		}
		if k.used < oldest.used {
			oldest = k
		}
	}
	if oldest.b == nil {
		oldest.b = make([]byte, blockBytes)
	}
	oldest.at = 0
	oldest.b = oldest.b[:min(blockBytes, c.size-at)]
	if err := readAt(c.r, oldest.b, at); err != nil {
		return nil, err
	}
	oldest.at, oldest.used = at+1, c.tick
	return oldest.b, nil
}
