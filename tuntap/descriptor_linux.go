package tuntap

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"arpeggio/stack/link"
)

// descriptor is a nonblocking file descriptor that one goroutine waits on and
// that others may wake and close. Each system call on it runs between acquire
// and release, so that Close can wait until nobody uses a number that the
// kernel is about to give to somebody else.
type descriptor struct {
	fd     int
	event  int // eventfd
	closed atomic.Bool
	users  sync.RWMutex
}

// newDescriptor takes over fd; it is closed when an error is returned.
func newDescriptor(fd int) (*descriptor, error) {
	ev, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("tuntap: eventfd: %w", err)
	}
	return &descriptor{fd: fd, event: ev}, nil
}

// acquire reports false when the descriptor is closed; otherwise release must
// follow.
func (d *descriptor) acquire() bool {
	d.users.RLock()
	if d.closed.Load() {
		d.users.RUnlock()
		return false
	}
	return true
}

func (d *descriptor) release() { d.users.RUnlock() }

// Wait implements link.Device: it blocks in ppoll(2).
func (d *descriptor) Wait(deadline time.Time) error { return d.wait(deadline, nil) }

// wait is Wait for further descriptors, too.
func (d *descriptor) wait(deadline time.Time, more []unix.PollFd) error {
	if !d.acquire() {
		return link.ErrClosed
	}
	defer d.release()
	own := [2]unix.PollFd{
		{Fd: int32(d.fd), Events: unix.POLLIN},
		{Fd: int32(d.event), Events: unix.POLLIN},
	}
	fds := append(own[:], more...)
	for {
		var timeout *unix.Timespec
		if !deadline.IsZero() {
			ts := unix.NsecToTimespec(int64(max(0, time.Until(deadline))))
			timeout = &ts
		}
		_, err := unix.Ppoll(fds, timeout, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("tuntap: poll: %w", err)
		}
		if fds[1].Revents != 0 {
			var b [8]byte
			unix.Read(d.event, b[:]) // resets it; nothing is lost if it was reset already
		}
		if d.closed.Load() {
			return link.ErrClosed
		}
		return nil
	}
}

// Wake implements link.Device.
func (d *descriptor) Wake() {
	if d.acquire() {
		d.signal()
		d.release()
	}
}

func (d *descriptor) signal() {
	one := [8]byte{}
	*(*uint64)(unsafe.Pointer(&one)) = 1
	unix.Write(d.event, one[:]) // EAGAIN: it is signalled already
}

// Close implements link.Device.
func (d *descriptor) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.signal()
	d.users.Lock()
	defer d.users.Unlock()
	unix.Close(d.event)
	return unix.Close(d.fd)
}

// vector makes a system call that takes an array of iovecs, without telling
// the scheduler: on a nonblocking descriptor that costs less than telling it.
func vector(trap uintptr, fd int, v []unix.Iovec) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&v[0])), uintptr(len(v)))
	return int(n), errno
}

// iovec describes b, which is not empty.
func iovec(b []byte) (v unix.Iovec) {
	v.Base = &b[0]
	v.SetLen(len(b))
	return v
}

// maxVector is the largest number of slices that a device gathers; a frame of
// more pieces is flattened first.
const maxVector = 20

// gather fills v with the pieces of f and returns how many it took. When they
// are more than v can hold it flattens f into flat.
func gather(v []unix.Iovec, f *link.Frame, flat *[]byte) int {
	if 1+len(f.Payload) > len(v) {
		*flat = f.AppendTo((*flat)[:0])
		v[0] = iovec(*flat)
		return 1
	}
	n := 0
	if len(f.Head) > 0 {
		v[n] = iovec(f.Head)
		n++
	}
	for _, p := range f.Payload {
		if len(p) > 0 {
			v[n] = iovec(p)
			n++
		}
	}
	return n
}
