package vcs

import (
	"fmt"
	"slices"
	"time"
)

// TrailerCommit names, in a commit of a chain, the one whose state it keeps.
const TrailerCommit = "History-Commit"

// moment is a commit of a branch's first-parent history.
type moment struct {
	id, tree ID
	time     int64
}

// extendChains puts the states of the head branch at the end of each period of
// an epoch on the chains, as far as there is room for them. The last period of an
// epoch is left to the next one, which begins in it.
func (s *Store) extendChains(epoch int) error {
	list, _ := s.epochs.snapshot()
	var head ID
	for _, e := range list {
		if e.Number == epoch {
			for _, h := range e.Heads {
				if h.Name == s.Head() {
					head = h.Target
				}
			}
		}
	}
	if head.IsZero() || len(s.cfg.Retention.Chains) == 0 {
		return nil
	}
	chains, err := s.chainBranches()
	if err != nil {
		return err
	}
	x := &chainExtent{s: s, head: head}
	if s.log != nil {
		if x.l = s.log.of(epoch); x.l == nil {
			return fmt.Errorf("%w: epoch %d", ErrNotFound, epoch)
		}
	}
	state, err := s.stateSize()
	if err != nil {
		return err
	}
	left, coarser := s.chainRoom(), time.Duration(0)
	for i := range chains {
		c := &chains[i]
		took := c.size.bytes + c.old.bytes
		if c.Period > 0 {
			ends, bytes, err := x.choose(c, coarser, chainPart(left, state, i == len(chains)-1))
			if err != nil {
				return err
			}
			coarser = c.Period
			if err := s.extendChain(c, ends); err != nil {
				return err
			}
			took += bytes
		}
		left = max(0, left-took)
	}
	return nil
}

// chainExtent is what an epoch would put on the chains.
type chainExtent struct {
	s    *Store
	l    *oplog // of the epoch; nil when the backend stores objects
	head ID     // of its head branch
	all  epochChanges
}

// choose returns the states that a chain gets, oldest first, and about how many
// bytes they take. The newer half of a chain may grow to half of the chain's
// room. When the ends of all periods do not fit, those of periods twice as long
// are taken, and so on, as long as these are shorter than those of the next
// coarser chain; then as many of the newest as fit, and the last one in any case
// if there is room for it at all.
func (x *chainExtent) choose(c *chainBranch, coarser time.Duration, room int64) (ends []moment, bytes int64, err error) {
	if x.l == nil {
		ends, err = x.s.periodEnds(x.head, c.Chain)
		return ends, 0, err
	}
	spans := chainSpans(c.Chain, coarser)
	if x.all, err = x.l.measure(x.head, spans); err != nil || x.all.oldest.IsZero() {
		return nil, 0, err // somebody had set the branch back: it has nothing here
	}
	gap, err := x.distance(c.head, x.all.oldest)
	if err != nil {
		return nil, 0, err
	}
	left := room/2 - c.size.bytes
	for _, p := range spans {
		if bytes = gap + p.bytes + int64(p.ends)*chainStateBytes; p.ends > 0 && bytes <= left {
			ends, err = x.l.periodEnds(x.head, p.period, c.Limit)
			return ends, bytes, err
		}
	}
	finest := spans[0]
	if ends, err = x.l.periodEnds(x.head, finest.period, 1); err != nil || len(ends) == 0 {
		return nil, 0, err
	}
	whole, err := x.distance(c.head, ends[0].id)
	if err != nil {
		return nil, 0, err
	}
	if n, took := finest.newest(left, whole); n > 0 {
		ends, err = x.l.periodEnds(x.head, finest.period, n)
		return ends, took, err
	}
	if whole > min(room/2, room-c.size.bytes) {
		return nil, 0, nil
	}
	return ends, whole, nil
}

// chainStateBytes is about what a state takes beside its changes: the commit, and
// the id of that for which it stands.
const chainStateBytes = chainCommitBytes + 40

// distance returns about how many bytes of the log lead from one commit's state
// to another's; a chain that begins is told from the beginning of the epoch that
// is written.
func (x *chainExtent) distance(from, to ID) (int64, error) {
	b, err := x.s.log.root(to)
	if err != nil {
		return 0, err
	}
	var a *node
	if from.IsZero() {
		l := x.s.log.current()
		l.mu.Lock()
		a, err = l.state(0)
		l.mu.Unlock()
	} else {
		a, err = x.s.log.root(from)
	}
	if err != nil {
		return 0, err
	}
	n, err := differences(a, b, x.s.log.native.load, 0)
	return int64(n)*x.all.each() + chainStateBytes, err
}

// periodEnds returns the newest commits of the periods of an epoch, oldest first,
// without the last period, for a backend of objects.
func (s *Store) periodEnds(head ID, c Chain) (ends []moment, err error) {
	last, period := int64(-1), int64(c.Period/time.Second)
	for id := head; !id.IsZero() && len(ends) < c.Limit; {
		commit, err := s.ReadCommit(id)
		if err != nil {
			return nil, err
		}
		t := commit.Time().Unix()
		if p := t / period; p != last {
			if last >= 0 {
				ends = append(ends, moment{id, commit.Tree, t})
			}
			last = p
		}
		id = ID{}
		if len(commit.Parents) > 0 {
			id = commit.Parents[0]
		}
	}
	slices.Reverse(ends)
	return ends, nil
}

// periodEnds goes back along first parents and returns the newest commits of the
// newest periods, oldest first, without the last period.
func (l *oplog) periodEnds(head ID, period int64, limit int) (ends []moment, err error) {
	c := cursor{log: l.frozen()}
	p := chainSpan{period: period, limit: limit + 1}
	num, ok, err := c.log.find(head)
	for ok && err == nil && len(ends) < limit {
		var v *segView
		var i uint32
		if v, i, err = c.at(num); err != nil {
			break
		}
		rec := v.rec(i)
		if p.see(rec.time); p.ends > len(ends) {
			var id ID
			if id, err = c.log.idOf(v, i); err != nil {
				break
			}
			ends = append(ends, moment{id, v.tree(i), rec.time})
		}
		num = rec.parent
		ok = num != noParent && !rec.based
	}
	slices.Reverse(ends)
	return ends, err
}

// extendChain makes commits of a chain.
func (s *Store) extendChain(c *chainBranch, ends []moment) error {
	old := c.head
	after := int64(-1)
	if !old.IsZero() {
		commit, err := s.ReadCommit(old)
		if err != nil {
			return err
		}
		after = commit.Time().Unix()
	}
	head := old
	var objs []Object
	for _, m := range ends {
		if m.time <= after {
			continue
		}
		when := time.Unix(m.time, 0).UTC()
		commit := Commit{Tree: m.tree, Author: epochAuthor(s.cfg.Retention.Author, when),
			Message: fmt.Sprintf("state at %s\n\n%s: %v\n", when.Format("2006-01-02 15:04:05 UTC"), TrailerCommit, s.epochs.standsFor(m.id))}
		commit.Committer = commit.Author
		if !head.IsZero() {
			commit.Parents = []ID{head}
		}
		content := commit.Encode(nil)
		head = HashObject(KindCommit, content)
		objs = append(objs, Object{head, KindCommit, content})
	}
	if head == old {
		return nil
	}
	list, _ := s.epochs.snapshot()
	return s.enterEpochs(list, objs, []RefUpdate{{c.ref, old, head}}, nil, nil)
}
