package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"arpeggio/internal/cli"
	"arpeggio/internal/instance"
	"arpeggio/internal/sockstat"
)

type ssCmd struct {
	printFlags
	Of        string   `placeholder:"NAME|PID" help:"Which one to ask where several run: the name of its interface, or its process."`
	Listening bool     `short:"l" help:"Only sockets that wait for others."`
	All       bool     `short:"a" help:"All sockets: those that listen and those that linger, too."`
	Numeric   bool     `short:"n" help:"Show numbers, as it is done in any case."`
	TCP       bool     `name:"tcp" short:"t" help:"Only TCP."`
	UDP       bool     `name:"udp" short:"u" help:"Only UDP."`
	Info      bool     `short:"i" help:"What TCP knows of a connection: congestion window, round-trip time, segments, ..."`
	Options   bool     `short:"o" help:"Timers."`
	Summary   bool     `short:"s" help:"Numbers of sockets, and the stack's counters by the names of their MIBs."`
	NoHeader  bool     `name:"no-header" short:"H" help:"No line with the names of the columns."`
	Filter    []string `arg:"" optional:"" help:"state NAME, exclude NAME, src and dst with an address, sport and dport with an operator and a port or a service, and, or, not, parentheses."`
}

func (*ssCmd) Help() string {
	return `The sockets of a serve or a vm run that runs here, as ss(8) shows those of the
kernel. Without -l or -a: connections, but for those in SYN-RECV and TIME-WAIT.
--json prints one object a line: sizes in octets, times in nanoseconds.

Exit codes: 0 ok, also when no socket fits; 1 failure, such as nothing that
runs; 2 usage.

Examples:

  arpeggio ss -ti
  arpeggio ss -lntu
  arpeggio ss -o state established '( sport = :80 or dst 10.9.0.0/24 )'
  arpeggio ss -s
  arpeggio ss --json -a | jq .state`
}

// socketsPath is where programs answer ss.
const socketsPath = "/sockets"

// askLimit is how long ss waits: a guest may be slow.
const askLimit = 30 * time.Second

// maxAnswer bounds the octets that ss reads: some hundred thousand connections.
const maxAnswer = 1 << 30

func (c *ssCmd) Run(ctx context.Context) (err error) {
	filter, err := sockstat.ParseFilter(sockstat.Default(c.Listening, c.All), c.Filter)
	if err != nil {
		return usageError{err}
	}
	snap, err := c.ask(ctx)
	if err != nil {
		return err
	}
	out := cli.New(cli.Config{Stdout: os.Stdout, Stderr: os.Stderr, Color: c.Color, JSON: c.JSON, NoPager: c.NoPager})
	defer func() { err = errors.Join(err, out.Close()) }()
	if c.Summary {
		sum := sockstat.Summarize(&snap)
		if out.IsJSON() {
			out.JSON(sum)
			return nil
		}
		return sum.Print(out)
	}
	sockets := slices.DeleteFunc(snap.Sockets, func(s sockstat.Socket) bool {
		return !filter.Match(&s) || (c.TCP || c.UDP) && !(c.TCP && s.Proto == "tcp" || c.UDP && s.Proto == "udp")
	})
	if out.IsJSON() {
		for i := range sockets {
			out.JSON(&sockets[i])
		}
		return nil
	}
	out.Page()
	c.print(out, sockets)
	return nil
}

// ask gets the snapshot of the program that is meant.
func (c *ssCmd) ask(ctx context.Context) (snap sockstat.Snapshot, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	i, err := instance.Find(c.Of)
	switch {
	case errors.Is(err, instance.ErrNone):
		return snap, withHint(err, "start one with %s serve or %s vm run, as the same user (looked in %s; %s names another place)", os.Args[0], os.Args[0], instance.Dir(), instance.EnvDir)
	case errors.Is(err, instance.ErrMany):
		return snap, withHint(err, "choose one with --of NAME or --of PID")
	case err != nil:
		return snap, err
	}
	r, err := i.Get(ctx, socketsPath)
	if err != nil {
		return snap, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(&snap); err != nil {
		return snap, fmt.Errorf("the answer of %v: %w", i, err)
	}
	return snap, nil
}

// print writes the sockets for people.
func (c *ssCmd) print(out *cli.Output, sockets []sockstat.Socket) {
	var t cli.Columns
	both := c.TCP == c.UDP
	row := func(style cli.Style, proto, state string, cells ...string) {
		if !both {
			proto = ""
		}
		line := []cli.Cell{{Text: cli.Clean(proto, false), Style: style}, {Text: cli.Clean(state, false), Style: style}}
		for _, text := range cells {
			line = append(line, cli.Cell{Text: cli.Clean(text, false), Style: style})
		}
		t.Row(line...)
	}
	if !c.NoHeader {
		row(cli.Heading, "Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port")
	}
	for i := range sockets {
		s := &sockets[i]
		style := cli.Plain
		if s.State == "TIME-WAIT" {
			style = cli.Faint
		}
		local, peer := s.Ends()
		cells := []string{strconv.Itoa(s.RecvQueue), strconv.Itoa(s.SendQueue), local, peer}
		if c.Options {
			cells = append(cells, s.TimerText())
		}
		row(style, s.Proto, s.State, cells...)
		if c.Info {
			t.Below(cli.Clean(s.Details(), true))
		}
	}
	t.Print(out)
}
