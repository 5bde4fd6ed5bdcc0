package main

import (
	"context"

	"github.com/alecthomas/kong"

	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

type diffCmd struct {
	repoFlags
	printFlags
	Patch      bool     `short:"p" help:"A unified diff also where one line for each address would do."`
	NameStatus bool     `help:"A letter and a path for each file, as git diff --name-status."`
	A          string   `arg:"" name:"a..b" help:"Two revisions or times: A..B, or A B; one alone is compared with HEAD."`
	B          string   `arg:"" optional:"" name:"b" help:"The second one, unless the first is a range."`
	Paths      []string `arg:"" optional:"" name:"path|address" help:"The files or addresses to look at (all); write -- before the first one where it could be a revision."`
}

func (*diffCmd) Help() string {
	return `What differs between two states: for an ARP table one line for each address,
else a unified diff. Exit codes: 0 no difference, 1 difference, 2 trouble.

Examples:

  arpeggio diff --repo arp.git 11:55..12:05
  arpeggio diff --repo arp.git primary~10..primary -p 10.9.0.20
  arpeggio diff --repo arp.git "yesterday 12:00" || echo "something changed"`
}

func (c *diffCmd) Run(ctx context.Context, k *kong.Context) error {
	different, err := c.run(ctx, k)
	switch {
	case err != nil:
		return exitError{err, 2}
	case different:
		return exitError{nil, 1}
	}
	return nil
}

func (c *diffCmd) run(ctx context.Context, k *kong.Context) (different bool, err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return false, err
	}
	defer s.close(&err)
	old, now, specs, err := c.sides(s, k)
	if err != nil {
		return false, err
	}
	if len(specs) > 0 {
		if err := eitherHas(s, old.Commit, now.Commit, specs); err != nil {
			return false, err
		}
	}
	if _, quick, err := s.Store.PathsBetween(old.Commit.ID, now.Commit.ID); err != nil {
		return false, err
	} else if !quick {
		if err := s.oldTables(ctx, old.Commit); err != nil {
			return false, err
		}
	}
	s.out.Page()
	d := differ{session: s, old: old.Commit, now: now.Commit, patch: c.Patch, names: c.NameStatus}
	return d.print(specs)
}

// sides reads the two states and the selection of files.
func (c *diffCmd) sides(s *session, k *kong.Context) (old, now history.Revision, specs []history.Spec, err error) {
	args := positional(c.A, positional(c.B, c.Paths))
	first, specs, err := s.selection(k, args)
	switch {
	case err != nil:
		return old, now, nil, err
	case first == "":
		return old, now, nil, usagef("name what to compare, such as primary~1..primary or 11:55..12:05")
	case history.IsRange(first):
		old, now, err = s.Range(first)
		return old, now, specs, err
	}
	second := "HEAD"
	_, _, dashed := afterDashes(k, args)
	if len(specs) > 0 && !dashed && !specs[0].Addr.IsValid() {
		if is, rerr := s.isRevision(args[1]); rerr == nil && is {
			second, specs = args[1], specs[1:]
		}
	}
	old, now, err = s.Range(first + ".." + second)
	return old, now, specs, err
}

// eitherHas refuses specs that select nothing on both sides.
func eitherHas(s *session, old, now *vcs.Commit, specs []history.Spec) error {
	for _, sp := range specs {
		if _, err := history.Require(s.Store, old, []history.Spec{sp}); err == nil {
			continue
		}
		if _, err := history.Require(s.Store, now, []history.Spec{sp}); err != nil {
			return err
		}
	}
	return nil
}

// differ prints what differs between two commits; old may be nil, the empty
// state.
type differ struct {
	*session
	old, now *vcs.Commit
	patch    bool // unified diffs also of tables
	names    bool // status letters only
}

// changeJSON is a file that differs, for programs. Old and New are entries of
// an ARP table, absent for other files.
type changeJSON struct {
	Status string     `json:"status"` // added, removed, changed, mode
	Path   string     `json:"path"`
	OldID  string     `json:"old_object,omitempty"`
	NewID  string     `json:"new_object,omitempty"`
	Old    *entryJSON `json:"old,omitempty"`
	New    *entryJSON `json:"new,omitempty"`
}

// print prints and reports whether anything differs.
func (d *differ) print(specs []history.Spec) (different bool, err error) {
	table := false
	if !d.patch && !d.names && !d.out.IsJSON() {
		if table, err = history.IsTable(d.Store, d.now); err != nil {
			return false, err
		}
	}
	lines := cli.Columns{}
	for ch, err := range history.Changes(d.Store, d.old, d.now) {
		if err != nil {
			return different, err
		}
		if !history.Selects(specs, ch.Path) {
			continue
		}
		different = true
		switch {
		case d.out.Err() != nil:
			return different, nil
		case d.out.IsJSON():
			err = d.json(ch)
		case d.names:
			letter, _ := status(ch)
			d.out.Printf("%s\t%s\n", letter, history.Quote(ch.Path))
		case table:
			err = d.row(&lines, ch)
		default:
			err = d.hunks(ch)
		}
		if err != nil {
			return different, err
		}
	}
	lines.Print(d.out)
	return different, nil
}

// status returns git's letter and a word.
func status(ch vcs.TreeChange) (letter, word string) {
	switch {
	case ch.Old.Mode == 0:
		return "A", "added"
	case ch.New.Mode == 0:
		return "D", "removed"
	case ch.Old.Mode.Kind() != ch.New.Mode.Kind() || (ch.Old.Mode == vcs.ModeSymlink) != (ch.New.Mode == vcs.ModeSymlink):
		return "T", "type"
	case ch.Old.ID == ch.New.ID:
		return "M", "mode"
	}
	return "M", "changed"
}

func (d *differ) json(ch vcs.TreeChange) (err error) {
	_, word := status(ch)
	j := changeJSON{Status: word, Path: ch.Path}
	if !ch.Old.ID.IsZero() {
		j.OldID = ch.Old.ID.String()
	}
	if !ch.New.ID.IsZero() {
		j.NewID = ch.New.ID.String()
	}
	if j.Old, err = d.entry(ch.Path, ch.Old); err != nil {
		return err
	}
	if j.New, err = d.entry(ch.Path, ch.New); err != nil {
		return err
	}
	d.out.JSON(j)
	return nil
}

// hunks prints a unified diff.
func (d *differ) hunks(ch vcs.TreeChange) error {
	styles := map[byte]cli.Style{'d': cli.Heading, '@': cli.Hunk, '+': cli.Added, '-': cli.Removed}
	for l, err := range history.Patch(d.Store, ch) {
		if err != nil {
			return err
		}
		text := l.Text
		if d.out.IsTerminal() {
			text = cli.Clean(text, false)
		}
		d.out.Printf("%s\n", d.out.Paint(styles[l.Kind], text))
	}
	return nil
}
