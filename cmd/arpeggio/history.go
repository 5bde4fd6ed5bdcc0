package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"arpeggio/arp/vendors"
	"arpeggio/arp/versioned"
	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/internal/openrepo"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
)

// The commands on a history share these rules. A revision is tried as a
// revision first, then as a time. An address stands for its file in every
// domain and VLAN. For people there are colours and a pager on a terminal; with
// --json there is one object a line, in which times are RFC 3339 and ids have
// forty digits. Exit codes: 0 for success, 1 for failure, 2 for a command line
// that makes no sense; diff is as diff(1): 0 for no difference, 1 for one, 2 for
// trouble.

// historyCmds are the commands on a history.
type historyCmds struct {
	Log         logCmd         `cmd:"" group:"History:" help:"List commits, of a file or an address if you like."`
	Show        showCmd        `cmd:"" group:"History:" help:"Print a commit, or a file as it was."`
	At          atCmd          `cmd:"" group:"History:" help:"Print what was known at a time."`
	Table       tableCmd       `cmd:"" group:"History:" help:"Print the ARP table."`
	Diff        diffCmd        `cmd:"" group:"History:" help:"Compare two states."`
	Blame       blameCmd       `cmd:"" group:"History:" help:"Say which commit wrote each line of a file or an entry."`
	Follow      followCmd      `cmd:"" group:"History:" help:"Print commits as they come."`
	Bisect      bisectCmd      `cmd:"" group:"History:" help:"Find the first bad commit by running a command."`
	Branch      branchCmd      `cmd:"" group:"History:" help:"List, make or delete branches."`
	Merge       mergeCmd       `cmd:"" group:"History:" help:"Merge a branch into another."`
	Revert      revertCmd      `cmd:"" group:"History:" help:"Undo what a commit changed."`
	Pin         pinCmd         `cmd:"" group:"History:" help:"Bind an address to a MAC address for good."`
	Unpin       unpinCmd       `cmd:"" group:"History:" help:"Let packets move a pinned address again."`
	Who         whoCmd         `cmd:"" group:"History:" help:"Add MAC addresses to flow records, by time."`
	Clone       cloneCmd       `cmd:"" group:"History:" help:"Take a copy of a history to work on."`
	Fetch       fetchCmd       `cmd:"" group:"History:" help:"Get what another repository has."`
	Push        pushCmd        `cmd:"" group:"History:" help:"Send branches to another repository."`
	Pull        pullCmd        `cmd:"" group:"History:" help:"Get a branch of another repository and merge it."`
	Bundle      bundleCmd      `cmd:"" group:"History:" help:"Write a history as a Git bundle."`
	GC          gcCmd          `cmd:"" group:"History:" name:"gc" help:"Bound a history, archive what leaves it, list its epochs."`
	Import      importCmd      `cmd:"" group:"History:" help:"Write what another tool knows into a history."`
	Export      exportCmd      `cmd:"" group:"History:" help:"Print the table in the format of another tool."`
	Verify      verifyCmd      `cmd:"" group:"History:" help:"Check that a history is whole."`
	MergeDriver mergeDriverCmd `cmd:"" group:"History:" name:"merge-driver" help:"Merge entries of a table for stock git."`
}

// repoFlags name the repository of a command.
type repoFlags struct {
	Repo    string `env:"ARPEGGIO_REPO" default:"." placeholder:"WHERE" help:"A Git directory, a store of serve --repo, a URL (http, https, ssh, file) or a data disk (${default})."`
	Offline bool   `help:"For a URL or a disk: use what was fetched before."`
	Image   string `default:"build/image" placeholder:"DIR" help:"What image build wrote, to read a data disk with (${default})."`

	retention vcs.Retention // of the store while the command runs
	tells     bool          // the command itself tells what is wrong with the store
	deliver   bool          // what is written to a mirror is sent
	remote    gitremote.RemoteOptions
}

// printFlags say how a command prints.
type printFlags struct {
	JSON    bool   `name:"json" help:"One JSON object a line, for programs."`
	Color   string `enum:"auto,always,never" default:"auto" help:"Colours: auto, always or never (${default}; NO_COLOR is honoured)."`
	NoPager bool   `help:"No pager."`
}

// session is an open repository and where to print.
type session struct {
	*history.Resolver
	repo    *openrepo.Repo
	out     *cli.Output
	vendors vendors.Table
}

// open opens the repository. Whoever opens closes.
func (f *repoFlags) open(ctx context.Context, p printFlags) (*session, error) {
	return f.openTo(ctx, p, false)
}

func (f *repoFlags) openTo(ctx context.Context, p printFlags, write bool) (*session, error) {
	repo, err := openrepo.Open(ctx, f.Repo, openrepo.Options{
		Offline: f.Offline, Retention: f.retention, Write: write, Deliver: f.deliver, Fetch: f.remote,
		Export: func(ctx context.Context, disk, dir string) error {
			_, err := exportFromDisk(ctx, f.Image, disk, dir)
			return err
		},
	})
	switch {
	case errors.Is(err, openrepo.ErrNoRepository) && f.Repo == ".":
		return nil, withHint(err, "name one with --repo, or in ARPEGGIO_REPO: a directory, a URL such as http://127.0.0.1:8081/arp.git, or a data disk")
	case errors.Is(err, badger.ErrLocked) && write:
		return nil, withHint(err, "or work on a copy: arpeggio snapshot --repo %s --out DIR", f.Repo)
	case errors.Is(err, badger.ErrLocked):
		return nil, withHint(err, "a program that is running keeps its history there: ask it, with --repo http://…/arp.git, or read what its --snapshot writes")
	case err != nil:
		return nil, err
	}
	if !f.tells {
		for _, p := range repo.Problems() {
			note("%s is damaged: %s", f.Repo, cli.Clean(p.String(), false))
		}
	}
	for _, n := range repo.Notes() {
		note("%s: %s", f.Repo, cli.Clean(n, false))
	}
	s := &session{
		Resolver: &history.Resolver{Store: repo.Store, Now: time.Now(), Detached: repo.Detached},
		repo:     repo,
		out:      cli.New(cli.Config{Stdout: os.Stdout, Stderr: os.Stderr, Color: p.Color, JSON: p.JSON, NoPager: p.NoPager}),
	}
	s.Index = func() (*versioned.RecordIndex, error) { return s.index(ctx) }
	return s, nil
}

// close ends a session and adds what then goes wrong to err. An error is told
// only when the pager is gone.
func (s *session) close(err *error) {
	if e := s.out.Close(); *err == nil {
		*err = e
	}
	if e := s.repo.Close(); *err == nil {
		*err = e
	}
}

// writable is open for commands that write.
func (f *repoFlags) writable(ctx context.Context, p printFlags) (*session, error) {
	s, err := f.openTo(ctx, p, true)
	if err != nil {
		return nil, err
	}
	if err := s.repo.Writable(); err != nil {
		s.close(&err)
		return nil, err
	}
	return s, nil
}

// exitError ends the program with a code of its own; without an error it prints
// nothing.
type exitError struct {
	error
	code int
}

// Error is never shown when there is nothing to say.
func (e exitError) Error() string {
	if e.error == nil {
		return "exit " + strconv.Itoa(e.code)
	}
	return e.error.Error()
}

func (e exitError) Unwrap() error { return e.error }

// positional puts arguments together that the parser took one by one.
func positional(first string, rest []string) []string {
	if first == "" {
		return rest
	}
	return append([]string{first}, rest...)
}

// afterDashes splits positional arguments at the -- of the command line, which
// the parser takes away. Dashed says whether there was one.
func afterDashes(k *kong.Context, args []string) (before, after []string, dashed bool) {
	for i, a := range k.Args {
		if a == "--" {
			n := len(args) - min(len(k.Args)-i-1, len(args))
			return args[:n], args[n:], true
		}
	}
	return args, nil, false
}

// selection reads [REV] [-- PATH|ADDRESS…]. Without the dashes the first
// argument is a revision when it can be one; when it is a file as well, that is
// an error.
func (s *session) selection(k *kong.Context, args []string) (rev string, specs []history.Spec, err error) {
	revs, paths, dashed := afterDashes(k, args)
	switch {
	case dashed && len(revs) > 1:
		return "", nil, usagef("%s: want one revision before --", strings.Join(revs, " "))
	case dashed && len(revs) == 1:
		rev = revs[0]
	case !dashed && len(revs) > 0:
		is, err := s.isRevision(revs[0])
		if err != nil {
			return "", nil, err
		}
		if is {
			rev, revs = revs[0], revs[1:]
		}
		paths = revs
	}
	for _, p := range paths {
		specs = append(specs, history.ParseSpec(p))
	}
	return rev, specs, nil
}

// isRevision reports whether an argument is a revision and not a path.
func (s *session) isRevision(arg string) (bool, error) {
	spec := history.ParseSpec(arg)
	if spec.Addr.IsValid() {
		return false, nil
	}
	var err error
	if history.IsRange(arg) {
		_, _, err = s.Range(arg)
	} else {
		_, err = s.Resolve(arg)
	}
	head, herr := s.Head()
	switch {
	case herr != nil && err == nil:
		return true, nil // nothing is checked out that could hold such a path
	case herr != nil:
		return false, herr
	}
	c, cerr := s.Store.ReadCommit(head)
	if cerr != nil {
		return false, cerr
	}
	found, ferr := history.Find(s.Store, c.Tree, []history.Spec{spec})
	if ferr != nil {
		return false, ferr
	}
	isFile := len(found) > 0 && spec.Path != ""
	switch {
	case err == nil && isFile:
		return false, withHint(fmt.Errorf("%w: %s is a revision and a path", history.ErrAmbiguous, arg), "write %s -- for the revision, -- %s for the path", arg, arg)
	case err == nil:
		return true, nil
	case errors.Is(err, history.ErrUnknown) && (isFile || strings.Contains(arg, "/")):
		return false, nil
	}
	if !errors.Is(err, history.ErrUnknown) {
		return false, err
	}
	return false, withHint(err, "for a path that is not there any more write -- before it")
}

// Resolve is that of the Resolver; the error of a word that means nothing names
// the command that was meant, perhaps.
func (s *session) Resolve(rev string) (history.Revision, error) {
	r, err := s.Resolver.Resolve(rev)
	if !errors.Is(err, history.ErrUnknown) {
		return r, err
	}
	_, notMAC := ethernet.ParseAddr(rev)
	switch {
	case history.ParseSpec(rev).Addr.IsValid():
		err = withHint(err, "that is an address: arpeggio log %[1]s tells its changes, arpeggio at TIME %[1]s who had it, arpeggio show HEAD:%[1]s its entry", rev)
	case notMAC == nil:
		err = withHint(err, "that is a MAC address: arpeggio log --mac %s tells what it did", rev)
	default:
		err = withHint(err, "arpeggio branch lists branches, arpeggio log commits; a time is such as 12:03, yesterday 12:03 or 5m ago")
	}
	return r, err
}

// heads returns the names of refs by the commit that they lead to.
func (s *session) heads() map[vcs.ID][]string {
	out := make(map[vcs.ID][]string)
	refs, _ := s.Store.Refs() // a Store's own list cannot fail
	for _, ref := range refs {
		if id, err := vcs.PeelCommit(s.Store, ref.Target); err == nil {
			name := strings.TrimPrefix(ref.Name, "refs/heads/")
			if tag, ok := strings.CutPrefix(ref.Name, "refs/tags/"); ok {
				name = "tag: " + tag
			}
			out[id] = append(out[id], name)
		}
	}
	return out
}

// clock writes a time of a commit for people, in their zone.
func (s *session) clock(t time.Time) string {
	return t.In(s.Now.Location()).Format("2006-01-02 15:04:05")
}
