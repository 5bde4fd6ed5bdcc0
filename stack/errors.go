package stack

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"arpeggio/stack/tcp"
)

// What an operation fails with, as the kernel would say it. opError wraps them.
const (
	errHostUnreach  = syscall.EHOSTUNREACH
	errNetUnreach   = syscall.ENETUNREACH
	errNetDown      = syscall.ENETDOWN
	errRefused      = syscall.ECONNREFUSED
	errAddrInUse    = syscall.EADDRINUSE
	errAddrNotAvail = syscall.EADDRNOTAVAIL
	errHostDown     = syscall.EHOSTDOWN
	errNotSupported = syscall.EOPNOTSUPP
	errMsgSize      = syscall.EMSGSIZE
	errNoBufs       = syscall.ENOBUFS
	errNotConn      = syscall.ENOTCONN
	errDestRequired = syscall.EDESTADDRREQ
	errProtocol     = syscall.EPROTO
	errNoProtoOpt   = syscall.ENOPROTOOPT
	errInvalid      = syscall.EINVAL
	errAgain        = syscall.EAGAIN
	errAccess       = syscall.EACCES
	errNoDevice     = syscall.ENODEV
)

// errClosed is what every operation on something closed returns inside its
// *net.OpError.
var errClosed = net.ErrClosed

// syscallOf names the system call that would have failed in package net.
func syscallOf(op string) string {
	switch op {
	case "dial":
		return "connect"
	case "listen":
		return "bind"
	}
	return op
}

// opError wraps err as package net does: *net.OpError around os.SyscallError
// around the errno, so that errors.Is(err, syscall.ECONNRESET), os.IsTimeout
// and friends work as on a socket of the kernel's.
func opError(op, network string, local, remote net.Addr, err error) error {
	var oe *net.OpError
	if err == nil || errors.As(err, &oe) {
		return err
	}
	e := &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
	if op == "listen" || op == "accept" {
		e.Source, e.Addr = nil, local
	}
	var errno syscall.Errno
	var named *os.SyscallError // by who knows the call better
	if errors.As(err, &errno) && !errors.As(err, &named) {
		e.Err = os.NewSyscallError(syscallOf(op), errno)
	}
	return e
}

// called names the system call that would have failed with err, where the
// operation does not say.
func called(name string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		return os.NewSyscallError(name, errno)
	}
	return err
}

// dialEnd is why a context ended a dial, in package net's words: its errors are
// context's by errors.Is, and a timeout is os.ErrDeadlineExceeded as well, as
// everywhere else in this package.
type dialEnd struct{ cause error }

// endOf returns what a dial returns when ctx has ended, nil when it has not.
func endOf(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return dialEnd{err}
	}
	return nil
}

func (e dialEnd) Error() string {
	if e.Timeout() {
		return os.ErrDeadlineExceeded.Error()
	}
	return "operation was canceled"
}

func (e dialEnd) Timeout() bool   { return errors.Is(e.cause, context.DeadlineExceeded) }
func (e dialEnd) Temporary() bool { return e.Timeout() }

func (e dialEnd) Is(target error) bool {
	return target == e.cause || e.Timeout() && target == os.ErrDeadlineExceeded
}

// tcpErrno returns the errno behind an error of package tcp, or the error.
func tcpErrno(err error) error {
	if errors.Is(err, tcp.ErrAborted) {
		return errClosed // by this side: nobody else reads it
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
