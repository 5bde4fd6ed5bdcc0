package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// cardPatience is how long a driver may take to show a card that the machine has.
const cardPatience = 500 * time.Millisecond

// findCard finds the first network card (the lowest index with a device behind
// it), makes sure that the kernel itself says nothing on it, and brings it up.
// A machine without one has the zero Card.
func findCard() (Card, error) {
	var first *net.Interface
	for end := time.Now().Add(cardPatience); first == nil; time.Sleep(10 * time.Millisecond) {
		all, err := net.Interfaces()
		if err != nil {
			return Card{}, fmt.Errorf("network cards: %w", err)
		}
		for i := range all {
			if isCard(&all[i]) && (first == nil || all[i].Index < first.Index) {
				first = &all[i]
			}
		}
		if first == nil && time.Now().After(end) {
			return Card{}, nil
		}
	}
	if err := silence(first); err != nil {
		return Card{}, err
	}
	if err := bringUp(first.Name); err != nil {
		return Card{}, fmt.Errorf("network card %s: bring up: %w", first.Name, err)
	}
	return Card{Name: first.Name, Index: first.Index, Addr: [6]byte(first.HardwareAddr), MTU: first.MTU}, nil
}

// isCard reports whether i is an Ethernet interface with a device behind it, as
// loopback and tunnels have not.
func isCard(i *net.Interface) bool {
	if i.Flags&net.FlagLoopback != 0 || len(i.HardwareAddr) != 6 {
		return false
	}
	_, err := os.Stat(filepath.Join("/sys/class/net", i.Name, "device"))
	return err == nil
}

// silence checks that the kernel has no address on the card, and switches off
// IPv6, which would announce itself as soon as the card is up.
func silence(i *net.Interface) error {
	for _, who := range []string{"all", "default", i.Name} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+who+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // absent with ipv6.disable=1
			return fmt.Errorf("network card %s: silence the kernel's IPv6: %w", i.Name, err)
		}
	}
	addrs, err := i.Addrs()
	if err != nil {
		return fmt.Errorf("network card %s: %w", i.Name, err)
	}
	if len(addrs) > 0 {
		return &Fatal{fmt.Sprintf("the kernel has address %v on %s and would answer for it", addrs[0], i.Name),
			"remove ip= from the kernel's command line"}
	}
	return nil
}

func bringUp(name string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, r); err != nil {
		return err
	}
	r.SetUint16(r.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}
