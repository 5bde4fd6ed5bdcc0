package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
)

// settle brings interface and readers to what the engine knows. A lease that
// cannot be used goes back to the server.
func (c *DHCPClient) settle(ctx context.Context) {
	e := c.engine
	c.giveUp()
	for _, n := range e.notices {
		c.log.Warn(n)
	}
	e.notices = nil
	if e.fresh {
		e.fresh = false
		if a := e.lease.Addr.Addr(); c.cfg.InUse != nil && c.cfg.InUse(ctx, a) && ctx.Err() == nil {
			c.log.Warn("another station uses the address that the DHCP server offered; declined", "address", a, "server", e.lease.Server)
			e.refused["in use"]++
			e.reject(time.Now(), "another station uses it")
		}
	}
	if !e.lease.IsZero() {
		c.local = netip.Prefix{}
	}
	c.seekLocal(ctx, time.Now())
	want := e.lease
	if want.IsZero() {
		want = Lease{Addr: c.local}
	}
	if err := c.apply(want); err != nil {
		c.log.Warn("an address cannot be used", "address", want.Addr, "err", err)
		if c.local.IsValid() {
			c.local, c.localNext = netip.Prefix{}, time.Now().Add(localRetry)
		}
		if !e.lease.IsZero() {
			e.refused["not usable"]++
			e.reject(time.Now(), "not usable here")
		}
		_ = c.apply(Lease{}) // what the error left over; the interface is gone when this fails too
	}
}

// Conflict says that another station claims an address of the interface for good
// (RFC 5227 §2.4); it fits stack.InterfaceConfig.Conflict. A leased address is
// declined and another one asked for, a link-local one replaced. Others are not
// the client's. It may be called at any time and does not wait.
func (c *DHCPClient) Conflict(a netip.Addr, _ ethernet.Addr) {
	c.mu.Lock()
	c.lost = append(c.lost, a)
	c.mu.Unlock()
	c.look.set()
}

// giveUp draws the consequences of conflicts.
func (c *DHCPClient) giveUp() {
	c.mu.Lock()
	lost := c.lost
	c.lost = nil
	c.mu.Unlock()
	for _, a := range lost {
		switch e := c.engine; a {
		case e.lease.Addr.Addr():
			c.log.Warn("another station claims the leased address; declined", "address", a, "server", e.lease.Server)
			e.refused["claimed"]++
			e.reject(time.Now(), "another station claims it")
		case c.local.Addr():
			c.log.Warn("another station claims the link-local address; choosing another", "address", a)
			e.refused["claimed"]++
			c.local = netip.Prefix{}
		}
	}
}

// apply moves the interface from the lease it has to l.
func (c *DHCPClient) apply(l Lease) error {
	old, _ := c.Lease()
	if i := c.cfg.Interface; i != nil && !old.same(l) {
		if err := c.configure(i, old, l); err != nil {
			return fmt.Errorf("host: DHCP lease on %s: %w", i.Name(), err)
		}
	}
	c.publish(l, nil, false)
	if old.same(l) {
		if c.cfg.Renewed != nil && !old.Expiry.Equal(l.Expiry) {
			c.cfg.Renewed(l.clone())
		}
		return nil
	}
	switch {
	case l.IsZero():
		c.log.Info("DHCP lease lost", "address", old.Addr)
	case l.LinkLocal():
		c.log.Info("no DHCP server; link-local address", "address", l.Addr)
	default:
		c.log.Info("DHCP lease", "address", l.Addr, "router", l.Router, "server", l.Server, "expiry", l.Expiry)
	}
	if c.cfg.Changed != nil {
		c.cfg.Changed(old, l)
	}
	return nil
}

// configure replaces old by l on the interface, or changes nothing and returns why.
// What both have stays untouched, and with it the connections. What is new comes
// first, since only that can fail.
func (c *DHCPClient) configure(i *stack.Interface, old, l Lease) (err error) {
	s, before, after := c.cfg.Stack, old.stackRoutes(i), l.stackRoutes(i)
	var undo []func() error
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				err = errors.Join(err, f())
			}
		}
	}()
	if old.Addr != l.Addr && old.Addr.Addr() == l.Addr.Addr() { // an interface has an address with one prefix only
		if i.RemoveAddress(old.Addr.Addr()) == nil {
			undo = append(undo, func() error { return i.AddAddress(old.Addr) })
		}
	}
	if old.Addr != l.Addr && !l.IsZero() {
		if err := i.AddAddress(l.Addr); err != nil {
			return err
		}
		undo = append(undo, func() error { return i.RemoveAddress(l.Addr.Addr()) })
	}
	for _, r := range after {
		if slices.Contains(before, r) {
			continue
		}
		if err := s.AddRoute(r); err != nil {
			return err
		}
		undo = append(undo, func() error { return s.RemoveRoute(r) })
	}
	if old.MTU != l.MTU {
		setMTU(i, l.MTU)
	}
	for _, r := range before {
		if !slices.Contains(after, r) {
			_ = s.RemoveRoute(r) // fails only when somebody else has removed it
		}
	}
	if !old.IsZero() && old.Addr.Addr() != l.Addr.Addr() {
		_ = i.RemoveAddress(old.Addr.Addr()) // likewise
	}
	return nil
}

// setMTU takes the server's word where the device can keep it.
func setMTU(i *stack.Interface, mtu int) {
	if mtu == 0 || i.SetMTU(mtu) != nil {
		_ = i.SetMTU(0) // what the device takes: never refused
	}
}

// stackRoutes returns what l adds to the route table.
func (l Lease) stackRoutes(i *stack.Interface) (rs []stack.Route) {
	for _, r := range l.Routers {
		rs = append(rs, stack.Route{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Interface: i, NextHop: r})
	}
	for _, r := range l.Routes {
		rs = append(rs, stack.Route{Prefix: r.Prefix, Interface: i, NextHop: r.NextHop})
	}
	return rs
}
