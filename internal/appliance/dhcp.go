package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/node"
	"arpeggio/stack/host"
)

// leaseLimit is how long an appliance without an address waits for DHCP.
const leaseLimit = 60 * time.Second

// brisk has RFC 5227's probes within a second instead of four to seven: a server
// has given the address out, the wire is a local one, and somebody waits.
func brisk(c arp.Config) arp.Config {
	c.ProbeWait, c.ProbeMin, c.ProbeMax = -1, 200*time.Millisecond, 300*time.Millisecond
	c.AnnounceWait = 300 * time.Millisecond
	return c
}

// lease is a DHCP client that keeps the appliance's address. Its methods may be
// called on nil: an appliance with a fixed address has none.
type lease struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// acquire runs a DHCP client and returns when it has brought an address. From
// another goroutine it calls changed when the lease changes, and ended when the
// client gives up for good.
func acquire(ctx context.Context, n *node.Node, name string, log *slog.Logger, changed func(old, new host.Lease), ended func(error)) (*lease, error) {
	client, err := host.NewDHCPClient(host.DHCPClientConfig{
		Stack: n.Stack, Interface: n.Interface, Hostname: name, Logger: log,
		InUse: n.ARP.InUse, Changed: changed,
	})
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	l := &lease{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		if err := client.Run(run); err != nil {
			ended(err)
		}
	}()
	ctx, stop := context.WithTimeout(ctx, leaseLimit)
	defer stop()
	if _, err := client.Acquire(ctx); err != nil {
		l.close()
		return nil, fmt.Errorf("no address by DHCP on %s (is there a server? a fixed address works without: --ip): %w", n.Interface.Name(), err)
	}
	return l, nil
}

// close gives the address back and waits until that is said.
func (l *lease) close() {
	if l != nil {
		l.cancel()
		<-l.done
	}
}
