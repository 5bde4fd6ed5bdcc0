package socketagent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
)

// Operations.
const (
	opSocket = 1 + iota
	opBind
	opListen
	opAccept
	opConnect
	opRecv
	opSend
	opClose
	opShutdown
	opGetsockopt
	opSetsockopt
	opFcntl
	opPoll
	opIoctl
	opSendto
	opGetsockname
	opRecvfrom
	opGetpeername
	opReset = 99
)

// maxData bounds what comes and goes with one call, in octets.
const maxData = 16 << 20

// request is one call.
type request struct {
	op   uint32
	a    [5]int32
	data []byte
	// tooLong: there was more than maxData of it, and it was dropped.
	tooLong bool
}

// reply is what a call returns. err decides over result.
type reply struct {
	result int32
	data   []byte
	err    error
}

func readRequest(r io.Reader) (q request, err error) {
	var head [28]byte
	if _, err := io.ReadFull(r, head[:]); err == io.ErrUnexpectedEOF {
		return q, errCut
	} else if err != nil {
		return q, err
	}
	q.op = binary.LittleEndian.Uint32(head[0:])
	for i := range q.a {
		q.a[i] = int32(binary.LittleEndian.Uint32(head[4+4*i:]))
	}
	n := int64(binary.LittleEndian.Uint32(head[24:]))
	if n > maxData {
		q.tooLong = true
		if k, _ := io.CopyN(io.Discard, r, n); k < n {
			return q, errCut
		}
		return q, nil
	}
	var data bytes.Buffer // grows with what comes, not with what is promised
	if k, _ := io.CopyN(&data, r, n); k < n {
		return q, errCut
	}
	q.data = data.Bytes()
	return q, nil
}

// errCut says that a connection has ended within a request.
var errCut = fmt.Errorf("socketagent: the connection ends within a request: %w", io.ErrUnexpectedEOF)

func writeReply(w io.Writer, p reply) error {
	result, errno := p.result, syscall.Errno(0)
	if p.err != nil {
		result, errno, p.data = -1, errnoOf(p.err), nil
	}
	b := make([]byte, 12, 12+len(p.data))
	binary.LittleEndian.PutUint32(b[0:], uint32(result))
	binary.LittleEndian.PutUint32(b[4:], uint32(errno))
	binary.LittleEndian.PutUint32(b[8:], uint32(len(p.data)))
	_, err := w.Write(append(b, p.data...))
	return err
}

// errnoOf returns the errno behind an error of the stack's.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return syscall.EBADF // closed meanwhile
}

// parseAddr reads an address.
func parseAddr(b []byte) (netip.AddrPort, error) {
	if len(b) < 6 {
		return netip.AddrPort{}, syscall.EINVAL
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:])), nil
}

// appendAddr writes an address; the zero one is 0.0.0.0:0.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	var ip [4]byte
	if a.Addr().Is4() {
		ip = a.Addr().As4()
	}
	return binary.BigEndian.AppendUint16(append(b, ip[:]...), a.Port())
}

func int32s(v ...int32) []byte {
	var b []byte
	for _, v := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}
