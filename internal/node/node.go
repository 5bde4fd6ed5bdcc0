// Package node puts a host together: a device, ARP with its table, and an IP
// stack on top. Whatever runs our stack (the appliance, the gateway and the
// stations of the software LAN, the ten nodes of the demonstration) starts here.
package node

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"

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
	Gateway   netip.Addr      // the default route's next hop; none when invalid
	MaxConns  int             // bounds the TCP connections; the stack's default when 0
	Ports     stack.PortRange // see stack.Config, as ReservedPorts
	Reserved  []stack.PortRange
	TraceTCP  func(stack.TCPEvent) // see stack.Config
	ARP       arp.Config           // its Table decides where bindings are kept
	// Conflict is stack.InterfaceConfig's: another station claims an own address.
	Conflict func(addr netip.Addr, mac ethernet.Addr)
	Logger   *slog.Logger
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
		Stack: stack.New(bounded(stack.Config{
			MaxConns: cfg.MaxConns, Ports: cfg.Ports, ReservedPorts: cfg.Reserved, TraceTCP: cfg.TraceTCP, Logger: cfg.Logger,
		}, debug.SetMemoryLimit(-1))),
		ARP: arp.NewService(cfg.ARP),
	}
	var err error
	n.Interface, err = n.Stack.AddInterface(stack.InterfaceConfig{
		Name: cfg.Name, Device: cfg.Device, VLAN: cfg.VLAN, Addr: cfg.Addr,
		Resolver: n.ARP, Addresses: cfg.Addresses, Gateway: cfg.Gateway, Conflict: cfg.Conflict,
	})
	if err != nil {
		cfg.Device.Close()
		n.Close()
		return nil, fmt.Errorf("bring up %s: %w", cfg.Device.Info().Name, err)
	}
	return n, nil
}

// perConn is about what a connection costs that net/http serves, besides what
// TCP queues for it: two goroutines, their buffers, its state.
const perConn = 32 << 10

// bounded keeps TCP within the process's memory limit, in octets, when that is
// lower than what cfg and the stack's defaults ask for: close to its limit the
// collector would take all of the processor's time, and the peers that do not
// read would have won.
func bounded(cfg stack.Config, limit int64) stack.Config {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = stack.DefaultMaxConns
	}
	cfg.MaxConns = int(min(int64(cfg.MaxConns), limit/8*3/perConn))
	cfg.TCPMemory = int(min(stack.DefaultTCPMemory, limit/8))
	return cfg
}

// Close drops every connection, stops ARP and closes the device. The table is
// the caller's to close.
func (n *Node) Close() error {
	err := n.Stack.Close()
	n.ARP.Close()
	return err
}
