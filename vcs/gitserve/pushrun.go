package gitserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// push is one push under way.
type push struct {
	h     *Handler
	ctx   context.Context
	args  *pushArgs
	grant Grant

	refs    *refSnapshot
	pack    *packfile.Pack    // nil: none was sent
	checked *packfile.Checked // of pack
	objects quarantine
	graph   *graph

	settled  int64 // what the Writer said when the pack was checked
	results  []result
	unpack   string   // why the pack was refused
	messages []string // for the user
	stored   int      // objects
}

// quarantine reads a push's objects and the repository's.
type quarantine struct {
	pack    *packfile.Pack
	objects vcs.ObjectReader
}

// ReadObject implements vcs.ObjectReader.
func (q quarantine) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if q.pack != nil && q.pack.Has(id) {
		return q.pack.ReadObject(id)
	}
	return q.objects.ReadObject(id)
}

// run takes in the pack and changes the refs. What is wrong with either goes
// into the report; the error is that nobody waits for one.
func (p *push) run(body io.Reader) error {
	store := p.reader()
	p.results = make([]result, len(p.args.updates))
	for i, u := range p.args.updates {
		p.results[i].update = u
	}
	if p.args.hasPack() {
		scratch, release, err := p.h.scratch()
		if err == nil {
			defer release()
			err = p.takePack(body, scratch, store)
		}
		if err != nil {
			return p.refusePack(err)
		}
	}
	p.objects = quarantine{p.pack, store}
	p.graph = newGraph(p.objects)
	refs, err := takeSnapshot(p.h.cfg.Repository)
	if err != nil {
		return p.refusePack(err)
	}
	p.refs = refs
	p.checkNames()
	for i := range p.results {
		r := &p.results[i]
		if r.refusal != nil {
			continue
		}
		why, err := p.check(r)
		if err != nil {
			return p.refusePack(err)
		}
		if why != nil {
			p.refuse(r, why)
		}
	}
	return p.apply()
}

func (h *Handler) scratch() (packfile.Scratch, func(), error) {
	if h.cfg.Push.Scratch == nil {
		return nil, func() {}, nil
	}
	s, release, err := h.cfg.Push.Scratch()
	if err != nil {
		return nil, nil, fmt.Errorf("gitserve: room for a pack: %w", err)
	}
	return s, release, nil
}

// takePack puts the pack into quarantine.
func (p *push) takePack(body io.Reader, scratch packfile.Scratch, store vcs.ObjectReader) (err error) {
	cfg := packfile.Config{Limits: p.h.cfg.Push.Limits, Bases: store, Scratch: scratch}
	if p.pack, err = packfile.Index(p.ctx, body, cfg); err != nil {
		return err
	}
	return p.checkPack()
}

// packErrors are what a client's pack can do wrong.
var packErrors = []error{
	packfile.ErrSignature, packfile.ErrVersion, packfile.ErrTruncated, packfile.ErrInflate, packfile.ErrType,
	packfile.ErrDelta, packfile.ErrUnresolved, packfile.ErrChecksum, packfile.ErrTrailing, packfile.ErrDuplicate,
	packfile.ErrCollision, vcs.ErrBadObject, vcs.ErrTooLarge,
}

// refusePack refuses everything, in words of whoever is to blame. The error is
// that the client is gone.
func (p *push) refusePack(err error) error {
	counted := ""
	var re *requestError
	switch {
	case p.ctx.Err() != nil:
		return p.ctx.Err()
	case errors.Is(err, packfile.ErrLimit):
		counted, p.unpack = reasonLimit, err.Error()
	case errors.As(err, &re):
		counted, p.unpack = re.reason, re.text
	case isAny(err, packErrors):
		counted, p.unpack = reasonPack, err.Error()
	default:
		p.failed(err)
		p.unpack = "the repository cannot be used; the server's log says why"
	}
	p.unpack = plain(p.unpack)
	p.refuseAll("unpacker error", "")
	if counted != "" {
		p.h.count(func(s *Stats) { s.Refused[counted]++ })
	}
	return nil
}

func isAny(err error, list []error) bool {
	for _, e := range list {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// failed notes a failure that is not the client's.
func (p *push) failed(err error) {
	p.h.count(func(s *Stats) { s.Failures++ })
	p.h.cfg.Logger.Error("git server: push failed", "client", p.grant.Name, "err", err)
}

// apply makes happen what was not refused.
func (p *push) apply() error {
	if p.args.atomic {
		for _, r := range p.results {
			if r.refusal != nil {
				p.refuseAll("atomic push failure", reasonAtomic)
				return nil
			}
		}
	}
	all, _ := p.accepted()
	if len(all) == 0 {
		return nil
	}
	if err := p.store(); err != nil {
		return p.refusePack(err)
	}
	at, updates := p.accepted()
	if len(at) < len(all) && p.args.atomic { // some are not complete any more
		p.refuseAll("atomic push failure", reasonAtomic)
		return nil
	}
	w := p.h.cfg.Push.Writer
	if p.args.atomic {
		if err := w.UpdateRefs(p.ctx, updates); err != nil {
			why := p.explain(updates, err)
			p.messages = append(p.messages, "error: "+why.Message)
			p.refuseAll("atomic transaction failed", why.counted)
			return nil
		}
	} else {
		for i, u := range updates {
			if err := w.UpdateRefs(p.ctx, []vcs.RefUpdate{u}); err != nil {
				p.refuse(at[i], p.explain(updates[i:i+1], err))
			}
		}
	}
	if s, ok := w.(interface{ Sync(context.Context) error }); ok {
		if err := s.Sync(p.ctx); err != nil {
			p.failed(err)
			p.messages = append(p.messages, "error: the refs have moved but are not safe on disk yet; the server's log says why")
			p.refuseAll("failed to update ref", "")
		}
	}
	return nil
}

// explain words the failure of a ref update as stock git does.
func (p *push) explain(updates []vcs.RefUpdate, err error) *Refusal {
	u := updates[0]
	switch {
	case errors.Is(err, vcs.ErrRefMoved):
		if now, err := takeSnapshot(p.h.cfg.Repository); err == nil {
			for _, u := range updates {
				if id, _ := now.lookup(u.Name); id != u.Old {
					return stale(u, id)
				}
			}
		}
		return stale(u, u.Old) // and back again
	case errors.Is(err, vcs.ErrBadRefName):
		return p.clash(updates, err)
	case errors.Is(err, vcs.ErrNotFound): // since it was looked for
		return refuseRef(reasonMissing, "missing necessary objects", "%s: fetch, and you are told how to join this epoch", plain(err.Error()))
	}
	p.failed(err)
	return &Refusal{Reason: "failed to update ref", Message: "the repository cannot be used; the server's log says why"}
}

// clash words that a ref would be a folder of refs, too.
func (p *push) clash(updates []vcs.RefUpdate, err error) *Refusal {
	say := func(name, why string) *Refusal {
		return refuseRef(reasonRefName, "failed to update ref", "cannot lock ref '%s': %s", name, why)
	}
	for _, u := range updates {
		for _, r := range p.refs.refs {
			if strings.HasPrefix(u.Name, r.Name+"/") || strings.HasPrefix(r.Name, u.Name+"/") {
				return say(u.Name, fmt.Sprintf("'%s' exists; cannot create '%s'", r.Name, u.Name))
			}
		}
	}
	return say(updates[0].Name, plain(err.Error()))
}

// plain takes the names of packages out of an error's text.
func plain(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "packfile: ", ""), "vcs: ", "")
}

// stale says that a ref is not where the client thinks.
func stale(u vcs.RefUpdate, is vcs.ID) *Refusal {
	why := fmt.Sprintf("is at %v but expected %v", is, u.Old)
	switch {
	case is.IsZero():
		why = fmt.Sprintf("unable to resolve reference '%s'", u.Name)
	case u.Old.IsZero():
		why = "reference already exists"
	}
	return refuseRef(reasonStale, "failed to update ref", "cannot lock ref '%s': %s", u.Name, why)
}
