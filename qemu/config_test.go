package qemu

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files makes empty stand-ins for kernel and initramfs.
func files(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	c := Config{Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initramfs")}
	for _, f := range []string{c.Kernel, c.Initrd} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestArguments(t *testing.T) {
	c := files(t)
	c.Kernel, c.Initrd = "vmlinuz", "initramfs"
	c.Cmdline, c.Memory, c.CPUs = "quiet a=b", 192, 1
	c.MAC = [6]byte{2, 0, 0, 0, 0, 0x7f}
	c.Ports = []string{"one"}
	s := sockets{qmp: "/run/qmp", ports: []string{"/run/a,b"}, console: "/run/console"}
	const base = "-name arpeggio -nodefaults -no-user-config -no-reboot -display none -machine q35,accel=tcg -cpu max,-svm -m 192M -smp 1" +
		" -kernel vmlinuz -initrd initramfs -append quiet a=b" +
		" -chardev file,id=console,path=/run/console -serial chardev:console" +
		" -chardev socket,id=qmp,path=/run/qmp -mon chardev=qmp,mode=control -device virtio-rng-pci" +
		" -device virtio-serial-pci -chardev socket,id=port0,path=/run/a,,b -device virtserialport,chardev=port0,name=one"
	const card = " -device virtio-net-pci,netdev=net,romfile=,mac=02:00:00:00:00:7f"
	for _, k := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no card", func(*Config) {}, base},
		{"user", func(c *Config) {
			c.Net = Net{Kind: NetUser, Forwards: []Forward{{netip.MustParseAddrPort("127.0.0.1:8080"), 80}, {netip.AddrPortFrom(netip.Addr{}, 8081), 81}}}
		}, base + " -netdev user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp::8081-:81" + card},
		{"stream", func(c *Config) { c.Net = Net{Kind: NetStream, Socket: "/run/wire"} },
			base + " -netdev stream,id=net,server=off,addr.type=unix,addr.path=/run/wire" + card},
		{"tap", func(c *Config) { c.Net = Net{Kind: NetTAP, TAP: "tap0"} },
			base + " -netdev tap,id=net,script=no,downscript=no,ifname=tap0" + card},
		{"disk", func(c *Config) { c.Disk = Disk{Path: "/d,x"} },
			base + " -blockdev driver=raw,node-name=data,discard=unmap,cache.direct=off,file.driver=file,file.discard=unmap,file.cache.direct=off,file.filename=/d,,x -device virtio-blk-pci,drive=data,serial=data"},
		{"disk around the cache", func(c *Config) { c.Disk = Disk{Path: "/d", Cache: CacheNone} },
			base + " -blockdev driver=raw,node-name=data,discard=unmap,cache.direct=on,file.driver=file,file.discard=unmap,file.cache.direct=on,file.filename=/d -device virtio-blk-pci,drive=data,serial=data"},
		{"KVM", func(c *Config) { c.Accel.Kind = KVM },
			strings.Replace(strings.Replace(base, "accel=tcg", "accel=kvm", 1), "max,-svm", "host", 1)},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := c
			k.change(&c)
			if got := strings.Join(c.args(s), " "); got != k.want {
				t.Errorf("got\n%s\nwant\n%s", got, k.want)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, k := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"no kernel", func(c *Config) { c.Kernel = "" }, "no kernel given"},
		{"missing kernel", func(c *Config) { c.Kernel += "x" }, "kernel: stat"},
		{"missing initramfs", func(c *Config) { c.Initrd += "x" }, "initramfs: stat"},
		{"long command line", func(c *Config) { c.Cmdline = strings.Repeat("x", MaxCmdline+1) }, "2048 octets"},
		{"group address", func(c *Config) { c.MAC[0] = 1 }, "group address"},
		{"unnamed TAP", func(c *Config) { c.Net.Kind = NetTAP }, "no TAP interface"},
		{"no socket", func(c *Config) { c.Net.Kind = NetStream }, "no socket"},
		{"long socket", func(c *Config) { c.Net = Net{Kind: NetStream, Socket: "/" + strings.Repeat("x", maxSocketPath)} }, "shorter directory"},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := files(t)
			k.change(&c)
			if _, err := c.withDefaults(); err == nil || !strings.Contains(err.Error(), k.says) {
				t.Errorf("got %v, want something with %q", err, k.says)
			}
		})
	}
	if c, err := files(t).withDefaults(); err != nil || c.Memory != DefaultMemory || c.CPUs != DefaultCPUs {
		t.Errorf("%+v %v", c, err)
	}
}
