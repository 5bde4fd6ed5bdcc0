package bench

import (
	"context"
	"time"

	"arpeggio/vcs"
)

// ours makes the workload's commits in a store.
type ours struct {
	*vcs.Repo[uint32, string]
	w    *workload
	head vcs.ID
}

// newOurs opens a store on an empty backend and commits all entries.
func newOurs(ctx context.Context, n int, b vcs.Backend) (*ours, error) {
	return newLayout(ctx, n, b, prefixes{})
}

func newLayout(ctx context.Context, n int, b vcs.Backend, l vcs.Layout[uint32]) (*ours, error) {
	o, err := openLayout(ctx, b, l)
	if err != nil {
		return nil, err
	}
	o.w = newWorkload(n)
	if err := o.create(ctx); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// create commits all entries.
func (o *ours) create(ctx context.Context) (err error) {
	o.head, err = o.Commit(ctx, branch, vcs.ID{}, o.w.all(), vcs.CommitInfo{Message: "create", Time: time.Unix(o.w.now, 0)})
	if err != nil {
		return err
	}
	return o.Sync(ctx)
}

// openOurs opens a store that holds the workload already.
func openOurs(ctx context.Context, b vcs.Backend) (*ours, error) {
	return openLayout(ctx, b, prefixes{})
}

func openLayout(ctx context.Context, b vcs.Backend, l vcs.Layout[uint32]) (*ours, error) {
	r, err := vcs.Open(ctx, b, vcs.Config[uint32, string]{Layout: l, Merge: larger,
		Author: vcs.Signature{Name: authorName, Email: authorEmail}, StoreConfig: vcs.StoreConfig{CacheBytes: 64 << 20}})
	if err != nil {
		return nil, err
	}
	o := &ours{Repo: r}
	o.head, _ = r.Head(branch)
	return o, nil
}

// larger is a total order of values.
func larger(_ uint32, _, a, b vcs.Opt[string]) (vcs.Opt[string], error) {
	if a.Value > b.Value {
		return a, nil
	}
	return b, nil
}

func (o *ours) step(ctx context.Context) (err error) {
	i := o.w.next()
	o.head, err = o.Commit(ctx, branch, o.head, []vcs.Change[uint32, string]{o.w.change(i)}, o.w.info(i))
	return err
}

// steps makes commits, which are durable when it returns.
func (o *ours) steps(ctx context.Context, n int) error {
	for range n {
		if err := o.step(ctx); err != nil {
			return err
		}
	}
	return o.Sync(ctx)
}
