package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"arpeggio/arp/versioned"
	"arpeggio/internal/history"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

type fetchCmd struct {
	repoFlags
	printFlags
	remoteFlags
	Tags     bool     `xor:"tags" help:"All tags. Default: those of what is fetched."`
	NoTags   bool     `xor:"tags" help:"No tags but those that a refspec names."`
	Prune    bool     `short:"p" help:"Forget branches that the remote does not have any more."`
	Remote   string   `arg:"" help:"A URL (http, https, ssh, file) or a directory."`
	Refspecs []string `arg:"" optional:"" name:"refspec" help:"What to fetch, as for git fetch: [+]SRC[:DST] (+refs/heads/*:refs/remotes/NAME/*)."`
}

func (*fetchCmd) Help() string {
	return `Get what another repository has and this one lacks, and remember where its
branches are. Branches of one's own stay, unless a refspec names them. Exit codes:
0 ok, 1 failure or a ref that was not moved, 2 usage.

Examples:

  arpeggio fetch --repo arp.git http://10.9.0.2/arp.git
  arpeggio fetch --repo arp.git ssh://git@hub/srv/lan.git "+refs/heads/node/*:refs/heads/node/*"`
}

func (c *fetchCmd) Run(ctx context.Context) (err error) {
	s, err := c.writable(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	opts := gitremote.FetchOptions{Name: c.Name, Refspecs: c.Refspecs, Prune: c.Prune}
	if opts.RemoteOptions, err = c.options(c.progress()); err != nil {
		return err
	}
	switch {
	case c.Tags:
		opts.Tags = gitremote.AllTags
	case c.NoTags:
		opts.Tags = gitremote.NoTags
	}
	rep, err := gitremote.FetchInto(ctx, s.Store, c.Remote, opts)
	if err != nil && !errors.Is(err, gitremote.ErrRejected) {
		return c.explain(err)
	}
	if err := s.Store.Sync(ctx); err != nil {
		return err
	}
	s.printFetch(rep)
	return c.explain(err)
}

// progress is where a person reads what the remote does meanwhile; nil where
// nobody looks.
func (p *printFlags) progress() io.Writer {
	if p.JSON || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return &remoteWords{to: os.Stderr}
}

func (s *session) printFetch(rep gitremote.FetchReport) {
	var changes []refChange
	for _, u := range rep.Updates {
		changes = append(changes, refChange{u.RefUpdate, u.Src, shortRef(u.Name), u.Forced, u.Err})
	}
	for _, name := range rep.Ignored {
		note("%s has a ref that cannot stand here, and is left out: %.100q", rep.Remote, name)
	}
	s.printChanges("From "+rep.Remote, changes, "up to date")
}

type pullCmd struct {
	repoFlags
	printFlags
	remoteFlags
	Into    string `placeholder:"BRANCH" help:"The branch here that moves (the one of the same name)."`
	NoFF    bool   `name:"no-ff" help:"Make a merge commit also where the branch could simply move."`
	Message string `short:"m" placeholder:"TEXT" help:"The merge commit's message."`
	Remote  string `arg:"" help:"A URL (http, https, ssh, file) or a directory."`
	Branch  string `arg:"" optional:"" help:"The branch of the remote (HEAD's of this repository)."`
}

func (*pullCmd) Help() string {
	return `Fetch a branch of another repository and merge it into one of this one, as
arpeggio merge does: entries of an ARP table are joined, and the later observation
stays. Any other file that both sides changed is a conflict: it is named, and the
branch stays. A branch that is not here yet is made. Exit codes: 0 ok, 1 failure
or conflict, 2 usage.

Examples:

  arpeggio pull --repo arp.git http://10.9.0.2/arp.git primary
  arpeggio pull --repo arp.git ../site-b.git primary --into site-b`
}

func (c *pullCmd) Run(ctx context.Context) (err error) {
	s, err := c.writable(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	if c.Branch == "" {
		if c.Branch = strings.TrimPrefix(s.Store.Head(), "refs/heads/"); !s.Detached.IsZero() {
			return usagef("HEAD is on no branch: name one")
		}
	}
	into := c.Into
	if into == "" {
		into = c.Branch
	}
	for _, name := range []string{c.Branch, into} {
		if err := vcs.CheckRefName(vcs.BranchRef(name)); err != nil {
			return usageError{err}
		}
	}
	opts := gitremote.PullOptions{Name: c.Name, Branch: c.Branch, Merge: vcs.MergeOptions{NoFastForward: c.NoFF}}
	if opts.RemoteOptions, err = c.options(c.progress()); err != nil {
		return err
	}
	opts.Merge.Author, opts.Merge.Committer = me()
	opts.Merge.Time, opts.Merge.Message = s.Now, c.Message
	if opts.Merge.Message == "" {
		if opts.Merge.Message, err = s.pullMessage(into, c.Branch, c.Remote); err != nil {
			return err
		}
	}
	repo, err := versioned.NewRepo(s.Store)
	if err != nil {
		return err
	}
	res, err := gitremote.Pull(ctx, repo, into, c.Remote, opts)
	if err != nil && !errors.Is(err, vcs.ErrConflict) {
		return c.explain(err)
	}
	if !s.out.IsJSON() {
		s.printFetch(res.Fetch)
	}
	if err != nil {
		if err := s.Store.Sync(ctx); err != nil {
			return err
		}
	}
	return s.merged(ctx, res.MergeResult, err, into, fmt.Sprintf("%s of %s", c.Branch, res.Fetch.Remote), c.JSON)
}

// pullMessage is that of a merge of tables as nodes write it; empty for other
// histories, where git's own will do.
func (s *session) pullMessage(into, branch, remote string) (string, error) {
	head, ok := s.Store.Ref(vcs.BranchRef(into))
	if !ok {
		return "", nil
	}
	c, err := s.Store.ReadCommit(head)
	if err != nil {
		return "", err
	}
	if table, err := history.IsTable(s.Store, c); err != nil || !table {
		return "", err
	}
	return tableMergeMessage(fmt.Sprintf("%s of %s", branch, gitremote.Redact(remote)), branch), nil
}
