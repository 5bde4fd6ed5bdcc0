package gitremote

import (
	"errors"
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// PushUpdate is what a push did, or tried to do, to one ref of the remote.
type PushUpdate struct {
	// Src is the full name of the ref here, or the revision that stood in its
	// place; "" when the ref is deleted.
	Src string
	// RefUpdate is the change of the remote's ref. Old and New are equal when it
	// was up to date.
	vcs.RefUpdate
	// Forced: Old is not contained in New.
	Forced bool
	// Err says why nothing changed; nil for success.
	Err *RefError
}

// UpToDate reports whether there was nothing to do.
func (u *PushUpdate) UpToDate() bool { return u.Old == u.New && u.Err == nil }

// pushPlan works out what becomes of the remote's refs.
type pushPlan struct {
	src    Source
	opts   *PushOptions
	here   map[string]vcs.ID
	there  map[string]vcs.ID
	result []PushUpdate
}

// planPush expands the refspecs and checks each update. The error is that a
// refspec makes no sense, or that of the source.
func planPush(src Source, there []vcs.Ref, canDelete bool, specs []string, opts *PushOptions) ([]PushUpdate, error) {
	refs, err := src.Refs()
	if err != nil {
		return nil, fmt.Errorf("gitremote: list refs: %w", err)
	}
	p := &pushPlan{src: src, opts: opts, here: refMap(refs), there: refMap(there)}
	if len(specs) == 0 {
		specs = []string{"HEAD"}
	}
	for _, text := range specs {
		spec, err := ParseRefspec(text)
		if err != nil {
			return nil, err
		}
		if spec.isPattern() {
			err = p.pattern(spec, refs)
		} else {
			err = p.single(spec, text)
		}
		if err != nil {
			return nil, err
		}
	}
	times := map[string]int{}
	for _, u := range p.result {
		times[u.Name]++
	}
	for i := range p.result {
		u := &p.result[i]
		switch {
		case u.Err != nil:
		case times[u.Name] > 1:
			u.Err = &RefError{Ref: u.Name, Reason: reasonTwice, Err: vcs.ErrBadRefName}
		case u.New.IsZero() && !u.Old.IsZero() && !canDelete:
			u.Err = &RefError{Ref: u.Name, Reason: reasonNoDeletions, Err: ErrUnsupported}
		}
	}
	return p.result, nil
}

func (p *pushPlan) pattern(spec Refspec, refs []vcs.Ref) error {
	if spec.Dst == "" {
		spec.Dst = spec.Src
	}
	for _, r := range refs {
		dst, ok := spec.expand(r.Name)
		if !ok || isPrivate(r.Name) {
			continue
		}
		if err := p.add(r.Name, dst, r.Target, spec.Force); err != nil {
			return err
		}
	}
	return nil
}

func (p *pushPlan) single(spec Refspec, text string) error {
	isHere := func(name string) bool { _, ok := p.here[name]; return ok }
	isThere := func(name string) bool { _, ok := p.there[name]; return ok }
	if spec.Src == "" {
		dst, ok := fullName(spec.Dst, "", isThere)
		if !ok {
			if dst = spec.Dst; !strings.HasPrefix(dst, "refs/") {
				dst = vcs.BranchRef(dst)
			}
		}
		return p.add("", dst, vcs.ID{}, spec.Force)
	}
	src, ok := fullName(spec.Src, p.src.Head(), isHere)
	id := p.here[src]
	if !ok {
		var err error
		if id, err = p.revision(spec.Src); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrRefspec, text, err)
		}
	}
	dst := spec.Dst
	switch {
	case dst == "" && !ok:
		return fmt.Errorf("%w: %s: write %s:refs/heads/NAME to say which ref it becomes", ErrRefspec, text, spec.Src)
	case dst == "":
		dst = src
	case !strings.HasPrefix(dst, "refs/"):
		switch full, ok := fullName(dst, "", isThere); {
		case ok:
			dst = full
		case strings.HasPrefix(src, "refs/tags/"):
			dst = vcs.TagRef(dst)
		default:
			dst = vcs.BranchRef(dst)
		}
	}
	if !ok {
		src = spec.Src
	}
	return p.add(src, dst, id, spec.Force)
}

// revision finds an object by its id, or a commit by what a store makes of a
// revision.
func (p *pushPlan) revision(rev string) (vcs.ID, error) {
	id, err := vcs.ParseID(rev)
	if err == nil {
		_, _, err = p.src.ReadObject(id)
		return id, err
	}
	if s, ok := p.src.(interface{ Resolve(string) (vcs.ID, error) }); ok {
		return s.Resolve(rev)
	}
	return id, fmt.Errorf("%w: revision %q", vcs.ErrNotFound, rev)
}

// add checks one update and notes it.
func (p *pushPlan) add(src, dst string, id vcs.ID, force bool) error {
	if err := vcs.CheckRefName(dst); err != nil {
		return fmt.Errorf("%w: %w", ErrRefspec, err)
	}
	u := PushUpdate{Src: src, RefUpdate: vcs.RefUpdate{Name: dst, Old: p.there[dst], New: id}}
	var err error
	u.Err, err = p.check(&u, force || p.opts.Force)
	p.result = append(p.result, u)
	return err
}

func (p *pushPlan) check(u *PushUpdate, force bool) (*RefError, error) {
	want, leased := p.opts.Lease[u.Name]
	if branch, is := strings.CutPrefix(u.Name, "refs/heads/"); is && !leased && p.opts.LeaseName != "" {
		want, leased = p.here["refs/remotes/"+p.opts.LeaseName+"/"+branch], true
	}
	if leased {
		if want != u.Old {
			return &RefError{Ref: u.Name, Reason: reasonStale, Err: vcs.ErrRefMoved}, nil
		}
		force = true
	}
	switch {
	case u.New.IsZero() && u.Old.IsZero():
		return &RefError{Ref: u.Name, Reason: reasonNoSuchRef, Err: vcs.ErrNotFound}, nil
	case u.Old.IsZero(), u.New.IsZero(), u.Old == u.New:
		return nil, nil
	case strings.HasPrefix(u.Name, "refs/tags/") && !force:
		return &RefError{Ref: u.Name, Reason: reasonExists, Err: vcs.ErrNotFastForward}, nil
	}
	reason := reasonNotForward
	ok, err := contains(p.src, u.New, u.Old)
	if errors.Is(err, vcs.ErrNotFound) {
		ok, err, reason = false, nil, reasonFetchFirst
	}
	if err != nil || ok {
		return nil, err
	}
	u.Forced = force
	if !force {
		return notForward(u.Name, reason), nil
	}
	return nil, nil
}

// isPrivate reports whether a ref is a backend's own.
func isPrivate(name string) bool { return strings.HasPrefix(name, "refs/arpeggio/") }
