package appliance

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
)

// Probing is how the appliance asks whether another station has its fixed address,
// before it uses it (RFC 5227 §2.1).
type Probing uint8

const (
	// ProbeBrisk takes less than a second: three probes on a wire that is up, where
	// stations answer in milliseconds, while somebody waits.
	ProbeBrisk Probing = iota
	// ProbeStandard takes the times of RFC 5227 §1.1, four to seven seconds: for a
	// network whose switches forward only after a while, or whose stations start
	// together.
	ProbeStandard
	// ProbeNever does not ask.
	ProbeNever
)

// TakenError says that another station has the address that the appliance was to
// use.
type TakenError struct {
	Addr netip.Addr
	MAC  ethernet.Addr // the other station's
	Card string        // where it was heard
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("the address %v is taken: the station %v answers for it on %s", e.Addr, e.MAC, e.Card)
}

// probing sets the times of RFC 5227's probes. Where DHCP says which address, they
// are brisk: a server has given it out, and somebody waits. A link-local address,
// which nobody gives out, takes its time all the same.
func (a *Appliance) probing(c arp.Config) arp.Config {
	if a.cfg.Address.IsValid() && a.cfg.Probing == ProbeStandard {
		return c
	}
	c.ProbeWait, c.ProbeMin, c.ProbeMax = -1, 200*time.Millisecond, 300*time.Millisecond
	c.AnnounceWait = 300 * time.Millisecond
	return c
}

// claim takes the fixed address into use, unless another station has it.
func (a *Appliance) claim(ctx context.Context) error {
	p, n := a.cfg.Address, a.node
	if err := stack.CheckAddress(p); err != nil {
		return err
	}
	if a.cfg.Probing != ProbeNever {
		mac, err := n.ARP.Check(ctx, p.Addr())
		all := false
		if err == nil && !mac.IsZero() && a.cfg.Inetd {
			all, err = a.answersForAll(ctx, mac)
		}
		switch {
		case err != nil:
			return fmt.Errorf("ask whether %v is free on %s: %w", p.Addr(), n.Interface.Name(), err)
		case all:
			a.log.Warn("a station answers for every address, so ours is used though it answers for that too", "address", p.Addr(), "mac", mac)
		case !mac.IsZero():
			return &TakenError{p.Addr(), mac, n.Interface.Name()}
		}
	}
	return n.Interface.AddAddress(p)
}

// answersForAll reports whether a station answers even for the number of the
// network, which no station has (RFC 1122 §3.2.1.3): then its answer for another
// address says nothing. Simple programs that test a host from its wire are like
// that, which is why it is asked for beside the test services; on other networks
// each answer counts (RFC 5227 §2.1.1).
func (a *Appliance) answersForAll(ctx context.Context, mac ethernet.Addr) (bool, error) {
	p := a.cfg.Address.Masked()
	if p.Bits() > 30 {
		return false, nil // such networks have no number of their own (RFC 3021)
	}
	other, err := a.node.ARP.Check(ctx, p.Addr())
	return other == mac, err
}

// reserved returns the ports that nothing is to be sent from by chance: those of
// services, which may start after the first question to a name server has left.
func (a *Appliance) reserved() []stack.PortRange {
	out := append([]stack.PortRange(nil), a.cfg.Reserved...)
	ports := []uint16{a.cfg.Port}
	if a.cfg.Manage != 0 {
		ports = append(ports, a.cfg.Manage)
	}
	if a.cfg.Inetd {
		ports = append(ports, host.DialPort)
	}
	for _, port := range ports {
		out = append(out, stack.PortRange{First: port, Last: port})
	}
	return out
}
