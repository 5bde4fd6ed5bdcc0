package vcstest

import (
	"context"
	"errors"
	"fmt"

	"arpeggio/vcs"
)

// judge opens an image.
func (c Crash) judge(run *crashRun, dir string, k int, torn, write bool, n *tally) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	b, found, err := c.Open(dir)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.damaged++
		if !torn && c.Refused != nil && c.Refused(err) {
			n.refused++
			return nil
		}
		return fmt.Errorf("it does not open: %w", err)
	}
	var refs []vcs.Ref
	var rep vcs.Report
	if found.Report != nil && !write {
		refs, err = justLoad(b)
		rep = *found.Report
	} else {
		refs, rep, err = use(b, dir, write)
		if (errors.Is(err, vcs.ErrCorrupt) || errors.Is(err, vcs.ErrNotFound)) && !torn {
			found.Damage, err = err.Error(), nil // reported to who reads that part of history
		}
		if !rep.OK() && found.Report == nil {
			found.Damage = rep.String()
		}
	}
	if err != nil {
		return err
	}
	state := fmt.Sprint(refs)
	at, known := run.at[state]
	before := state == run.moments[k].refs
	n.mu.Lock()
	defer n.mu.Unlock()
	if torn {
		n.torn++
		switch {
		case found.Damage != "":
			return fmt.Errorf("a crash alone leaves damage: %s; %s", found.Damage, rep.String())
		case !before && state != run.moments[k+1].refs:
			return fmt.Errorf("the refs are those after group commit %d, or none (%t)", at, !known)
		case before:
			n.before++
		default:
			n.after++
		}
		return nil
	}
	n.damaged++
	whole := rep.OK() && before
	switch silent := found.Damage == "" && found.Note == ""; {
	case silent && whole:
		n.intact++
		return nil
	case silent:
		return fmt.Errorf("not reported: the refs are those after group commit %d, or none; %s", at, rep.String())
	}
	n.reported++
	bad := make(map[vcs.ID]bool)
	for _, p := range rep.Problems {
		bad[p.ID] = true
	}
	lost := false
	for _, ref := range refs {
		n.heads++
		if !bad[ref.Target] && !run.commits[ref.Target] {
			return fmt.Errorf("%s is at %v, which never was", ref.Name, ref.Target)
		}
		if bad[ref.Target] {
			n.unread++
			lost = true
		}
	}
	if lost {
		n.lost++
	} else if !whole {
		n.older++
	}
	return nil
}

// justLoad returns the refs and closes the backend.
func justLoad(b vcs.Backend) ([]vcs.Ref, error) {
	st, err := b.Load(context.Background())
	return st.Refs, errors.Join(err, b.Close())
}

// use runs a store on a backend and closes it: it verifies everything and, if
// wanted, reads all of history and writes on.
func use(b vcs.Backend, value string, write bool) (refs []vcs.Ref, rep vcs.Report, err error) {
	ctx := context.Background()
	r, err := vcs.Open(ctx, b, vcs.Config[string, string]{Merge: Larger})
	if err != nil {
		return nil, rep, fmt.Errorf("no store on it: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if refs, err = r.Store().Refs(); err != nil {
		return nil, rep, err
	}
	if rep, err = vcs.Verify(ctx, r.Store(), refs, nil); err != nil || !write {
		return refs, rep, err
	}
	if rep.OK() {
		if err := readAll(r.Store(), refs); err != nil {
			return refs, rep, fmt.Errorf("reading all: %w", err)
		}
	}
	if _, err := r.Set(ctx, "afterwards", "key", value, vcs.CommitInfo{Message: "afterwards"}); err != nil {
		return refs, rep, fmt.Errorf("writing: %w", err)
	}
	return refs, rep, nil
}

// readAll reads every tree and blob of the history.
func readAll(s *vcs.Store, refs []vcs.Ref) error {
	var heads []vcs.ID
	for _, ref := range refs {
		id, err := vcs.PeelCommit(s, ref.Target)
		if err != nil {
			return err
		}
		heads = append(heads, id)
	}
	seen := make(map[vcs.ID]bool)
	var walk func(id vcs.ID) error
	walk = func(id vcs.ID) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		kind, content, err := s.ReadObject(id)
		if err != nil {
			return err
		}
		if vcs.HashObject(kind, content) != id {
			return fmt.Errorf("%w: %v", vcs.ErrCorrupt, id)
		}
		if kind != vcs.KindTree {
			return nil
		}
		tree, err := vcs.ParseTree(content)
		for i := 0; err == nil && i < tree.Len(); i++ {
			err = walk(tree.Entry(i).ID)
		}
		return err
	}
	for c, err := range s.Log(heads...) {
		if err == nil {
			err = walk(c.Tree)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
