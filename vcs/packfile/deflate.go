package packfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/adler32"

	"github.com/klauspost/compress/zlib"
)

// deflater makes zlib streams (RFC 1950) of one object after the other.
type deflater struct {
	level int // 0: whatever is fast
	small smallDeflater
	z     *zlib.Writer // nil until content needs it
	buf   bytes.Buffer
}

const (
	// storeBelow is the length under which content is stored as it is: the
	// deltas of small changes are little else than ids, which hardly compress.
	storeBelow = 160
	// smallBelow is the length under which code tables of its own gain content
	// less than it takes to say what they are, and to make and read them.
	smallBelow = 1024
)

func newDeflater(level int) (*deflater, error) {
	if level < 0 || level > 9 {
		level = 0
	}
	return &deflater{level: level}, nil
}

// zlibHead says: deflate, 32 KiB window, no dictionary, fastest.
const zlibHead = "\x78\x01"

// deflate returns a stream that is valid until the next call.
func (d *deflater) deflate(content []byte) ([]byte, error) {
	if len(content) < storeBelow {
		return d.store(content), nil
	}
	d.buf.Reset()
	if n := len(content); n < smallBelow && d.level == 0 {
		d.buf.Grow(n + 64)
		b := d.small.deflate(append(d.buf.AvailableBuffer(), zlibHead...), content)
		return binary.BigEndian.AppendUint32(b, adler32.Checksum(content)), nil
	}
	if d.z == nil {
		var err error
		if d.z, err = zlib.NewWriterLevel(&d.buf, max(d.level, 1)); err != nil {
			return nil, fmt.Errorf("packfile: %w", err)
		}
	}
	d.z.Reset(&d.buf)
	if _, err := d.z.Write(content); err != nil {
		return nil, err
	}
	if err := d.z.Close(); err != nil {
		return nil, err
	}
	return d.buf.Bytes(), nil
}

// store returns a stream of content, less than 64 KiB, as it is.
func (d *deflater) store(content []byte) []byte {
	d.buf.Reset()
	d.buf.Grow(len(content) + 64)
	b := appendStored(append(d.buf.AvailableBuffer(), zlibHead...), content)
	return binary.BigEndian.AppendUint32(b, adler32.Checksum(content))
}

// appendStored appends one final stored block (RFC 1951 §3.2.4).
func appendStored(b, content []byte) []byte {
	n := uint16(len(content))
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint16(b, n)
	b = binary.LittleEndian.AppendUint16(b, ^n)
	return append(b, content...)
}
