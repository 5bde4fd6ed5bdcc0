package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

type tableCmd struct {
	repoFlags
	printFlags
	All bool   `short:"a" help:"Expired addresses, too."`
	Rev string `arg:"" optional:"" default:"HEAD" name:"rev|time" help:"A revision or a time (HEAD)."`
}

func (*tableCmd) Help() string {
	return `The ARP table, one line for each address. Exit codes: 0 ok, 1 failure, 2 usage.

Examples:

  arpeggio table --repo arp.git
  arpeggio table --repo http://127.0.0.1:8081/arp.git "5m ago" --json`
}

func (c *tableCmd) Run(ctx context.Context) (err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	r, err := s.tableAt(c.Rev)
	if err == nil {
		err = s.oldTables(ctx, r.Commit)
	}
	if err != nil {
		return err
	}
	s.out.Page()
	return s.table(r.Commit, c.All)
}

// tableAt resolves a revision or a time whose commit holds an ARP table.
func (s *session) tableAt(rev string) (history.Revision, error) {
	r, err := s.Resolve(rev)
	if err != nil {
		return r, err
	}
	return r, s.mustBeTable(r.Commit)
}

// mustBeTable returns an error for a commit that holds something else.
func (s *session) mustBeTable(c *vcs.Commit) error {
	is, err := history.IsTable(s.Store, c)
	if err == nil && !is {
		err = withHint(fmt.Errorf("%v in %s holds no ARP table", c.ID.Short(), s.repo.Location), "arpeggio show REV:PATH prints files and folders")
	}
	return err
}

// table prints the entries of a commit.
func (s *session) table(c *vcs.Commit, expired bool) error {
	rows, err := s.entryRows(c, expired)
	if err == nil {
		s.rows(rows)
	}
	return err
}

// entryRows returns the entries of a commit.
func (s *session) entryRows(c *vcs.Commit, expired bool) (rows []versioned.Row, err error) {
	repo, err := versioned.NewRepo(s.Store)
	if err != nil {
		return nil, err
	}
	snap, err := repo.AtCommit(c.ID)
	if err != nil {
		return nil, err
	}
	for e, err := range snap.All("") {
		switch {
		case errors.Is(err, vcs.ErrDecode):
			note("%s: %v; skipped", e.Key, err)
		case err != nil:
			return nil, err
		case expired || e.Value.State != versioned.Expired:
			rows = append(rows, versioned.Row{Key: e.Key, Entry: e.Value})
		}
	}
	return rows, nil
}

// rows prints entries.
func (s *session) rows(rows []versioned.Row) {
	history.SortRows(rows)
	if s.out.IsJSON() {
		for _, r := range rows {
			s.out.JSON(toEntryJSON(r))
		}
		return
	}
	var t cli.Columns
	t.Row(cli.Cell{Text: "address", Style: cli.Heading}, cli.Cell{Text: heading(rows), Style: cli.Heading}, cli.Cell{Text: "mac", Style: cli.Heading},
		cli.Cell{Text: "state", Style: cli.Heading}, cli.Cell{Text: "first seen", Style: cli.Heading},
		cli.Cell{Text: "learned", Style: cli.Heading}, cli.Cell{Text: "node", Style: cli.Heading}, cli.Cell{Text: "earlier", Style: cli.Heading})
	for _, r := range rows {
		e, style := r.Entry, cli.Plain
		switch e.State {
		case versioned.Expired:
			style = cli.Faint
		case versioned.Static:
			style = cli.Ref
		}
		var earlier []string
		for _, m := range e.Earlier {
			if !m.IsZero() {
				earlier = append(earlier, m.String())
			}
		}
		t.Row(cli.Cell{Text: r.Key.Addr.String(), Style: style}, cli.Cell{Text: place(r)}, cli.Cell{Text: e.MAC.String(), Style: style},
			cli.Cell{Text: e.State.String(), Style: style}, cli.Cell{Text: s.clock(time.Unix(e.FirstSeen, 0))},
			cli.Cell{Text: e.Learned}, cli.Cell{Text: e.Node}, cli.Cell{Text: strings.Join(earlier, " "), Style: cli.Faint})
	}
	t.Print(s.out)
}

// heading names the column of domains and VLANs when it is needed.
func heading(rows []versioned.Row) string {
	for _, r := range rows {
		if place(r) != "" {
			return "network"
		}
	}
	return ""
}

// entries prints the entries that are named, expired ones too, and other files
// as they are.
func (s *session) entries(c *vcs.Commit, specs []history.Spec) error {
	var rows []versioned.Row
	for _, sp := range specs {
		found, err := history.Require(s.Store, c, []history.Spec{sp})
		if err != nil {
			return err
		}
		for _, m := range found {
			row, ok, err := s.row(m.Path, m.Entry)
			switch {
			case err != nil:
				return err
			case ok:
				rows = append(rows, row)
			default:
				if err := s.showFile(c, m); err != nil {
					return err
				}
			}
		}
	}
	if len(rows) > 0 {
		s.rows(rows)
	}
	return nil
}
