package gitserve

import (
	"errors"
	"strings"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// privateRefs is where backends keep what is theirs.
const privateRefs = "refs/arpeggio/"

// checkNames refuses what no rule can allow, whatever the objects.
func (p *push) checkNames() {
	times := map[string]int{}
	for _, u := range p.args.updates {
		times[u.Name]++
	}
	for i := range p.results {
		r := &p.results[i]
		u := r.update
		switch {
		case vcs.CheckRefName(u.Name) != nil:
			p.refuse(r, refuseRef(reasonRefName, "funny refname", "refusing to create funny ref '%s' remotely", u.Name))
		case strings.HasPrefix(u.Name, privateRefs):
			p.refuse(r, refuseRef(reasonPolicy, "deny updating a hidden ref", "%s belongs to the store", u.Name))
		case times[u.Name] > 1:
			p.refuse(r, refuseRef(reasonRefName, "failed to update ref", "multiple updates for ref '%s' not allowed", u.Name))
		case u.New.IsZero() && u.Name == p.refs.head:
			p.refuse(r, refuseRef(reasonPolicy, "deletion of the current branch prohibited", "refusing to delete the current branch: %s", u.Name))
		case u.New.IsZero() && u.Old.IsZero():
			p.messages = append(p.messages, "warning: deleting a non-existent ref")
		}
	}
}

// check looks at one update. The error is the repository's.
func (p *push) check(r *result) (*Refusal, error) {
	u := r.update
	if is, _ := p.refs.lookup(u.Name); is != u.Old {
		return stale(u, is), nil
	}
	if u.Old == u.New {
		return nil, nil
	}
	if why, err := p.complete(u); why != nil || err != nil {
		return why, err
	}
	full, err := p.classify(u)
	if err != nil {
		return nil, err
	}
	r.kind = full.Kind
	if p.grant.Allow == nil {
		return &Refusal{Reason: "hook declined", Message: "this client may not write", counted: reasonPolicy}, nil
	}
	if err := p.grant.Allow(full); err != nil {
		return asRefusal(err), nil
	}
	if accept := p.h.cfg.Push.Accept; accept != nil {
		if err := accept(p.ctx, full, p.objects); err != nil {
			return asRefusal(err), nil
		}
	}
	return nil, nil
}

// complete makes sure that all of the new history is there.
func (p *push) complete(u vcs.RefUpdate) (*Refusal, error) {
	if u.New.IsZero() {
		return nil, nil
	}
	var missing *packfile.MissingError
	err := p.checked.Complete(u.New)
	switch {
	case !errors.As(err, &missing):
	case p.args.shallow[missing.From]:
		return &Refusal{Reason: "shallow update not allowed", counted: reasonMissing}, nil
	default:
		why := plain(missing.Error())
		if e := newEpochs(p.h.cfg.Repository); e != nil && e.known[missing.ID] {
			why += ": it is of an epoch that is not here any more; fetch, and you are told how to join this one"
		}
		return refuseRef(reasonMissing, "missing necessary objects", "%s", why), nil
	}
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(u.Name, "refs/heads/") {
		return nil, nil
	}
	kind, _, err := p.objects.ReadObject(u.New)
	if err == nil && kind != vcs.KindCommit {
		return refuseRef(reasonPolicy, "failed to update ref",
			"cannot update ref '%s': trying to write non-commit object %v to branch '%s'", u.Name, u.New, u.Name), nil
	}
	return nil, err
}

// classify says what an update does to its ref.
func (p *push) classify(u vcs.RefUpdate) (Update, error) {
	full := Update{RefUpdate: u}
	if u.New.IsZero() {
		full.Kind = Delete
		return full, nil
	}
	tip, err := p.commitOf(u.New)
	if err != nil {
		return full, err
	}
	if u.Old.IsZero() {
		full.Kind = Create
		full.Unrelated = !tip.IsZero() && len(p.refs.refs) > 0
		if full.Unrelated {
			full.Unrelated, err = p.isAllNew(tip)
		}
		return full, err
	}
	full.Kind = Force
	old, err := p.commitOf(u.Old)
	if err != nil || old.IsZero() || tip.IsZero() {
		return full, err
	}
	bases, err := vcs.MergeBases(commitGraph{p.graph}, []vcs.ID{old}, []vcs.ID{tip})
	if err != nil {
		return full, err
	}
	full.Unrelated = len(bases) == 0
	if full.Unrelated && newEpochs(p.h.cfg.Repository) != nil {
		// What stands on an earlier epoch only lacks the commits since.
		if full.Unrelated, err = p.isAllNew(tip); err != nil {
			return full, err
		}
	}
	if len(bases) == 1 && bases[0] == old && (old == u.Old && tip == u.New) {
		full.Kind = FastForward
	}
	return full, nil
}

// commitOf follows tags to a commit; zero for anything else.
func (p *push) commitOf(id vcs.ID) (vcs.ID, error) {
	id, err := peelID(p.objects, id)
	if err != nil {
		return vcs.ID{}, err
	}
	n, err := p.graph.commit(id)
	if err != nil || n == nil {
		return vcs.ID{}, err
	}
	return id, nil
}

// isAllNew reports whether no commit that tip leads to was here before.
func (p *push) isAllNew(tip vcs.ID) (bool, error) {
	old := false
	var failed error
	err := p.graph.walk([]vcs.ID{tip}, func(id vcs.ID, _ *commitNode) bool {
		if old || failed != nil {
			return false
		}
		_, _, err := p.objects.objects.ReadObject(id)
		switch {
		case err == nil:
			old = true
		case !errors.Is(err, vcs.ErrNotFound):
			failed = err
		}
		return !old
	})
	return !old, errors.Join(err, failed)
}

// commitGraph is a graph as package vcs wants it: with nothing in a commit but
// its parents and its time.
type commitGraph struct{ *graph }

// ReadCommit implements vcs.CommitReader.
func (g commitGraph) ReadCommit(id vcs.ID) (*vcs.Commit, error) {
	n, err := g.commit(id)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, vcs.ErrWrongKind
	}
	c := &vcs.Commit{ID: id, Parents: n.parents}
	c.Committer.When = time.Unix(n.time, 0)
	return c, nil
}
