package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"arpeggio/internal/cli"
	"arpeggio/internal/recording"
)

type pcapCmd struct {
	printFlags
	Connection []string `short:"c" sep:"none" placeholder:"END[,END]" help:"Only packets of this connection; an end is ADDR, ADDR/LEN, ADDR:PORT or :PORT."`
	State      []string `short:"s" placeholder:"STATE" help:"Only packets that led into or out of this state of TCP, or any."`
	Commit     []string `placeholder:"ID" help:"Only packets that led to the commit that begins so, or to any."`
	Led        bool     `short:"l" help:"Only packets that led to something: a change of state, or a commit."`
	Proto      []string `short:"p" enum:"arp,tcp,udp,icmp" placeholder:"PROTO" help:"Only arp, tcp, udp or icmp."`
	Flows      bool     `short:"f" help:"Connections instead of packets: how much went each way, and the states."`
	Files      []string `arg:"" name:"file" help:"Recordings, pcapng or pcap, also compressed with gzip; the name that a ring was recorded under means all of its files; - is standard input."`
}

func (*pcapCmd) Help() string {
	return `The packets of recordings, such as serve and vm run make with --pcap, with what
stands beside each: its connection, our end first, the change of state and the
commit that it has led to, and how many frames are missing before it. < is
received, > is sent. Of a kind of filter that is given more than once, one has to
fit; of different kinds, each.

Exit codes: 0 ok, also when no packet fits; 1 a file was not there, damaged or cut
off, after what could be read of it; 2 usage.

Examples:

  arpeggio pcap -l lan.pcapng
  arpeggio pcap -c 10.9.0.2:80,10.9.0.1 -s established lan.pcapng
  arpeggio pcap --commit 3fbc181 lan.pcapng
  arpeggio pcap -f lan.pcapng
  arpeggio pcap --json lan.pcapng | jq 'select(.lost)'`
}

// filter reads the flags that choose packets.
func (c *pcapCmd) filter() (f recording.Filter, err error) {
	f.Protos, f.Led = c.Proto, c.Led
	for _, kind := range []struct {
		words []string
		add   func(string) error
	}{{c.Connection, f.Connection}, {c.State, f.State}, {c.Commit, f.Commit}} {
		for _, word := range kind.words {
			err = errors.Join(err, kind.add(word))
		}
	}
	if err != nil {
		err = usageError{err}
	}
	return f, err
}

func (c *pcapCmd) Run(ctx context.Context) (err error) {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	var files []string
	for _, name := range c.Files {
		found, err := recording.Files(name)
		if err != nil {
			return withHint(err, "name a recording, or what --pcap FILE was when --pcap-size made a ring of it")
		}
		files = append(files, found...)
	}
	out := cli.New(cli.Config{Stdout: os.Stdout, Stderr: os.Stderr, Color: c.Color, JSON: c.JSON, NoPager: c.NoPager})
	defer func() { err = errors.Join(err, out.Close()) }()
	out.Page()
	p := &packetPrinter{out: out}
	var flows recording.Flows
	for _, name := range files {
		st, e := recording.Show(name, os.Stdin, func(k *recording.Packet) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.lost += k.Lost
			switch {
			case !filter.Match(k):
			case c.Flows:
				flows.Add(k)
			default:
				p.print(k)
			}
			return out.Err()
		})
		if ctx.Err() != nil || out.Err() != nil {
			return out.Err()
		}
		if e == nil && st.Truncated {
			e = fmt.Errorf("%s: it is cut off after %d packets; a recording that still runs is, too", name, st.Packets)
		}
		if e == nil && st.Malformed > 0 {
			e = fmt.Errorf("%s: %s of it made no sense and were left out", name, count(int(st.Malformed), "block"))
		}
		err = errors.Join(err, e)
	}
	if c.Flows {
		printFlows(out, flows.All())
		if flows.Left > 0 {
			err = errors.Join(err, withHint(fmt.Errorf("%s of more than %d connections left out", count(int(flows.Left), "packet"), len(flows.All())), "choose some with --connection"))
		}
	}
	if p.lost > 0 && !c.JSON {
		_ = out.Flush()
		note("%s missing in what was read: they came faster than they could be written", count(int(p.lost), "frame"))
	}
	return err
}

// packetPrinter prints packets, a line each.
type packetPrinter struct {
	out  *cli.Output
	day  string
	file string
	lost uint64
}

func (p *packetPrinter) print(k *recording.Packet) {
	o := p.out
	if o.IsJSON() {
		o.JSON(k)
		return
	}
	day, at := whenRecorded(k.Time)
	if day != p.day || k.File != p.file {
		p.day, p.file = day, k.File
		o.Printf("%s\n", o.Paint(cli.Heading, day+"  "+cli.Clean(k.File, false)))
	}
	if k.Lost > 0 {
		o.Printf("%s\n", o.Paint(cli.Removed, fmt.Sprintf("%s missing on %s", count(int(min(k.Lost, 1<<53)), "frame"), cli.Clean(k.Interface, false))))
	}
	arrow := map[string]string{"in": "<", "out": ">"}[k.Direction]
	if arrow == "" {
		arrow = "-"
	}
	line := at + " " + arrow + " " + fmt.Sprintf("%-4s", k.Proto)
	if local, remote := k.Ends(); local.Addr.IsValid() && k.Proto != "arp" {
		line += " " + local.String() + " " + remote.String()
	}
	line = cli.Clean(line+" "+k.Info, false)
	for _, c := range k.States {
		line += "  " + o.Paint(cli.Added, cli.Clean(c.String(), false))
	}
	for _, id := range k.Commits {
		line += "  commit " + o.Paint(cli.ID, id)
	}
	if len(k.Notes) > 0 {
		line += "  " + o.Paint(cli.Faint, cli.Clean(strings.Join(k.Notes, "; "), false))
	}
	o.Printf("%s\n", line)
}

// whenRecorded returns the day and the time of a packet, as people read them.
func whenRecorded(t time.Time) (day, at string) {
	if t.IsZero() {
		return "no time   ", "--:--:--.------"
	}
	t = t.Local()
	return t.Format(time.DateOnly), t.Format("15:04:05.000000")
}

// printFlows prints connections.
func printFlows(o *cli.Output, flows []*recording.Flow) {
	if o.IsJSON() {
		for _, f := range flows {
			o.JSON(f)
		}
		return
	}
	var t cli.Columns
	row := func(style cli.Style, cells ...string) {
		var line []cli.Cell
		for _, c := range cells {
			line = append(line, cli.Cell{Text: cli.Clean(c, false), Style: style})
		}
		t.Row(line...)
	}
	row(cli.Heading, "First", "Lasted", "Netid", "Local", "Remote", "Received", "Sent", "States")
	size := func(n, octets uint64) string { return fmt.Sprintf("%d (%d)", n, octets) }
	for _, f := range flows {
		day, at := whenRecorded(f.First)
		row(cli.Plain, day+" "+at[:len("15:04:05.000")], f.Last.Sub(f.First).Round(time.Millisecond).String(), f.Proto,
			f.Local.String(), f.Remote.String(), size(f.In, f.InSize), size(f.Out, f.OutSize), strings.Join(f.Path(), " → "))
	}
	t.Print(o)
}
