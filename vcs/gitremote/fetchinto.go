package gitremote

import (
	"context"
	"fmt"
	"os"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// Target is what FetchInto needs of a store; a vcs.Store is one, whatever its
// backend.
type Target interface {
	Source
	// AddObjects stores objects, each after those that it names.
	AddObjects(ctx context.Context, objs []vcs.Object) error
	// UpdateRefs moves refs by compare-and-swap, all of them or none.
	UpdateRefs(ctx context.Context, updates []vcs.RefUpdate) error
}

// FetchOptions tunes FetchInto. The zero value works.
type FetchOptions struct {
	RemoteOptions
	// Name is that of the remote in the default refspec; default "origin".
	Name string
	// Refspecs say which refs of the remote become which of the store, as in
	// git-fetch(1): "refs/heads/*:refs/heads/*", "+primary:refs/remotes/x/primary".
	// One without a destination fetches objects only. None means
	// +refs/heads/*:refs/remotes/NAME/*.
	Refspecs []string
	// Tags says which of the remote's tags come along.
	Tags TagMode
	// Prune deletes refs of the store that a refspec with a pattern maps to and
	// that the remote does not have any more.
	Prune bool
}

// TagMode says which tags a fetch takes.
type TagMode int

const (
	// FollowTags takes those that name something that the store then has.
	FollowTags TagMode = iota
	// NoTags takes those of the refspecs only.
	NoTags
	// AllTags takes all of them.
	AllTags
)

// FetchUpdate is what a fetch did, or tried to do, to one ref of the store.
type FetchUpdate struct {
	// Src is the ref on the remote; "" for one that was pruned.
	Src string
	// RefUpdate is the change of the store's ref; its Name is "" for a refspec
	// without a destination. Old and New are equal when it was up to date.
	vcs.RefUpdate
	// Forced: Old is not contained in New.
	Forced bool
	// Err says why nothing changed; nil for success.
	Err *RefError
}

// UpToDate reports whether there was nothing to do.
func (u *FetchUpdate) UpToDate() bool { return u.Old == u.New && u.Err == nil }

// FetchReport says what a fetch did.
type FetchReport struct {
	Remote  string        // its URL, without a password
	Head    string        // the branch that the remote's HEAD names; "" when it is not told
	Updates []FetchUpdate // in the order of the refspecs, then tags, then what was pruned
	Objects int           // new in the store
	// Ignored are refs of the remote whose names git would refuse.
	Ignored []string
}

// FetchInto brings objects and refs of a remote repository into a store. The URL
// is as for Fetch. It asks for what the store lacks, and offers what the store
// has in common with the remote: what both name, the store's other heads and
// commits at growing distances behind them.
//
// Before a ref moves, the pack is checked as a whole: its checksum, the form of
// each object and that nothing is missing. An update that is no fast-forward is
// refused unless its refspec has a +, and so is the replacement of a tag. What
// was fetched is durable when a later Sync of the store returns.
//
// The error wraps ErrRejected, and is a *RejectedError, when some refs did not
// change; the report then tells which did. On any other error no ref has moved,
// unless it is the store's own in the middle of the updates.
func FetchInto(ctx context.Context, into Target, url string, opts FetchOptions) (FetchReport, error) {
	specs, err := opts.refspecs()
	if err != nil {
		return FetchReport{}, err
	}
	src, err := opts.openFetch(ctx, url)
	if err != nil {
		return FetchReport{}, err
	}
	defer src.close()
	adv := src.advertisement()
	f := &fetcher{into: into, src: src, adv: adv, opts: &opts, specs: specs,
		rep: FetchReport{Remote: Redact(url), Head: adv.head, Ignored: adv.ignored}}
	if err := f.mapRefs(); err != nil {
		return f.rep, err
	}
	if err := f.objects(ctx); err != nil {
		return f.rep, err
	}
	return f.rep, f.moveRefs(ctx)
}

func (o *FetchOptions) refspecs() ([]Refspec, error) {
	texts := o.Refspecs
	if len(texts) == 0 {
		name := o.Name
		if name == "" {
			name = "origin"
		}
		texts = []string{"+refs/heads/*:refs/remotes/" + name + "/*"}
	}
	var specs []Refspec
	for _, text := range texts {
		s, err := ParseRefspec(text)
		if err != nil {
			return nil, err
		}
		if s.Src == "" {
			return nil, fmt.Errorf("%w: %s: it names no source", ErrRefspec, text)
		}
		specs = append(specs, s)
	}
	return specs, nil
}

// fetcher is one fetch under way.
type fetcher struct {
	into  Target
	src   fetchSource
	adv   *advertisement
	opts  *FetchOptions
	specs []Refspec
	want  []mapped  // what the refspecs ask for
	tags  []vcs.Ref // that may come along
	rep   FetchReport
}

// mapped is a ref of the remote and what it becomes here.
type mapped struct {
	vcs.Ref
	dst   string // "" for nothing
	force bool
}

// objects brings in what the refs need.
func (f *fetcher) objects(ctx context.Context) error {
	ask, err := f.question()
	if err != nil || len(ask.wants) == 0 {
		return err
	}
	file, err := os.CreateTemp("", "arpeggio-fetch-*")
	if err != nil {
		return fmt.Errorf("gitremote: room for a pack: %w", err)
	}
	defer file.Close()
	os.Remove(file.Name()) // it lives as long as it is open
	if err := f.src.download(ctx, ask, file); err != nil {
		return err
	}
	t := intake{into: f.into, from: "what " + f.rep.Remote + " sent"}
	f.rep.Objects, err = t.take(ctx, file, func(pack *packfile.Pack, checked *packfile.Checked) ([]vcs.Ref, error) {
		var tips []vcs.Ref
		for _, m := range f.want {
			tips = append(tips, m.Ref)
		}
		for _, t := range f.tags {
			if pack.Has(t.Target) && checked.Complete(t.Target) == nil {
				tips = append(tips, t)
			}
		}
		return tips, nil
	})
	return err
}
