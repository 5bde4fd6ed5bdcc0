package gitserve

import (
	"errors"
	"fmt"
	"io"
)

// gitprotocol-common(5), "pkt-line Format": four hexadecimal digits of length,
// themselves included, then the payload.
const (
	pktHeader  = 4
	maxPkt     = 65520
	maxPayload = maxPkt - pktHeader
)

// pktKind tells a data line from the three special packets.
type pktKind uint8

const (
	pktData        pktKind = iota
	pktFlush               // 0000
	pktDelim               // 0001, gitprotocol-v2(5)
	pktResponseEnd         // 0002, gitprotocol-v2(5)
)

// errPktFraming marks input that is not a sequence of pkt-lines.
var errPktFraming = errors.New("gitserve: malformed pkt-line")

// pktReader splits a stream into pkt-lines. It reads no further than the line
// that it returns.
type pktReader struct {
	r   io.Reader
	buf [maxPkt]byte
}

// next returns the next packet; its payload is valid until the next call and
// has one trailing line feed removed. At a clean end of input the error is
// io.EOF; a line cut short and a length out of range wrap errPktFraming.
func (p *pktReader) next() (pktKind, []byte, error) {
	hdr := p.buf[:pktHeader]
	if _, err := io.ReadFull(p.r, hdr); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, fmt.Errorf("%w: input ends inside a length", errPktFraming)
		}
		return 0, nil, err
	}
	size := 0
	for _, c := range hdr {
		d := hexDigit(c)
		if d < 0 {
			return 0, nil, fmt.Errorf("%w: length %q", errPktFraming, hdr)
		}
		size = size<<4 | d
	}
	switch {
	case size == 0:
		return pktFlush, nil, nil
	case size == 1:
		return pktDelim, nil, nil
	case size == 2:
		return pktResponseEnd, nil, nil
	case size < pktHeader || size > maxPkt:
		return 0, nil, fmt.Errorf("%w: length %q", errPktFraming, hdr)
	}
	line := p.buf[:size-pktHeader]
	if _, err := io.ReadFull(p.r, line); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, fmt.Errorf("%w: input ends inside a line of %d bytes", errPktFraming, size)
		}
		return 0, nil, err
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return pktData, line, nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// pktWriter writes pkt-lines. After a failed write it does nothing more and
// keeps the error.
type pktWriter struct {
	w   io.Writer
	buf []byte
	err error
}

func newPktWriter(w io.Writer) *pktWriter { return &pktWriter{w: w} }

// linef writes one line; the caller supplies the line feed where the protocol
// wants one. A payload over 65,516 bytes is an error.
func (p *pktWriter) linef(format string, args ...any) {
	p.begin()
	p.buf = fmt.Appendf(p.buf, format, args...)
	p.end()
}

// band writes one side-band packet.
func (p *pktWriter) band(band byte, data []byte) {
	p.begin()
	p.buf = append(append(p.buf, band), data...)
	p.end()
}

func (p *pktWriter) begin() { p.buf = append(p.buf[:0], "0000"...) }

func (p *pktWriter) end() {
	if p.err != nil {
		return
	}
	if len(p.buf) > maxPkt {
		p.err = fmt.Errorf("gitserve: line of %d bytes does not fit a pkt-line", len(p.buf)-pktHeader)
		return
	}
	const digits = "0123456789abcdef"
	for i, n := 3, len(p.buf); i >= 0; i, n = i-1, n>>4 {
		p.buf[i] = digits[n&15]
	}
	p.raw(p.buf)
}

func (p *pktWriter) flush() { p.raw([]byte("0000")) }
func (p *pktWriter) delim() { p.raw([]byte("0001")) }

// raw writes bytes that are framed already, or a pack without side-band.
func (p *pktWriter) raw(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}
