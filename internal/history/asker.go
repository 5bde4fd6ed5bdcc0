package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// Networks selects broadcast domains and VLANs. The zero value selects all.
type Networks struct {
	Domain string         // empty: all
	VLAN   *ethernet.VLAN // nil: all
}

func (n Networks) has(domain string, vlan ethernet.VLAN) bool {
	return (n.Domain == "" || n.Domain == domain) && (n.VLAN == nil || *n.VLAN == vlan)
}

// Asker answers who held addresses at times, many questions over one open
// repository: it remembers what it has read. It is for one goroutine.
type Asker struct {
	// Index, when not nil, is one of the record of the commit that is asked. It
	// changes no answer.
	Index *versioned.RecordIndex

	repo   *versioned.Repo
	head   *vcs.Commit
	window time.Duration
	seen   func() (map[arp.Key][]versioned.SeenOwner, error)

	places []arp.Key // the domains and VLANs of the table, without address
	known  map[arp.Key]*reading
	held   int // stretches in known
	told   claimCache
}

// maxHeld bounds the stretches that an Asker remembers.
const maxHeld = 1 << 18

// NewAsker returns an Asker of what a commit and its ancestors tell. Window is
// how far before and after a time a dispute counts. Seen, which may be nil, is
// called at most once, for the seen index of the branch.
func NewAsker(s *vcs.Store, head *vcs.Commit, window time.Duration, seen func() (map[arp.Key][]versioned.SeenOwner, error)) (*Asker, error) {
	repo, err := versioned.NewRepo(s)
	if err != nil {
		return nil, err
	}
	a := &Asker{repo: repo, head: head, window: window, known: make(map[arp.Key]*reading), told: make(claimCache)}
	index := map[arp.Key][]versioned.SeenOwner{}
	a.seen = func() (map[arp.Key][]versioned.SeenOwner, error) {
		var err error
		if seen != nil {
			index, err = seen()
			seen = nil
		}
		return index, err
	}
	root, err := s.ReadTree(head.Tree)
	if err != nil {
		return nil, err
	}
	for domain := range folders(root) {
		t, err := s.ReadTree(domain.ID)
		if err != nil {
			return nil, err
		}
		for sub := range folders(t) {
			k, ok := placeOf(domain.Name + "/" + sub.Name)
			if ok && !slices.Contains(a.places, k) {
				a.places = append(a.places, k)
			}
		}
	}
	return a, nil
}

// placeOf reads the domain and VLAN of a folder.
func placeOf(dir string) (arp.Key, bool) {
	if !strings.Contains(dir, "/vlan-") {
		dir = dir[:strings.IndexByte(dir, '/')]
	}
	any4 := netip.AddrFrom4([4]byte{})
	_, rest, _ := strings.Cut(versioned.Layout{}.Path(arp.Key{Domain: "lan", Addr: any4}), "/")
	k, ok := versioned.Layout{}.Key(dir + "/" + rest)
	k.Addr = netip.Addr{}
	return k, ok
}

// Keys returns what an address stands for: its key in each of some networks in
// which the history knows it, untagged ones first.
func (a *Asker) Keys(ctx context.Context, addr netip.Addr, in Networks) ([]arp.Key, error) {
	var all, known []arp.Key
	for _, k := range a.places {
		if !in.has(k.Domain, k.VLAN) {
			continue
		}
		k.Addr = addr
		all = append(all, k)
		m, err := findPath(a.repo.Store(), a.head.Tree, "", versioned.Layout{}.Path(k), nil)
		if err != nil {
			return nil, err
		}
		if len(m) > 0 {
			known = append(known, k)
		}
	}
	if len(known) == 0 { // what an epoch has dropped is in no tree any more
		for _, k := range all {
			for range a.holdings(ctx, k, 1) {
				known = append(known, k)
				break
			}
		}
	}
	slices.SortStableFunc(known, func(x, y arp.Key) int {
		switch {
		case x.VLAN.IsZero() == y.VLAN.IsZero():
			return 0
		case x.VLAN.IsZero():
			return -1
		}
		return 1
	})
	return known, nil
}

// Key returns the one key that an address stands for, and the others. Where it
// is known untagged, that is meant; the error wraps ErrAmbiguous when it is in
// several networks. An address that is in none has a key all the same, of the
// network that is selected.
func (a *Asker) Key(ctx context.Context, addr netip.Addr, in Networks) (k arp.Key, others []arp.Key, err error) {
	if err := a.check(in); err != nil {
		return k, nil, err
	}
	keys, err := a.Keys(ctx, addr, in)
	if err != nil {
		return k, nil, err
	}
	if len(keys) == 0 {
		k = arp.Key{Domain: in.Domain, Addr: addr}
		if k.Domain == "" {
			k.Domain = arp.DefaultDomain
		}
		if in.VLAN != nil {
			k.VLAN = *in.VLAN
		}
		return k, nil, nil
	}
	same := keys[:1]
	for _, other := range keys[1:] {
		if other.VLAN.IsZero() == keys[0].VLAN.IsZero() {
			same = append(same, other)
		}
	}
	if len(same) > 1 {
		return k, nil, fmt.Errorf("%w: %v is in several networks: %s", ErrAmbiguous, addr, placeNames(same))
	}
	return keys[0], keys[1:], nil
}

// check refuses networks that the history does not know.
func (a *Asker) check(in Networks) error {
	if in == (Networks{}) || slices.ContainsFunc(a.places, func(k arp.Key) bool { return in.has(k.Domain, k.VLAN) }) {
		return nil
	}
	return fmt.Errorf("%w network; the history has: %s", ErrUnknown, placeNames(a.places))
}

// placeNames lists domains and VLANs.
func placeNames(places []arp.Key) string {
	names := make([]string, len(places))
	for i, k := range places {
		names[i] = fmt.Sprintf("domain %s VLAN %v", k.Domain, k.VLAN)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// At answers who held an address at a time, and who claimed it. What no commit
// says about the last sight of one that holds it still is from the seen index.
func (a *Asker) At(ctx context.Context, k arp.Key, at time.Time) (versioned.Answer, error) {
	ans, err := a.Held(ctx, k, at)
	if err != nil {
		return ans, err
	}
	if err := a.claims(ctx, &ans, k, at); err != nil {
		return ans, err
	}
	for _, h := range []*versioned.Holding{ans.Holder, ans.Before} {
		if err := a.complete(ctx, h); err != nil {
			return ans, err
		}
	}
	for i := range ans.Claimants {
		if err := a.complete(ctx, &ans.Claimants[i]); err != nil {
			return ans, err
		}
	}
	firstOf(&ans)
	return ans, nil
}

// firstOf carries the first sight of a MAC address over to its later stretches in
// an answer.
func firstOf(ans *versioned.Answer) {
	first := make(map[ethernet.Addr]time.Time)
	see := func(h *versioned.Holding) {
		if h == nil {
			return
		}
		if t, ok := first[h.MAC]; ok && t.Before(h.First) {
			h.First = t
		}
		first[h.MAC] = h.First
	}
	see(ans.Before)
	for i := range slices.Backward(ans.Claimants) {
		see(&ans.Claimants[i])
	}
	see(ans.Holder)
}

// Held answers who held an address at a time, and says nothing of claims in vain,
// nor when a holder was seen that lost the address to nobody.
func (a *Asker) Held(ctx context.Context, k arp.Key, at time.Time) (versioned.Answer, error) {
	if ans, ok, err := a.near(ctx, k, at); ok || err != nil {
		return ans, err
	}
	budget := -1
	if a.repo.Store().Logged() {
		budget = maxNewReads
	}
	ans, err := versioned.AnswerAt(a.holdings(ctx, k, budget), at, a.window)
	if errors.Is(err, errFar) {
		return a.far(ctx, k, at)
	}
	return ans, err
}

// maxNewReads is how many stretches a question reads from the newest one on before
// it looks for the time first.
const maxNewReads = 6

// errFar: the answer lies further back.
var errFar = errors.New("history: further back")

// maxLater ends the search of far for a time at which something was known.
const maxLater = 200 * 365 * 24 * time.Hour

// far answers by what was known some time after the question's: so much later
// that the address had changed hands by then, and no later than needed.
func (a *Asker) far(ctx context.Context, k arp.Key, at time.Time) (versioned.Answer, error) {
	end := at.Add(a.window)
	for later := a.window + time.Minute; ; later = 8 * min(later, maxLater/8) {
		start := a.head.ID
		if later < maxLater {
			lines, err := a.repo.Store().LinesAt(at.Add(later), a.head.ID)
			if err != nil {
				return versioned.Answer{}, err
			}
			if len(lines) != 1 {
				continue // nothing was recorded yet, or what was is not all on one branch
			}
			start = lines[0]
		}
		if start != a.head.ID {
			// One commit is read sooner than a stretch.
			c, err := a.repo.LastModified(k, start)
			if errors.Is(err, vcs.ErrNotFound) || err == nil && !c.Time().After(end) {
				continue
			}
			if err != nil {
				return versioned.Answer{}, err
			}
		}
		changed := start == a.head.ID
		ans, err := versioned.AnswerAt(func(yield func(versioned.Holding, error) bool) {
			for h, err := range versioned.Holdings(ctx, a.repo, k, start) {
				if changed = changed || err != nil || h.From.After(end); !changed || !yield(h, err) {
					return
				}
			}
		}, at, a.window)
		if err != nil || changed {
			return ans, err
		}
	}
}

// complete adds to a stretch what the seen index knows: the last sight, when
// nothing has ended the stretch, and when its MAC address was first seen there.
// That is else read from the history.
func (a *Asker) complete(ctx context.Context, h *versioned.Holding) error {
	if h == nil || !h.First.IsZero() {
		return nil
	}
	index, err := a.seen()
	if err != nil {
		return err
	}
	for _, o := range index[h.Key] {
		if o.MAC != h.MAC {
			continue
		}
		if h.Until.IsZero() && h.Seen.IsZero() && !o.Last.Before(h.From) {
			h.Seen, h.Frames = o.Last, o.Frames
		}
		if o.First.Before(h.From) {
			h.First = o.First.UTC()
		}
	}
	switch {
	case !h.First.IsZero():
	case a.never(h):
		h.First = h.From
	default:
		h.First, err = versioned.FirstHeld(ctx, a.repo, h)
	}
	return err
}

// reading is what has been read of the holdings of a key so far.
type reading struct {
	have []versioned.Holding // newest first
	next func() (versioned.Holding, error, bool)
	stop func()
	err  error
	done bool
}

// holdings is versioned.Holdings, which reads nothing twice. When it would have to
// read more stretches than the budget allows, its error is errFar; a negative one
// allows all.
func (a *Asker) holdings(ctx context.Context, k arp.Key, budget int) iter.Seq2[versioned.Holding, error] {
	return func(yield func(versioned.Holding, error) bool) {
		r := a.known[k]
		if r == nil {
			if a.held > maxHeld || len(a.known) > maxHeld {
				a.forget()
			}
			r = &reading{}
			r.next, r.stop = iter.Pull2(versioned.Holdings(ctx, a.repo, k, a.head.ID))
			a.known[k] = r
		}
		for i := 0; ; i++ {
			if i == len(r.have) {
				if !r.done && budget == 0 {
					yield(versioned.Holding{}, errFar)
					return
				}
				if !r.done {
					budget--
					h, err, ok := r.next()
					if !ok || err != nil {
						r.done, r.err = true, err
						r.stop()
					} else {
						r.have = append(r.have, h)
						a.held++
					}
				}
				if i == len(r.have) {
					if r.err != nil {
						yield(versioned.Holding{}, r.err)
					}
					return
				}
			}
			if !yield(r.have[i], nil) {
				return
			}
		}
	}
}

// forget makes room.
func (a *Asker) forget() {
	for _, r := range a.known {
		r.stop()
	}
	clear(a.known)
	a.held = 0
}

// Close ends what is being read.
func (a *Asker) Close() { a.forget() }
