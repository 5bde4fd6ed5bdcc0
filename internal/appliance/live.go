package appliance

import (
	"errors"
	"fmt"

	"arpeggio/site"
	"arpeggio/vcs/gitserve"
)

// newLive feeds the management pages from this appliance's own parts.
func (a *Appliance) newLive() *site.Live {
	return site.NewLive(site.LiveConfig{
		Node: a.cfg.Node, Started: a.started, Logger: a.log,
		Neighbors: a.neighbors, Commits: a.commits, Interfaces: a.interfaces,
		Counters: a.counters, Metrics: a.metrics, Health: a.health,
		History: gitserve.New(gitserve.Config{Repository: a.store, Logger: a.log}),
	})
}

// commits lists the newest n commits of the table's branch for the live page.
func (a *Appliance) commits(n int) []site.Commit {
	tips := map[string][]string{}
	if refs, err := a.store.Refs(); err == nil {
		for _, r := range refs {
			if name, ok := branchName(r.Name); ok {
				tips[r.Target.String()] = append(tips[r.Target.String()], name)
			}
		}
	}
	var out []site.Commit
	for c, err := range a.table.Commits() {
		if err != nil || len(out) == n {
			break
		}
		sc := site.Commit{
			ID: c.ID.String(), Subject: c.Subject(), Author: c.Author.Name, Time: c.Time(),
			Refs: tips[c.ID.String()],
		}
		for _, p := range c.Parents {
			sc.Parents = append(sc.Parents, p.String())
		}
		out = append(out, sc)
	}
	return out
}

func (a *Appliance) interfaces() []site.Interface {
	i := a.node.Interface
	return []site.Interface{{Name: i.Name(), MAC: i.Addr().String(), Addrs: i.Addresses(), MTU: i.MTU()}}
}

// health fails when changes do not reach the store.
func (a *Appliance) health() error {
	if s := a.table.Stats(); s.Failed > 0 {
		return fmt.Errorf("%d commits could not be made", s.Failed)
	}
	if len(a.node.Interface.Addresses()) == 0 {
		return errors.New("no address")
	}
	return nil
}
