package main

import (
	"os"
	"sync/atomic"

	"arpeggio/arp/observe"
	"arpeggio/arp/observe/sink"
	"arpeggio/arp/vendors"
	"arpeggio/internal/cli"
	"arpeggio/stack/capture"
)

// eventPrinter prints events, one a line.
type eventPrinter struct {
	out   *cli.Output
	json  bool
	text  sink.Text
	lines chan observe.Line // of a live run; nil: printed at once
	done  chan struct{}
	lost  atomic.Uint64
}

// printAhead is how many events of a live run may wait for whoever reads them.
// Frames do not wait: what is beyond is counted.
const printAhead = 10_000

func newEventPrinter(f *observeFlags, live bool, names *vendors.Table) *eventPrinter {
	p := &eventPrinter{
		out:  cli.New(cli.Config{Stdout: os.Stdout, Stderr: os.Stderr, Color: f.Color, JSON: f.JSON, NoPager: true}),
		json: f.JSON, text: sink.Text{Vendors: names}, done: make(chan struct{}),
	}
	p.text.Paint = p.paint
	if !live {
		return p
	}
	p.lines = make(chan observe.Line, printAhead)
	go func() {
		defer close(p.done)
		for l := range p.lines {
			p.line(&l)
			if len(p.lines) == 0 {
				p.out.Flush()
			}
		}
	}()
	return p
}

// event is told of an event. It may be called on nil.
func (p *eventPrinter) event(r *observe.Record, commit string) {
	if p == nil {
		return
	}
	if p.lines == nil {
		p.line(&observe.Line{Record: *r, Commit: commit})
		return
	}
	select {
	case p.lines <- observe.Line{Record: *r, Commit: commit}:
	default:
		p.lost.Add(1)
	}
}

// missing returns how many events were not printed. It may be called on nil.
func (p *eventPrinter) missing() uint64 {
	if p == nil {
		return 0
	}
	return p.lost.Load()
}

// close prints the rest. It may be called on nil.
func (p *eventPrinter) close() error {
	if p == nil {
		return nil
	}
	if p.lines != nil {
		close(p.lines)
		<-p.done
	}
	return p.out.Close()
}

func (p *eventPrinter) line(l *observe.Line) {
	if p.json {
		p.out.Write(sink.JSON(l, p.text.Vendors)) // an error stays in out
		return
	}
	p.out.Printf("%s\n", p.text.Line(l))
}

// paint shows the parts of a line in their colours.
func (p *eventPrinter) paint(part sink.Part, s observe.Severity, text string) string {
	style := cli.Plain
	switch part {
	case sink.PartType:
		style = severityStyle(s)
	case sink.PartAddr:
		style = cli.Heading
	case sink.PartTime, sink.PartVendor, sink.PartIface:
		style = cli.Faint
	case sink.PartCommit:
		style = cli.ID
	}
	return p.out.Paint(style, text)
}

func severityStyle(s observe.Severity) cli.Style {
	switch {
	case s <= observe.SeverityAlert:
		return cli.Removed
	case s <= observe.SeverityWarning:
		return cli.Changed
	case s <= observe.SeverityNotice:
		return cli.Ref
	}
	return cli.Added
}

// blockReason names what was wrong with blocks of capture files.
func blockReason(r int) string { return "block-" + capture.Reason(r).String() }
