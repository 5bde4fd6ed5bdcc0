package history

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
)

// laterCommits is how many commits after the time of a question are looked at for
// the one at which its answer begins: some only speak of the address.
const laterCommits = 4

// near answers by what the index of the record finds around a time. Ok is false
// when it cannot tell.
func (a *Asker) near(ctx context.Context, k arp.Key, at time.Time) (ans versioned.Answer, ok bool, err error) {
	if a.Index == nil {
		return ans, false, nil
	}
	end := at.Add(a.window)
	found, ok := a.Index.Search(a.head.ID, a.head.Time(), versioned.IndexQuery{Addrs: []netip.Addr{k.Addr}, Since: end.Truncate(time.Second)})
	if !ok {
		return ans, false, nil
	}
	var later []versioned.Found // the oldest ones, newest first
	for f := range found {
		if f.Cut && f.ID != a.head.ID {
			if len(later) == laterCommits {
				later = slices.Delete(later, 0, 1)
			}
			later = append(later, f)
		}
	}
	start, changed := a.head.ID, true
	if len(later) == laterCommits {
		start, changed = later[0].ID, false
		a.repo.Store().Locate(start, later[0].Time, later[0].Parent)
	}
	ans, err = versioned.AnswerAt(func(yield func(versioned.Holding, error) bool) {
		for h, err := range versioned.Holdings(ctx, a.repo, k, start) {
			if changed = changed || err != nil || h.From.After(end); !changed || !yield(h, err) {
				return
			}
		}
	}, at, a.window)
	return ans, changed, err
}

// never reports whether the index of the record knows that the MAC address of a
// stretch did not hold the address before it: no commit of that time names both.
func (a *Asker) never(h *versioned.Holding) bool {
	if a.Index == nil {
		return false
	}
	c, err := a.repo.Store().ReadJoined(h.Commit)
	if err != nil {
		return false
	}
	found, ok := a.Index.Search(c.ID, c.Time(), versioned.IndexQuery{MACs: []ethernet.Addr{h.MAC}, Addrs: []netip.Addr{h.Key.Addr}})
	if !ok {
		return false
	}
	for f := range found {
		if f.ID != h.Commit {
			return false
		}
	}
	return true
}
