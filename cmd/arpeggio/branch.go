package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strings"

	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

type branchCmd struct {
	repoFlags
	printFlags
	authFlags
	Delete bool   `short:"d" help:"Delete the branch, if another branch or tag holds its commits."`
	Force  bool   `short:"f" help:"With -d: also when its commits then are on no branch any more."`
	Name   string `arg:"" optional:"" help:"The branch to make or delete; none lists them."`
	Rev    string `arg:"" optional:"" name:"rev|time" help:"Where a new branch starts (HEAD)."`
}

func (*branchCmd) Help() string {
	return `List, make or delete branches. Exit codes: 0 ok, 1 failure, 2 usage.

Examples:

  arpeggio branch --repo arp.git
  arpeggio branch --repo arp.git what-if "12:03"
  arpeggio branch --repo arp.git -d what-if

` + liveHelp
}

func (c *branchCmd) Run(ctx context.Context) error {
	if c.Name == "" {
		if c.Delete {
			return usagef("-d: name the branch to delete")
		}
		return c.list(ctx)
	}
	if c.Delete && c.Rev != "" {
		return usagef("-d takes one branch")
	}
	if !c.Delete {
		if err := checkBranchName(c.Name); err != nil {
			return err
		}
	}
	return c.write(ctx, c.printFlags, c.authFlags, func(s *session) error { return c.change(ctx, s) })
}

// change makes or deletes the branch.
func (c *branchCmd) change(ctx context.Context, s *session) error {
	repo, err := s.files()
	if err != nil {
		return err
	}
	if c.Delete {
		return c.remove(ctx, s, repo)
	}
	r, err := s.Resolve(c.Rev)
	if err != nil {
		return err
	}
	if head, err := repo.Head(c.Name); err == nil {
		return withHint(fmt.Errorf("branch %s exists, at %v", c.Name, head.Short()), "choose another name, or delete it first with arpeggio branch -d %s", c.Name)
	}
	if err := repo.CreateBranch(ctx, c.Name, r.Commit.ID); err != nil {
		return err
	}
	return s.wrote(ctx, c.JSON, writeJSON{Did: "created", Branch: c.Name, Commit: r.Commit.ID.String()}, "%s is at %v", c.Name, r.Commit.ID.Short())
}

// checkBranchName refuses names that git refuses, and those that would be taken
// for something else.
func checkBranchName(name string) error {
	err := vcs.CheckRefName(vcs.BranchRef(name))
	switch {
	case err != nil:
		return usageError{err}
	case name == "HEAD" || name == "@":
		return usagef("a branch cannot be called %s: that is the branch that is checked out", name)
	case strings.HasPrefix(name, "refs/"):
		short := history.ShortRef(name)
		return withHint(usagef("%s is a whole name, want that of a branch", name), "arpeggio branch %s", short)
	case strings.HasPrefix(name, "history/"):
		return usagef("branches below history/ are kept by the store itself: choose another name")
	}
	return nil
}

// writeJSON says what a writing command did, for programs.
type writeJSON struct {
	Did       string   `json:"did"` // created, deleted, up to date, fast-forward, merged, reverted, conflict
	Branch    string   `json:"branch"`
	Commit    string   `json:"commit,omitempty"`
	Conflicts []string `json:"conflicts,omitempty"`
}

// wrote makes what was written durable, where it was meant for, and says so.
func (s *session) wrote(ctx context.Context, json bool, j writeJSON, format string, args ...any) error {
	if err := s.Store.Sync(ctx); err != nil {
		return err
	}
	if err := s.repo.Deliver(ctx); err != nil {
		return err
	}
	if json {
		s.out.JSON(j)
	} else {
		s.out.Printf(format+"\n", args...)
	}
	return nil
}

// files returns the untyped view of the repository.
func (s *session) files() (*vcs.Repo[string, []byte], error) {
	return vcs.New(s.Store, vcs.Config[string, []byte]{})
}

func (c *branchCmd) remove(ctx context.Context, s *session, repo *vcs.Repo[string, []byte]) error {
	head, err := s.branch(c.Name)
	if err != nil {
		return err
	}
	if vcs.BranchRef(c.Name) == s.Store.Head() {
		return withHint(fmt.Errorf("%s is the branch that clones check out", c.Name), "it stays: delete others, or undo its commits with arpeggio revert")
	}
	if !c.Force {
		held, err := s.heldElsewhere(c.Name, head)
		if err != nil {
			return err
		}
		if !held {
			return withHint(fmt.Errorf("commits of %s are on no other branch", c.Name), "merge it first (arpeggio merge %s), or delete it all the same with -d -f; its head is %v", c.Name, head)
		}
	}
	if err := repo.DeleteBranch(ctx, c.Name, head); err != nil {
		return err
	}
	return s.wrote(ctx, c.JSON, writeJSON{Did: "deleted", Branch: c.Name, Commit: head.String()}, "deleted %s, which was at %v", c.Name, head.Short())
}

// branch returns a branch's head; the error names what comes near.
func (s *session) branch(name string) (vcs.ID, error) {
	head, ok := s.Store.Ref(vcs.BranchRef(name))
	if !ok {
		if _, err := s.Resolve(name); err != nil {
			return vcs.ID{}, err
		}
		return vcs.ID{}, fmt.Errorf("%w branch %s: it is a revision of another kind", history.ErrUnknown, name)
	}
	return head, nil
}

// heldElsewhere reports whether another ref contains a branch's head.
func (s *session) heldElsewhere(name string, head vcs.ID) (bool, error) {
	refs, _ := s.Store.Refs() // a Store's own list cannot fail
	for _, ref := range refs {
		id, err := vcs.PeelCommit(s.Store, ref.Target)
		if err != nil || ref.Name == vcs.BranchRef(name) {
			continue
		}
		if is, err := s.Store.IsAncestor(head, id); is || err != nil {
			return is, err
		}
	}
	return false, nil
}

// branchJSON is a branch for programs.
type branchJSON struct {
	Branch string     `json:"branch"`
	Head   bool       `json:"head"` // what clones check out
	At     commitJSON `json:"at"`
}

func (c *branchCmd) list(ctx context.Context) (err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	repo, err := s.files()
	if err != nil {
		return err
	}
	var t cli.Columns
	for _, b := range repo.Branches() {
		at, err := s.Store.ReadCommit(b.Head)
		if err != nil {
			return err
		}
		isHead := vcs.BranchRef(b.Name) == s.Store.Head() && s.Detached.IsZero()
		if c.JSON {
			s.out.JSON(branchJSON{b.Name, isHead, toJSON(at, nil)})
			continue
		}
		mark, style := " ", cli.Plain
		if isHead {
			mark, style = "*", cli.Added
		}
		t.Row(cli.Cell{Text: mark + " " + cli.Clean(b.Name, false), Style: style}, cli.Cell{Text: at.ID.Short(), Style: cli.ID},
			cli.Cell{Text: s.clock(at.Time()), Style: cli.Faint}, cli.Cell{Text: cli.Clean(at.Subject(), false)})
	}
	s.out.Page()
	t.Print(s.out)
	return nil
}

// me returns the author of commits that this program makes for a person: as
// git's environment says, else the user and the host.
func me() (author, committer vcs.Signature) {
	name, host := "arpeggio", "localhost"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host = h
	}
	from := func(role string) vcs.Signature {
		s := vcs.Signature{Name: name, Email: name + "@" + host}
		if v := strings.TrimSpace(os.Getenv("GIT_" + role + "_NAME")); v != "" {
			s.Name = v
		}
		if v := strings.TrimSpace(os.Getenv("GIT_" + role + "_EMAIL")); v != "" {
			s.Email = v
		}
		return s
	}
	return from("AUTHOR"), from("COMMITTER")
}
