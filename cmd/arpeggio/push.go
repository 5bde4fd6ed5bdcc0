package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

type pushCmd struct {
	repoFlags
	printFlags
	remoteFlags
	Force    bool      `short:"f" help:"Overwrite what is there, whatever it is."`
	Lease    leaseFlag `name:"force-with-lease" placeholder:"REF:ID" help:"Overwrite only what was last fetched, or ID; REF alone limits it to one branch."`
	Atomic   bool      `help:"All refs or none."`
	Delete   bool      `short:"d" help:"Delete the refs that are named."`
	Remote   string    `arg:"" help:"A URL (http, https, ssh, file) or a directory."`
	Refspecs []string  `arg:"" optional:"" name:"refspec" help:"What to push, as for git push: [+]SRC[:DST] (HEAD's branch)."`
}

func (*pushCmd) Help() string {
	return `Send branches and tags to another repository. What it has and this one does not
know is not overwritten: pull first. Exit codes: 0 ok, 1 failure or a ref that was
not moved, 2 usage.

Examples:

  arpeggio push --repo arp.git http://me@10.9.0.2/arp.git primary --password-file token
  arpeggio push --repo arp.git /srv/git/lan.git "refs/heads/*:refs/heads/site-a/*"
  arpeggio push --repo arp.git ssh://git@hub/srv/lan.git --delete what-if`
}

func (c *pushCmd) Run(ctx context.Context) (err error) {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	if len(specs) == 0 && !s.Detached.IsZero() {
		return usagef("HEAD is on no branch: name what to push")
	}
	opts := gitremote.PushOptions{Force: c.Force, Atomic: c.Atomic}
	if opts.RemoteOptions, err = c.options(c.progress()); err != nil {
		return err
	}
	if err := c.leases(s, &opts); err != nil {
		return err
	}
	rep, err := gitremote.Push(ctx, s.Store, c.Remote, specs, opts)
	if opts.Progress == nil && rep.Messages != "" {
		w := &remoteWords{to: os.Stderr}
		w.Write([]byte(rep.Messages))
		w.flush("\n")
	}
	if err != nil && !errors.Is(err, gitremote.ErrRejected) {
		return c.explain(err)
	}
	if err := c.remember(ctx, s, rep); err != nil {
		return err
	}
	var changes []refChange
	for _, u := range rep.Updates {
		changes = append(changes, refChange{u.RefUpdate, u.Src, shortRef(u.Name), u.Forced, u.Err})
	}
	s.printChanges("To "+rep.Remote, changes, "up to date")
	return c.explain(err)
}

// specs are the refspecs to push.
func (c *pushCmd) specs() ([]string, error) {
	if !c.Delete {
		return c.Refspecs, nil
	}
	if len(c.Refspecs) == 0 {
		return nil, usagef("--delete: name what to delete")
	}
	var out []string
	for _, name := range c.Refspecs {
		if strings.ContainsAny(name, ":+*") {
			return nil, usagef("--delete %s: name the ref alone", name)
		}
		out = append(out, ":"+name)
	}
	return out, nil
}

// leases says what must be there for it to be overwritten.
func (c *pushCmd) leases(s *session, opts *gitremote.PushOptions) error {
	if c.Lease.all {
		opts.LeaseName = c.Name
	}
	for _, text := range c.Lease.refs {
		name, rev, given := strings.Cut(text, ":")
		short := strings.TrimPrefix(name, "refs/heads/")
		var want vcs.ID
		switch {
		case !given:
			want, _ = s.Store.Ref("refs/remotes/" + c.Name + "/" + short)
		case rev != "":
			r, err := s.Resolve(rev)
			if err != nil {
				return err
			}
			want = r.Commit.ID
		}
		if opts.Lease == nil {
			opts.Lease = map[string]vcs.ID{}
		}
		if !strings.HasPrefix(name, "refs/") {
			name = vcs.BranchRef(name)
		}
		opts.Lease[name] = want
	}
	return nil
}

// remember notes where the remote's branches are now, if this repository can be
// written.
func (c *pushCmd) remember(ctx context.Context, s *session, rep gitremote.PushReport) error {
	if s.repo.Writable() != nil {
		return nil
	}
	refs, err := s.Store.Refs()
	if err != nil {
		return err
	}
	for some := range slices.Chunk(rep.TrackingUpdates(c.Name, refs), vcs.MaxBatchRefs/4) {
		if err := s.Store.UpdateRefs(ctx, some); err != nil {
			return err
		}
	}
	return s.Store.Sync(ctx)
}

// leaseFlag is --force-with-lease[=REF[:ID]], any number of times.
type leaseFlag struct {
	all  bool
	refs []string
}

// IsBool says that the flag needs no value.
func (*leaseFlag) IsBool() bool { return true }

// Decode takes the value, if there is one.
func (l *leaseFlag) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		l.all = true
		return nil
	}
	l.refs = append(l.refs, ctx.Scan.Pop().String())
	return nil
}
