package main

import (
	"context"
	"fmt"
	"time"

	"arpeggio/internal/cli"
	"arpeggio/internal/history"
)

type blameCmd struct {
	repoFlags
	printFlags
	File string `arg:"" name:"path|address" help:"A file, or an address: its entry in every domain and VLAN."`
	Rev  string `arg:"" optional:"" default:"HEAD" name:"rev|time" help:"A revision or a time (HEAD)."`
}

func (*blameCmd) Help() string {
	return `Which commit wrote each line, as git blame says. Exit codes: 0 ok, 1 failure,
2 usage.

Examples:

  arpeggio blame --repo arp.git 10.9.0.20
  arpeggio blame --repo arp.git 10.9.0.20 "yesterday 12:00" --json`
}

// lineJSON is a line of a file for programs.
type lineJSON struct {
	Path    string    `json:"path"`
	Line    int       `json:"line"`
	Text    string    `json:"text"`
	Commit  string    `json:"commit"`
	Author  string    `json:"author"`
	Email   string    `json:"email"`
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
}

func (c *blameCmd) Run(ctx context.Context) (err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	r, err := s.Resolve(c.Rev)
	if err != nil {
		return err
	}
	found, err := history.Require(s.Store, r.Commit, []history.Spec{history.ParseSpec(c.File)})
	if err != nil {
		return err
	}
	s.out.Page()
	for i, m := range found {
		if m.Entry.Mode.IsDir() {
			return withHint(fmt.Errorf("%s is a folder", m.Path), "name a file in it: arpeggio show %s:%s lists them", r.Commit.ID.Short(), m.Path)
		}
		lines, err := history.Blame(ctx, s.Store, m.Path, r.Commit)
		if err != nil {
			return err
		}
		if len(found) > 1 && !c.JSON {
			if i > 0 {
				s.out.Printf("\n")
			}
			s.out.Printf("%s\n", s.out.Paint(cli.Heading, history.Quote(m.Path)+":"))
		}
		s.blame(m.Path, lines)
	}
	return nil
}

func (s *session) blame(path string, lines []history.Line) {
	var t cli.Columns
	for _, l := range lines {
		c := l.Commit
		if s.out.IsJSON() {
			s.out.JSON(lineJSON{path, l.Number, l.Text, c.ID.String(), c.Author.Name, c.Author.Email, c.Time().UTC(), c.Subject()})
			continue
		}
		t.Row(cli.Cell{Text: c.ID.Short(), Style: cli.ID}, cli.Cell{Text: cli.Clean(c.Author.Name, false)},
			cli.Cell{Text: s.clock(c.Time()), Style: cli.Faint}, cli.Cell{Text: fmt.Sprint(l.Number)}, cli.Cell{Text: cli.Clean(l.Text, false)})
	}
	t.Print(s.out)
}
