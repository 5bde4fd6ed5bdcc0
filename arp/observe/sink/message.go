package sink

import (
	"os"
	"strconv"
	"strings"

	"arpeggio/arp/observe"
)

// words are what arpwatch calls an event in the system's log, and in the same
// manner those that it does not know.
var words = [observe.NumTypes]string{
	observe.NewStation:     "new station",
	observe.Changed:        "changed ethernet address",
	observe.FlipFlop:       "flip flop",
	observe.Reused:         "reused old ethernet address",
	observe.NewActivity:    "new activity",
	observe.Bogon:          "bogon",
	observe.EtherMismatch:  "ethernet mismatch",
	observe.EtherBroadcast: "ethernet broadcast",
	observe.EtherMulticast: "ethernet multicast",
	observe.IPBroadcast:    "ip broadcast",
	observe.Malformed:      "malformed packet",
	observe.ACDConflict:    "address conflict",
	observe.DupIP:          "duplicate address",
	observe.Spoof:          "spoofed address",
	observe.ProxyARP:       "proxy arp",
	observe.Flood:          "flood",
	observe.Scan:           "scan",
}

// Facility is daemon, as arpwatch's (RFC 5424 §6.2.1).
const facility = 3

// structuredID names the structured data. 32473 is the number that documents use
// (RFC 5612): the program has no registered one.
const structuredID = "arpeggio@32473"

// Bounds of RFC 5424 §6 for the header's names.
const (
	maxHostname = 255
	maxAppName  = 48
	maxMsgID    = 32
)

// Header names who speaks in syslog messages. The zero value works.
type Header struct {
	Hostname string // of this system; os.Hostname when empty
	AppName  string // "arpeggio" when empty
	PID      int    // os.Getpid when 0
}

func (h Header) withDefaults() Header {
	if h.Hostname == "" {
		h.Hostname, _ = os.Hostname()
	}
	if h.AppName == "" {
		h.AppName = "arpeggio"
	}
	if h.PID == 0 {
		h.PID = os.Getpid()
	}
	return h
}

// Message returns an event as a message of RFC 5424, without a frame around it.
// Its text has arpwatch's words in arpwatch's order:
//
//	changed ethernet address 10.9.0.7 02:00:00:00:00:0b (02:00:00:00:00:0a) eth0
//
// What arpwatch does not know follows behind a colon. Structured data hold the
// rest: the commit, the episode, the VLAN.
func (h Header) Message(l *observe.Line) []byte {
	h = h.withDefaults()
	r := &l.Record
	b := make([]byte, 0, 320)
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(facility*8+r.Type.Info().Severity), 10)
	b = append(b, ">1 "...)
	b = r.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	b = append(b, ' ')
	b = headerName(b, h.Hostname, maxHostname)
	b = headerName(b, h.AppName, maxAppName)
	b = strconv.AppendInt(b, int64(h.PID), 10)
	b = append(b, ' ')
	b = headerName(b, r.Type.String(), maxMsgID)
	b = append(b, '[')
	b = append(b, structuredID...)
	b = param(b, "type", r.Type.String())
	if r.Key.Addr.IsValid() {
		b = param(b, "ip", r.Key.Addr.String())
	}
	if !r.Key.VLAN.IsZero() {
		b = param(b, "vlan", r.Key.VLAN.String())
	}
	b = param(b, "mac", macText(r.MAC))
	b = param(b, "old_mac", macText(r.Old))
	b = param(b, "domain", r.Key.Domain)
	b = param(b, "iface", r.Iface)
	if r.Episode != 0 {
		b = param(b, "episode", r.Episode.String())
		b = param(b, "phase", r.Phase.String())
	}
	b = param(b, "commit", l.Commit)
	b = append(b, "] "...)
	return append(b, Words(l)...)
}

// Words returns the text of an event in arpwatch's words.
func Words(l *observe.Line) string {
	r := &l.Record
	first, second := r.MAC, r.Old
	if r.Type == observe.EtherMismatch { // the Ethernet source first
		first, second = r.Old, r.MAC
	}
	s := words[observe.TypeNone]
	if r.Type < observe.NumTypes {
		s = words[r.Type]
	}
	if s == "" {
		s = r.Type.String()
	}
	if r.Key.Addr.IsValid() {
		s += " " + r.Key.Addr.String()
	}
	if !first.IsZero() {
		s += " " + first.String()
	}
	if !second.IsZero() {
		s += " (" + second.String() + ")"
	}
	if r.Iface != "" {
		s += " " + clean(r.Iface)
	}
	if d := detail(r); d != "" && !arpwatchKnows(r.Type) {
		s += ": " + clean(d)
	}
	return s
}

// arpwatchKnows reports whether a line is as arpwatch writes it, with nothing
// behind the interface.
func arpwatchKnows(t observe.Type) bool {
	return t >= observe.NewStation && t <= observe.IPBroadcast && t != observe.EtherMulticast
}

// headerName appends a name of printable ASCII, "-" for none, and a space.
func headerName(b []byte, s string, most int) []byte {
	n := 0
	for i := 0; i < len(s) && n < most; i++ {
		if c := s[i]; c > ' ' && c < 0x7f {
			b = append(b, c)
			n++
		}
	}
	if n == 0 {
		b = append(b, '-')
	}
	return append(b, ' ')
}

// param appends one parameter of structured data (RFC 5424 §6.3.3); an empty one
// is left out.
func param(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, '=', '"')
	b = append(b, strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(clean(value))...)
	return append(b, '"')
}
