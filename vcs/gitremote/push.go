package gitremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// PushOptions tunes Push. The zero value works.
type PushOptions struct {
	RemoteOptions
	// Force allows every move, as a + in a refspec does for one.
	Force bool
	// Lease holds, by the full names of the remote's refs, the values that they
	// must have; zero means that there must be none. Another value is refused
	// ("stale info"), also when it appears while the push is under way. A ref
	// with its lease may move anywhere.
	Lease map[string]vcs.ID
	// LeaseName, when not empty, is a lease for every other branch: that it is
	// where refs/remotes/LeaseName/BRANCH of the source is, or does not exist
	// where there is no such ref.
	LeaseName string
	// Atomic: all refs change or none. The error wraps ErrUnsupported when the
	// remote cannot do that.
	Atomic bool
}

// PushReport says what a push did.
type PushReport struct {
	Remote  string       // its URL, without a password
	Updates []PushUpdate // in the order of the refspecs
	Objects int          // sent
	// Messages is what the remote said, such as the words of its hooks; at most
	// 64 KiB.
	Messages string
}

// Push changes refs of a remote repository to those of a store, after sending
// what it lacks: of everything that the refs lead to, the objects that are not
// reachable from what the remote advertises. The URL is as for Fetch; a path on
// this machine is pushed to with stock git's receive-pack, so that its hooks and
// locks count.
//
// Refspecs are those of git-push(1): "primary", "left:right", "+left",
// "refs/heads/*:refs/heads/*", ":gone" to delete; and, from a vcs.Store,
// revisions: "primary~3:old". None means the store's HEAD.
// Every update is a compare-and-swap from the value that the remote advertised,
// so that no push is ever lost. An update that is no fast-forward, or replaces a
// tag, is refused unless Force, a + or a Lease allows it.
//
// The error wraps ErrRejected, and is a *RejectedError, when some refs did not
// change; the report then tells which did. Any other error, except ErrBrokenOff
// without a report from the remote, means that nothing changed.
func Push(ctx context.Context, src Source, url string, refspecs []string, opts PushOptions) (PushReport, error) {
	r, err := opts.reach(url, "push to")
	if err != nil {
		return PushReport{}, err
	}
	defer r.close()
	rep := PushReport{Remote: r.url}
	session, err := r.openPush(ctx)
	if err != nil {
		return rep, err
	}
	defer session.Close()
	adv, err := session.advertised(ctx)
	if err != nil {
		return rep, err
	}
	if opts.Atomic && !adv.caps.Supports(capability.Atomic) {
		return rep, fmt.Errorf("%w: %s cannot change several refs at once (--atomic)", ErrUnsupported, r.url)
	}
	rep.Updates, err = planPush(src, adv.refs, adv.caps.Supports(capability.DeleteRefs), refspecs, &opts)
	if err != nil {
		return rep, err
	}
	p := &pusher{remote: r, src: src, adv: adv, opts: &opts, rep: &rep}
	if err := p.run(ctx, session); err != nil {
		return rep, err
	}
	var errs []*RefError
	for _, u := range rep.Updates {
		errs = append(errs, u.Err)
	}
	return rep, rejected(r.url, errs)
}

// pusher is one push under way.
type pusher struct {
	*remote
	src  Source
	adv  *advertisement
	opts *PushOptions
	rep  *PushReport
}

// run sends what was planned and notes what came of it.
func (p *pusher) run(ctx context.Context, session pushSession) error {
	var todo []*PushUpdate
	refused := false
	for i := range p.rep.Updates {
		u := &p.rep.Updates[i]
		refused = refused || u.Err != nil
		if u.Err == nil && u.Old != u.New {
			todo = append(todo, u)
		}
	}
	if refused && p.opts.Atomic {
		for _, u := range todo {
			u.Err = &RefError{Ref: u.Name, Reason: reasonAtomic, Err: ErrRejected}
		}
		return nil
	}
	if len(todo) == 0 {
		return nil
	}
	words := &words{next: p.progress()}
	req := p.request(todo)
	req.Progress = words
	set, err := p.choose(ctx, todo)
	if err != nil {
		return err
	}
	if set != nil {
		p.rep.Objects = set.Len()
		pack := packReader(set, packfile.Options{NoDeltas: !p.adv.caps.Supports(capability.OFSDelta)})
		defer pack.Close()
		req.Packfile = pack
	}
	status, err := session.exchange(ctx, req)
	p.rep.Messages = words.text.String()
	if status == nil {
		if err == nil {
			err = errors.New("it sent no report")
		}
		if err = p.failed(ctx, err); errors.Is(err, ErrBrokenOff) {
			err = fmt.Errorf("%w; whether refs have moved is not known: fetch, and see", err)
		}
		return err
	}
	p.read(todo, status)
	return nil
}

// request names the updates and the protocol's extensions to use.
func (p *pusher) request(todo []*PushUpdate) *packp.ReferenceUpdateRequest {
	req := packp.NewReferenceUpdateRequestFromCapabilities(p.adv.caps)
	add := func(c capability.Capability) {
		if p.adv.caps.Supports(c) {
			_ = req.Capabilities.Set(c) // only fails for one that takes an argument
		}
	}
	add(capability.Sideband64k)
	if p.opts.Progress == nil {
		add(capability.Quiet)
	}
	if p.opts.Atomic {
		add(capability.Atomic)
	}
	for _, u := range todo {
		req.Commands = append(req.Commands, &packp.Command{
			Name: plumbing.ReferenceName(u.Name), Old: plumbing.Hash(u.Old), New: plumbing.Hash(u.New)})
	}
	return req
}

// choose picks the objects to send; nil when refs are only deleted, since then
// no pack is sent, either.
func (p *pusher) choose(ctx context.Context, todo []*PushUpdate) (*packfile.Set, error) {
	var sel packfile.Selection
	for _, u := range todo {
		if !u.New.IsZero() {
			sel.Wants = append(sel.Wants, u.New)
		}
	}
	if len(sel.Wants) == 0 {
		return nil, nil
	}
	for _, r := range p.adv.refs {
		sel.Haves = append(sel.Haves, r.Target)
	}
	sel.Haves = append(sel.Haves, p.adv.extra...)
	set, err := packfile.Select(ctx, p.src, sel)
	if err != nil {
		return nil, fmt.Errorf("gitremote: push to %s: %w", p.url, err)
	}
	return set, nil
}

// packReader streams a pack.
func packReader(set *packfile.Set, opt packfile.Options) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := set.Write(w, opt)
		w.CloseWithError(err)
	}()
	return r
}

// read notes what the remote says of each ref.
func (p *pusher) read(todo []*PushUpdate, status *packp.ReportStatus) {
	said := map[string]string{}
	for _, s := range status.CommandStatuses {
		said[s.ReferenceName.String()] = s.Status
	}
	for _, u := range todo {
		switch text, ok := said[u.Name]; {
		case text == "ok" && status.UnpackStatus == "ok":
		case status.UnpackStatus != "ok" && (!ok || text == "ok" || text == reasonUnpack):
			u.Err = &RefError{Ref: u.Name, Reason: reasonUnpack + ": " + clean(status.UnpackStatus), Remote: true, Err: ErrRemoteRejected}
		case !ok:
			u.Err = &RefError{Ref: u.Name, Reason: reasonNoReport, Err: ErrBrokenOff}
		default:
			u.Err = &RefError{Ref: u.Name, Reason: clean(text), Remote: true, Err: ErrRemoteRejected}
		}
	}
}

// clean makes the remote's words fit for one line of a terminal.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return '?'
		}
		return c
	}, fmt.Sprintf("%.400s", text))
}

// words keeps the remote's words, and hands them on as they come.
type words struct {
	text bytes.Buffer
	next io.Writer
}

const maxWords = 64 << 10

// Write implements io.Writer.
func (w *words) Write(b []byte) (int, error) {
	w.text.Write(b[:min(len(b), maxWords-w.text.Len())])
	return w.next.Write(b)
}

// TrackingUpdates returns the changes of refs/remotes/NAME/… that follow from a
// push: where the remote's branches are known to be now. Refs are the store's.
func (r *PushReport) TrackingUpdates(name string, refs []vcs.Ref) []vcs.RefUpdate {
	at := refMap(refs)
	var out []vcs.RefUpdate
	for _, u := range r.Updates {
		branch, ok := strings.CutPrefix(u.Name, "refs/heads/")
		track := "refs/remotes/" + name + "/" + branch
		if ok && u.Err == nil && at[track] != u.New {
			out = append(out, vcs.RefUpdate{Name: track, Old: at[track], New: u.New})
		}
	}
	return out
}
