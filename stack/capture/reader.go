package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxBlock bounds what is read into memory at a time: one block or record.
const maxBlock = 16 << 20

// MaxInterfaces bounds the interfaces of a file, all sections taken together: a
// small compressed file can describe a great many. One more is ErrFormat.
const MaxInterfaces = 1 << 16

// ReaderStats counts what a Reader came across.
type ReaderStats struct {
	Packets   uint64 // returned
	Malformed uint64 // blocks and packets that made no sense: the sum of Reasons
	Reasons   [NumReasons]uint64
	Skipped   uint64 // blocks of kinds that hold no packets
	Truncated bool   // the file ends in the middle of a packet
}

// Reason says why a block or a packet made no sense.
type Reason uint8

// Reasons. After the first two nobody knows where the next block begins, so the
// file ends there; the others are skipped.
const (
	ReasonLength    Reason = iota // a block or packet of an impossible length
	ReasonTrailer                 // the two lengths of a block differ
	ReasonLarge                   // a block of more than 16 MiB
	ReasonSection                 // a section header that is too short, or of another version
	ReasonInterface               // an interface description that is too short
	ReasonShort                   // a packet block that is too short for what it announces
	ReasonUnknown                 // a packet of an interface that was not described
	NumReasons
)

var reasonNames = [NumReasons]string{"length", "trailer", "large", "section", "interface", "short", "unknown-interface"}

// String returns a lower-case label.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Reader reads a capture file packet by packet. It belongs to one goroutine.
type Reader struct {
	r      *bufio.Reader
	next   func(*Packet) error // returns errSkip to be called again
	buf    []byte
	packet Packet // the one that is returned
	ifaces []Interface
	stats  ReaderStats
	err    error

	ng   section
	pcap pcapFormat
}

// errSkip says that there was something other than a good packet.
var errSkip = errors.New("capture: skip")

// NewReader reads the header of a pcapng or pcap file, which may be compressed
// with gzip. The error is ErrFormat, or what r returned.
func NewReader(r io.Reader) (*Reader, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", ErrFormat, err)
		}
		br = bufio.NewReaderSize(z, 64<<10)
	}
	cr := &Reader{r: br}
	magic, err := br.Peek(4)
	if err != nil {
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: it has %d octets", ErrFormat, len(magic))
		}
		return nil, fmt.Errorf("capture: %w", err)
	}
	if binary.BigEndian.Uint32(magic) == blockSection {
		cr.next = cr.nextBlock
		return cr, nil
	}
	if err := cr.pcapHeader(magic); err != nil {
		return nil, err
	}
	cr.next = cr.nextRecord
	return cr, nil
}

// Next returns the next packet, whose Data are valid until the next call. It
// returns io.EOF at the end of the file, also when the end is missing
// (Stats().Truncated), and ErrFormat when damage hides where the next packet
// begins. What can be skipped is skipped and counted.
func (r *Reader) Next() (Packet, error) {
	for r.err == nil {
		r.packet = Packet{}
		err := r.next(&r.packet)
		switch {
		case err == nil:
			r.stats.Packets++
			return r.packet, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			r.stats.Truncated = true
			r.err = io.EOF
		case err != errSkip:
			r.err = err
		}
	}
	return Packet{}, r.err
}

// Interfaces returns the interfaces described so far; Packet.Interface is an
// index into them. Files of several sections number on.
func (r *Reader) Interfaces() []Interface { return r.ifaces }

// Stats returns the counters.
func (r *Reader) Stats() ReaderStats { return r.stats }

// malformed counts something that is skipped.
func (r *Reader) malformed(why Reason) error {
	r.stats.Malformed++
	r.stats.Reasons[why]++
	return errSkip
}

// read returns the next n octets, which stay valid until the next read. The
// buffer grows with what really comes, not with what a damaged length announces.
func (r *Reader) read(n int) ([]byte, error) {
	if n <= r.r.Size() {
		if b, err := r.r.Peek(n); err == nil {
			_, err = r.r.Discard(n) // what was peeked at stays
			return b, err
		}
	}
	const step = 64 << 10
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have, want := len(r.buf), min(step, n-len(r.buf))
		if cap(r.buf) < have+want {
			r.buf = append(make([]byte, 0, max(have+want, 2*cap(r.buf))), r.buf...)
		}
		r.buf = r.buf[:have+want]
		k, err := io.ReadFull(r.r, r.buf[have:])
		if err != nil {
			return nil, ended(err, have+k > 0)
		}
	}
	return r.buf, nil
}

// ended makes of an end of file in the middle of something (inside)
// io.ErrUnexpectedEOF.
func ended(err error, inside bool) error {
	if err == io.EOF && inside {
		return io.ErrUnexpectedEOF
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return err
	}
	return fmt.Errorf("capture: %w", err)
}
