package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

type mergeCmd struct {
	repoFlags
	printFlags
	authFlags
	Into    string `placeholder:"BRANCH" help:"The branch that moves (HEAD's)."`
	NoFF    bool   `name:"no-ff" help:"Make a merge commit also where the branch could simply move."`
	Message string `short:"m" placeholder:"TEXT" help:"The merge commit's message."`
	Rev     string `arg:"" name:"branch" help:"What to merge: a branch or any revision."`
}

func (*mergeCmd) Help() string {
	return `Merge a branch into another. Entries of an ARP table are joined: the later
observation stays, and there are no conflicts. For any other file that both
sides changed there is one: it is named, and nothing is changed. Exit codes:
0 ok, 1 failure or conflict, 2 usage.

Examples:

  arpeggio merge --repo arp.git what-if
  arpeggio merge --repo arp.git node/site-b --into primary

` + liveHelp
}

func (c *mergeCmd) Run(ctx context.Context) error {
	return c.write(ctx, c.printFlags, c.authFlags, func(s *session) error { return c.merge(ctx, s) })
}

func (c *mergeCmd) merge(ctx context.Context, s *session) error {
	into, err := s.target(c.Into)
	if err != nil {
		return err
	}
	r, err := s.Resolve(c.Rev)
	if err != nil {
		return err
	}
	// One repository for tables and others: only files that are entries are
	// joined, and the rest conflicts.
	repo, err := versioned.NewRepo(s.Store)
	if err != nil {
		return err
	}
	opt := vcs.MergeOptions{NoFastForward: c.NoFF}
	opt.Author, opt.Committer = me()
	opt.Time, opt.Message = s.Now, c.Message
	if opt.Message == "" {
		if opt.Message, err = s.mergeMessage(c.Rev, into, r.Commit); err != nil {
			return err
		}
	}
	res, err := repo.Merge(ctx, into, r.Commit.ID, opt)
	return s.merged(ctx, res, err, into, c.Rev, c.JSON)
}

// merged says what came of a merge of what into a branch.
func (s *session) merged(ctx context.Context, res vcs.MergeResult[arp.Key, versioned.Entry], err error, into, what string, json bool) error {
	j := writeJSON{Did: res.Kind.String(), Branch: into, Commit: res.Head.String()}
	switch {
	case errors.Is(err, vcs.ErrConflict):
		return s.conflicts(res, j)
	case err != nil:
		return err
	case res.Kind == vcs.UpToDate:
		return s.wrote(ctx, json, j, "%s is up to date", into)
	case res.Kind == vcs.FastForwarded:
		return s.wrote(ctx, json, j, "%s is at %v now (fast-forward)", into, res.Head.Short())
	}
	return s.wrote(ctx, json, j, "%s is at %v now, a merge of %s", into, res.Head.Short(), what)
}

// target returns the branch that a command moves.
func (s *session) target(name string) (string, error) {
	if name == "" {
		name = strings.TrimPrefix(s.Store.Head(), "refs/heads/")
		if !s.Detached.IsZero() {
			return "", usagef("HEAD is on no branch: name one")
		}
	}
	_, err := s.branch(name)
	return name, err
}

// mergeMessage is git's, and for a table the one that nodes write.
func (s *session) mergeMessage(rev, into string, c *vcs.Commit) (string, error) {
	table, err := history.IsTable(s.Store, c)
	if err != nil {
		return "", err
	}
	if table {
		return tableMergeMessage(rev, rev), nil
	}
	what := "commit"
	if _, ok := s.Store.Ref(vcs.BranchRef(rev)); ok {
		what = "branch"
	}
	return fmt.Sprintf("Merge %s '%s' into %s\n", what, rev, into), nil
}

func tableMergeMessage(what, branch string) string {
	return fmt.Sprintf("arp: merge %s\n\n%s: merge\n%s: %s\n", what, versioned.TrailerCause, versioned.TrailerBranch, branch)
}

// conflicts reports a merge that was not made.
func (s *session) conflicts(res vcs.MergeResult[arp.Key, versioned.Entry], j writeJSON) error {
	for _, c := range res.Conflicts {
		j.Conflicts = append(j.Conflicts, c.Path)
		if !s.out.IsJSON() {
			s.out.Printf("%s %s: %v\n", s.out.Paint(cli.Removed, "conflict"), history.Quote(c.Path), c.Err)
		}
	}
	if s.out.IsJSON() {
		s.out.JSON(j)
	}
	return withHint(fmt.Errorf("%d conflicts; nothing was changed", len(res.Conflicts)),
		"merge in a clone with git merge, settle the files there, and push or fetch the result")
}

type revertCmd struct {
	repoFlags
	printFlags
	authFlags
	On  string `placeholder:"BRANCH" help:"The branch to undo it on (HEAD's)."`
	Rev string `arg:"" name:"commit" help:"The commit whose change is undone."`
}

func (*revertCmd) Help() string {
	return `Undo what a commit changed, by a new commit. In an ARP table the earlier
bindings come back as later writes, so that they win when histories merge, and
an address that was new becomes expired. What changed again since is a conflict:
it is named, and nothing is changed. Exit codes: 0 ok, 1 failure or conflict,
2 usage.

Example:

  arpeggio revert --repo arp.git 3fbc181

` + liveHelp
}

func (c *revertCmd) Run(ctx context.Context) error {
	return c.write(ctx, c.printFlags, c.authFlags, func(s *session) error { return c.revert(ctx, s) })
}

func (c *revertCmd) revert(ctx context.Context, s *session) error {
	on, err := s.target(c.On)
	if err != nil {
		return err
	}
	r, err := s.Resolve(c.Rev)
	if err != nil {
		return err
	}
	if len(r.Commit.Parents) > 1 {
		return withHint(fmt.Errorf("%v is a merge: it has %d sides to go back to", r.Commit.ID.Short(), len(r.Commit.Parents)),
			"revert the commits that it brought in: arpeggio log %v~1..%v", r.Commit.ID.Short(), r.Commit.ID.Short())
	}
	info := vcs.CommitInfo{Time: s.Now}
	info.Author, info.Committer = me()
	head, err := s.revert(ctx, on, r.Commit, info)
	switch {
	case errors.Is(err, vcs.ErrConflict):
		return withHint(fmt.Errorf("%w; nothing was changed", err), "revert the later commits first: arpeggio log %v..%s names them", r.Commit.ID.Short(), on)
	case err != nil:
		return err
	case head.IsZero():
		return s.wrote(ctx, c.JSON, writeJSON{Did: "up to date", Branch: on}, "%v changed nothing that is still there", r.Commit.ID.Short())
	}
	return s.wrote(ctx, c.JSON, writeJSON{Did: "reverted", Branch: on, Commit: head.String()}, "%s is at %v now", on, head.Short())
}

// revert returns the new head, zero when there was nothing to undo.
func (s *session) revert(ctx context.Context, on string, c *vcs.Commit, info vcs.CommitInfo) (vcs.ID, error) {
	table, err := history.IsTable(s.Store, c)
	if err != nil {
		return vcs.ID{}, err
	}
	if table {
		repo, err := versioned.NewRepo(s.Store)
		if err != nil {
			return vcs.ID{}, err
		}
		return history.RevertTable(ctx, repo, on, c, info)
	}
	repo, err := s.files()
	if err != nil {
		return vcs.ID{}, err
	}
	res, err := repo.Revert(ctx, on, c.ID, vcs.MergeOptions{CommitInfo: info})
	if err != nil || res.Kind != vcs.Merged {
		return vcs.ID{}, err
	}
	return res.Head, nil
}
