package socketagent

import (
	"encoding/binary"
	"syscall"
	"unsafe"
)

// kernel executes the same calls on the kernel's sockets.
type kernel struct{ open map[int32]bool }

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

func pointer(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	return uintptr(unsafe.Pointer(&b[0]))
}

func (k *kernel) call(op uint32, data []byte, args ...int32) (int32, syscall.Errno, []byte) {
	var a [5]uintptr
	for i, v := range args {
		a[i] = uintptr(v)
	}
	sa := make([]byte, 16)
	salen := uint32(16)
	size := uintptr(unsafe.Pointer(&salen))
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
			r, _, e := syscall.Syscall(n, a[0], pointer(sa), 16) // AF_UNSPEC
			return result(r, e, nil)
		}
		r, _, e := syscall.Syscall(n, a[0], pointer(sockaddr(data)), 16)
		return result(r, e, nil)
	case opListen:
		r, _, e := syscall.Syscall(syscall.SYS_LISTEN, a[0], a[1], 0)
		return result(r, e, nil)
	case opAccept:
		r, _, e := syscall.Syscall(syscall.SYS_ACCEPT, a[0], pointer(sa), size)
		k.open[int32(r)] = e == 0
		return result(r, e, fromSockaddr(sa))
	case opRecv, opRecvfrom:
		buf := make([]byte, a[1])
		r, _, e := syscall.Syscall6(syscall.SYS_RECVFROM, a[0], pointer(buf), a[1], a[2], pointer(sa), size)
		if e != 0 {
			return result(r, e, nil)
		}
		out := buf[:min(int(r), len(buf))]
		if op == opRecvfrom {
			out = append(fromSockaddr(sa), out...)
		}
		return result(r, e, out)
	case opSend:
		r, _, e := syscall.Syscall6(syscall.SYS_SENDTO, a[0], pointer(data), uintptr(len(data)), a[1]|syscall.MSG_NOSIGNAL, 0, 0)
		return result(r, e, nil)
	case opSendto:
		r, _, e := syscall.Syscall6(syscall.SYS_SENDTO, a[0], pointer(data[6:]), uintptr(len(data)-6), a[1]|syscall.MSG_NOSIGNAL, pointer(sockaddr(data)), 16)
		return result(r, e, nil)
	case opClose:
		delete(k.open, int32(a[0]))
		r, _, e := syscall.Syscall(syscall.SYS_CLOSE, a[0], 0, 0)
		return result(r, e, nil)
	case opShutdown:
		r, _, e := syscall.Syscall(syscall.SYS_SHUTDOWN, a[0], a[1], 0)
		return result(r, e, nil)
	case opGetsockopt:
		buf, n := make([]byte, a[3]), uint32(a[3])
		r, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, a[0], a[1], a[2], pointer(buf), uintptr(unsafe.Pointer(&n)), 0)
		return result(r, e, buf[:n])
	case opSetsockopt:
		r, _, e := syscall.Syscall6(syscall.SYS_SETSOCKOPT, a[0], a[1], a[2], pointer(data), uintptr(len(data)), 0)
		return result(r, e, nil)
	case opFcntl:
		r, _, e := syscall.Syscall(syscall.SYS_FCNTL, a[0], a[1], a[2])
		return result(r&^0x8000, e, nil) // O_LARGEFILE is the kernel's own business
	case opPoll:
		p := make([]byte, 8)
		binary.LittleEndian.PutUint32(p, uint32(a[0]))
		binary.LittleEndian.PutUint16(p[4:], uint16(a[1]))
		r, _, e := syscall.Syscall(syscall.SYS_POLL, pointer(p), 1, a[2])
		return result(r, e, int32s(int32(binary.LittleEndian.Uint16(p[6:]))))
	case opIoctl:
		v := make([]byte, 4)
		r, _, e := syscall.Syscall(syscall.SYS_IOCTL, a[0], a[1], pointer(v))
		return result(r, e, v)
	case opGetsockname, opGetpeername:
		n := uintptr(syscall.SYS_GETSOCKNAME)
		if op == opGetpeername {
			n = syscall.SYS_GETPEERNAME
		}
		r, _, e := syscall.Syscall(n, a[0], pointer(sa), size)
		return result(r, e, fromSockaddr(sa))
	}
	return -1, syscall.EOPNOTSUPP, nil
}
