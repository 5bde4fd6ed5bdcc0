package socketagent

import (
	"encoding/binary"
	"net"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel executes the same calls on the kernel's sockets, one at a time.
type kernel struct {
	open map[int32]bool
	held [][]byte // what the kernel is reading and writing
}

func sockaddr(b []byte) []byte { // struct sockaddr_in
	sa := make([]byte, 16)
	sa[0] = syscall.AF_INET
	if len(b) >= 6 {
		copy(sa[2:], b[4:6])
		copy(sa[4:], b[:4])
	}
	return sa
}

func fromSockaddr(sa []byte) []byte { return append(append([]byte(nil), sa[4:8]...), sa[2:4]...) }

// pointer returns where b is, and keeps it there until the call is over: a stack
// moves, and a number holds nothing.
func (k *kernel) pointer(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	k.held = append(k.held, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// call is once, again when a signal has come: the Go runtime sends them, and poll
// and what has a time-out are not restarted.
func (k *kernel) call(op uint32, data []byte, args ...int32) (int32, syscall.Errno, []byte) {
	for {
		if r, e, out := k.once(op, data, args...); e != syscall.EINTR {
			return r, e, out
		}
	}
}

func (k *kernel) once(op uint32, data []byte, args ...int32) (int32, syscall.Errno, []byte) {
	k.held = k.held[:0]
	var a [5]uintptr
	for i, v := range args {
		a[i] = uintptr(v)
	}
	sa := make([]byte, 16)
	size := k.pointer(int32s(16))
	result := func(r uintptr, errno syscall.Errno, out []byte) (int32, syscall.Errno, []byte) {
		if errno != 0 {
			return -1, errno, nil
		}
		return int32(r), 0, out
	}
	switch op {
	case opSocket:
		r, _, e := syscall.RawSyscall(syscall.SYS_SOCKET, a[0], a[1], a[2])
		k.open[int32(r)] = e == 0
		return result(r, e, nil)
	case opBind, opConnect:
		n := uintptr(syscall.SYS_BIND)
		if op == opConnect {
			n = syscall.SYS_CONNECT
		}
		if len(data) == 0 {
			r, _, e := syscall.Syscall(n, a[0], k.pointer(sa), 16) // AF_UNSPEC
			return result(r, e, nil)
		}
		r, _, e := syscall.Syscall(n, a[0], k.pointer(sockaddr(data)), 16)
		return result(r, e, nil)
	case opListen:
		r, _, e := syscall.Syscall(syscall.SYS_LISTEN, a[0], a[1], 0)
		return result(r, e, nil)
	case opAccept:
		r, _, e := syscall.Syscall(syscall.SYS_ACCEPT, a[0], k.pointer(sa), size)
		k.open[int32(r)] = e == 0
		return result(r, e, fromSockaddr(sa))
	case opRecv, opRecvfrom:
		buf := make([]byte, a[1])
		r, _, e := syscall.Syscall6(syscall.SYS_RECVFROM, a[0], k.pointer(buf), a[1], a[2], k.pointer(sa), size)
		if e != 0 {
			return result(r, e, nil)
		}
		out := buf[:min(int(r), len(buf))]
		if op == opRecvfrom {
			out = append(fromSockaddr(sa), out...)
		}
		return result(r, e, out)
	case opSend:
		r, _, e := syscall.Syscall6(syscall.SYS_SENDTO, a[0], k.pointer(data), uintptr(len(data)), a[1]|syscall.MSG_NOSIGNAL, 0, 0)
		return result(r, e, nil)
	case opSendto:
		r, _, e := syscall.Syscall6(syscall.SYS_SENDTO, a[0], k.pointer(data[6:]), uintptr(len(data)-6), a[1]|syscall.MSG_NOSIGNAL, k.pointer(sockaddr(data)), 16)
		return result(r, e, nil)
	case opClose:
		delete(k.open, int32(a[0]))
		r, _, e := syscall.Syscall(syscall.SYS_CLOSE, a[0], 0, 0)
		return result(r, e, nil)
	case opShutdown:
		r, _, e := syscall.Syscall(syscall.SYS_SHUTDOWN, a[0], a[1], 0)
		return result(r, e, nil)
	case opGetsockopt:
		buf, n := make([]byte, a[3]), int32s(args[3])
		r, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, a[0], a[1], a[2], k.pointer(buf), k.pointer(n), 0)
		return result(r, e, buf[:binary.LittleEndian.Uint32(n)])
	case opSetsockopt:
		r, _, e := syscall.Syscall6(syscall.SYS_SETSOCKOPT, a[0], a[1], a[2], k.pointer(data), uintptr(len(data)), 0)
		return result(r, e, nil)
	case opFcntl:
		r, _, e := syscall.Syscall(syscall.SYS_FCNTL, a[0], a[1], a[2])
		return result(r&^0x8000, e, nil) // O_LARGEFILE is the kernel's own business
	case opPoll:
		p := make([]byte, 8)
		binary.LittleEndian.PutUint32(p, uint32(a[0]))
		binary.LittleEndian.PutUint16(p[4:], uint16(a[1]))
		r, _, e := syscall.Syscall(syscall.SYS_POLL, k.pointer(p), 1, a[2])
		return result(r, e, int32s(int32(binary.LittleEndian.Uint16(p[6:]))))
	case opIoctl:
		v := make([]byte, 4)
		r, _, e := syscall.Syscall(syscall.SYS_IOCTL, a[0], a[1], k.pointer(v))
		return result(r, e, v)
	case opGetsockname, opGetpeername:
		n := uintptr(syscall.SYS_GETSOCKNAME)
		if op == opGetpeername {
			n = syscall.SYS_GETPEERNAME
		}
		r, _, e := syscall.Syscall(n, a[0], k.pointer(sa), size)
		return result(r, e, fromSockaddr(sa))
	}
	return -1, syscall.EOPNOTSUPP, nil
}

// hops is how many packets may follow one another, each the answer to the last.
const hops = 4

// delivered returns when loopback has delivered what was sent. Each processor has
// a queue for that, and on a busy machine works on it late, but in order: it is
// done with what was there when a datagram has come through behind it.
func (k *kernel) delivered() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &all)
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer u.Close()
	if err := u.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	for range hops {
		for cpu, left := 0, all.Count(); left > 0; cpu++ {
			if !all.IsSet(cpu) {
				continue
			}
			left--
			var one unix.CPUSet
			one.Set(cpu)
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				return err
			}
			if _, err := u.WriteTo([]byte("x"), u.LocalAddr()); err != nil {
				return err
			}
			if _, _, err := u.ReadFrom(make([]byte, 1)); err != nil {
				return err
			}
		}
	}
	return nil
}
