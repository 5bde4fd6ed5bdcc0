package openrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

// ErrMoved: the repository went on while somebody wrote to its mirror, or the
// program that had it open has ended. Opened again, the mirror has what came.
var ErrMoved = errors.New("has gone on meanwhile")

// Deliver sends what was written since Open to where a mirror is of: the branches
// and tags that have changed, all of them or none, each if it still is where it
// was. It does nothing for a repository that is no mirror. When the error wraps
// ErrMoved, open it again and do the work again. After an error the mirror is as
// it was.
func (r *Repo) Deliver(ctx context.Context) error {
	if r.had == nil {
		return nil
	}
	now, err := r.Store.Refs()
	if err != nil {
		return err
	}
	var specs []string
	opt := gitremote.PushOptions{RemoteOptions: r.source.opt, Lease: make(map[string]vcs.ID)}
	changes := refChanges(r.had, now)
	for _, u := range changes {
		spec := ":" + u.Name
		if !u.New.IsZero() {
			spec = u.Name + ":" + u.Name
		}
		specs = append(specs, spec)
		opt.Lease[u.Name] = u.Old
	}
	if len(specs) == 0 {
		return nil
	}
	opt.Atomic = len(specs) > 1
	_, err = gitremote.Push(ctx, r.Store, r.source.url, specs, opt)
	if err == nil {
		r.had = now
		return nil
	}
	rejected, ok := errors.AsType[*gitremote.RejectedError](err)
	ended := r.Kind == Live && (errors.Is(err, gitremote.ErrUnreachable) || errors.Is(err, gitremote.ErrBrokenOff))
	if ended || ok && slices.ContainsFunc(rejected.Refs, hasMoved) {
		err = fmt.Errorf("%s %w: %w", withoutSecret(r.Location), ErrMoved, err)
	}
	for i := range changes {
		changes[i].Old, changes[i].New = changes[i].New, changes[i].Old
	}
	return errors.Join(err, r.Store.UpdateRefs(context.WithoutCancel(ctx), changes))
}

// hasMoved reports whether a ref was refused because somebody else moved it: as
// we found, or in the words of our server and of git's.
func hasMoved(e *gitremote.RefError) bool {
	if !e.Remote {
		return errors.Is(e, vcs.ErrRefMoved) || errors.Is(e, vcs.ErrNotFastForward)
	}
	switch e.Reason {
	case "failed to update ref", "incorrect old value provided", "reference already exists", "fetch first", "non-fast-forward":
		return true
	}
	return false
}

// refChanges lists what turns some refs into others.
func refChanges(old, now []vcs.Ref) (out []vcs.RefUpdate) {
	was := make(map[string]vcs.ID, len(old))
	for _, r := range old {
		was[r.Name] = r.Target
	}
	for _, r := range now {
		if was[r.Name] != r.Target {
			out = append(out, vcs.RefUpdate{Name: r.Name, Old: was[r.Name], New: r.Target})
		}
		delete(was, r.Name)
	}
	for _, r := range old {
		if id, gone := was[r.Name]; gone {
			out = append(out, vcs.RefUpdate{Name: r.Name, Old: id})
		}
	}
	return out
}
