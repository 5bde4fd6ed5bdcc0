// Package node puts a host together: a device, ARP with its table, and an IP
// stack on top. Whatever runs our stack (the appliance, the gateway and the
// stations of the software LAN, the ten nodes of the demonstration) starts here.
package node

import (
	"fmt"
	"log/slog"
	"net/netip"

	"arpeggio/arp"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// Config describes a host with one interface. Device is required.
type Config struct {
	Device link.Device
	Name   string        // of the interface; the device's own when empty
	Addr   ethernet.Addr // the device's own when zero
	VLAN   ethernet.VLAN
	// Addresses may be empty: DHCP adds one later.
	Addresses []netip.Prefix
	Gateway   netip.Addr // the default route's next hop; none when invalid
	MaxConns  int        // bounds the TCP connections; the stack's default when 0
	ARP       arp.Config // its Table decides where bindings are kept
	Logger    *slog.Logger
}

// Node is a running host. Its parts are for everyone to use.
type Node struct {
	Stack     *stack.Stack
	Interface *stack.Interface
	ARP       *arp.Service
}

// Start brings the host up. The node owns the device from now on, also when
// Start fails.
func Start(cfg Config) (*Node, error) {
	if cfg.ARP.Logger == nil {
		cfg.ARP.Logger = cfg.Logger
	}
	n := &Node{
		Stack: stack.New(stack.Config{MaxConns: cfg.MaxConns, Logger: cfg.Logger}),
		ARP:   arp.NewService(cfg.ARP),
	}
	var err error
	n.Interface, err = n.Stack.AddInterface(stack.InterfaceConfig{
		Name: cfg.Name, Device: cfg.Device, VLAN: cfg.VLAN, Addr: cfg.Addr,
		Resolver: n.ARP, Addresses: cfg.Addresses, Gateway: cfg.Gateway,
	})
	if err != nil {
		cfg.Device.Close()
		n.Close()
		return nil, fmt.Errorf("bring up %s: %w", cfg.Device.Info().Name, err)
	}
	return n, nil
}

// Close drops every connection, stops ARP and closes the device. The table is
// the caller's to close.
func (n *Node) Close() error {
	err := n.Stack.Close()
	n.ARP.Close()
	return err
}
