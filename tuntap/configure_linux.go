package tuntap

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Configure brings an interface of this host up and gives it an IPv4 address,
// in place of the one it may have had: the other end of a TAP, as a person would
// with `ip addr add` and `ip link set up`.
func Configure(name string, p netip.Prefix) error {
	if !p.IsValid() || !p.Addr().Is4() {
		return fmt.Errorf("tuntap: %s: %v is not an IPv4 address with the length of its prefix", name, p)
	}
	if err := checkName(name); err != nil {
		return err
	}
	n, err := openNetif(name)
	if err != nil {
		return err
	}
	defer n.close()
	addr := p.Addr().As4()
	if _, err := n.call(unix.SIOCSIFADDR, func(r *unix.Ifreq) { r.SetInet4Addr(addr[:]) }); err != nil {
		return err
	}
	mask := net.CIDRMask(p.Bits(), 32)
	if _, err := n.call(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) { r.SetInet4Addr(mask) }); err != nil {
		return err
	}
	return n.up()
}
