package sink

import (
	"strconv"
	"strings"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/arp/vendors"
	"arpeggio/stack/ethernet"
)

// Part is a part of a line that may be shown in a colour of its own.
type Part uint8

// Parts of a line.
const (
	PartTime Part = iota
	PartType
	PartAddr
	PartVendor
	PartIface
	PartCommit
)

// Text makes lines for people. The zero value works: local time, no colours.
type Text struct {
	Vendors *vendors.Table // nil names nobody
	// Paint returns a part in its colour; nil leaves it plain. It must not
	// change what is shown.
	Paint func(p Part, s observe.Severity, text string) string
	// Zone is that of the times; nil is time.Local.
	Zone *time.Location
}

// Columns, in characters.
const (
	widthType = 15
	widthAddr = 18
)

// Line returns an event as one line without a newline: time, type, address, MAC
// with its vendor, the MAC before, detail, interface, commit.
func (t *Text) Line(l *observe.Line) string {
	r := &l.Record
	zone := t.Zone
	if zone == nil {
		zone = time.Local
	}
	severity := r.Type.Info().Severity
	paint := func(p Part, s string) string {
		if t.Paint == nil || s == "" {
			return s
		}
		return t.Paint(p, severity, s)
	}
	var b strings.Builder
	column := func(p Part, s string, width int) {
		b.WriteString(paint(p, s))
		b.WriteString(strings.Repeat(" ", max(width-len(s), 0)+2))
	}
	mac := func(a ethernet.Addr) {
		b.WriteString(a.String())
		if t.Vendors == nil {
			return
		}
		if name := t.Vendors.Name(a); name != "" {
			b.WriteString(" " + paint(PartVendor, "("+clean(name)+")"))
		}
	}
	column(PartTime, r.Time.In(zone).Format("2006-01-02 15:04:05.000"), 0)
	column(PartType, r.Type.String(), widthType)
	column(PartAddr, addrText(r), widthAddr)
	if r.MAC.IsZero() {
		b.WriteByte('-')
	} else {
		mac(r.MAC)
	}
	if !r.Old.IsZero() {
		b.WriteString(" " + relation(r) + " ")
		mac(r.Old)
	}
	if d := detail(r); d != "" {
		b.WriteString("  " + clean(d))
	}
	if r.Iface != "" {
		b.WriteString("  " + paint(PartIface, clean(r.Iface)))
	}
	if len(l.Commit) >= 7 {
		b.WriteString("  " + paint(PartCommit, l.Commit[:7]))
	}
	return b.String()
}

// addrText returns the address of an event behind its VLAN, "-" for none.
func addrText(r *observe.Record) string {
	s := "-"
	if r.Key.Addr.IsValid() {
		s = r.Key.Addr.String()
	}
	if !r.Key.VLAN.IsZero() {
		s = "vlan " + r.Key.VLAN.String() + " " + s
	}
	return s
}

// relation says what Old is to the event.
func relation(r *observe.Record) string {
	switch r.Type {
	case observe.ACDConflict:
		return "asked, held by"
	case observe.DupIP:
		return "and"
	case observe.Spoof:
		return "claims it from"
	case observe.EtherMismatch:
		return "from"
	}
	return "was"
}

// detail returns what else there is to say for people. At the end of an episode
// that is how long it took and how much of it there was.
func detail(r *observe.Record) string {
	if r.Phase != observe.PhaseEnded {
		return r.Detail
	}
	s := "ended: " + strconv.FormatUint(r.Count, 10) + " in " + r.Last.Sub(r.First).Round(time.Millisecond).String()
	if r.Detail != "" {
		s += ", " + r.Detail
	}
	return s
}
