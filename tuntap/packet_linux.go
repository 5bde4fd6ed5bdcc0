package tuntap

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// Packet is a network card that arpeggio drives past the kernel's own stack,
// through an AF_PACKET socket. It implements link.Device. The kernel still sees
// the frames; who wants it silent gives it no address.
//
// Frames that another program on this machine sent come with their checksum
// unfinished and up to 64 KiB long, on a virtual card by default: the virtio
// header says so, and Frame carries it on. Checksum and segmentation on
// transmit are the card's or, where it cannot, the kernel's. VLAN tags, which
// the kernel takes off, are put back.
type Packet struct {
	*descriptor
	info        link.Info
	index       int
	promiscuous bool
	rx          rxRing // of ReadFrames

	wmu sync.Mutex
	tx  txRing

	txDropped, rxMalformed, rxUnwanted, rxDropped atomic.Uint64
}

var _ link.Device = (*Packet)(nil)

// OpenPacket binds to a card in the network namespace of the calling thread.
// Errors wrap ErrName, ErrNoInterface or ErrPermission where one applies.
func OpenPacket(c PacketConfig) (*Packet, error) {
	if err := checkName(c.Interface); err != nil {
		return nil, err
	}
	n, err := openNetif(c.Interface)
	if err != nil {
		return nil, err
	}
	defer n.close()
	p := &Packet{promiscuous: c.Promiscuous, info: link.Info{
		Name: c.Interface,
		Caps: link.CapTxChecksum | link.CapRxChecksum | link.CapTSO4 | link.CapTSO6 | link.CapGRO,
	}}
	if p.index, err = n.index(); err != nil {
		return nil, err
	}
	if p.info.Addr, err = n.hardware(); err != nil {
		return nil, err
	}
	if p.info.MTU, err = n.mtu(); err != nil {
		return nil, err
	}
	// Protocol 0 receives nothing before bind has said from where.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	switch err {
	case nil:
	case unix.EPERM, unix.EACCES:
		return nil, fmt.Errorf("%w: packet socket on %s; run as root or give CAP_NET_RAW", ErrPermission, c.Interface)
	default:
		return nil, fmt.Errorf("tuntap: packet socket on %s: %w", c.Interface, err)
	}
	if p.descriptor, err = newDescriptor(fd); err != nil {
		return nil, err
	}
	if !c.Down {
		err = n.ready()
	}
	if err == nil {
		err = p.configure(c)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	p.rx.init()
	p.tx.init()
	return p, nil
}

// configure sets the socket's options and binds it.
func (p *Packet) configure(c PacketConfig) error {
	ignore := 1
	if c.Outgoing {
		ignore = 0
	}
	for _, o := range []struct {
		name              string
		level, opt, value int
	}{
		{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{"PACKET_AUXDATA", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, ignore},
		{"SO_TIMESTAMPNS", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
	} {
		if err := unix.SetsockoptInt(p.fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("tuntap: %s: kernel refuses %s (Linux 4.20 or later has it): %w", c.Interface, o.name, err)
		}
	}
	if c.Buffer <= 0 {
		c.Buffer = 8 << 20
	}
	for _, o := range [][3]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, c.Buffer / 2}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, 4 << 20}} {
		// The kernel doubles what it is told.
		if unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, o[0], o[2]) != nil {
			unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, o[1], o[2]) // as far as rmem_max allows
		}
	}
	if err := p.filter(c.Filter); err != nil {
		return fmt.Errorf("tuntap: %s: the kernel refuses the filter: %w", c.Interface, err)
	}
	return p.bind()
}

// filter attaches a filter.
func (p *Packet) filter(f []bpf.RawInstruction) error {
	if len(f) == 0 {
		return nil
	}
	prog := make([]unix.SockFilter, len(f))
	for i, in := range f {
		prog[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(p.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
}

// bind makes the interface of index p.index the one that frames come from.
func (p *Packet) bind() error {
	// Else the card drops the multicasts that the kernel itself has not joined.
	m := unix.PacketMreq{Ifindex: int32(p.index), Type: unix.PACKET_MR_ALLMULTI}
	if p.promiscuous {
		m.Type = unix.PACKET_MR_PROMISC
	}
	if err := unix.SetsockoptPacketMreq(p.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
		return fmt.Errorf("tuntap: %s: frames for groups or for other stations: %w", p.info.Name, err)
	}
	var all [2]byte
	binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
	sa := unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:]), Ifindex: p.index}
	if err := unix.Bind(p.fd, &sa); err != nil {
		return fmt.Errorf("tuntap: %s: bind: %w", p.info.Name, err)
	}
	return nil
}

// Rebind binds to the interface that has the name now, after the one before was
// removed; it needs no privilege. The error wraps ErrNoInterface while there is
// none. It must not be called during a read.
func (p *Packet) Rebind() error {
	if !p.acquire() {
		return link.ErrClosed
	}
	defer p.release()
	n := netif{fd: p.fd, name: p.info.Name}
	i, err := n.index()
	if err != nil {
		return err
	}
	p.index = i
	return p.bind()
}

// State returns what the interface is doing; Gone, too, when another one has
// taken its name.
func (p *Packet) State() State {
	if !p.acquire() {
		return Gone
	}
	defer p.release()
	if p.gone() {
		return Gone
	}
	n := netif{fd: p.fd, name: p.info.Name}
	if r, err := n.call(unix.SIOCGIFFLAGS, nil); err != nil || r.Uint16()&unix.IFF_UP == 0 {
		return Down
	}
	return Up
}

// WaitPackets blocks until one of some devices may have frames, the deadline has
// passed (zero: there is none), or Wake or Close of the first one is called. The
// error wraps link.ErrClosed when a device is closed.
func WaitPackets(deadline time.Time, devices ...*Packet) error {
	fds := make([]unix.PollFd, 0, len(devices)-1)
	for _, p := range devices[1:] {
		if !p.acquire() {
			return link.ErrClosed
		}
		defer p.release()
		fds = append(fds, unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN})
	}
	return devices[0].wait(deadline, fds)
}

// Info implements link.Device. Addr and MTU are the interface's at opening.
func (p *Packet) Info() link.Info { return p.info }

// Stats returns how many frames could not be moved.
func (p *Packet) Stats() Stats {
	if p.acquire() {
		// Reading the kernel's counter resets it.
		if s, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			p.rxDropped.Add(uint64(s.Drops))
		}
		p.release()
	}
	return Stats{
		TxDropped:   p.txDropped.Load(),
		RxDropped:   p.rxDropped.Load(),
		RxMalformed: p.rxMalformed.Load(),
		RxUnwanted:  p.rxUnwanted.Load(),
	}
}

// gone reports whether the interface was removed; its name may belong to
// another one by now.
func (p *Packet) gone() bool {
	n := netif{fd: p.fd, name: p.info.Name}
	i, err := n.index()
	return err != nil || i != p.index
}

// ReadFrames implements link.Device.
func (p *Packet) ReadFrames(fs []link.Frame) (n int, err error) {
	if !p.acquire() {
		return 0, link.ErrClosed
	}
	defer p.release()
	for n < len(fs) {
		want := min(len(fs)-n, maxBatch)
		for i := range want {
			p.rx.offer(i, &fs[n+i])
		}
		got, errno := mmsg(unix.SYS_RECVMMSG, p.fd, p.rx.msgs[:want])
		switch errno {
		case 0:
		case unix.EAGAIN, unix.EINTR:
			return n, nil
		case unix.EINVAL: // a super-frame that no virtio header describes; the kernel has dropped it
			p.rxUnwanted.Add(1)
			return n, nil // Wait returns at once when there is more
		case unix.ENETDOWN:
			if p.gone() {
				return n, fmt.Errorf("%w: %s was removed", ErrNoInterface, p.info.Name)
			}
			return n, nil // it may come back
		default:
			return n, fmt.Errorf("tuntap: reading %s: %w", p.info.Name, errno)
		}
		n += p.keep(fs[n : n+got])
		if got < want {
			break
		}
	}
	return n, nil
}

// keep finishes the received frames and returns how many are worth having, in
// front of the others.
func (p *Packet) keep(fs []link.Frame) (n int) {
	for i := range fs {
		f := &fs[i]
		switch p.rx.finish(i, f) {
		case malformed:
			p.rxMalformed.Add(1)
			continue
		case unwanted:
			p.rxUnwanted.Add(1)
			continue
		}
		if i != n {
			fs[n], fs[i] = fs[i], fs[n]
		}
		n++
	}
	return n
}

// WriteFrames implements link.Device.
func (p *Packet) WriteFrames(fs []link.Frame) (n int, err error) {
	if !p.acquire() {
		return 0, link.ErrClosed
	}
	defer p.release()
	p.wmu.Lock()
	defer p.wmu.Unlock()
	defer p.tx.forget()
	for n < len(fs) && err == nil {
		k := 0
		for ; k < maxBatch && n+k < len(fs); k++ {
			if err = checkSize(&fs[n+k], p.info); err != nil {
				break
			}
			p.tx.load(k, &fs[n+k])
		}
		sent, serr := p.send(k)
		n += sent
		if serr != nil {
			return n, serr
		}
	}
	return n, err
}

// send transmits the first k loaded messages and returns how many it took.
func (p *Packet) send(k int) (n int, err error) {
	for n < k {
		got, errno := mmsg(unix.SYS_SENDMMSG, p.fd, p.tx.msgs[n:k])
		switch errno {
		case 0:
			n += got
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
			p.txDropped.Add(1)
			n++
		case unix.EMSGSIZE:
			return n, fmt.Errorf("%w: %s", link.ErrTooBig, p.info.Name)
		case unix.EINVAL:
			return n, fmt.Errorf("tuntap: writing %s: %w", p.info.Name, link.ErrDescriptor)
		case unix.ENETDOWN:
			return n, fmt.Errorf("%w: %s (`ip link set %s up`)", ErrDown, p.info.Name, p.info.Name)
		case unix.ENXIO, unix.ENODEV:
			return n, fmt.Errorf("%w: %s was removed", ErrNoInterface, p.info.Name)
		default:
			return n, fmt.Errorf("tuntap: writing %s: %w", p.info.Name, errno)
		}
	}
	return n, nil
}

// tagOf finds the VLAN tag that the kernel took off (zero when none), and when
// the frame came.
func tagOf(control []byte, f *link.Frame) (tag ethernet.Tag) {
	for len(control) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return tag
		}
		control = rest
		switch {
		case h.Level == unix.SOL_PACKET && h.Type == unix.PACKET_AUXDATA && len(data) >= auxLen:
			tag = auxTag(data)
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS:
			f.Time = timespec(data)
		}
	}
	return tag
}
