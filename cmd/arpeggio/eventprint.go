package main

import (
	"os"
	"strings"
	"sync/atomic"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/internal/cli"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
)

// eventPrinter prints events, one a line.
type eventPrinter struct {
	out   *cli.Output
	json  bool
	lines chan observe.Line // of a live run; nil: printed at once
	done  chan struct{}
	lost  atomic.Uint64
}

// printAhead is how many events of a live run may wait for whoever reads them.
// Frames do not wait: what is beyond is counted.
const printAhead = 10_000

func newEventPrinter(f *observeFlags, live bool) *eventPrinter {
	p := &eventPrinter{
		out:  cli.New(cli.Config{Stdout: os.Stdout, Stderr: os.Stderr, Color: f.Color, JSON: f.JSON, NoPager: true}),
		json: f.JSON, done: make(chan struct{}),
	}
	if !live {
		return p
	}
	p.lines = make(chan observe.Line, printAhead)
	go func() {
		defer close(p.done)
		for l := range p.lines {
			p.line(&l.Record, l.Commit)
			if len(p.lines) == 0 {
				p.out.Flush()
			}
		}
	}()
	return p
}

// event is told of an event.
func (p *eventPrinter) event(r *observe.Record, commit string) {
	if p.lines == nil {
		p.line(r, commit)
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

func (p *eventPrinter) line(r *observe.Record, commit string) {
	if p.json {
		p.out.JSON(jsonOf(r, commit))
		return
	}
	p.text(r, commit)
}

// jsonEvent is an event for programs. VLAN is a number, 0 when untagged, or for
// two tags a string: "100.5".
type jsonEvent struct {
	TS      time.Time `json:"ts"`
	Type    string    `json:"type"`
	IP      string    `json:"ip"`
	VLAN    any       `json:"vlan"`
	MAC     string    `json:"mac"`
	OldMAC  string    `json:"old_mac"`
	Vendor  string    `json:"vendor"`
	Iface   string    `json:"iface"`
	Commit  string    `json:"commit"`
	Domain  string    `json:"domain"`
	Kind    string    `json:"kind,omitempty"`
	Phase   string    `json:"phase"`
	Episode string    `json:"episode,omitempty"`
	Count   uint64    `json:"count"`
	Detail  string    `json:"detail,omitempty"`
}

func jsonOf(r *observe.Record, commit string) jsonEvent {
	e := jsonEvent{
		TS: r.Time.UTC(), Type: r.Type.String(), VLAN: r.Key.VLAN.Inner, MAC: macText(r.MAC), OldMAC: macText(r.Old),
		Iface: r.Iface, Commit: commit, Domain: r.Key.Domain,
		Phase: r.Phase.String(), Episode: r.Episode.String(), Count: r.Count, Detail: cli.Clean(r.Detail, false),
	}
	if r.Kind != observe.KindUnknown {
		e.Kind = r.Kind.String()
	}
	if r.Key.VLAN.Outer != 0 {
		e.VLAN = r.Key.VLAN.String()
	}
	if r.Key.Addr.IsValid() {
		e.IP = r.Key.Addr.String()
	}
	return e
}

func macText(a ethernet.Addr) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// Columns of a line for people, in characters.
const (
	widthType = 15
	widthIP   = 18
)

// text prints an event for people: time, type, address, MAC, the one before,
// detail, interface and commit.
func (p *eventPrinter) text(r *observe.Record, commit string) {
	var b strings.Builder
	b.WriteString(p.out.Paint(cli.Faint, r.Time.Local().Format("2006-01-02 15:04:05.000")))
	b.WriteString("  ")
	column(&b, p.out, severityStyle(r.Type.Info().Severity), r.Type.String(), widthType)
	ip := "-"
	if r.Key.Addr.IsValid() {
		ip = r.Key.Addr.String()
	}
	if !r.Key.VLAN.IsZero() {
		ip = "vlan " + r.Key.VLAN.String() + " " + ip
	}
	column(&b, p.out, cli.Heading, ip, widthIP)
	mac := "-"
	if !r.MAC.IsZero() {
		mac = r.MAC.String()
	}
	b.WriteString(mac)
	if !r.Old.IsZero() {
		b.WriteString(" was " + r.Old.String())
	}
	if r.Detail != "" {
		b.WriteString("  " + cli.Clean(r.Detail, false))
	}
	if r.Iface != "" {
		b.WriteString("  " + p.out.Paint(cli.Faint, r.Iface))
	}
	if len(commit) >= 7 {
		b.WriteString("  " + p.out.Paint(cli.ID, commit[:7]))
	}
	p.out.Printf("%s\n", b.String())
}

// column writes a text, padded, and two spaces.
func column(b *strings.Builder, o *cli.Output, st cli.Style, s string, width int) {
	b.WriteString(o.Paint(st, s))
	b.WriteString(strings.Repeat(" ", max(width-len(s), 0)+2))
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
