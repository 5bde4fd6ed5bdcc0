package main

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"time"

	"arpeggio/internal/history"
	"arpeggio/stack/ethernet"
)

// networkFlags select broadcast domains.
type networkFlags struct {
	VLAN   string `placeholder:"N|O.I" help:"The VLAN: 0 for untagged, a number, or outer.inner."`
	Domain string `placeholder:"NAME" help:"The broadcast domain."`
}

func (f *networkFlags) networks() (in history.Networks, err error) {
	in.Domain = f.Domain
	if f.VLAN != "" {
		v, err := ethernet.ParseVLAN(f.VLAN)
		if err != nil {
			return in, usagef("--vlan %s: want 0 for untagged, 1 to 4095, or OUTER.INNER", f.VLAN)
		}
		in.VLAN = &v
	}
	return in, nil
}

type atCmd struct {
	repoFlags
	printFlags
	networkFlags
	Window time.Duration `default:"60s" help:"How far around the time claims count as a dispute (${default})."`
	Branch string        `placeholder:"NAME" help:"The branch to ask (HEAD's)."`
	Stdin  bool          `help:"Many questions from standard input, TIME ADDRESS a line; the same as - for the time."`
	Time   string        `arg:"" optional:"" name:"time" help:"A time such as 12:03, 12:03:00.25, yesterday 12:03, 5m ago or RFC 3339; also a revision."`
	Args   []string      `arg:"" optional:"" name:"address|path" help:"The addresses to ask about, or files to show (the table)."`
}

func (*atCmd) Help() string {
	return `Who held an address at a time: since when and how that is known, when the holder
was last seen, who took it when, and the commit. It is disputed when an address
was taken and taken back within the window around the time; then all who claimed
it are listed. Where the address is known both untagged and in VLANs, the former
is meant.

Without an address it is the ARP table, as of the commit that held then; with a
revision for the time, or a path, the entry or the file as it was in that commit.

A time of day is the last one that has passed; one of several words needs no
quotes here. Exit codes: 0 ok, 1 failure or nobody held it, 2 usage. With many
questions there is one answer a line, and 1 means that a line made no sense.

Examples:

  arpeggio at --repo arp.git 12:03 10.9.0.7
  arpeggio at --repo arp.git yesterday 18:00
  printf '12:03 10.9.0.7\n12:04 10.9.0.9\n' | arpeggio at --repo arp.git - --json`
}

func (c *atCmd) Run(ctx context.Context) (err error) {
	in, err := c.networks()
	if err != nil {
		return err
	}
	many := c.Stdin || c.Time == "-"
	switch {
	case c.Window < 0:
		return usagef("--window %v: want a duration that is not negative, such as 60s", c.Window)
	case many && (len(c.Args) > 0 || c.Stdin && c.Time != ""):
		return usagef("the questions come from standard input: give no time and no address")
	case !many && c.Time == "":
		return usagef("name a time, such as 12:03 or yesterday 12:03")
	}
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	if many {
		return s.holders(ctx, c.Branch, c.Window, in, os.Stdin)
	}
	at, args := unquoted(c.Time, c.Args, s.Now)
	if m, addrs, ok := s.question(at, args); ok {
		return s.holder(ctx, c.Branch, c.Window, in, m.Time, addrs)
	}
	r, err := s.Resolve(atBranch(at, c.Branch))
	if err != nil {
		return err
	}
	is, err := history.IsTable(s.Store, r.Commit)
	if err != nil {
		return err
	}
	var specs []history.Spec
	for _, a := range args {
		specs = append(specs, history.ParseSpec(a))
		if _, err := history.Require(s.Store, r.Commit, specs[len(specs)-1:]); err != nil {
			return err
		}
	}
	s.out.Page()
	if c.JSON {
		s.out.JSON(toJSON(r.Commit, s.heads()[r.Commit.ID]))
	} else {
		s.out.Printf("%s\n\n", s.line(r.Commit, s.heads()[r.Commit.ID]))
	}
	switch {
	case len(specs) > 0 && is:
		return s.entries(r.Commit, specs)
	case len(specs) > 0:
		return s.showFiles(r.Commit, specs)
	case is:
		if err := s.oldTables(ctx, r.Commit); err != nil {
			return err
		}
		return s.table(r.Commit, false)
	}
	return s.showFiles(r.Commit, []history.Spec{{}})
}

// atBranch is a time on a branch as a revision.
func atBranch(at, branch string) string {
	if branch == "" {
		return at
	}
	return branch + "@{" + at + "}"
}

// question reads a time and addresses; ok is false when it is something else.
func (s *session) question(at string, args []string) (m history.Moment, addrs []netip.Addr, ok bool) {
	for _, a := range args {
		spec := history.ParseSpec(a)
		if !spec.Addr.IsValid() {
			return m, nil, false
		}
		addrs = append(addrs, spec.Addr)
	}
	if len(addrs) == 0 {
		return m, nil, false
	}
	m, ok = s.Moment(at)
	return m, addrs, ok
}

// unquoted puts a time together that was written as two words or three, such as
// 5m ago and yesterday 12:03.
func unquoted(at string, args []string, now time.Time) (string, []string) {
	for n := min(len(args), 2); n > 0; n-- {
		joined := strings.Join(append([]string{at}, args[:n]...), " ")
		if _, ok := history.ParseTime(joined, now); ok {
			return joined, args[n:]
		}
	}
	return at, args
}
