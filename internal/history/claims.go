package history

import (
	"context"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
)

// claimCache holds the claims of the minutes that were asked about, so that many
// questions about one time read its commits once.
type claimCache map[int64][]versioned.Claim // by Unix minute of the commit

// maxMinutes bounds the minutes that are remembered.
const maxMinutes = 4096

// claims adds to an answer who claimed the address in vain.
func (a *Asker) claims(ctx context.Context, ans *versioned.Answer, k arp.Key, at time.Time) error {
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
