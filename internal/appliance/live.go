package appliance

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"arpeggio/site"
	"arpeggio/vcs/gitserve"
)

// newLive feeds the management pages from this appliance's own parts.
func (a *Appliance) newLive() *site.Live {
	git := gitserve.Config{Repository: a.store, Logger: a.log}
	if a.cfg.Push != nil {
		push := *a.cfg.Push
		push.Writer = a.store
		git.Push = &push
	}
	return site.NewLive(site.LiveConfig{
		Node: a.cfg.Node, Started: a.started, Logger: a.log,
		Neighbors: a.neighbors, Commits: a.commits, Interfaces: a.interfaces,
		Counters: a.counters, Metrics: a.metrics, Health: a.health,
		History: gitserve.New(git),
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

// unwell is how long the appliance reports that commits failed after the last
// one that did: long enough for whoever asks every minute to hear of it.
const unwell = 5 * time.Minute

// failures remembers when the table last failed to make a commit.
type failures struct {
	mu    sync.Mutex
	count uint64
	at    time.Time
}

// since notes the table's count of failures and reports whether it has risen
// within the last while.
func (f *failures) since(count uint64, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if count != f.count {
		f.count, f.at = count, now
	}
	return count > 0 && now.Sub(f.at) < unwell
}

// health fails when changes do not reach the store.
func (a *Appliance) health() error {
	if n := a.table.Stats().Failed; a.failures.since(n, time.Now()) {
		return fmt.Errorf("%d commits could not be made, the last of them within %v", n, unwell)
	}
	if len(a.node.Interface.Addresses()) == 0 {
		return errors.New("no address")
	}
	return nil
}
