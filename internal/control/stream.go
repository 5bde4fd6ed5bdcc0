package control

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A bulk stream is: the 8 octets "arpbulk1", the request's ID (u64), chunks, an
// end. A chunk is its length (u32, 1 to maxChunk) and that many octets. The end
// is a zero length, the total (u64) and the SHA-256 of all octets; or, when the
// sender failed, the length abortChunk and nothing else. Numbers are big endian.
const (
	streamMagic = "arpbulk1"
	maxChunk    = 256 << 10
	abortChunk  = 0xffffffff
)

// Errors of a bulk stream.
var (
	ErrStreamAborted = errors.New("control: the sender gave up in the middle of a stream")
	ErrStreamCorrupt = errors.New("control: stream is damaged")
)

// WriteStream sends what produce writes as the bulk stream of request id, and
// returns the number of octets. When produce fails the stream is marked as
// given up, stays in step, and the error is produce's.
func WriteStream(w io.Writer, id uint64, produce func(io.Writer) error) (int64, error) {
	b := append([]byte(streamMagic), make([]byte, 8)...)
	binary.BigEndian.PutUint64(b[8:], id)
	if _, err := w.Write(b); err != nil {
		return 0, err
	}
	c := &chunker{w: w, sum: sha256.New(), buf: make([]byte, 4, 4+maxChunk)}
	err := produce(c)
	if c.err != nil {
		return c.total, c.err
	}
	if err != nil {
		_, werr := w.Write(binary.BigEndian.AppendUint32(nil, abortChunk))
		return c.total, errors.Join(err, werr)
	}
	if err := c.flush(); err != nil {
		return c.total, err
	}
	end := binary.BigEndian.AppendUint32(nil, 0)
	end = binary.BigEndian.AppendUint64(end, uint64(c.total))
	_, err = w.Write(c.sum.Sum(end))
	return c.total, err
}

// chunker gathers octets into chunks. Its err is the underlying writer's.
type chunker struct {
	w     io.Writer
	sum   hash.Hash
	buf   []byte // four octets for the length, then the chunk
	total int64
	err   error
}

func (c *chunker) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		room := cap(c.buf) - len(c.buf)
		if room == 0 {
			if err := c.flush(); err != nil {
				return n, err
			}
			continue
		}
		k := min(room, len(p))
		c.buf = append(c.buf, p[:k]...)
		p = p[k:]
		n += k
	}
	return n, nil
}

func (c *chunker) flush() error {
	if c.err != nil || len(c.buf) == 4 {
		return c.err
	}
	binary.BigEndian.PutUint32(c.buf, uint32(len(c.buf)-4))
	c.sum.Write(c.buf[4:])
	c.total += int64(len(c.buf) - 4)
	_, c.err = c.w.Write(c.buf)
	c.buf = c.buf[:4]
	return c.err
}

// ReadStream copies the bulk stream of request id from r to w and returns the
// number of octets once length and hash are verified. Octets have reached w
// before an error is known: write to a temporary file. After ErrStreamAborted r
// is in step for the next stream, after any other error it is not.
func ReadStream(w io.Writer, r io.Reader, id uint64) (int64, error) {
	got, err := readHead(r)
	if err != nil {
		return 0, err
	}
	if got != id {
		return 0, fmt.Errorf("%w: it is stream %d, not %d", ErrStreamCorrupt, got, id)
	}
	return readBody(w, r)
}

// readHead reads which request a stream is for.
func readHead(r io.Reader) (id uint64, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	if string(head[:8]) != streamMagic {
		return 0, fmt.Errorf("%w: it does not start as a stream", ErrStreamCorrupt)
	}
	return binary.BigEndian.Uint64(head[8:]), nil
}

// readBody copies what follows the head.
func readBody(w io.Writer, r io.Reader) (int64, error) {
	sum, total := sha256.New(), int64(0)
	both := io.MultiWriter(w, sum)
	for {
		var l [4]byte
		if _, err := io.ReadFull(r, l[:]); err != nil {
			return total, unexpected(err)
		}
		n := binary.BigEndian.Uint32(l[:])
		switch {
		case n == abortChunk:
			return total, ErrStreamAborted
		case n == 0:
			return total, readEnd(r, total, sum)
		case n > maxChunk:
			return total, fmt.Errorf("%w: a chunk of %d octets", ErrStreamCorrupt, n)
		}
		k, err := io.CopyN(both, r, int64(n))
		total += k
		if err != nil {
			return total, unexpected(err)
		}
	}
}

func readEnd(r io.Reader, total int64, sum hash.Hash) error {
	var end [8 + sha256.Size]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return unexpected(err)
	}
	if binary.BigEndian.Uint64(end[:]) != uint64(total) || string(end[8:]) != string(sum.Sum(nil)) {
		return fmt.Errorf("%w: length or SHA-256 is not what was sent", ErrStreamCorrupt)
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
