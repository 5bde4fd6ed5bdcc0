package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

type logCmd struct {
	repoFlags
	printFlags
	Max      int      `short:"n" placeholder:"N" help:"At most N commits."`
	Graph    bool     `help:"Draw the lines of history."`
	Full     bool     `short:"v" help:"Whole messages, with the trailers that hold the evidence."`
	All      bool     `help:"All branches and tags, not only HEAD."`
	Since    string   `placeholder:"TIME" help:"Not before this time."`
	Until    string   `placeholder:"TIME" help:"Not after this time."`
	Mentions bool     `help:"Also commits that only speak of the addresses: refused claims, failed queries."`
	MAC      []string `name:"mac" placeholder:"MAC" help:"Only commits that name this MAC address: every address that it claimed, held or lost."`
	Type     []string `placeholder:"TYPE" help:"Only commits with this type of event (new-station, spoof, …) or cause (learned, moved, expired, refused, …)."`
	Rev      string   `arg:"" optional:"" name:"rev" help:"A revision, a time or a range A..B (HEAD)."`
	Paths    []string `arg:"" optional:"" name:"path|address" help:"The files or addresses to look at (all); write -- before the first one where it could be a revision."`
}

func (*logCmd) Help() string {
	return `Commits, newest first. With --mac or --type also those that change no entry:
refused claims, events. Of several of each any will do. Exit codes: 0 ok,
1 failure, 2 usage.

Examples:

  arpeggio log --repo arp.git --graph --all
  arpeggio log --repo http://127.0.0.1:8081/arp.git -v 10.9.0.20
  arpeggio log --repo arp.git --since "10m ago" --json
  arpeggio log --repo arp.git --mac 02:50:00:00:00:66 --type spoof,dup-ip --since yesterday`
}

func (c *logCmd) Run(ctx context.Context, k *kong.Context) (err error) {
	if c.Max < 0 {
		return usagef("-n %d: want a positive number", c.Max)
	}
	macs, err := c.filter()
	if err != nil {
		return err
	}
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	rev, specs, err := s.selection(k, positional(c.Rev, c.Paths))
	if err != nil {
		return err
	}
	opt := history.LogOptions{Specs: specs, Mentions: c.Mentions, Max: c.Max, Graph: c.Graph}
	if opt.From, opt.Not, err = s.span(rev, c.All); err != nil {
		return err
	}
	opt.MACs, opt.Types = macs, c.Type
	if opt.Since, err = s.flagTime("--since", c.Since); err != nil {
		return err
	}
	if opt.Until, err = s.flagTime("--until", c.Until); err != nil {
		return err
	}
	if opt.Searches() {
		if opt.Index, err = s.index(ctx); err != nil {
			return err
		}
	}
	s.out.Page()
	n, err := c.print(ctx, s, opt)
	if err != nil || n > 0 || len(specs) == 0 || len(opt.From) == 0 || c.Since+c.Until != "" || len(c.MAC)+len(c.Type) > 0 {
		return err
	}
	start, err := s.Store.ReadCommit(opt.From[0])
	if err != nil || len(opt.Not) > 0 {
		return err
	}
	_, err = history.Require(s.Store, start, specs) // nothing: say what there is
	return err
}

// filter reads what the flags select.
func (c *logCmd) filter() (macs []ethernet.Addr, err error) {
	for _, m := range c.MAC {
		a, err := ethernet.ParseAddr(m)
		if err != nil {
			return nil, usagef("--mac %s: want a MAC address such as 02:50:00:00:00:66", m)
		}
		macs = append(macs, a)
	}
	known := history.RecordTypes()
	for _, t := range c.Type {
		if !slices.Contains(known, t) {
			return nil, usagef("--type %s: want one of %s", t, strings.Join(known, ", "))
		}
	}
	return macs, nil
}

// span returns where a log starts and what it leaves out.
func (s *session) span(rev string, all bool) (from, not []vcs.ID, err error) {
	if all {
		from = s.Tips()
	}
	switch {
	case history.IsRange(rev):
		a, b, err := s.Range(rev)
		if err != nil {
			return nil, nil, err
		}
		return append(from, b.Commit.ID), []vcs.ID{a.Commit.ID}, nil
	case rev != "" || !all:
		r, err := s.Resolve(rev)
		if err != nil {
			return nil, nil, err
		}
		from = append(from, r.Commit.ID)
	}
	return from, nil, nil
}

// flagTime reads a time, the zero one when there is none.
func (s *session) flagTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	m, ok := history.ParseTime(text, s.Now)
	if !ok {
		return time.Time{}, usagef("%s %s: want a time such as 12:03, yesterday 12:03, 5m ago or 2006-01-02T15:04:05Z", flag, text)
	}
	return m.Time, nil
}

func (c *logCmd) print(ctx context.Context, s *session, opt history.LogOptions) (n int, err error) {
	refs := s.heads()
	var graph cli.Graph[vcs.ID]
	for l, err := range history.Log(s.Store, opt) {
		if err != nil {
			return n, err
		}
		if ctx.Err() != nil || s.out.Err() != nil {
			return n, ctx.Err()
		}
		n++
		switch {
		case c.JSON:
			s.out.JSON(toJSON(l.Commit, refs[l.ID]))
		case c.Graph:
			c.draw(s, &graph, l, refs[l.ID])
		case c.Full:
			s.out.Printf("%s\n", strings.Join(s.full(l.Commit, refs[l.ID]), "\n"))
		default:
			s.out.Printf("%s\n", s.line(l.Commit, refs[l.ID]))
		}
	}
	return n, nil
}

// draw prints a commit beside the graph.
func (c *logCmd) draw(s *session, g *cli.Graph[vcs.ID], l history.Logged, refs []string) {
	lines := []string{s.line(l.Commit, refs)}
	if c.Full {
		lines = s.full(l.Commit, refs)
	}
	node, rows := g.Commit(l.ID, l.Parents)
	s.out.Printf("%s%s\n", s.out.Paint(cli.Lane, node), lines[0])
	for _, text := range lines[1:] {
		lanes := g.Lanes()
		if len(rows) > 0 {
			lanes, rows = rows[0], rows[1:]
			lanes += strings.Repeat(" ", max(len(node)-len(lanes), 1))
		}
		s.out.Printf("%s\n", strings.TrimRight(s.out.Paint(cli.Lane, lanes)+text, " "))
	}
	for _, row := range rows {
		s.out.Printf("%s\n", s.out.Paint(cli.Lane, row))
	}
}
