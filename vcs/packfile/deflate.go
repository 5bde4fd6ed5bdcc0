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
	z   *zlib.Writer
	buf bytes.Buffer
}

// storeBelow is the length under which content is stored as it is: the deltas
// of small changes are little else than ids, which hardly compress.
const storeBelow = 160

func newDeflater(level int) (*deflater, error) {
	if level < 1 || level > 9 {
		level = 1
	}
	d := new(deflater)
	var err error
	if d.z, err = zlib.NewWriterLevel(&d.buf, level); err != nil {
		return nil, fmt.Errorf("packfile: %w", err)
	}
	return d, nil
}

// deflate returns a stream that is valid until the next call.
func (d *deflater) deflate(content []byte) ([]byte, error) {
	d.buf.Reset()
	if n := len(content); n < storeBelow {
		// Deflate, 32 KiB window, no dictionary; one final stored block.
		b := append(d.buf.AvailableBuffer(), 0x78, 0x01, 1, byte(n), 0, ^byte(n), 0xff)
		b = append(b, content...)
		return binary.BigEndian.AppendUint32(b, adler32.Checksum(content)), nil
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
