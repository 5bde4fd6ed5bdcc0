package sink

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"arpeggio/arp/observe"
	"arpeggio/arp/vendors"
	"arpeggio/stack/ethernet"
)

// Event is an event for programs: the keys of its JSON form are an interface.
// The first nine are always there, the others where there is something to say.
type Event struct {
	TS     Time   `json:"ts"`
	Type   string `json:"type"`
	IP     string `json:"ip"` // empty when the event is about no single address
	VLAN   VLAN   `json:"vlan"`
	MAC    string `json:"mac"`     // empty for a flood
	OldMAC string `json:"old_mac"` // see observe.Event.Old
	Vendor string `json:"vendor"`  // of MAC; empty when it is not known
	Iface  string `json:"iface"`
	Commit string `json:"commit"`

	Domain    string   `json:"domain"`
	Severity  uint8    `json:"severity"` // of syslog: 1 is an alert, 6 an information
	Phase     string   `json:"phase"`    // once, began or ended
	Count     uint64   `json:"count"`
	Episode   string   `json:"episode,omitempty"`
	Kind      string   `json:"kind,omitempty"`   // of the frame
	Detail    string   `json:"detail,omitempty"` // for people
	OldVendor string   `json:"old_vendor,omitempty"`
	Previous  *Time    `json:"previous,omitempty"` // when the old MAC was last seen with the address
	First     *Time    `json:"first,omitempty"`    // of an episode that ended
	Last      *Time    `json:"last,omitempty"`
	Under     []string `json:"under,omitempty"` // other types that fit, too
}

// Time is a time whose JSON form is RFC 3339 in UTC, always with a fraction: six
// digits, or nine where they are needed to be exact.
type Time time.Time

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// String returns the form without quotes.
func (t Time) String() string {
	u := time.Time(t).UTC()
	if u.Nanosecond()%1000 != 0 {
		return u.Format("2006-01-02T15:04:05.000000000Z07:00")
	}
	return u.Format("2006-01-02T15:04:05.000000Z07:00")
}

// VLAN is a VLAN whose JSON form is its number, 0 when there is no tag, and for
// two tags a string: "100.5".
type VLAN ethernet.VLAN

// MarshalJSON implements json.Marshaler.
func (v VLAN) MarshalJSON() ([]byte, error) {
	if v.Outer != 0 {
		return []byte(`"` + ethernet.VLAN(v).String() + `"`), nil
	}
	return strconv.AppendUint(nil, uint64(v.Inner), 10), nil
}

// NewEvent returns the event of a line.
func NewEvent(l *observe.Line, v *vendors.Table) Event {
	r := &l.Record
	e := Event{
		TS: Time(r.Time), Type: r.Type.String(), VLAN: VLAN(r.Key.VLAN), MAC: macText(r.MAC), OldMAC: macText(r.Old),
		Vendor: v.Name(r.MAC), OldVendor: v.Name(r.Old), Iface: clean(r.Iface), Commit: l.Commit,
		Domain: clean(r.Key.Domain), Severity: uint8(r.Type.Info().Severity), Phase: r.Phase.String(), Count: max(r.Count, 1),
		Episode: r.Episode.String(), Detail: clean(r.Detail),
	}
	if r.Key.Addr.IsValid() {
		e.IP = r.Key.Addr.String()
	}
	if r.Kind != observe.KindUnknown {
		e.Kind = r.Kind.String()
	}
	if !r.Previous.IsZero() {
		e.Previous = (*Time)(&r.Previous)
	}
	if r.Phase == observe.PhaseEnded {
		e.First, e.Last = (*Time)(&r.First), (*Time)(&r.Last)
	}
	for t := range r.Under.All() {
		if t != r.Type {
			e.Under = append(e.Under, t.String())
		}
	}
	return e
}

// JSON returns an event as one line, with the newline.
func JSON(l *observe.Line, v *vendors.Table) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(NewEvent(l, v)); err != nil {
		panic(err) // none of its types can fail
	}
	return []byte(b.String())
}

func macText(a ethernet.Addr) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// clean returns s without what would end a line or move the cursor of a terminal.
func clean(s string) string {
	bad := func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return '?'
		}
		return r
	}, s)
}
