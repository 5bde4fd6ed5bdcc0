package versioned

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// Claim is a claim on an address that was not believed: refused by a policy, or
// defended against because the address is the node's own.
type Claim struct {
	Key       arp.Key
	MAC       ethernet.Addr // who claimed it
	Against   ethernet.Addr // who kept it; zero when the commit does not say
	Op        arp.ChangeOp  // OpRefused or OpConflict
	Rule      string        // what decided
	Learned   string        // the kind of the frame; this and the next two as in Entry
	Interface string
	Node      string
	Time      time.Time
	Count     int // claims that the record stands for, at least 1
	Commit    vcs.ID
	Recorded  time.Time // of the commit, in whole seconds
}

// Claims yields the claims that commits of a span of time record, of some commits
// and all that led to them, also by a merge that was made later, in no particular
// order. Both ends of the span are included; Git's times have whole seconds, and a
// commit may be made somewhat after its claim.
func Claims(ctx context.Context, repo *Repo, since, until time.Time, from ...vcs.ID) iter.Seq2[Claim, error] {
	return func(yield func(Claim, error) bool) {
		s := repo.Store()
		todo, err := s.LinesAt(until, from...)
		if err != nil {
			yield(Claim{}, err)
			return
		}
		seen := make(map[vcs.ID]bool)
		for len(todo) > 0 {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[id] {
				continue
			}
			seen[id] = true
			c, err := s.ReadJoined(id)
			if errors.Is(err, vcs.ErrNotFound) {
				continue // its epoch has left
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Claim{}, err)
				return
			}
			if c.Time().Unix() < since.Unix() {
				continue
			}
			for _, cl := range ClaimsOf(c) {
				if !yield(cl, nil) {
					return
				}
			}
			todo = append(todo, c.Parents...)
		}
	}
}

// ClaimsOf reads the claims of a commit: one, or those that the commit of a
// flood names as samples, whose trailers are in the order of its counts.
func ClaimsOf(c *vcs.Commit) (out []Claim) {
	var all []Claim
	var ops []string
	base := Claim{Commit: c.ID, Time: c.Time().UTC(), Recorded: c.Time().UTC(), Count: 1}
	for _, t := range c.Trailers() {
		var last *Claim
		if len(all) > 0 {
			last = &all[len(all)-1]
		}
		switch {
		case t.Key == TrailerCause && t.Value != CauseFlood:
			ops = []string{t.Value}
		case t.Key == TrailerCounted:
			_, op, _ := strings.Cut(t.Value, " ")
			ops = append(ops, op)
		case t.Key == TrailerAddress && len(all) < len(ops):
			k, err := arp.ParseKey(t.Value)
			if err != nil {
				return nil
			}
			all = append(all, Claim{Key: k})
		case t.Key == TrailerTime:
			if at, err := time.Parse(time.RFC3339Nano, t.Value); err == nil {
				base.Time = at.UTC()
			}
		case t.Key == TrailerNode:
			base.Node = t.Value
		case t.Key == TrailerInterface:
			base.Interface = t.Value
		case t.Key == TrailerCount && len(ops) == 1:
			base.Count = atLeastOne(t.Value, 0)
		case t.Key == TrailerFolded && len(ops) == 1:
			base.Count = atLeastOne(t.Value, 1)
		case last == nil:
		case t.Key == TrailerMAC:
			last.MAC, _ = ethernet.ParseAddr(t.Value)
		case t.Key == TrailerOld:
			last.Against, _ = ethernet.ParseAddr(t.Value)
		case t.Key == TrailerRule:
			last.Rule = t.Value
		case t.Key == TrailerKind:
			last.Learned = t.Value
		}
	}
	for i, cl := range all {
		switch ops[i] {
		case arp.OpRefused.String():
			cl.Op = arp.OpRefused
		case arp.OpConflict.String():
			cl.Op = arp.OpConflict
		default:
			continue
		}
		if !cl.MAC.IsStation() {
			continue
		}
		cl.Commit, cl.Recorded, cl.Time, cl.Count = base.Commit, base.Recorded, base.Time, base.Count
		cl.Node, cl.Interface = base.Node, base.Interface
		out = append(out, cl)
	}
	return out
}

// Reason says in a few words why the claim was not believed.
func (c *Claim) Reason() string {
	switch {
	case c.Rule != "":
		return c.Rule
	case c.Op == arp.OpConflict:
		return "the address is the node's own"
	}
	return c.Op.String()
}

// atLeastOne reads a count and adds some.
func atLeastOne(s string, plus int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<30 {
		n = 0
	}
	return max(n+plus, 1)
}
