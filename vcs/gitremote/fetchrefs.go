package gitremote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// mapRefs finds out which refs of the remote are fetched, and to where.
func (f *fetcher) mapRefs() error {
	asked := map[string]bool{}
	add := func(r vcs.Ref, dst string, force bool) {
		f.want = append(f.want, mapped{r, dst, force})
		asked[r.Name] = true
	}
	exists := func(name string) bool { _, ok := f.adv.ref(name); return ok }
	for _, spec := range f.specs {
		if !spec.isPattern() {
			name, ok := fullName(spec.Src, f.adv.head, exists)
			if !ok {
				return fmt.Errorf("%w: %s: %s has no ref %s", ErrRefspec, spec, f.rep.Remote, spec.Src)
			}
			id, _ := f.adv.ref(name)
			dst := spec.Dst
			switch {
			case dst == "" || strings.HasPrefix(dst, "refs/"):
			case strings.HasPrefix(name, "refs/tags/"):
				dst = vcs.TagRef(dst)
			default:
				dst = vcs.BranchRef(dst)
			}
			add(vcs.Ref{Name: name, Target: id}, dst, spec.Force)
			continue
		}
		for _, r := range f.adv.refs {
			if dst, ok := spec.expand(r.Name); ok && !isPrivate(r.Name) {
				add(r, dst, spec.Force)
			}
		}
	}
	for _, r := range f.adv.refs {
		if !strings.HasPrefix(r.Name, "refs/tags/") || asked[r.Name] {
			continue
		}
		switch f.opts.Tags {
		case AllTags:
			add(r, r.Name, false)
		case FollowTags:
			f.tags = append(f.tags, r)
		}
	}
	return nil
}

// moveRefs makes the store's refs what they are to be, each one that can. What
// somebody else moves meanwhile is looked at again.
func (f *fetcher) moveRefs(ctx context.Context) error {
	var err error
	for range 10 {
		f.rep.Updates = nil
		if err = f.plan(); err != nil {
			return err
		}
		if err = f.apply(ctx); !errors.Is(err, vcs.ErrRefMoved) {
			break
		}
	}
	if err != nil {
		return err
	}
	var errs []*RefError
	for _, u := range f.rep.Updates {
		errs = append(errs, u.Err)
	}
	return rejected(f.rep.Remote, errs)
}

// plan says what becomes of each ref of the store as it is now.
func (f *fetcher) plan() error {
	refs, err := f.into.Refs()
	if err != nil {
		return fmt.Errorf("gitremote: list refs: %w", err)
	}
	here := refMap(refs)
	taken := map[string]bool{}
	for _, m := range f.want {
		if m.dst != "" && taken[m.dst] {
			continue // of refspecs that overlap the first one counts
		}
		taken[m.dst] = true
		if err := f.planOne(m, here); err != nil {
			return err
		}
	}
	for _, t := range f.tags {
		if _, ok := here[t.Name]; ok || taken[t.Name] {
			continue
		}
		if _, _, err := f.into.ReadObject(t.Target); errors.Is(err, vcs.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		f.note(t.Name, vcs.RefUpdate{Name: t.Name, New: t.Target}, false, nil)
	}
	if f.opts.Prune {
		f.prune(refs, taken)
	}
	return nil
}

func (f *fetcher) note(src string, u vcs.RefUpdate, forced bool, err *RefError) {
	f.rep.Updates = append(f.rep.Updates, FetchUpdate{Src: src, RefUpdate: u, Forced: forced, Err: err})
}

func (f *fetcher) planOne(m mapped, here map[string]vcs.ID) error {
	u := vcs.RefUpdate{Name: m.dst, Old: here[m.dst], New: m.Target}
	if m.dst == "" {
		u.Old = u.New
	}
	if u.Old.IsZero() || u.Old == u.New || strings.HasPrefix(m.dst, "refs/tags/") {
		var why *RefError
		if !u.Old.IsZero() && u.Old != u.New && !m.force {
			why = &RefError{Ref: m.dst, Reason: reasonClobber, Err: vcs.ErrNotFastForward}
		}
		f.note(m.Name, u, !u.Old.IsZero() && u.Old != u.New, f.allowed(u, why))
		return nil
	}
	ok, err := contains(f.into, u.New, u.Old)
	if err != nil {
		return err
	}
	var why *RefError
	if !ok && !m.force {
		why = notForward(m.dst, reasonNotForward)
	}
	f.note(m.Name, u, !ok, f.allowed(u, why))
	return nil
}

// allowed keeps remotes out of what is the store's own.
func (f *fetcher) allowed(u vcs.RefUpdate, why *RefError) *RefError {
	switch {
	case u.Name == "":
	case isPrivate(u.Name):
		return &RefError{Ref: u.Name, Reason: reasonPrivate, Err: vcs.ErrBadRefName}
	case vcs.CheckRefName(u.Name) != nil:
		return &RefError{Ref: u.Name, Reason: "not a name of a ref", Err: vcs.ErrBadRefName}
	}
	return why
}

// prune deletes what the refspecs own and the remote has lost.
func (f *fetcher) prune(refs []vcs.Ref, taken map[string]bool) {
	for _, r := range refs {
		if taken[r.Name] || isPrivate(r.Name) {
			continue
		}
		for _, spec := range f.specs {
			if _, ok := spec.owns(r.Name); ok && spec.isPattern() && spec.Dst != "" {
				f.note("", vcs.RefUpdate{Name: r.Name, Old: r.Target}, false, nil)
				break
			}
		}
	}
}

// refsAtOnce is how many refs move together: half of what a store takes.
const refsAtOnce = vcs.MaxBatchRefs / 4

// apply moves the refs; the error wraps vcs.ErrRefMoved when somebody else did.
func (f *fetcher) apply(ctx context.Context) error {
	var at []*FetchUpdate
	for i := range f.rep.Updates {
		if u := &f.rep.Updates[i]; u.Err == nil && u.Old != u.New {
			at = append(at, u)
		}
	}
	for len(at) > 0 {
		n := min(len(at), refsAtOnce)
		if err := f.applySome(ctx, at[:n]); err != nil {
			return err
		}
		at = at[n:]
	}
	return nil
}

// applySome moves refs together, and one by one where the store refuses that,
// to learn which one it does not like.
func (f *fetcher) applySome(ctx context.Context, at []*FetchUpdate) error {
	var updates []vcs.RefUpdate
	for _, u := range at {
		updates = append(updates, u.RefUpdate)
	}
	err := f.into.UpdateRefs(ctx, updates)
	if !errors.Is(err, vcs.ErrBadRefName) && !errors.Is(err, vcs.ErrWrongKind) {
		return err
	}
	if len(at) == 1 {
		at[0].Err = &RefError{Ref: at[0].Name, Reason: clean(err.Error()), Err: err}
		return nil
	}
	for i := range at {
		if err := f.applySome(ctx, at[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}
