package versioned

import (
	"context"
	"iter"
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
	// Before is the last stretch that had ended by then, After the first one
	// that was still to begin; nil: none.
	Before, After *Holding
}

// Disputed reports whether within the window a MAC address held the address
// again that another one had taken it from: X, Y, X. An address that is handed
// over once is not disputed.
func (a *Answer) Disputed() bool {
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
	add := func(h *Holding) {
		if h != nil && !have[h.MAC] {
			have[h.MAC] = true
			macs = append(macs, h.MAC)
		}
	}
	add(a.Holder)
	if a.Disputed() {
		for i := range a.Claimants {
			add(&a.Claimants[i])
		}
	}
	return macs
}

// HolderAt answers who held an address at a time, and who else did within a
// window before and after it.
func HolderAt(ctx context.Context, repo *Repo, k arp.Key, at time.Time, window time.Duration, from ...vcs.ID) (Answer, error) {
	return AnswerAt(Holdings(ctx, repo, k, from...), at, window)
}

// AnswerAt is HolderAt with what Holdings yields. It takes no more of it than the
// answer needs.
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
