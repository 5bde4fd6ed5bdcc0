package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arpeggio/vcs"
)

// choose decides which of an epoch's refs are archived and what their objects
// are. A tag of an older epoch, which the store still had when this one ended,
// is named but brings nothing along.
func (d *Dir) choose(ctx context.Context, e vcs.Epoch, src vcs.Source) (*Info, []vcs.ID, error) {
	in := &Info{Epoch: e.Number, Began: e.Began, Ended: e.Ended, Roots: e.Roots, HeadRef: src.Head()}
	heads := slices.DeleteFunc(slices.Clone(e.Heads), func(r vcs.Ref) bool { return r.Name != in.HeadRef && !d.cfg.Keep(r.Name) })
	if len(heads) == 0 {
		return nil, nil, fmt.Errorf("%w: epoch %d", ErrNothing, e.Number)
	}
	if !slices.ContainsFunc(heads, func(r vcs.Ref) bool { return r.Name == in.HeadRef }) {
		in.HeadRef = heads[0].Name
	}
	o := origins{ctx: ctx, r: vcs.Decoding{ObjectReader: src}, epoch: e, seen: map[vcs.ID]origin{}}
	o.far, _ = src.(firstFinder)
	if first, err := d.info(1); err == nil {
		o.first = first.Starts
	}
	var before []Ref
	if last, err := d.info(e.Number - 1); err == nil {
		before = last.Refs
	}
	var wants []vcs.ID
	for _, r := range heads {
		peeled, kind, err := peel(src, r.Target)
		if errors.Is(err, vcs.ErrNotFound) && strings.HasPrefix(r.Name, vcs.TagRef("")) {
			d.cfg.Logger.Warn("archive: a tag's epoch has left the store", "epoch", e.Number, "tag", r.Name, "id", r.Target)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		from := origin{}
		if now := (Ref{r, peeled}); slices.Contains(before, now) && !strings.HasPrefix(r.Name, vcs.BranchRef("")) {
			from.older = true // whatever it leads to
		} else if kind == vcs.KindCommit {
			if from, err = o.of(peeled); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", r.Name, err)
			}
		}
		if r.Name == in.HeadRef {
			in.Head = r.Target
		} else {
			in.Refs = append(in.Refs, Ref{r, peeled})
		}
		if !from.older {
			wants = append(wants, r.Target)
			if !from.start.IsZero() && !slices.Contains(in.Starts, from.start) {
				in.Starts = append(in.Starts, from.start)
			}
		}
	}
	if len(wants) == 0 || !slices.Contains(wants, in.Head) {
		return nil, nil, fmt.Errorf("%w of its own: epoch %d", ErrNothing, e.Number)
	}
	return in, wants, nil
}

// maxTagDepth bounds chains of tags that tag tags.
const maxTagDepth = 64

// peel follows annotated tags to what they finally name.
func peel(r vcs.ObjectReader, id vcs.ID) (vcs.ID, vcs.Kind, error) {
	for range maxTagDepth {
		kind, content, err := r.ReadObject(id)
		if err != nil || kind != vcs.KindTag {
			return id, kind, err
		}
		tag, err := vcs.ParseTag(content)
		if err != nil {
			return id, kind, fmt.Errorf("tag %v: %w", id, err)
		}
		id = tag.Target
	}
	return id, 0, fmt.Errorf("%w: a chain of more than %d tags", vcs.ErrBadObject, maxTagDepth)
}

// origins finds out to which epoch commits belong: by the commit in which their
// first parents end.
type origins struct {
	ctx   context.Context
	r     vcs.CommitReader
	epoch vcs.Epoch
	far   firstFinder // nil: every commit is read
	first []vcs.ID    // where the first epoch starts, if that is known
	seen  map[vcs.ID]origin
}

// firstFinder is the ability of a source that goes along first parents by itself,
// as far as it knows them without reading commits.
type firstFinder interface {
	FirstOf(commit vcs.ID) (vcs.ID, error)
}

type origin struct {
	start vcs.ID
	older bool
}

// originStride is how many commits apart the ones lie that are remembered.
const originStride = 64

func (o *origins) of(id vcs.ID) (origin, error) {
	var passed []vcs.ID
	found := origin{}
	if o.far != nil {
		var err error
		if id, err = o.far.FirstOf(id); err != nil {
			return origin{}, err
		}
	}
	for n := 0; ; n++ {
		if n%originStride == 0 {
			if err := o.ctx.Err(); err != nil {
				return origin{}, err
			}
			passed = append(passed, id)
		}
		var ok bool
		if found, ok = o.seen[id]; ok {
			break
		}
		c, err := o.r.ReadCommit(id)
		if err != nil {
			return origin{}, err
		}
		isRoot := slices.ContainsFunc(o.epoch.Roots, func(r vcs.EpochRoot) bool { return r.Root == id })
		begins, err := strconv.Atoi(c.Trailer(vcs.TrailerEpoch))
		if older := err == nil && begins < o.epoch.Number && c.Trailer(vcs.TrailerPrevious) != ""; isRoot || older || len(c.Parents) == 0 {
			found = origin{start: id, older: !isRoot && (older || o.epoch.Number > 1 && slices.Contains(o.first, id))}
			break
		}
		id = c.Parents[0]
	}
	for _, id := range passed {
		o.seen[id] = found
	}
	return found, nil
}
