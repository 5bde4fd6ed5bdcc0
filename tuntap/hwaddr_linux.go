package tuntap

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
)

// hwaddr reads the struct sockaddr that SIOCGIFHWADDR left behind the name, for
// which unix.Ifreq has no accessor.
func hwaddr(r *unix.Ifreq) (family uint16, a ethernet.Addr) {
	sa := (*unix.RawSockaddr)(unsafe.Add(unsafe.Pointer(r), unix.IFNAMSIZ))
	for i := range a {
		a[i] = byte(sa.Data[i])
	}
	return sa.Family, a
}
