package appliance

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
)

// leaseLimit is how long an appliance without an address waits for DHCP.
const leaseLimit = 60 * time.Second

// lease is a DHCP client that keeps the appliance's address. Its methods may be
// called on nil: an appliance with a fixed address has none.
type lease struct {
	client *host.DHCPClient
	cancel context.CancelFunc
	done   chan struct{}
}

// acquire runs a DHCP client and returns when it has brought an address: of a
// server's or, when none answers, a link-local one.
func (a *Appliance) acquire(ctx context.Context) error {
	n := a.node
	client, err := host.NewDHCPClient(host.DHCPClientConfig{
		Stack: n.Stack, Interface: n.Interface, Hostname: a.cfg.Node, Logger: a.log, Previous: a.savedLease(),
		InUse: n.ARP.InUse, LinkLocal: n.ARP.LinkLocal, Changed: a.leased, Renewed: a.saveLease,
	})
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	l := &lease{client: client, cancel: cancel, done: make(chan struct{})}
	a.dhcp.Store(l)
	go func() {
		defer close(l.done)
		if err := client.Run(run); err != nil {
			a.ended("DHCP client", err)
		}
	}()
	ctx, stop := context.WithTimeout(ctx, leaseLimit)
	defer stop()
	if _, err := client.Acquire(ctx); err != nil {
		return fmt.Errorf("no address by DHCP on %s (is there a server? a fixed address works without: --ip): %w", n.Interface.Name(), err)
	}
	return nil
}

// conflict tells the DHCP client, if there is one, that another station claims a
// link-local address, which is then replaced (RFC 3927 §2.5). A leased one has been
// checked and is defended for as long as the lease lasts (RFC 5227 §2.4 (c)): else
// anybody on the LAN could take it from a server with one forged claim.
func (a *Appliance) conflict(addr netip.Addr, mac ethernet.Addr) {
	if l := a.dhcp.Load(); l != nil && addr.IsLinkLocalUnicast() {
		l.client.Conflict(addr, mac)
	}
}

// close gives the address back and waits until that is said.
func (l *lease) close() {
	if l != nil {
		l.cancel()
		<-l.done
	}
}
