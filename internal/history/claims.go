package history

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// claimCache holds the claims of the minutes that were asked about, so that many
// questions about one time read its commits once.
type claimCache map[int64][]versioned.Claim // by Unix minute of the commit

// maxMinutes bounds the minutes that are remembered.
const maxMinutes = 4096

// claims adds to an answer who claimed the address in vain.
func (a *Asker) claims(ctx context.Context, ans *versioned.Answer, k arp.Key, at time.Time) error {
	if ok, err := a.foundClaims(ctx, ans, k, at); ok || err != nil {
		return err
	}
	if len(a.told) > maxMinutes {
		clear(a.told)
	}
	first := at.Add(-a.window).Unix() / 60
	last := at.Add(a.window+versioned.ClaimSlack).Unix() / 60
	for m := first; m <= last; m++ {
		if _, ok := a.told[m]; ok {
			continue
		}
		end := m // of what is not known
		for end < last {
			if _, ok := a.told[end+1]; ok {
				break
			}
			end++
		}
		if err := a.readClaims(ctx, m, end); err != nil {
			return err
		}
		m = end
	}
	for m := first; m <= last; m++ {
		ans.AddClaims(k, at, a.window, a.told[m])
	}
	return nil
}

// foundClaims adds the claims of those commits alone that name the address. Ok is false
// when the index of the record cannot tell them.
func (a *Asker) foundClaims(ctx context.Context, ans *versioned.Answer, k arp.Key, at time.Time) (ok bool, err error) {
	if a.Index == nil {
		return false, nil
	}
	first := at.Add(-a.window).Unix() / 60
	last := at.Add(a.window+versioned.ClaimSlack).Unix() / 60
	found, ok := a.Index.Search(a.head.ID, a.head.Time(), versioned.IndexQuery{Addrs: []netip.Addr{k.Addr},
		Since: time.Unix(first*60, 0), Until: time.Unix(last*60+59, 0)})
	if !ok {
		return false, nil
	}
	s := a.repo.Store()
	var claims []versioned.Claim
	for f := range found {
		s.Locate(f.ID, f.Time, f.Parent)
		c, err := s.ReadJoined(f.ID)
		if errors.Is(err, vcs.ErrNotFound) {
			continue // its epoch has left
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false, err
		}
		claims = append(claims, versioned.ClaimsOf(c)...)
	}
	ans.AddClaims(k, at, a.window, claims)
	return true, nil
}

// readClaims reads the claims of some minutes.
func (a *Asker) readClaims(ctx context.Context, first, last int64) error {
	read := make(claimCache)
	for c, err := range versioned.Claims(ctx, a.repo, time.Unix(first*60, 0), time.Unix(last*60+59, 0), a.head.ID) {
		if err != nil {
			return err
		}
		m := c.Recorded.Unix() / 60
		read[m] = append(read[m], c)
	}
	for m := first; m <= last; m++ {
		a.told[m] = read[m]
	}
	return nil
}
