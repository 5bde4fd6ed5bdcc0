package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"arpeggio/internal/cli"
	"arpeggio/internal/keep"
	"arpeggio/internal/openrepo"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

type gcCmd struct {
	repoFlags
	printFlags
	List        bool      `short:"l" help:"Only list the epochs and change nothing, also of a URL, a data disk, and a store that is in use."`
	Keep        keep.Size `placeholder:"SIZE" help:"Keep this much history in a store of serve --repo, such as 64M. Default: all."`
	KeepFor     keep.Age  `placeholder:"AGE" help:"Keep no history older than this, such as 90d. Default: all."`
	KeepCommits int       `placeholder:"N" help:"Keep no more commits than this. Default: all."`
	Archive     string    `placeholder:"WHERE" help:"Archive what leaves the history in this directory, or by pushing it to this Git URL; none for nowhere. Default: beside the repository, as NAME.archive.git."`
	ArchiveMax  keep.Size `placeholder:"SIZE" help:"Bound of an archive directory; its oldest parts go first. Default: none."`
	Now         bool      `help:"End the current epoch now, whatever it holds."`
	Prune       bool      `help:"In a Git directory, also remove what no branch and no tag leads to."`
}

func (*gcCmd) Help() string {
	return `Bound a history: what is beyond the bound leaves it in epochs, whole stretches
that are archived first and named in the branch history/epochs. Then list the
epochs. In a Git directory, also put all packs into one. A running machine does
this by itself: see serve --help. Exit codes: 0 ok, 1 failure, 2 usage.

Examples:

  arpeggio gc --repo store --list
  arpeggio gc --repo store --keep-for 90d --archive /mnt/old.git
  arpeggio gc --repo arp.git --prune`
}

// epochJSON is an epoch, for programs.
type epochJSON struct {
	Epoch    int        `json:"epoch"`
	Through  int        `json:"through,omitempty"` // of lost epochs that are summed up
	State    string     `json:"state"`             // current, live, archived, lost
	Commits  int        `json:"commits"`
	LogBytes int64      `json:"log_bytes,omitempty"`
	Began    *time.Time `json:"began,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
	Head     string     `json:"head,omitempty"` // of the head branch
	Archive  string     `json:"archive,omitempty"`
	SHA256   string     `json:"archive_sha256,omitempty"`
	Bytes    int64      `json:"archive_bytes,omitempty"`
	Reason   string     `json:"reason,omitempty"` // why it was lost
}

// repackJSON says what became of a Git directory's packs.
type repackJSON struct {
	Packs       int   `json:"packs"`
	PacksBefore int   `json:"packs_before"`
	Bytes       int64 `json:"bytes"`
	BytesBefore int64 `json:"bytes_before"`
}

func (c *gcCmd) Run(ctx context.Context) (err error) {
	p := keep.Policy{Bytes: c.Keep, Age: c.KeepFor, Commits: c.KeepCommits, Archive: c.Archive, ArchiveBytes: c.ArchiveMax}
	if err := p.Check(); err != nil {
		return usagef("how much to keep: %v", err)
	}
	if c.List {
		if p.Bounded() || p.Archive != "" || c.Now || c.Prune {
			return usagef("--list changes nothing: leave the other flags away, or --list")
		}
		return c.list(ctx)
	}
	if p.Archive == "" && (p.Bounded() || c.Now) {
		p.Archive = storeArchive(c.Repo)
	}
	if err := c.checkWritable(ctx); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if c.retention, err = retention(p, "arpeggio", log); err != nil {
		return err
	}
	s, err := c.writable(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	if c.Now {
		if _, err := s.Store.EndEpoch(ctx); err != nil {
			return err
		}
	}
	rep, err := s.Store.Collect(ctx)
	if err != nil {
		return err
	}
	epochs := s.Store.Epochs()
	epochs[len(epochs)-1] = rep.Current
	if err := s.repo.Close(); err != nil {
		return err
	}
	s.epochs(c.JSON, epochs)
	return s.repack(c.JSON, c.Prune || len(rep.Dropped) > 0)
}

// list prints the epochs of any history. Without a bound there is nothing that
// Collect does but count.
func (c *gcCmd) list(ctx context.Context) (err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	rep, err := s.Store.Collect(ctx)
	if err != nil {
		return err
	}
	epochs := s.Store.Epochs()
	epochs[len(epochs)-1] = rep.Current
	s.out.Page()
	s.epochs(c.JSON, epochs)
	return nil
}

// checkWritable opens the repository once without the archive, so that a wrong
// name makes no directory beside it.
func (c *gcCmd) checkWritable(ctx context.Context) (err error) {
	s, err := c.writable(ctx, printFlags{Color: "never", NoPager: true})
	if err != nil {
		return err
	}
	s.close(&err)
	return err
}

// epochs lists epochs, oldest first.
func (s *session) epochs(json bool, list []vcs.Epoch) {
	var t cli.Columns
	t.Row(cli.Cell{Text: "epoch"}, cli.Cell{Text: "state"}, cli.Cell{Text: "commits"}, cli.Cell{Text: "log"},
		cli.Cell{Text: "from"}, cli.Cell{Text: "to"}, cli.Cell{Text: "archive"})
	for _, e := range list {
		if json {
			s.out.JSON(newEpochJSON(e, s.Store.Head()))
			continue
		}
		style := cli.Plain
		where := e.Archive.Name
		switch e.State {
		case vcs.EpochCurrent:
			style = cli.Added
		case vcs.EpochLost:
			style, where = cli.Removed, "lost: "+e.Reason
		}
		commits, size := fmt.Sprint(e.Commits), "" // a Git directory has no log
		if e.LogBytes > 0 && (e.State == vcs.EpochCurrent || e.State == vcs.EpochLive) {
			size = keep.Size(e.LogBytes).String()
		}
		number := fmt.Sprint(e.Number)
		if e.Through > e.Number {
			number += fmt.Sprintf("-%d", e.Through)
		}
		t.Row(cli.Cell{Text: number}, cli.Cell{Text: e.State.String(), Style: style}, cli.Cell{Text: commits},
			cli.Cell{Text: size}, cli.Cell{Text: s.day(e.Began)}, cli.Cell{Text: s.day(e.Ended)}, cli.Cell{Text: cli.Clean(where, false)})
	}
	if !json {
		t.Print(s.out)
	}
}

func (s *session) day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return s.clock(t)
}

func newEpochJSON(e vcs.Epoch, head string) epochJSON {
	j := epochJSON{Epoch: e.Number, Through: e.Through, State: e.State.String(), Commits: e.Commits, LogBytes: e.LogBytes, Reason: e.Reason,
		Archive: e.Archive.Name, Bytes: e.Archive.Bytes}
	if e.Archive.Name != "" {
		j.SHA256 = fmt.Sprintf("%x", e.Archive.SHA256)
	}
	if t := e.Began.UTC(); !e.Began.IsZero() {
		j.Began = &t
	}
	if t := e.Ended.UTC(); !e.Ended.IsZero() {
		j.Ended = &t
	}
	for _, r := range e.Heads {
		if r.Name == head {
			j.Head = r.Target.String()
		}
	}
	return j
}

// repack puts the packs of a Git directory into one.
func (s *session) repack(json, prune bool) error {
	if s.repo.Kind != openrepo.Bare {
		return nil
	}
	rep, err := gitremote.Repack(s.repo.Location, gitremote.RepackOptions{Prune: prune})
	if err != nil {
		return err
	}
	if json {
		s.out.JSON(repackJSON{rep.Packs, rep.PacksBefore, rep.Bytes, rep.BytesBefore})
		return nil
	}
	s.out.Printf("%s, %v (before: %d, %v)\n", count(rep.Packs, "pack"), keep.Size(rep.Bytes), rep.PacksBefore, keep.Size(rep.BytesBefore))
	return nil
}
