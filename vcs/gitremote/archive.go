package gitremote

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"arpeggio/vcs"
)

// RemoteArchive keeps the ended epochs of a store in any Git repository elsewhere,
// by pushing them. It implements vcs.Archiver, save for reading: an epoch is read
// after `git fetch URL refs/epochs/<n>`.
//
// An epoch's head branch becomes refs/epochs/<n>, its other branches and tags
// refs/epochs-heads/<n>/heads/… and …/tags/…. When the epoch before is there, too,
// refs/replace/<root> joins the two for whoever fetches it; a remote that refuses
// such refs is told of in the log, and `git replace --graft` does the same.
//
// A Receipt's SHA256 is that of the epoch's refs as this command prints them, so
// that it can be computed again from the remote, and by the ids stands for all
// that they lead to:
//
//	git for-each-ref --format='%(objectname) %(refname)' refs/epochs/<n> refs/epochs-heads/<n>
type RemoteArchive struct {
	// URL is the remote, as for Push.
	URL string
	RemoteOptions
	// Name, when not empty, keeps the epochs of several stores apart in one
	// remote: refs/epochs/NAME/<n>, refs/epochs-heads/NAME/<n>/….
	Name string
	// Keep says which of an epoch's refs are archived, by their full names; the
	// head branch always is. Nil: all but the branches under history/, which go
	// on from epoch to epoch, save vcs.LedgerBranch.
	Keep func(ref string) bool
	// Logger hears of what could not be joined. Nil discards.
	Logger *slog.Logger
}

var _ vcs.Archiver = (*RemoteArchive)(nil)

// Archive implements vcs.Archiver. Refs that are at the same commits already are
// left alone; ones that are elsewhere, such as another store's, are not moved:
// the error then wraps ErrRejected. Receipt.Bytes is 0, since the remote packs
// what it keeps as it likes.
func (a *RemoteArchive) Archive(ctx context.Context, e vcs.Epoch, src vcs.Source) (vcs.Receipt, error) {
	refs, err := a.choose(e, src)
	if err != nil {
		return vcs.Receipt{}, err
	}
	specs := make([]string, len(refs))
	for i, r := range refs {
		specs[i] = r.Name + ":" + r.Name
	}
	from := renamed{src, refs}
	var pushing Source = from
	if r, ok := src.(vcs.AdditionReader); ok {
		pushing = renamedLog{from, r}
	}
	opts := PushOptions{RemoteOptions: a.RemoteOptions, Atomic: true}
	if _, err = Push(ctx, pushing, a.URL, specs, opts); errors.Is(err, ErrUnsupported) {
		opts.Atomic = false
		_, err = Push(ctx, pushing, a.URL, specs, opts)
	}
	if err != nil {
		return vcs.Receipt{}, fmt.Errorf("archive epoch %d: %w", e.Number, err)
	}
	if err := a.join(ctx, e, src); err != nil && a.Logger != nil {
		a.Logger.Warn("gitremote: an archived epoch is not joined to the one before; git replace --graft does it", "epoch", e.Number, "err", err)
	}
	return vcs.Receipt{Name: Redact(a.URL) + " " + a.ref(e.Number), SHA256: sumOf(refs)}, nil
}

// ref is where an epoch's head is.
func (a *RemoteArchive) ref(epoch int) string { return a.prefix("refs/epochs/", epoch) }

func (a *RemoteArchive) prefix(kind string, epoch int) string {
	if a.Name != "" {
		kind += a.Name + "/"
	}
	return fmt.Sprintf("%s%d", kind, epoch)
}

// choose gives the refs of an epoch their names on the remote, sorted.
func (a *RemoteArchive) choose(e vcs.Epoch, src vcs.Source) ([]vcs.Ref, error) {
	keep := a.Keep
	if keep == nil {
		keep = func(ref string) bool {
			return !strings.HasPrefix(ref, vcs.BranchRef("history/")) || ref == vcs.BranchRef(vcs.LedgerBranch)
		}
	}
	var refs []vcs.Ref
	head := src.Head()
	if !slices.ContainsFunc(e.Heads, func(r vcs.Ref) bool { return r.Name == head }) && len(e.Heads) > 0 {
		head = e.Heads[0].Name
	}
	for _, r := range e.Heads {
		switch {
		case r.Name == head:
			r.Name = a.ref(e.Number)
		case !keep(r.Name):
			continue
		default:
			r.Name = a.prefix("refs/epochs-heads/", e.Number) + "/" + strings.TrimPrefix(r.Name, "refs/")
		}
		if err := vcs.CheckRefName(r.Name); err != nil {
			return nil, fmt.Errorf("gitremote: archive epoch %d: %w", e.Number, err)
		}
		refs = append(refs, r)
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("gitremote: archive epoch %d: %w: it has no refs", e.Number, vcs.ErrNotFound)
	}
	sortRefs(refs)
	return refs, nil
}

func sumOf(refs []vcs.Ref) [32]byte {
	h := sha256.New()
	for _, r := range refs {
		fmt.Fprintf(h, "%v %s\n", r.Target, r.Name)
	}
	return [32]byte(h.Sum(nil))
}

// renamed is a source with other refs.
type renamed struct {
	vcs.Source
	refs []vcs.Ref
}

// Refs implements vcs.RefReader.
func (r renamed) Refs() ([]vcs.Ref, error) { return r.refs, nil }

// renamedLog is one that can tell what commits added.
type renamedLog struct {
	renamed
	vcs.AdditionReader
}

// join pushes the replacements of an epoch's roots, if the remote has the epoch
// before.
func (a *RemoteArchive) join(ctx context.Context, e vcs.Epoch, src vcs.Source) error {
	if len(e.Roots) == 0 {
		return nil
	}
	r, err := a.reach(a.URL, "push to")
	if err != nil {
		return err
	}
	defer r.close()
	session, err := r.openPush(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	adv, err := session.advertised(ctx)
	if err != nil {
		return err
	}
	if _, ok := adv.ref(a.ref(e.Number - 1)); !ok {
		return fmt.Errorf("%w: the remote has no %s", vcs.ErrNotFound, a.ref(e.Number-1))
	}
	s := replacements{src, map[vcs.ID][]byte{}}
	rep := PushReport{Remote: r.url}
	for _, root := range e.Roots {
		if vcs.HashObject(vcs.KindCommit, root.ReplacementBytes) != root.Replacement {
			continue
		}
		c, err := vcs.Decoding{ObjectReader: src}.ReadCommit(root.Root)
		if err != nil {
			return err
		}
		c.Parents = nil
		s.objects[root.Replacement] = root.ReplacementBytes
		s.objects[root.Old] = c.Encode(nil)
		adv.extra = append(adv.extra, root.Old, root.Root)
		name := "refs/replace/" + root.Root.String()
		old, _ := adv.ref(name)
		rep.Updates = append(rep.Updates, PushUpdate{RefUpdate: vcs.RefUpdate{Name: name, Old: old, New: root.Replacement}})
	}
	p := &pusher{remote: r, src: s, adv: adv, opts: &PushOptions{RemoteOptions: a.RemoteOptions}, rep: &rep}
	if err := p.run(ctx, session); err != nil {
		return err
	}
	var errs []*RefError
	for _, u := range rep.Updates {
		errs = append(errs, u.Err)
	}
	return rejected(r.url, errs)
}

// replacements reads the commits that replace roots. Of the commits that these
// stand for, which the remote has and the source perhaps no longer, it is enough
// to know that: they are read as a root without its past, and never sent.
type replacements struct {
	vcs.Source
	objects map[vcs.ID][]byte
}

// ReadObject implements vcs.ObjectReader.
func (s replacements) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if content, ok := s.objects[id]; ok {
		return vcs.KindCommit, content, nil
	}
	return s.Source.ReadObject(id)
}

// Missing implements vcs.Archiver: it asks the remote for its refs and computes
// the sums of the receipts again.
func (a *RemoteArchive) Missing(ctx context.Context, archived []vcs.Epoch) ([]int, error) {
	if len(archived) == 0 {
		return nil, nil
	}
	src, err := a.openFetch(ctx, a.URL)
	if err != nil {
		return nil, err
	}
	defer src.close()
	var missing []int
	for _, e := range archived {
		var refs []vcs.Ref
		heads := a.prefix("refs/epochs-heads/", e.Number) + "/"
		for _, r := range src.advertisement().refs {
			if r.Name == a.ref(e.Number) || strings.HasPrefix(r.Name, heads) {
				refs = append(refs, r)
			}
		}
		if sumOf(refs) != e.Archive.SHA256 {
			missing = append(missing, e.Number)
		}
	}
	return missing, nil
}

// OpenEpoch implements vcs.Archiver; the error wraps errors.ErrUnsupported.
func (a *RemoteArchive) OpenEpoch(_ context.Context, e vcs.Epoch) (vcs.ObjectReader, error) {
	return nil, fmt.Errorf("gitremote: %w: fetch epoch %d first: git fetch %s %s", errors.ErrUnsupported, e.Number, Redact(a.URL), a.ref(e.Number))
}
