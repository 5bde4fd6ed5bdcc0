package tcp

import (
	"errors"
	"syscall"
)

// ErrWouldBlock is returned by Read when no data have arrived and by Write when
// the send queue is full. Call again after the next Input or Output.
var ErrWouldBlock = errors.New("tcp: operation would block")

// Errors that end a connection. Each wraps the errno that a kernel would give,
// so errors.Is(err, syscall.ECONNREFUSED) works as on a socket.
var (
	// ErrRefused: the peer answered the SYN with a reset.
	ErrRefused error = &connError{"tcp: connection refused", syscall.ECONNREFUSED}
	// ErrReset: the peer reset an open connection.
	ErrReset error = &connError{"tcp: connection reset by peer", syscall.ECONNRESET}
	// ErrTimeout: the peer did not answer in time.
	ErrTimeout error = &connError{"tcp: connection timed out", syscall.ETIMEDOUT}
	// ErrPipe: Write after CloseWrite, or after the connection ended.
	ErrPipe error = &connError{"tcp: write on a connection closed for writing", syscall.EPIPE}
	// ErrAborted: this side called Abort, or closed a connection with data
	// still unread or arriving.
	ErrAborted error = &connError{"tcp: connection aborted", syscall.ECONNABORTED}
)

// ErrNoUrgent: ReadUrgent has nothing to return.
var ErrNoUrgent error = &connError{"tcp: no urgent octet", syscall.EINVAL}

// connError is an error with an errno behind it and, for timeouts, the method
// that package net looks for.
type connError struct {
	text  string
	errno syscall.Errno
}

func (e *connError) Error() string   { return e.text }
func (e *connError) Unwrap() error   { return e.errno }
func (e *connError) Timeout() bool   { return e.errno == syscall.ETIMEDOUT }
func (e *connError) Temporary() bool { return e.Timeout() }

// Errors of ParseSegment. They are sentinels, so that a receiver can count
// them by reason without formatting anything.
var (
	ErrShort      = errors.New("tcp: segment shorter than its header")
	ErrDataOffset = errors.New("tcp: data offset below five words or beyond the segment")
	ErrPort       = errors.New("tcp: port zero")
)
