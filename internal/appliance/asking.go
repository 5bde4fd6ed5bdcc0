package appliance

import (
	"arpeggio/stack/host"
)

// prepareAsking makes what the appliance asks others with: for names, and for the
// time where the clock is its to set. Whom it asks may come with the DHCP lease.
func (a *Appliance) prepareAsking() (err error) {
	if a.names, err = host.NewResolver(host.ResolverConfig{Stack: a.node.Stack, Servers: a.cfg.DNS}); err != nil {
		return err
	}
	a.node.Stack.SetNames(a.names)
	if a.cfg.SetClock == nil {
		return nil
	}
	a.clock, err = host.NewSNTPClient(host.SNTPConfig{
		Stack: a.node.Stack, Servers: a.cfg.NTP, Names: a.names, Adjust: a.cfg.SetClock, Logger: a.log,
	})
	return err
}

// leased takes over what a DHCP lease says about name and time servers, where the
// configuration does not, and keeps it for the next run.
func (a *Appliance) leased(_, l host.Lease) {
	servers := a.cfg.DNS
	if len(servers) == 0 {
		servers = l.DNS
	}
	search := l.Search
	if len(search) == 0 {
		search = []string{l.Domain}
	}
	a.names.SetServers(servers, search)
	a.saveLease(l)
	if a.clock != nil && len(a.cfg.NTP) == 0 {
		names := make([]string, len(l.NTP))
		for i, s := range l.NTP {
			names[i] = s.String()
		}
		a.clock.SetServers(names)
	}
}
