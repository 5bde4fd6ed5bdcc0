package vcs

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The oldest epochs of which nothing is left, neither here nor in an archive, are
// summed up in one file of the ledger, so that it does not grow with the age of
// the store. It is like an epoch's, with
//
//	epochs FIRST LAST
//	lost COUNT REASON
//
// instead of roots, heads and a reason: at most maxReasons of these, the most
// frequent first, and one for all others.
const (
	lostName     = "epochs-lost"
	keptLost     = 64 // lost epochs that have a file of their own, and up to foldedAtOnce more
	foldedAtOnce = 16
	maxReasons   = 8
	otherReasons = "for other reasons"
)

// lossCount is for how many epochs a reason was given.
type lossCount struct {
	n      int
	reason string
}

// foldLost sums up the oldest lost epochs of a list when there are many, and
// returns the numbers of those that have no file of their own any more.
func foldLost(list []Epoch) (folded []Epoch, gone []int) {
	n := 0
	for n < len(list) && list[n].State == EpochLost {
		n++
	}
	own := n
	if n > 0 && list[0].Through > 0 {
		own--
	}
	if own < keptLost+foldedAtOnce {
		return list, nil
	}
	sum := Epoch{Number: list[0].Number, State: EpochLost, Began: list[0].Began}
	for _, e := range list[:n-keptLost] {
		sum.Commits += e.Commits
		sum.LogBytes += e.LogBytes
		if e.Ended.After(sum.Ended) {
			sum.Ended = e.Ended
		}
		if sum.Through = e.Through; e.Through > 0 {
			for _, l := range e.losses {
				sum.addLoss(l.n, l.reason)
			}
			continue
		}
		sum.Through = e.Number
		gone = append(gone, e.Number)
		reason := oneLine(e.Reason)
		if name := oneLine(e.Archive.Name); name != "" {
			reason = strings.ReplaceAll(reason, name, "…")
		}
		sum.addLoss(1, reason)
	}
	sum.sortLosses()
	return append([]Epoch{sum}, list[n-keptLost:]...), gone
}

func (e *Epoch) addLoss(n int, reason string) {
	for i := range e.losses {
		if e.losses[i].reason == reason {
			e.losses[i].n += n
			return
		}
	}
	e.losses = append(e.losses, lossCount{n, reason})
}

// sortLosses bounds the reasons and says them in words.
func (e *Epoch) sortLosses() {
	others := 0
	all := slices.DeleteFunc(e.losses, func(l lossCount) bool {
		if l.reason == otherReasons {
			others += l.n
		}
		return l.reason == otherReasons
	})
	slices.SortStableFunc(all, func(a, b lossCount) int { return cmp.Compare(b.n, a.n) })
	for len(all) > maxReasons {
		others += all[len(all)-1].n
		all = all[:len(all)-1]
	}
	if others > 0 {
		all = append(all, lossCount{others, otherReasons})
	}
	e.losses = all
	var words []string
	for _, l := range all {
		words = append(words, fmt.Sprintf("%d: %s", l.n, l.reason))
	}
	e.Reason = strings.Join(words, "; ")
}

// lostText writes the summary.
func lostText(e *Epoch) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "epochs %d %d\n", e.Number, e.Through)
	plain := Epoch{State: EpochLost, Began: e.Began, Ended: e.Ended, Commits: e.Commits, LogBytes: e.LogBytes}
	b.Write(ledgerText(&plain))
	for _, l := range e.losses {
		fmt.Fprintf(&b, "lost %d %s\n", l.n, l.reason)
	}
	return b.Bytes()
}

// parseLost reads what lostText wrote.
func parseLost(content []byte) (Epoch, error) {
	first, rest, _ := strings.Cut(string(content), "\n")
	var number, through int
	if _, err := fmt.Sscanf(first, "epochs %d %d", &number, &through); err != nil || number < 1 || through < number {
		return Epoch{}, fmt.Errorf("%w: ledger of lost epochs: %.100q", ErrCorrupt, first)
	}
	e, err := parseLedger(number, []byte(rest))
	if err != nil {
		return Epoch{}, err
	}
	if e.State != EpochLost {
		return Epoch{}, fmt.Errorf("%w: ledger of lost epochs: state %v", ErrCorrupt, e.State)
	}
	e.Through, e.Roots, e.Heads, e.Archive = through, nil, nil, Receipt{}
	for line := range strings.Lines(rest) {
		value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "lost ")
		if !ok {
			continue
		}
		count, reason, _ := strings.Cut(value, " ")
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return Epoch{}, fmt.Errorf("%w: ledger of lost epochs: %.100q", ErrCorrupt, line)
		}
		e.addLoss(n, oneLine(reason))
	}
	e.sortLosses()
	return e, nil
}
