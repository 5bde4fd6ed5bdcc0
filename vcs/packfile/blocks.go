package packfile

import "io"

// blocks reads a file through blocks that it keeps, at most a megabyte of them:
// a pack has the versions of a folder one after the other, and a history needs
// the next one of many folders in turn.
type blocks struct {
	r    io.ReaderAt
	size int64
	kept [keptBlocks]block // each has one place
}

type block struct {
	at int64 // of its first byte, plus one; 0: nothing
	b  []byte
}

const (
	blockBytes = 4 << 10
	keptBlocks = 256
)

// ReadAt implements io.ReaderAt, for one goroutine at a time.
func (c *blocks) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		b, err := c.block(off / blockBytes)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], b[off%blockBytes:])
		n += k
		off += int64(k)
	}
	return n, nil
}

// block returns the block of a number.
func (c *blocks) block(i int64) ([]byte, error) {
	k, at := &c.kept[i%keptBlocks], i*blockBytes
	if k.at == at+1 {
		return k.b, nil
	}
	if k.b == nil {
		k.b = make([]byte, blockBytes)
	}
	k.at, k.b = 0, k.b[:min(blockBytes, c.size-at)]
	if err := readAt(c.r, k.b, at); err != nil {
		return nil, err
	}
	k.at = at + 1
	return k.b, nil
}
