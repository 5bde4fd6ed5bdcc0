package vcs

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// rootPlan is how the next epoch begins: which roots are made, and where the
// branches go.
type rootPlan struct {
	number int
	author Signature
	filter *treeFilter // nil when everything is kept
	work   *scratch    // takes the commits
	roots  []EpochRoot
	moves  []RefUpdate
	ended  int // commits of the epoch that ends
}

// plan makes the roots of the epoch after this one for some branches.
func (s *Store) plan(p *rootPlan, branches []Ref) error {
	heads := make([]ID, len(branches))
	for i, b := range branches {
		heads[i] = b.Target
	}
	k, err := s.rootsOf(p, heads)
	if err != nil {
		return err
	}
	names := make(map[ID]string)
	for _, b := range branches {
		if had, ok := names[b.Target]; !ok || b.Name == s.Head() || had != s.Head() && b.Name < had {
			names[b.Target] = b.Name
		}
	}
	roots := make([]*Commit, len(k.ids))
	to := make(map[ID]ID)
	for i := len(k.ids) - 1; i >= 0; i-- {
		old, err := s.ReadCommit(k.ids[i])
		if err != nil {
			return err
		}
		var parents []*Commit
		for _, j := range k.parents[i] {
			parents = append(parents, roots[j])
		}
		if roots[i], err = p.root(old, names[old.ID], parents); err != nil {
			return err
		}
		to[old.ID] = roots[i].ID
	}
	for _, b := range branches {
		p.moves = append(p.moves, RefUpdate{b.Name, b.Target, to[b.Target]})
	}
	return nil
}

// rootsOf finds the commits that get roots for some heads. A single one needs no
// look at the history behind it, unless its commits are to be counted.
func (s *Store) rootsOf(p *rootPlan, heads []ID) (skeleton, error) {
	if one := heads[0]; s.log != nil && !slices.ContainsFunc(heads, func(id ID) bool { return id != one }) {
		return skeleton{ids: heads[:1], parents: make([][]int, 1)}, nil
	}
	d := &epochDAG{s: s}
	if s.log != nil {
		d.l = s.log.current().frozen() // so that what is saved meanwhile stays one commit
	}
	nodes, err := d.reach(heads)
	if err != nil {
		return skeleton{}, err
	}
	if d.ends && s.epochs.joined() {
		// Somebody went on from a commit of an older epoch, perhaps.
		d = &epochDAG{s: s, l: d.l, grafts: true}
		if nodes, err = d.reach(heads); err != nil {
			return skeleton{}, err
		}
	}
	p.ended = len(d.ids)
	return d.skeleton(nodes)
}

// root makes the commit that stands for an old one. It depends on nothing but
// that, the epoch's number and the configuration.
func (p *rootPlan) root(old *Commit, ref string, parents []*Commit) (*Commit, error) {
	what := strings.TrimPrefix(ref, branchPrefix)
	if ref == "" {
		what = "common ancestor"
	}
	c := &Commit{Tree: old.Tree, Author: p.author}
	c.Author.When = old.Time().UTC()
	for _, q := range parents {
		c.Parents = append(c.Parents, q.ID)
		if t := q.Time(); t.After(c.Author.When) {
			c.Author.When = t
		}
	}
	c.Committer = c.Author
	c.Message = fmt.Sprintf("epoch %d: %s\n\n%s: %d\n%s: %v\n%s: %s\n", p.number, what,
		TrailerEpoch, p.number, TrailerPrevious, old.ID, TrailerArchive, EpochRef(p.number-1))
	if p.filter != nil {
		var err error
		if c.Tree, err = p.filter.tree("", old.Tree, 0); err != nil {
			return nil, err
		}
	}
	if c.Tree == EmptyTree {
		p.work.putTree(&Tree{})
	}
	content := c.Encode(nil)
	c.ID = p.work.put(KindCommit, content)
	r := EpochRoot{Ref: ref, Root: c.ID, Old: old.ID}
	if g := newGraft(r, content); g != nil {
		r = g.EpochRoot
	}
	p.roots = append(p.roots, r)
	return c, nil
}

// treeFilter takes files out of trees. It remembers what became of each folder,
// so that a second run, when little has changed, costs little.
type treeFilter struct {
	keep func(path string, content []byte) bool
	work *scratch // has the new trees
	memo map[filterKey]ID
}

type filterKey struct {
	path string
	tree ID
}

// tree returns a folder without the files that are not wanted.
func (f *treeFilter) tree(path string, id ID, depth int) (ID, error) {
	if depth > maxDepth {
		return ID{}, fmt.Errorf("%w: deeper than %d folders", ErrBadPath, maxDepth)
	}
	key := filterKey{path, id}
	if out, ok := f.memo[key]; ok {
		return out, nil
	}
	t, err := f.work.ReadTree(id)
	if err != nil {
		return ID{}, err
	}
	var changes []TreeEntry
	for i := range t.Len() {
		x := t.Entry(i)
		sub := join(path, x.Name)
		switch x.Mode.Kind() {
		case KindTree:
			now, err := f.tree(sub, x.ID, depth+1)
			if err != nil {
				return ID{}, err
			}
			switch now {
			case x.ID:
				continue
			case EmptyTree:
				changes = append(changes, TreeEntry{Name: x.Name})
			default:
				changes = append(changes, TreeEntry{x.Name, ModeDir, now})
			}
		case KindBlob:
			content, err := readKind(f.work, x.ID, KindBlob)
			if err != nil {
				return ID{}, err
			}
			if !f.keep(sub, slices.Clip(content)) {
				changes = append(changes, TreeEntry{Name: x.Name})
			}
		}
	}
	out := id
	if len(changes) > 0 {
		out = f.work.putTree(t.changed(changes))
	}
	f.memo[key] = out
	return out, nil
}

// epochAuthor is who makes the store's own commits unless Retention says.
func epochAuthor(s Signature, when time.Time) Signature {
	if cleanIdent(s.Name) == "" && cleanIdent(s.Email) == "" {
		s = Signature{Name: "vcs", Email: "vcs@localhost"}
	}
	s.When = when
	return s
}
