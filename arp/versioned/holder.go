package versioned

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// Answer says who had an address at a time.
type Answer struct {
	Holder *Holding // nil: nobody
	// Claimants are all that held the address within the window around the
	// time, the holder included, newest first. There are several when it was
	// disputed, or changed hands just then.
	Claimants []Holding
	// Claims are those within the window that were not believed, latest first;
	// of each MAC address the latest one.
	Claims []Claim
	// Before is the last stretch that had ended by then, After the first one
	// that was still to begin; nil: none.
	Before, After *Holding
}

// Disputed reports whether within the window a MAC address held the address
// again that another one had taken it from, X, Y, X, or claimed it in vain. An
// address that is handed over once is not disputed.
func (a *Answer) Disputed() bool {
	if len(a.Claims) > 0 {
		return true
	}
	latest := make(map[ethernet.Addr]int)
	for i := range a.Claimants {
		mac := a.Claimants[i].MAC
		if last, ok := latest[mac]; ok && last < i-1 {
			return true
		}
		latest[mac] = i
	}
	return false
}

// MACs returns who claimed the address, each once: the holder, and, when it was
// disputed, the others, the latest first.
func (a *Answer) MACs() (macs []ethernet.Addr) {
	have := make(map[ethernet.Addr]bool)
	add := func(mac ethernet.Addr) {
		if !have[mac] {
			have[mac] = true
			macs = append(macs, mac)
		}
	}
	if a.Holder != nil {
		add(a.Holder.MAC)
	}
	if a.Disputed() {
		for i := range a.Claimants {
			add(a.Claimants[i].MAC)
		}
		for i := range a.Claims {
			add(a.Claims[i].MAC)
		}
	}
	return macs
}

// AddClaims takes those claims into the answer that are about its address and
// within the window. One that somebody made shortly before it got the address,
// or who held it just then, says nothing new and is left out.
func (a *Answer) AddClaims(k arp.Key, at time.Time, window time.Duration, claims []Claim) {
	for _, c := range claims {
		if c.Key != k || c.Time.Before(at.Add(-window)) || c.Time.After(at.Add(window)) {
			continue
		}
		if slices.ContainsFunc(a.Claimants, func(h Holding) bool { return h.MAC == c.MAC }) {
			continue
		}
		i := slices.IndexFunc(a.Claims, func(have Claim) bool { return have.MAC == c.MAC })
		switch {
		case i < 0:
			a.Claims = append(a.Claims, c)
		case c.Time.After(a.Claims[i].Time):
			a.Claims[i] = c
		}
	}
	slices.SortFunc(a.Claims, func(x, y Claim) int {
		return cmp.Or(y.Time.Compare(x.Time), bytes.Compare(x.MAC[:], y.MAC[:]))
	})
}

// ClaimSlack is how much later than its claim a commit may be made: a claim that
// is repeated is told at the end of the time for which it is counted.
const ClaimSlack = 90 * time.Second

// HolderAt answers who held an address at a time, and who else did or claimed it
// within a window before and after it.
func HolderAt(ctx context.Context, repo *Repo, k arp.Key, at time.Time, window time.Duration, from ...vcs.ID) (Answer, error) {
	a, err := AnswerAt(Holdings(ctx, repo, k, from...), at, window)
	if err != nil {
		return a, err
	}
	var claims []Claim
	for c, err := range Claims(ctx, repo, at.Add(-window), at.Add(window+ClaimSlack), from...) {
		if err != nil {
			return a, err
		}
		claims = append(claims, c)
	}
	a.AddClaims(k, at, window, claims)
	return a, nil
}

// AnswerAt is HolderAt with what Holdings yields, and without claims: see
// AddClaims. It takes no more of it than the answer needs.
func AnswerAt(holdings iter.Seq2[Holding, error], at time.Time, window time.Duration) (a Answer, err error) {
	begin, end := at.Add(-window), at.Add(window)
	for h, err := range holdings {
		if err != nil {
			return Answer{}, err
		}
		near := !h.From.After(end) && (h.Until.IsZero() || h.Until.After(begin))
		switch {
		case h.From.After(at):
			a.After = &h
		case h.Holds(at):
			a.Holder, near = &h, true
		case a.Before == nil:
			a.Before = &h
		case !near:
			return a, nil // older ones ended before
		}
		if near {
			a.Claimants = append(a.Claimants, h)
		}
	}
	return a, nil
}
