package gitremote

import (
	"context"
	"fmt"

	"arpeggio/vcs"
)

// PullOptions tunes Pull. The zero value works.
type PullOptions struct {
	RemoteOptions
	// Name is that of the remote: what its branch is remembered under, as
	// refs/remotes/NAME/BRANCH. Default "origin".
	Name string
	// Branch is the remote's; default the one of the same name.
	Branch string
	// Tags says which of the remote's tags come along.
	Tags TagMode
	// Merge describes the merge. The default message is git's: "Merge branch
	// 'primary' of URL".
	Merge vcs.MergeOptions
}

// PullResult is the outcome of a pull.
type PullResult[K comparable, V any] struct {
	vcs.MergeResult[K, V]
	Fetch  FetchReport
	Branch string // of the remote
	From   vcs.ID // its head, which was merged
}

// Pull fetches a branch of a remote and merges it into a branch of the
// repository by the repository's own merge function: nothing to do, a
// fast-forward, a merge commit, or conflicts, in which case the error wraps
// vcs.ErrConflict and the branch stays. A branch that does not exist is created.
// Histories without a common ancestor are merged from an empty base, as Merge
// does.
func Pull[K comparable, V any](ctx context.Context, repo *vcs.Repo[K, V], branch, url string, opts PullOptions) (PullResult[K, V], error) {
	var res PullResult[K, V]
	name := opts.Name
	if name == "" {
		name = "origin"
	}
	from := opts.Branch
	if from == "" {
		from = branch
	}
	if err := vcs.CheckRefName(vcs.BranchRef(from)); err != nil {
		return res, err
	}
	ref := vcs.BranchRef(from)
	var err error
	res.Branch = from
	res.Fetch, err = FetchInto(ctx, repo.Store(), url, FetchOptions{
		RemoteOptions: opts.RemoteOptions, Tags: opts.Tags,
		Refspecs: []string{"+" + ref + ":refs/remotes/" + name + "/" + from},
	})
	if err != nil {
		return res, err
	}
	for _, u := range res.Fetch.Updates {
		if u.Src == ref {
			res.From = u.New
		}
	}
	if opts.Merge.Message == "" {
		opts.Merge.Message = fmt.Sprintf("Merge branch '%s' of %s", from, res.Fetch.Remote)
		if branch != "main" && branch != "master" {
			opts.Merge.Message += " into " + branch
		}
	}
	res.MergeResult, err = repo.Merge(ctx, branch, res.From, opts.Merge)
	return res, err
}
