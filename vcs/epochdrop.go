package vcs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// drop lets the oldest epochs go, and the newer ended ones that cannot be read
// without them, and records what became of each: the branches, if one of them
// needs it, are brought into the current epoch before. State and reason are those
// of an epoch that no archive has. S.keeping is held.
func (s *Store) drop(first int, reason string) error {
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	for {
		p, err := s.planDrop(first, reason)
		if err != nil {
			return err
		}
		// A writer that was through the gate already may come between.
		if err := s.enterDrop(p); !errors.Is(err, ErrRefMoved) {
			return err
		}
	}
}

// dropPlan is what is to become of the epochs when some of them are dropped. It
// holds as long as nobody publishes more than he had.
type dropPlan struct {
	going     int // epochs
	list      []Epoch
	objs      []Object
	moves     []RefUpdate
	published uint64
}

// planDrop makes a plan to drop an epoch. Writers are held.
func (s *Store) planDrop(first int, reason string) (*dropPlan, error) {
	refs, published, err := s.settledRefs()
	if err != nil {
		return nil, err
	}
	list, _ := s.epochs.snapshot()
	i := slices.IndexFunc(list, func(e Epoch) bool { return e.Number == first })
	if i < 0 || list[i].State != EpochLive {
		return nil, fmt.Errorf("%w: epoch %d is not one that has ended and is here", ErrNotFound, first)
	}
	going := []int{first}
	if s.log != nil {
		if going, err = s.log.dependents(first); err != nil {
			return nil, err
		}
		if err := s.log.headsStay(refs, going); err != nil {
			return nil, err
		}
		for k := i + len(going); k < len(list); k++ {
			if list[k].Heads, err = s.log.headsOutside(list[k].Heads, going); err != nil {
				return nil, err
			}
			if list[k].Roots, err = s.log.rootsApart(list[k].Roots, going); err != nil {
				return nil, err
			}
		}
	}
	w := newScratch(s)
	var gone []*Epoch
	tags, err := s.tagsIn(going)
	if err != nil {
		return nil, err
	}
	for k := range going {
		e := &list[i+k]
		e.State, e.Reason = EpochLost, reason
		if e.Archive.Name != "" {
			e.State, e.Reason = EpochArchived, ""
		}
		if s.log != nil {
			e.Commits, e.LogBytes = s.log.of(e.Number).size()
		}
		e.Heads = slices.DeleteFunc(slices.Clone(e.Heads), func(r Ref) bool {
			return r.Name != s.Head() && !slices.ContainsFunc(tags, func(t Ref) bool { return t.Name == r.Name })
		})
		gone = append(gone, e)
	}
	for _, t := range tags {
		e := gone[len(gone)-1]
		if !slices.Contains(e.Heads, t) {
			e.Heads = append(e.Heads, t)
		}
	}
	old, _ := s.Ref(ledgerRef)
	list, folded := foldLost(list)
	id, err := s.record(w, old, dropMessage(gone), gone, &list[0], folded)
	if err != nil {
		return nil, err
	}
	moves := []RefUpdate{{ledgerRef, old, id}}
	for _, t := range tags {
		moves = append(moves, RefUpdate{Name: t.Name, Old: t.Target})
	}
	if s.log == nil {
		moves = append(moves, s.keptRefs(list)...)
	}
	return &dropPlan{len(going), list, w.objs, moves, published}, nil
}

// enterDrop enters a plan. Writers are held. The error wraps ErrRefMoved when one
// of them has published something meanwhile.
func (s *Store) enterDrop(p *dropPlan) error {
	return s.enterEpochs(p.list, p.objs, p.moves, &p.published, func(g *group) {
		g.drop = p.going
		s.drops.Add(1)
		if s.log != nil {
			_, made := s.epochs.joints()
			s.log.pins.announce(p.going, made)
		}
	})
}

func dropMessage(gone []*Epoch) string {
	var b strings.Builder
	for _, e := range gone {
		switch e.State {
		case EpochArchived:
			fmt.Fprintf(&b, "epoch %d leaves for %s\n", e.Number, oneLine(e.Archive.Name))
		default:
			fmt.Fprintf(&b, "epoch %d is lost: %s\n", e.Number, oneLine(e.Reason))
		}
	}
	text := b.String()
	if first, rest, _ := strings.Cut(text, "\n"); rest != "" {
		return first + "\n\n" + rest
	}
	return text
}

// enterEpochs makes a table of epochs the store's, in one group with some
// objects and ref updates. The error wraps ErrRefMoved when one of those refs has
// moved meanwhile, a new branch has come while an epoch is to begin, or, unless
// that is nil, more was published than is said: a commit, too, to which no ref
// leads yet, may stand on what is to leave.
func (s *Store) enterEpochs(list []Epoch, objs []Object, moves []RefUpdate, published *uint64, set func(*group)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	if published != nil && *published != s.published {
		return fmt.Errorf("%w: while an epoch was to leave", ErrRefMoved)
	}
	if last := len(list) - 1; last > 0 && list[last].Number > s.epochs.number() {
		for name := range s.refs {
			if !slices.ContainsFunc(list[last-1].Heads, func(r Ref) bool { return r.Name == name }) && strings.HasPrefix(name, branchPrefix) {
				return fmt.Errorf("%w: %s is new", ErrRefMoved, name)
			}
		}
	}
	for _, u := range moves {
		if !reserved(u.Name) && s.refs[u.Name] != u.Old {
			return fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, u.Name, s.refs[u.Name], u.Old)
		}
	}
	s.seal()
	g := s.openGroup()
	if set != nil {
		set(g)
	}
	for _, o := range objs {
		s.pending += g.add(o, false)
	}
	s.epochs.set(list, func(id ID) ([]byte, error) {
		if o, ok := g.object(id); ok {
			return o.Content, nil
		}
		return nil, fmt.Errorf("%w: %v", ErrNotFound, id)
	})
	for len(moves) > 0 {
		n := min(len(moves), groupRefs)
		for _, u := range moves[:n] {
			u.Old = s.refs[u.Name] // nobody else moves the reserved ones
			s.moveRef(g, u)
		}
		if moves = moves[n:]; len(moves) > 0 {
			s.seal()
			g = s.openGroup()
		}
	}
	s.seal()
	signal(s.urgent)
	return nil
}

// keptRefs returns the updates that give a backend which keeps objects by what
// refs reach the refs that a log's store makes up.
func (s *Store) keptRefs(list []Epoch) (moves []RefUpdate) {
	next := newEpochTable(s.Head())
	next.list = slices.Clone(list)
	next.roots = s.epochs.grafts()
	next.index(s.commitContent)
	want := make(map[string]ID)
	for _, r := range next.refs {
		want[r.Name] = r.Target
		moves = append(moves, RefUpdate{Name: r.Name, New: r.Target})
	}
	_, had := s.epochs.snapshot()
	for _, r := range had {
		if _, ok := want[r.Name]; !ok {
			moves = append(moves, RefUpdate{Name: r.Name, Old: r.Target})
		}
	}
	return moves
}

// tagsIn returns the refs, other than branches and the store's own, that point
// into epochs which are about to go.
func (s *Store) tagsIn(epochs []int) (tags []Ref, err error) {
	if s.log == nil {
		return nil, nil // their objects stay as long as a ref leads to them
	}
	refs, _ := s.Refs()
	for _, r := range refs {
		if strings.HasPrefix(r.Name, branchPrefix) || reserved(r.Name) {
			continue
		}
		id, err := PeelCommit(s, r.Target)
		in := false
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case errors.Is(err, ErrWrongKind):
			// Nobody knows in how many epochs a tree is: what is not kept by
			// itself leaves with the first.
			in, err = s.natives.lacks(r.Target)
		case err == nil:
			in, err = s.log.leadsInto(id, s.log.oldest(len(epochs)))
		}
		if err != nil {
			return nil, err
		}
		if in {
			tags = append(tags, r)
		}
	}
	return tags, nil
}

// rootsApart marks the roots of an epoch that stand for commits of those which
// are to go.
func (ls *logs) rootsApart(roots []EpochRoot, going []int) ([]EpochRoot, error) {
	some := ls.oldest(len(going))
	roots = slices.Clone(roots)
	for i := range roots {
		in, err := ls.leadsInto(roots[i].Old, some)
		if err != nil {
			return nil, err
		}
		roots[i].apart = roots[i].apart || in
	}
	return roots, nil
}

// oldest returns the logs of so many epochs, oldest first.
func (ls *logs) oldest(n int) []*oplog {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return slices.Clone(ls.all[:n])
}

// headsStay returns errNeedsEpoch when a branch is in one of the epochs that are
// to go, the oldest ones.
func (ls *logs) headsStay(refs map[string]ID, going []int) error {
	some := ls.oldest(len(going))
	for name, id := range refs {
		if !strings.HasPrefix(name, branchPrefix) || reserved(name) {
			continue
		}
		if in, err := ls.leadsInto(id, some); err != nil {
			return err
		} else if in {
			return errNeedsEpoch
		}
	}
	return nil
}

// headsOutside returns the refs of an ended epoch that do not lead into those
// that are to go: somebody had gone back there.
func (ls *logs) headsOutside(heads []Ref, going []int) (stay []Ref, err error) {
	some := ls.oldest(len(going))
	for _, h := range heads {
		in, err := ls.leadsInto(h.Target, some)
		if err != nil {
			return nil, err
		}
		if !in {
			stay = append(stay, h)
		}
	}
	return stay, nil
}

// epochOf returns the newest epoch whose log has a commit, 0 when none has.
func (ls *logs) epochOf(id ID) (int, error) {
	for _, l := range ls.newestFirst() {
		ok, err := l.has(id)
		if err != nil {
			return 0, err
		}
		if ok {
			return l.epoch, nil
		}
	}
	return 0, nil
}

// has reports whether a commit is in the log.
func (l *oplog) has(id ID) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok, err := l.find(id)
	return ok, err
}

// dependents returns the oldest epoch, if it is first, and those after it that
// have to go with it because they have commits whose parents are in it.
func (ls *logs) dependents(first int) (going []int, err error) {
	all := ls.newestFirst()
	slices.Reverse(all)
	if all[0].epoch != first {
		return nil, fmt.Errorf("%w: epoch %d is not the oldest one", ErrConfig, first)
	}
	n := 1
	for k := 1; k < len(all); k++ {
		outside, err := all[k].outsideParents()
		if err != nil {
			return nil, err
		}
		for _, id := range outside {
			in, err := ls.leadsInto(id, all[:n])
			if err != nil {
				return nil, err
			}
			if in {
				n = k + 1
				break
			}
		}
	}
	if n == len(all) {
		return nil, errNeedsEpoch
	}
	for _, l := range all[:n] {
		going = append(going, l.epoch)
	}
	return going, nil
}

// errNeedsEpoch says that the current epoch cannot be read without one that is
// to be dropped.
var errNeedsEpoch = errors.New("vcs: the current epoch goes on from an older one")

// outsideParents returns the parents that commits of the log have and that are
// not in it.
func (l *oplog) outsideParents() ([]ID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segs {
		if s.first+s.n <= l.lookedAt {
			continue
		}
		v, err := l.view(s)
		if err != nil {
			return nil, err
		}
		for i := max(l.lookedAt, s.first) - s.first; i < s.n; i++ {
			if v.rec(i).flags&parentsMask != parentsList {
				continue
			}
			parents, err := v.parentsOf(i)
			if err != nil {
				return nil, err
			}
			for _, p := range parents {
				if p.native && !slices.Contains(l.outside, p.id) {
					if len(l.outside) == 0 {
						l.outsideAt = s.first + i
					}
					l.outside = append(l.outside, p.id)
				}
			}
		}
		l.lookedAt = s.first + s.n
	}
	return l.outside, nil
}
