package gitremote

import (
	"errors"

	"arpeggio/vcs"
)

// maxSteps bounds the commits that are looked at for something in common.
const maxSteps = 1 << 18

// question works out what to ask for and what to offer as known. Everything goes
// out in one request, which stateless servers and stateful ones treat alike.
func (f *fetcher) question() (question, error) {
	n := negotiator{have: f.into, offered: map[vcs.ID]bool{}}
	seen := map[vcs.ID]bool{}
	for _, m := range f.want {
		if seen[m.Target] {
			continue
		}
		seen[m.Target] = true
		has, err := n.has(m.Target)
		if err != nil {
			return question{}, err
		}
		if !has {
			n.wants = append(n.wants, m.Target)
		}
	}
	for _, t := range f.tags {
		// The tag of something that is here already does not come by itself.
		target, annotated := f.adv.peeled[t.Name]
		if !annotated || seen[t.Target] {
			continue
		}
		if has, err := n.has(t.Target); err != nil {
			return question{}, err
		} else if has {
			continue
		}
		if has, err := n.has(target); err != nil {
			return question{}, err
		} else if has {
			n.wants = append(n.wants, t.Target)
		}
	}
	q := question{withTags: f.opts.Tags == FollowTags}
	if q.wants = n.wants; len(q.wants) == 0 {
		return q, nil
	}
	if err := n.offer(f.adv, f.into); err != nil {
		return q, err
	}
	q.haves = n.haves
	return q, nil
}

// negotiator finds what a store has in common with a remote.
type negotiator struct {
	have    vcs.ObjectReader
	wants   []vcs.ID
	haves   []vcs.ID
	offered map[vcs.ID]bool
}

func (n *negotiator) has(id vcs.ID) (bool, error) {
	_, _, err := n.have.ReadObject(id)
	if errors.Is(err, vcs.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (n *negotiator) add(id vcs.ID) {
	if !n.offered[id] {
		n.offered[id] = true
		n.haves = append(n.haves, id)
	}
}

// offer lists commits, those first that help most.
func (n *negotiator) offer(adv *advertisement, own vcs.RefReader) error {
	var common []vcs.ID
	for _, r := range adv.refs {
		if has, err := n.has(r.Target); err != nil {
			return err
		} else if has {
			common = append(common, r.Target)
		}
	}
	refs, err := own.Refs()
	if err != nil {
		return err
	}
	known := make(map[vcs.ID]bool, len(common))
	for _, id := range common {
		n.add(id)
		if id, err := peel(n.have, id); err == nil {
			known[id] = true
		}
	}
	var tips []vcs.ID
	for _, r := range refs {
		if isPrivate(r.Name) {
			continue
		}
		if id, err := peel(n.have, r.Target); err == nil && !known[id] {
			known[id] = true
			tips = append(tips, id)
			n.add(id)
		}
	}
	return n.walk(tips, known)
}

// walk offers ancestors of the tips along first parents, at distances that
// double, and stops where it meets what is known.
func (n *negotiator) walk(tips []vcs.ID, known map[vcs.ID]bool) error {
	steps := 0
	for _, id := range tips {
		for distance, next := 1, 1; len(n.haves) < maxHaves && steps < maxSteps; distance++ {
			steps++
			c, err := readCommit(n.have, id)
			if errors.Is(err, vcs.ErrWrongKind) {
				break // a tag of a tree or a blob
			}
			if err != nil {
				return err
			}
			if len(c.Parents) == 0 {
				n.add(id)
				break
			}
			if id = c.Parents[0]; known[id] {
				break
			}
			known[id] = true
			if distance == next {
				n.add(id)
				next *= 2
			}
		}
	}
	return nil
}
