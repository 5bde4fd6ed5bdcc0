package wiresuite

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tap is a TAP device whose interface belongs to a kernel: the host under test.
type tap struct{ f *os.File }

// openTAP makes the device in the namespace of the calling thread.
func openTAP(name string) (wire, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUNSETIFF %s: %w", name, err)
	}
	return tap{os.NewFile(uintptr(fd), name)}, nil
}

func (t tap) send(frame []byte) error { _, err := t.f.Write(frame); return err }
func (t tap) close()                  { t.f.Close() }
func (t tap) receive(buf []byte) (int, time.Time, error) {
	n, err := t.f.Read(buf)
	return n, time.Now(), err
}

// cable is a packet socket on the interface of a TAP that the host under test
// has opened: the kernel of that namespace has no address and takes no part.
type cable struct {
	f  *os.File
	rc interface {
		Read(func(fd uintptr) bool) error
		Write(func(fd uintptr) bool) error
	}
	index int
}

// openCable opens it in the namespace of the calling thread.
func openCable(name string) (wire, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
	if err != nil {
		return nil, err
	}
	for _, e := range []error{
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 64<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}),
	} {
		if e != nil {
			unix.Close(fd)
			return nil, e
		}
	}
	f := os.NewFile(uintptr(fd), name)
	rc, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &cable{f, rc, ifi.Index}, nil
}

func (c *cable) send(frame []byte) (err error) {
	e := c.rc.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), frame, 0, &unix.SockaddrLinklayer{Ifindex: c.index})
		return err != unix.EAGAIN
	})
	if err == nil {
		err = e
	}
	return err
}

func (c *cable) close() { c.f.Close() }

func (c *cable) receive(buf []byte) (n int, at time.Time, err error) {
	oob := make([]byte, 64)
	for {
		var from unix.Sockaddr
		var oobn int
		e := c.rc.Read(func(fd uintptr) bool {
			n, oobn, _, from, err = unix.Recvmsg(int(fd), buf, oob, 0)
			return err != unix.EAGAIN
		})
		if err == nil {
			err = e
		}
		if err != nil {
			return 0, at, err
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		return n, stamp(oob[:oobn]), nil
	}
}

// stamp is the kernel's time of arrival.
func stamp(oob []byte) time.Time {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range msgs {
			if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}
