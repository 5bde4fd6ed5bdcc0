package tuntap

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// TAP is an Ethernet wire to the kernel: what is written arrives at the
// interface, what the kernel sends out of it can be read. Its own end has no
// address. VLAN tags are in band.
//
// TAP implements link.Device. Frames for other stations are delivered like any
// other; nothing that arrives ends the reading.
type TAP struct {
	*descriptor
	info link.Info
	vnet bool

	spill []byte // of ReadFrames

	wmu  sync.Mutex
	flat []byte

	txDropped, rxMalformed, rxUnwanted atomic.Uint64
}

var _ link.Device = (*TAP)(nil)

// OpenTAP opens or creates a TAP in the network namespace of the calling
// thread. Errors wrap ErrName, ErrNoDriver, ErrPermission, ErrBusy or ErrNotTAP
// where one applies.
func OpenTAP(c TAPConfig) (*TAP, error) {
	if c.Name != "" {
		if err := checkName(c.Name); err != nil {
			return nil, err
		}
	}
	var fd int
	var name string
	err := errors.ErrUnsupported
	if c.Offload {
		fd, name, err = openOffload(c.Name)
	}
	vnet := err == nil
	if errors.Is(err, errors.ErrUnsupported) {
		fd, name, err = openPlain(c.Name, exists(c.Name))
	}
	if err != nil {
		return nil, explain(c.Name, err)
	}
	t := &TAP{vnet: vnet, spill: make([]byte, spillLen)}
	if t.descriptor, err = newDescriptor(fd); err != nil {
		return nil, err
	}
	if err := t.configure(name, c); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// configure applies c to the interface and fills in info.
func (t *TAP) configure(name string, c TAPConfig) error {
	n, err := openNetif(name)
	if err != nil {
		return err
	}
	defer n.close()
	if c.MTU != 0 {
		if err := n.setMTU(c.MTU); err != nil {
			return err
		}
	}
	if c.Up {
		if err := n.ready(); err != nil {
			return err
		}
	}
	t.info = link.Info{Name: name}
	if t.vnet {
		t.info.Caps = link.CapTxChecksum | link.CapRxChecksum | link.CapTSO4 | link.CapTSO6 | link.CapGRO
	}
	t.info.MTU, err = n.mtu()
	return err
}

// openOffload opens a TAP with virtio headers, which water cannot ask for, and
// a second TUNSETIFF on water's descriptor fails. The error wraps
// errors.ErrUnsupported when the kernel has TAPs but not this.
func openOffload(name string) (fd int, actual string, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	features, err := unix.IoctlGetInt(fd, unix.TUNGETFEATURES)
	if err != nil || features&unix.IFF_VNET_HDR == 0 {
		return -1, "", fmt.Errorf("no IFF_VNET_HDR: %w", errors.ErrUnsupported)
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return -1, "", err
	}
	r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return -1, "", err
	}
	// The header's length outlives a program that used a persistent TAP.
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetLen); err != nil {
		return -1, "", fmt.Errorf("TUNSETVNETHDRSZ: %w: %w", errors.ErrUnsupported, err)
	}
	const offload = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offload); err != nil {
		return -1, "", fmt.Errorf("TUNSETOFFLOAD: %w: %w", errors.ErrUnsupported, err)
	}
	return fd, r.Name(), nil
}

// openPlain opens a TAP through water and takes its descriptor over. persist
// must be set for an interface that is to survive: water clears or sets that
// flag on each opening. (water leaks its descriptor when it returns an error.)
func openPlain(name string, persist bool) (fd int, actual string, err error) {
	w, err := water.New(water.Config{
		DeviceType:             water.TAP,
		PlatformSpecificParams: water.PlatformSpecificParams{Name: name, Persist: persist},
	})
	if err != nil {
		return -1, "", err
	}
	defer w.Close()
	file, ok := w.ReadWriteCloser.(*os.File)
	if !ok {
		return -1, "", fmt.Errorf("tuntap: %s: water returned no file", name)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, "", err
	}
	if cerr := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 3) }); cerr != nil {
		return -1, "", cerr
	}
	if err == nil {
		// What an earlier program asked for outlives it on a persistent TAP; a
		// kernel that does not know the request never had offloads.
		unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0)
	}
	return fd, w.Name(), err
}

// exists reports whether there is an interface of that name.
func exists(name string) bool {
	if name == "" {
		return false
	}
	n, err := openNetif(name)
	if err != nil {
		return false
	}
	defer n.close()
	_, err = n.index()
	return err == nil
}

// explain turns what opening or TUNSETIFF said into advice.
func explain(name string, err error) error {
	if name == "" {
		name = "a TAP"
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: /dev/net/tun is missing; load it with `modprobe tun`", ErrNoDriver)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: opening %s; run as root, give the binary CAP_NET_ADMIN, "+
			"or let root type `ip tuntap add dev NAME mode tap user USER`", ErrPermission, name)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: another program holds %s", ErrBusy, name)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: %s exists as a TUN, a multi-queue TAP or another kind of interface; "+
			"choose another name", ErrNotTAP, name)
	}
	return fmt.Errorf("tuntap: opening %s: %w", name, err)
}

// Info implements link.Device. Addr is zero: the address of the interface is
// the kernel's.
func (t *TAP) Info() link.Info { return t.info }

// Stats returns how many frames could not be moved.
func (t *TAP) Stats() Stats {
	return Stats{TxDropped: t.txDropped.Load(), RxMalformed: t.rxMalformed.Load(), RxUnwanted: t.rxUnwanted.Load()}
}

// ReadFrames implements link.Device.
func (t *TAP) ReadFrames(fs []link.Frame) (n int, err error) {
	if !t.acquire() {
		return 0, link.ErrClosed
	}
	defer t.release()
	for n < len(fs) {
		ok, err := t.readOne(&fs[n])
		if err != nil || !ok {
			return n, err
		}
		if len(fs[n].Head) > 0 {
			n++
		}
	}
	return n, nil
}

// readOne reads the next frame into f, which is left empty when the frame was
// dropped; false means that nothing is there.
func (t *TAP) readOne(f *link.Frame) (bool, error) {
	room(f)
	var hdr [vnetLen]byte
	v := [3]unix.Iovec{iovec(hdr[:]), iovec(f.Head[:cap(f.Head)]), iovec(t.spill)}
	iov, skip := v[:], vnetLen
	if !t.vnet {
		iov, skip = v[1:], 0
	}
	n, errno := vector(unix.SYS_READV, t.fd, iov)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return false, nil
	case unix.EBADFD:
		return false, fmt.Errorf("%w: %s was removed", ErrNoInterface, t.info.Name)
	default:
		return false, fmt.Errorf("tuntap: reading %s: %w", t.info.Name, errno)
	}
	if n < skip+ethernet.HeaderLen {
		t.rxMalformed.Add(1)
		f.Head = f.Head[:0]
		return true, nil
	}
	settle(f, n-skip, t.spill, ethernet.Tag{})
	switch parseVnet(&hdr, f, 0) {
	case malformed:
		t.rxMalformed.Add(1)
		f.Head = f.Head[:0]
	case unwanted:
		t.rxUnwanted.Add(1)
		f.Head = f.Head[:0]
	}
	return true, nil
}

// WriteFrames implements link.Device. A frame whose checksum is partial is
// completed in software when the TAP was opened without offload.
func (t *TAP) WriteFrames(fs []link.Frame) (int, error) {
	if !t.acquire() {
		return 0, link.ErrClosed
	}
	defer t.release()
	t.wmu.Lock()
	defer t.wmu.Unlock()
	for i := range fs {
		if err := t.writeOne(&fs[i]); err != nil {
			return i, err
		}
	}
	return len(fs), nil
}

func (t *TAP) writeOne(f *link.Frame) error {
	if err := checkSize(f, t.info); err != nil {
		return err
	}
	var hdr [vnetLen]byte
	var v [maxVector]unix.Iovec
	var iov []unix.Iovec
	if t.vnet {
		putVnet(&hdr, f)
		v[0] = iovec(hdr[:])
		iov = v[:1+gather(v[1:], f, &t.flat)]
	} else {
		if f.Csum.State == link.CsumPartial {
			t.flat = f.AppendTo(t.flat[:0])
			if err := link.CompleteChecksum(t.flat, f.Csum); err != nil {
				return err
			}
			f = &link.Frame{Head: t.flat}
		}
		iov = v[:gather(v[:], f, &t.flat)]
	}
	_, errno := vector(unix.SYS_WRITEV, t.fd, iov)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.EINTR:
		t.txDropped.Add(1)
	case unix.EIO:
		return fmt.Errorf("%w: %s (`ip link set %s up`)", ErrDown, t.info.Name, t.info.Name)
	case unix.EBADFD:
		return fmt.Errorf("%w: %s was removed", ErrNoInterface, t.info.Name)
	case unix.EINVAL:
		return fmt.Errorf("tuntap: writing %s: %w", t.info.Name, link.ErrDescriptor)
	default:
		return fmt.Errorf("tuntap: writing %s: %w", t.info.Name, errno)
	}
	return nil
}
