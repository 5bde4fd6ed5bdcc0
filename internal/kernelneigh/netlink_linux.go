package kernelneigh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
)

// ndmLen is the length of struct ndmsg (linux/neighbour.h).
const ndmLen = 12

// errMessage is for what is no answer of the kernel's.
var errMessage = errors.New("kernelneigh: malformed netlink message")

// neighbor is the kernel's entry of an address.
type neighbor struct {
	state uint16 // NUD_…
	mac   ethernet.Addr
}

// usable are the states in which the kernel itself would send to the address.
const usable = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_PROBE | unix.NUD_STALE | unix.NUD_DELAY

// appendRequest appends a message about the neighbour a of an interface.
func appendRequest(b []byte, kind, flags uint16, seq uint32, index int, ndmFlags uint8, a netip.Addr) []byte {
	start, ip := len(b), a.As4()
	b = append(b, make([]byte, unix.NLMSG_HDRLEN+ndmLen)...)
	m := b[start:]
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags)
	binary.NativeEndian.PutUint32(m[8:], seq)
	m = m[unix.NLMSG_HDRLEN:]
	m[0] = unix.AF_INET
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	m[10] = ndmFlags
	b = binary.NativeEndian.AppendUint16(b, unix.SizeofRtAttr+uint16(len(ip)))
	b = binary.NativeEndian.AppendUint16(b, unix.NDA_DST)
	b = append(b, ip[:]...)
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// parseAnswer reads the answer to a request with that sequence number. Done is
// false when the message answers another one.
func parseAnswer(b []byte, seq uint32) (n neighbor, done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return neighbor{}, false, errMessage
		}
		kind, body := binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size]
		if binary.NativeEndian.Uint32(b[8:]) == seq {
			switch kind {
			case unix.NLMSG_ERROR:
				if len(body) < 4 {
					return neighbor{}, false, errMessage
				}
				if e := -int32(binary.NativeEndian.Uint32(body)); e != 0 {
					return neighbor{}, true, syscall.Errno(e)
				}
				return neighbor{}, true, nil
			case unix.RTM_NEWNEIGH:
				n, err := parseNeighbor(body)
				return n, err == nil, err
			}
		}
		b = b[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
	}
	if len(b) > 0 {
		return neighbor{}, false, errMessage
	}
	return neighbor{}, false, nil
}

// parseNeighbor reads a struct ndmsg and its attributes.
func parseNeighbor(b []byte) (n neighbor, err error) {
	if len(b) < ndmLen {
		return neighbor{}, errMessage
	}
	n.state = binary.NativeEndian.Uint16(b[8:])
	for b = b[ndmLen:]; len(b) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return neighbor{}, errMessage
		}
		if v := b[unix.SizeofRtAttr:size]; binary.NativeEndian.Uint16(b[2:]) == unix.NDA_LLADDR && len(v) == len(n.mac) {
			copy(n.mac[:], v)
		}
		b = b[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
	}
	return n, nil
}

// conn is a netlink socket; its methods must not run at the same time.
type conn struct {
	fd  int
	seq uint32
	buf []byte
}

func dial() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("kernelneigh: open a netlink socket: %w", err)
	}
	// The kernel answers within the call that asks; the limit is for surprises.
	limit := unix.Timeval{Sec: 1}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("kernelneigh: set up a netlink socket: %w", err)
	}
	return &conn{fd: fd, buf: make([]byte, 8192)}, nil
}

// ask sends a request and returns its answer.
func (c *conn) ask(kind, flags uint16, index int, ndmFlags uint8, a netip.Addr) (neighbor, error) {
	c.seq++
	req := appendRequest(nil, kind, flags|unix.NLM_F_REQUEST, c.seq, index, ndmFlags, a)
	if err := unix.Sendto(c.fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return neighbor{}, fmt.Errorf("kernelneigh: ask for %v: %w", a, err)
	}
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return neighbor{}, fmt.Errorf("kernelneigh: ask for %v: %w", a, err)
		}
		if nb, done, err := parseAnswer(c.buf[:n], c.seq); done || err != nil {
			return nb, err
		}
	}
}

// get returns the kernel's entry; the error is ENOENT when there is none.
func (c *conn) get(index int, a netip.Addr) (neighbor, error) {
	return c.ask(unix.RTM_GETNEIGH, 0, index, 0, a)
}

// use makes the kernel treat the address as one that it wants to send to.
func (c *conn) use(index int, a netip.Addr) error {
	_, err := c.ask(unix.RTM_NEWNEIGH, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, unix.NTF_USE, a)
	return err
}
