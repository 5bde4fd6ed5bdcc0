package stack

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// Errors of AddInterface and of the address calls.
var (
	ErrNoDevice   = errors.New("stack: an interface needs a Device")
	ErrNoResolver = errors.New("stack: an interface needs a Resolver; StaticResolver is the simplest")
	ErrInUse      = errors.New("stack: the device carries this VLAN already")
	ErrMTU        = errors.New("stack: the device's MTU is below 68, the least of IPv4 (RFC 791)")
	ErrAddress    = errors.New("stack: not an IPv4 address that a host may have")
	ErrNoAddress  = errors.New("stack: the interface does not have this address")
	ErrGateway    = errors.New("stack: the gateway is not on a network of the interface")
)

// minMTU is the least MTU of a device (RFC 791 §3.2). What others say does not make
// TCP's segments smaller than 48 octets, because less would be a denial of service,
// and fragments are forbidden: no interface of a wider device is made narrower than
// that.
const (
	minMTU    = 68
	narrowMTU = 48 + tcp.HeaderLen + ipv4.MinHeaderLen
)

// InterfaceConfig describes an interface: one broadcast domain of one device.
// Device and Resolver are required.
type InterfaceConfig struct {
	// Name is for people and for binding sockets; the default is the device's,
	// with the VLAN behind a dot.
	Name string
	// Device carries the frames. The stack owns it from now on: it is closed
	// with its last interface.
	Device link.Device
	// VLAN is the broadcast domain; the zero value is untagged.
	VLAN ethernet.VLAN
	// Addr is the interface's MAC address; the default is the device's or,
	// when that has none, a locally administered random one.
	Addr ethernet.Addr
	// Resolver finds neighbours. The stack closes it with the interface when
	// it is a ResolverCloser. It serves one interface.
	Resolver Resolver
	// Addresses with the length of their network's prefix. The first is the
	// preferred source. More may come and go later.
	Addresses []netip.Prefix
	// Gateway, when valid, is the next hop of a default route.
	Gateway netip.Addr
	// Conflict, when not nil, is told that another station claims an address
	// of ours for good (RFC 5227 §2.4); Addresses tells whether it is still ours,
	// which the resolver decides (AddressHolder). No lock is held, but the resolver may
	// wait for its return: it must not remove the interface or close the stack.
	Conflict func(addr netip.Addr, mac ethernet.Addr)
}

// Interface is one broadcast domain of one device, with addresses of ours.
type Interface struct {
	s        *Stack
	dev      link.Device
	port     *port
	name     string
	index    uint32 // from 1, never used again
	vlan     ethernet.VLAN
	mac      ethernet.Addr
	mtu      int
	header   ethernet.Header // of frames sent, but for Dst and Type
	resolver Resolver
	frames   FrameHandler
	types    []ethernet.EtherType
	confirm  Confirmer
	conflict func(netip.Addr, ethernet.Addr)
	done     func(netip.Addr, ethernet.Addr, error) // resolved, bound once

	// Guarded by s.mu.
	addrs    []netip.Prefix
	groups   *groups // nil while nobody has joined
	gone     bool
	lastSent uint64 // the batch with the last frame that was queued, counted as txQueue.taken

	txMu sync.Mutex // the header scratch of send
	buf  []byte
}

// AddInterface puts an interface into service and starts the run loop of its
// device if it is the device's first. After an error the device may have been
// closed (when a concurrent call took one of the addresses); closing it again
// does no harm.
func (s *Stack) AddInterface(cfg InterfaceConfig) (*Interface, error) {
	i, err := s.newInterface(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Gateway.IsValid() && !slices.ContainsFunc(cfg.Addresses, func(p netip.Prefix) bool { return p.Contains(cfg.Gateway) }) {
		return nil, fmt.Errorf("%w: %v", ErrGateway, cfg.Gateway)
	}
	for n, p := range cfg.Addresses {
		if err := CheckAddress(p); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(cfg.Addresses[:n], func(o netip.Prefix) bool { return o.Addr() == p.Addr() }) {
			return nil, takenError(p.Addr(), i)
		}
	}
	if u, ok := cfg.Resolver.(LinkUser); ok {
		u.AttachLink(i.name, i.mac, i.vlan, i.mtu, i.send)
	}
	i.confirm, _ = cfg.Resolver.(Confirmer)
	if i.frames, _ = cfg.Resolver.(FrameHandler); i.frames != nil {
		i.types = i.frames.EtherTypes()
	}
	if err := s.attach(i, cfg.Addresses); err != nil {
		return nil, err
	}
	for _, p := range cfg.Addresses {
		if err := i.AddAddress(p); err != nil {
			return nil, errors.Join(err, s.RemoveInterface(i))
		}
	}
	if cfg.Gateway.IsValid() {
		if err := s.AddRoute(Route{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Interface: i, NextHop: cfg.Gateway}); err != nil {
			return nil, errors.Join(err, s.RemoveInterface(i))
		}
	}
	s.cfg.Logger.Info("interface added", "interface", i.name, "mac", i.mac.String(), "mtu", i.mtu, "addresses", cfg.Addresses)
	return i, nil
}

func (s *Stack) newInterface(cfg InterfaceConfig) (*Interface, error) {
	if cfg.Device == nil {
		return nil, ErrNoDevice
	}
	if cfg.Resolver == nil {
		return nil, ErrNoResolver
	}
	info := cfg.Device.Info()
	if info.MTU < minMTU {
		return nil, fmt.Errorf("%w: %s has %d", ErrMTU, info.Name, info.MTU)
	}
	i := &Interface{
		s: s, dev: cfg.Device, name: cfg.Name, vlan: cfg.VLAN, mac: cfg.Addr, mtu: min(info.MTU, ipv4.MaxLen),
		resolver: cfg.Resolver, conflict: cfg.Conflict,
	}
	if i.name == "" {
		if i.name = info.Name; !i.vlan.IsZero() {
			i.name += "." + i.vlan.String()
		}
	}
	if i.mac.IsZero() {
		i.mac = info.Addr
	}
	if i.mac.IsZero() {
		s.random(i.mac[:])
		i.mac[0] = i.mac[0]&^1 | 2
	}
	if !i.mac.IsStation() {
		return nil, fmt.Errorf("stack: interface %s: %v is a group address, want a station's", i.name, i.mac)
	}
	i.done = i.resolved
	i.header.Src = i.mac
	i.header.SetVLAN(i.vlan)
	return i, nil
}

// attach enters i into the tables and starts the device's loop.
func (s *Stack) attach(i *Interface, addrs []netip.Prefix) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	for _, a := range addrs {
		if o := s.own[a.Addr()]; o != nil {
			return takenError(a.Addr(), o)
		}
	}
	for _, o := range s.ifaces {
		if o.name == i.name {
			return fmt.Errorf("stack: there is an interface %q already; give this one another Name", i.name)
		}
	}
	s.indexes++
	i.index = s.indexes
	for _, p := range s.ports {
		if p.dev != i.dev {
			continue
		}
		if p.byVLAN(i.vlan) != nil {
			return fmt.Errorf("%w: %s, VLAN %v", ErrInUse, p.info.Name, i.vlan)
		}
		next := append(slices.Clone(p.interfaces()), i)
		i.port = p
		p.ifaces.Store(&next)
		s.ifaces = append(s.ifaces, i)
		return nil
	}
	p := &port{s: s, dev: i.dev, info: i.dev.Info()}
	p.ifaces.Store(&[]*Interface{i})
	i.port = p
	s.ports = append(s.ports, p)
	s.ifaces = append(s.ifaces, i)
	s.loops.Go(p.run)
	return nil
}

// RemoveInterface takes i out of service: its routes and addresses go, its
// resolver is closed and, with the last interface of a device, so is the
// device. Connections over it end with ENETDOWN.
func (s *Stack) RemoveInterface(i *Interface) error {
	s.mu.Lock()
	if i.gone {
		s.mu.Unlock()
		return nil
	}
	i.dropGroups(s.now())
	s.written(i.lastSent) // what was sent over it leaves before
	if i.gone {           // another caller was faster
		s.mu.Unlock()
		return nil
	}
	i.gone = true
	i.dropGroups(s.now())
	s.ifaces = slices.DeleteFunc(s.ifaces, func(o *Interface) bool { return o == i })
	s.routes = slices.DeleteFunc(s.routes, func(r route) bool { return r.Interface == i })
	s.pruneGateways()
	for _, p := range i.addrs {
		delete(s.own, p.Addr())
	}
	i.addrs = nil
	rest := slices.DeleteFunc(slices.Clone(i.port.interfaces()), func(o *Interface) bool { return o == i })
	i.port.ifaces.Store(&rest)
	if len(rest) == 0 {
		s.ports = slices.DeleteFunc(s.ports, func(p *port) bool { return p == i.port })
	}
	s.pending.dropInterface(i)
	now := s.now()
	for _, c := range s.conns {
		if c.route.Interface == i || !s.local(c.m.Local().Addr()) {
			c.kill(errNetDown, now)
		}
	}
	s.rerouted()
	s.unlock(now)
	var errs []error
	if c, ok := i.resolver.(ResolverCloser); ok {
		errs = append(errs, c.Close())
	}
	if len(rest) == 0 {
		errs = append(errs, i.dev.Close())
	}
	s.cfg.Logger.Info("interface removed", "interface", i.name)
	return errors.Join(errs...)
}

// Interfaces returns the interfaces in the order in which they were added.
func (s *Stack) Interfaces() []*Interface {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ifaces)
}

// InterfaceByName returns the interface of that name, nil when there is none.
func (s *Stack) InterfaceByName(name string) *Interface {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.ifaces {
		if i.name == name {
			return i
		}
	}
	return nil
}

// Name returns the interface's name.
func (i *Interface) Name() string { return i.name }

// Addr returns the interface's MAC address.
func (i *Interface) Addr() ethernet.Addr { return i.mac }

// Index returns the interface's number, which programs know interfaces by; it
// is not given to another one.
func (i *Interface) Index() int { return int(i.index) }

// VLAN returns the interface's broadcast domain, zero when untagged.
func (i *Interface) VLAN() ethernet.VLAN { return i.vlan }

// MTU returns the interface's largest packet in octets.
func (i *Interface) MTU() int {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	return i.mtu
}

// SetMTU bounds the packets that the interface sends, from 88 octets, or what the
// device takes if that is less, up to what it takes; 0 means that. Connections send smaller segments from then on where
// they must, and larger ones again when it rises and their path carries them.
func (i *Interface) SetMTU(mtu int) error {
	most := min(i.port.info.MTU, ipv4.MaxLen)
	if mtu == 0 {
		mtu = most
	}
	if least := min(narrowMTU, most); mtu < least || mtu > most {
		return fmt.Errorf("stack: %s carries packets of %d to %d octets, not %d", i.name, least, most, mtu)
	}
	s := i.s
	s.mu.Lock()
	now := s.now()
	i.mtu = mtu
	for _, c := range s.conns {
		if c.route.Interface == i {
			c.m.SetLinkMSS(now, mtu-ipv4.MinHeaderLen-tcp.HeaderLen)
			c.changed()
		}
	}
	s.unlock(now)
	return nil
}

// Addresses returns the interface's addresses, the preferred one first.
func (i *Interface) Addresses() []netip.Prefix {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	return slices.Clone(i.addrs)
}

// String returns the name.
func (i *Interface) String() string { return i.name }

// send is what a LinkUser sends with.
func (i *Interface) send(dst ethernet.Addr, t ethernet.EtherType, payload []byte) error {
	i.txMu.Lock()
	defer i.txMu.Unlock()
	h := i.header
	h.Dst, h.Type = dst, t
	i.buf = append(h.AppendTo(i.buf[:0]), payload...)
	_, err := i.dev.WriteFrames([]link.Frame{{Head: i.buf}})
	return err
}
