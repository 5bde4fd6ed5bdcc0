package qemu

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
)

// Defaults of Config.
const (
	DefaultMemory = 256 // MiB
	DefaultCPUs   = 1
)

// Config describes a machine. Kernel and Initrd are required; the zero values
// of all other fields work.
type Config struct {
	Binary  string // path of the emulator; "" means FindBinary
	Kernel  string // bzImage
	Initrd  string
	Cmdline string // of the kernel, at most MaxCmdline octets

	Memory int // MiB; 0 means DefaultMemory
	CPUs   int // 0 means DefaultCPUs
	Accel  Accelerator

	Net  Net
	MAC  [6]byte // of the card; zero lets QEMU choose 52:54:00:12:34:56
	Disk Disk

	// Console is the file that receives the serial console, truncated at
	// start; "" keeps it in the machine's private directory until it ends.
	Console string
	// Ports are names of virtio-serial ports; Machine.Port returns their ends.
	Ports []string

	// OnStall is called when the host has no room for what the guest writes to
	// its disk: QEMU pauses the machine, and it goes on by itself as soon as there
	// is room. The reason is the system's; it is "" when the machine goes on. Calls
	// come one at a time, from a goroutine of their own. nil: nobody is told.
	OnStall func(reason string)

	Logger *slog.Logger // nil discards
}

// MaxCmdline is the longest kernel command line (COMMAND_LINE_SIZE on x86, less
// the terminating zero).
const MaxCmdline = 2047

// NetKind is the wire that the guest's card is plugged into.
type NetKind uint8

const (
	NetNone   NetKind = iota // no card
	NetUser                  // QEMU's own gateway (slirp), with forwarded ports
	NetStream                // a Unix stream socket: frames with a 4-octet length before each
	NetTAP                   // an existing TAP interface of the host
)

// Net describes the guest's network card.
type Net struct {
	Kind     NetKind
	Forwards []Forward // of NetUser
	Socket   string    // of NetStream: a path on which somebody listens already
	TAP      string    // of NetTAP: the interface's name
}

// Forward leads a TCP port of the host to one of the guest.
type Forward struct {
	Host  netip.AddrPort // an invalid address means all
	Guest uint16         // at the address that QEMU's DHCP server gives, 10.0.2.15
}

// Disk describes the data disk. The zero value means none.
type Disk struct {
	Path  string
	Cache CacheMode
}

// CacheMode says how the host caches the data disk.
type CacheMode uint8

const (
	// CacheWriteback uses the host's page cache; the guest's flushes reach the disk.
	CacheWriteback CacheMode = iota
	// CacheNone goes around the host's page cache (O_DIRECT); not every file
	// system can.
	CacheNone
)

// sockets are the paths on which this package listens for QEMU.
type sockets struct {
	qmp     string
	ports   []string
	console string
}

// args returns QEMU's command line without the program's name.
func (c *Config) args(s sockets) []string {
	cpu := "max,-svm"
	if c.Accel.Kind == KVM {
		cpu = "host"
	}
	a := []string{
		"-name", "arpeggio", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "q35,accel=" + c.Accel.Kind.String(),
		"-cpu", cpu,
		"-m", fmt.Sprintf("%dM", c.Memory),
		"-smp", fmt.Sprint(c.CPUs),
		"-kernel", c.Kernel, "-initrd", c.Initrd, "-append", c.Cmdline,
		"-chardev", "file,id=console,path=" + escape(s.console), "-serial", "chardev:console",
		"-chardev", "socket,id=qmp,path=" + escape(s.qmp), "-mon", "chardev=qmp,mode=control",
		"-device", "virtio-rng-pci",
	}
	if len(s.ports) > 0 {
		a = append(a, "-device", "virtio-serial-pci")
		for i, path := range s.ports {
			a = append(a, "-chardev", fmt.Sprintf("socket,id=port%d,path=%s", i, escape(path)),
				"-device", fmt.Sprintf("virtserialport,chardev=port%d,name=%s", i, escape(c.Ports[i])))
		}
	}
	return append(append(a, c.diskArgs()...), c.netArgs()...)
}

func (c *Config) diskArgs() []string {
	if c.Disk.Path == "" {
		return nil
	}
	direct := "off"
	if c.Disk.Cache == CacheNone {
		direct = "on"
	}
	return []string{
		"-blockdev", fmt.Sprintf("driver=raw,node-name=data,discard=unmap,cache.direct=%s,file.driver=file,file.discard=unmap,file.cache.direct=%s,file.filename=%s",
			direct, direct, escape(c.Disk.Path)),
		"-device", "virtio-blk-pci,drive=data,serial=data",
	}
}

func (c *Config) netArgs() []string {
	var dev string
	switch c.Net.Kind {
	case NetNone:
		return nil
	case NetUser:
		dev = "user,id=net,ipv6=off"
		for _, f := range c.Net.Forwards {
			host := ""
			if f.Host.Addr().IsValid() {
				host = f.Host.Addr().String()
			}
			dev += fmt.Sprintf(",hostfwd=tcp:%s:%d-:%d", host, f.Host.Port(), f.Guest)
		}
	case NetStream:
		dev = "stream,id=net,server=off,addr.type=unix,addr.path=" + escape(c.Net.Socket)
	case NetTAP:
		dev = "tap,id=net,script=no,downscript=no,ifname=" + escape(c.Net.TAP)
	}
	// Without an option ROM the firmware does not try to boot from the network.
	card := "virtio-net-pci,netdev=net,romfile="
	if c.MAC != [6]byte{} {
		card += fmt.Sprintf(",mac=%02x:%02x:%02x:%02x:%02x:%02x", c.MAC[0], c.MAC[1], c.MAC[2], c.MAC[3], c.MAC[4], c.MAC[5])
	}
	return []string{"-netdev", dev, "-device", card}
}

// escape doubles commas, which separate QEMU's options.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// withDefaults fills in what is zero and checks what QEMU would refuse with a
// worse message.
func (c Config) withDefaults() (Config, error) {
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.CPUs == 0 {
		c.CPUs = DefaultCPUs
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnStall == nil {
		c.OnStall = func(string) {}
	}
	for _, f := range []struct{ what, path string }{{"kernel", c.Kernel}, {"initramfs", c.Initrd}} {
		if f.path == "" {
			return c, fmt.Errorf("qemu: no %s given", f.what)
		}
		if _, err := os.Stat(f.path); err != nil {
			return c, fmt.Errorf("qemu: %s: %w", f.what, err)
		}
	}
	if c.Net.Kind == NetTAP && c.Net.TAP == "" {
		return c, fmt.Errorf("qemu: no TAP interface named for the guest's card")
	}
	if c.Net.Kind == NetStream {
		if err := checkSocketPath(c.Net.Socket); err != nil {
			return c, err
		}
	}
	if n := len(c.Cmdline); n > MaxCmdline {
		return c, fmt.Errorf("qemu: the kernel's command line has %d octets, the kernel takes %d; pass less on it", n, MaxCmdline)
	}
	if c.MAC[0]&1 != 0 {
		return c, fmt.Errorf("qemu: MAC address %x is a group address; its first octet must be even", c.MAC)
	}
	return c, nil
}
