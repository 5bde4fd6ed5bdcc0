package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"arpeggio/internal/control"
	"arpeggio/internal/lan"
	"arpeggio/internal/portforward"
	"arpeggio/internal/recording"
	"arpeggio/qemu"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// guestMAC is the address of the guest's card, whatever the wire.
var guestMAC = [6]byte{0x02, 0x50, 0x00, 0x00, 0x00, 0x02}

// wire is what the guest's card is plugged into, and the way from this host's
// published ports to the guest.
type wire interface {
	card() qemu.Net
	address() (guest netip.Prefix, gateway netip.Addr) // invalid: by DHCP
	notes() *recording.Notes                           // of who records the guest's frames; nil: nobody does
	ready(control.Ready)                               // the guest serves
	published(flag string) string                      // where this host publishes what --http or --manage leads to
	close()
}

// openWire makes the wire that --net names.
func (c *vmRunCmd) openWire(ctx context.Context, log *slog.Logger) (wire, error) {
	switch c.Net {
	case "user":
		return c.userWire()
	case "tap":
		return c.openTAPWire(ctx, log)
	}
	binary, err := qemu.FindBinary()
	if err != nil {
		return nil, err
	}
	v, err := qemu.QueryVersion(ctx, binary)
	if err != nil {
		return nil, err
	}
	if !v.StreamNet() {
		note("QEMU %s has no stream network backend (7.2 has): falling back to --net user, without neighbours", v)
		if c.Pcap != "" {
			return nil, usagef("--pcap records the software LAN, which this QEMU cannot be plugged into")
		}
		return c.userWire()
	}
	return c.openLANWire(log)
}

// publication is a port of the guest and where this host publishes it.
type publication struct {
	flag, addr string
	port       uint16
}

// ports returns what is to be published: the flags that are not off.
func (c *vmRunCmd) ports() []publication {
	all := []publication{{"--http", c.HTTP, 80}, {"--manage", c.Manage, managePort}}
	return slices.DeleteFunc(all, func(p publication) bool { return p.addr == "off" })
}

// publisher holds this host's published ports.
type publisher struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	addrs  map[string]string // by flag
}

// publish opens the ports of this host and leads each to its port of the guest.
func (c *vmRunCmd) publish(dial func(ctx context.Context, port uint16) (net.Conn, error), log *slog.Logger) (*publisher, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{cancel: cancel, addrs: map[string]string{}}
	for _, f := range c.ports() {
		ln, err := listen(f.flag, f.addr)
		if err != nil {
			p.close()
			return nil, err
		}
		p.addrs[f.flag] = ln.Addr().String()
		p.work.Go(func() {
			portforward.Serve(ctx, ln, func(ctx context.Context) (net.Conn, error) { return dial(ctx, f.port) }, log)
		})
	}
	return p, nil
}

func (p *publisher) published(flag string) string { return p.addrs[flag] }

func (p *publisher) close() {
	p.cancel()
	p.work.Wait()
}

// guestPort is the name of the guest's port at the software LAN.
const guestPort = "guest"

// lanWire is the software LAN in this process.
type lanWire struct {
	*publisher
	lan    *lan.LAN
	dir    string
	socket net.Listener
	plugs  sync.WaitGroup // who accepts from socket
	pcap   *pcapFile
	fixed  netip.Prefix
}

func (c *vmRunCmd) openLANWire(log *slog.Logger) (_ *lanWire, err error) {
	w := &lanWire{fixed: c.IP}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	cfg := lan.Config{Seed: c.Seed, Stations: c.Stations, GuestMAC: guestMAC, ExpireAfter: c.Expire, Logger: log}
	if c.Stations == 0 {
		cfg.Stations = -1
	}
	if c.IP.IsValid() {
		cfg.Guest = c.IP.Addr()
	}
	if c.Pcap != "" {
		if w.pcap, err = record(c.Pcap, c.PcapSize); err != nil {
			return nil, err
		}
		w.pcap.notes = recording.StartRemote(w.pcap.File)
		cfg.Monitor = w.pcap.notes.Monitor(guestPort, guestMAC)
	}
	if w.lan, err = lan.Start(cfg); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "arpeggio-"); err != nil {
		return nil, err
	}
	if w.socket, err = net.Listen("unix", filepath.Join(w.dir, "wire")); err != nil {
		return nil, err
	}
	w.plugs.Go(func() { w.plug(log) })
	w.publisher, err = c.publish(w.lan.Dial, log)
	return w, err
}

// plug takes QEMU's end of the wire, again after a restart.
func (w *lanWire) plug(log *slog.Logger) {
	for {
		conn, err := w.socket.Accept()
		if err != nil {
			return
		}
		if err := w.lan.Plug(guestPort, tuntap.NewStreamWire(conn, link.Info{Name: guestPort})); err != nil {
			log.Error("plug the guest's card in", "error", err)
		}
	}
}

func (w *lanWire) card() qemu.Net {
	return qemu.Net{Kind: qemu.NetStream, Socket: w.socket.Addr().String()}
}

func (w *lanWire) address() (netip.Prefix, netip.Addr) { return w.fixed, netip.Addr{} }

func (w *lanWire) ready(control.Ready) { w.lan.Populate() }

func (w *lanWire) notes() *recording.Notes {
	if w.pcap == nil {
		return nil
	}
	return w.pcap.notes
}

func (w *lanWire) close() {
	if w.publisher != nil {
		w.publisher.close()
	}
	if w.socket != nil {
		w.socket.Close()
	}
	w.plugs.Wait()
	if w.lan != nil {
		w.lan.Close()
	}
	if w.dir != "" {
		os.RemoveAll(w.dir)
	}
	w.pcap.close()
}

// userWire is QEMU's own gateway, which also publishes the ports.
type userWire struct {
	net   qemu.Net
	addrs map[string]string // by flag
}

func (c *vmRunCmd) userWire() (*userWire, error) {
	if c.IP.IsValid() {
		return nil, usagef("--ip %v: QEMU's own gateway forwards ports to the address that it gives itself; leave --ip away, or use --net lan or tap", c.IP)
	}
	w := &userWire{net: qemu.Net{Kind: qemu.NetUser}, addrs: map[string]string{}}
	for _, f := range c.ports() {
		// QEMU reports a taken port late and tersely: look first. This also
		// picks a free port for port 0.
		ln, err := listen(f.flag, f.addr)
		if err != nil {
			return nil, err
		}
		ln.Close()
		host := ln.Addr().(*net.TCPAddr).AddrPort()
		w.addrs[f.flag] = host.String()
		w.net.Forwards = append(w.net.Forwards, qemu.Forward{Host: host, Guest: f.port})
	}
	return w, nil
}

func (w *userWire) card() qemu.Net                      { return w.net }
func (w *userWire) address() (netip.Prefix, netip.Addr) { return netip.Prefix{}, netip.Addr{} }
func (w *userWire) notes() *recording.Notes             { return nil }
func (w *userWire) ready(control.Ready)                 {}
func (w *userWire) published(flag string) string        { return w.addrs[flag] }
func (w *userWire) close()                              {}

// tapWire is a TAP of this host, with the kernel's stack at the other end.
type tapWire struct {
	*publisher
	name  string
	guest netip.Prefix
	host  netip.Prefix
}

func (c *vmRunCmd) openTAPWire(_ context.Context, log *slog.Logger) (_ *tapWire, err error) {
	w := &tapWire{name: c.Tap, guest: c.IP}
	if !w.guest.IsValid() {
		w.guest = netip.MustParsePrefix("10.9.0.2/24")
	}
	// The host takes the network's first address that is not the guest's.
	first := w.guest.Masked().Addr().Next()
	if first == w.guest.Addr() {
		first = first.Next()
	}
	w.host = netip.PrefixFrom(first, w.guest.Bits())
	if err := tuntap.CreatePersistent(c.Tap, os.Getuid()); err != nil {
		if errors.Is(err, tuntap.ErrPermission) {
			return nil, withHint(err, "--net lan, the default, needs no privilege")
		}
		if errors.Is(err, tuntap.ErrBusy) {
			return nil, withHint(err, "if that interface is somebody's, choose another name with --tap NAME (make run: RUNARGS='--tap NAME')")
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := tuntap.Configure(c.Tap, w.host); err != nil {
		return nil, err
	}
	w.publisher, err = c.publish(func(ctx context.Context, port uint16) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(w.guest.Addr(), port).String())
	}, log)
	return w, err
}

func (w *tapWire) card() qemu.Net { return qemu.Net{Kind: qemu.NetTAP, TAP: w.name} }

func (w *tapWire) address() (netip.Prefix, netip.Addr) { return w.guest, w.host.Addr() }

func (w *tapWire) notes() *recording.Notes { return nil }

func (w *tapWire) ready(control.Ready) {
	note("TAP %s: this host is %v, the guest %v", w.name, w.host.Addr(), w.guest.Addr())
}

func (w *tapWire) close() {
	if w.publisher != nil {
		w.publisher.close()
	}
	// QEMU lets go of the TAP a moment after it has ended.
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := tuntap.Remove(w.name); err == nil || time.Now().After(deadline) {
			if err != nil {
				fmt.Fprintf(os.Stderr, "arpeggio: %v; remove it with: ip link del %s\n", err, w.name)
			}
			return
		}
	}
}
