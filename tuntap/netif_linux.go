package tuntap

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
)

// checkName reports names that no interface can have (dev_valid_name in the
// kernel).
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return fmt.Errorf("%w: %q", ErrName, name)
	case len(name) >= unix.IFNAMSIZ:
		return fmt.Errorf("%w: %q has %d octets, at most %d fit", ErrName, name, len(name), unix.IFNAMSIZ-1)
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '/' || r == ':' || r == '%' || r == 0x7f }):
		return fmt.Errorf("%w: %q contains a space, a slash, a colon, a percent sign or a control character", ErrName, name)
	}
	return nil
}

// netif asks about and changes one network interface, through a socket of the
// network namespace that the calling thread is in.
type netif struct {
	fd   int
	name string
}

func openNetif(name string) (*netif, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		// A kernel may come without IPv4.
		fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("tuntap: %s: socket: %w", name, err)
	}
	return &netif{fd, name}, nil
}

func (n *netif) close() { unix.Close(n.fd) }

// call makes one SIOCGIF… or SIOCSIF… request; set fills it in.
func (n *netif) call(req uint, set func(*unix.Ifreq)) (*unix.Ifreq, error) {
	r, err := unix.NewIfreq(n.name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrName, n.name)
	}
	if set != nil {
		set(r)
	}
	err = unix.IoctlIfreq(n.fd, req, r)
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("%w: %s (`ip link` lists them)", ErrNoInterface, n.name)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("%w: changing interface %s; run as root or give CAP_NET_ADMIN", ErrPermission, n.name)
	case err != nil:
		return nil, fmt.Errorf("tuntap: %s: %w", n.name, err)
	}
	return r, nil
}

func (n *netif) index() (int, error) {
	r, err := n.call(unix.SIOCGIFINDEX, nil)
	if err != nil {
		return 0, err
	}
	return int(r.Uint32()), nil
}

func (n *netif) mtu() (int, error) {
	r, err := n.call(unix.SIOCGIFMTU, nil)
	if err != nil {
		return 0, err
	}
	return int(r.Uint32()), nil
}

func (n *netif) setMTU(mtu int) error {
	_, err := n.call(unix.SIOCSIFMTU, func(r *unix.Ifreq) { r.SetUint32(uint32(mtu)) })
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("tuntap: %s does not take an MTU of %d octets", n.name, mtu)
	}
	return err
}

// up brings the interface up; it asks for nothing when it is.
func (n *netif) up() error {
	r, err := n.call(unix.SIOCGIFFLAGS, nil)
	if err != nil {
		return err
	}
	flags := r.Uint16()
	if flags&unix.IFF_UP != 0 {
		return nil
	}
	_, err = n.call(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) { r.SetUint16(flags | unix.IFF_UP) })
	return err
}

// carrierWait is how long ready waits for a carrier: the kernel may take a
// second to notice one, and drops what is sent meanwhile without a word.
const carrierWait = 1200 * time.Millisecond

// ready brings the interface up and waits a moment for its carrier. An
// interface without one, its cable unplugged, is no error.
func (n *netif) ready() error {
	if err := n.up(); err != nil {
		return err
	}
	for deadline := time.Now().Add(carrierWait); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		r, err := n.call(unix.SIOCGIFFLAGS, nil)
		if err != nil || r.Uint16()&unix.IFF_RUNNING != 0 {
			return err
		}
	}
	return nil
}

// hardware returns the address of an Ethernet interface.
func (n *netif) hardware() (ethernet.Addr, error) {
	r, err := n.call(unix.SIOCGIFHWADDR, nil)
	if err != nil {
		return ethernet.Addr{}, err
	}
	family, addr := hwaddr(r)
	if family != unix.ARPHRD_ETHER && family != unix.ARPHRD_LOOPBACK {
		return ethernet.Addr{}, fmt.Errorf("tuntap: %s is no Ethernet interface (hardware type %d)", n.name, family)
	}
	return addr, nil
}
