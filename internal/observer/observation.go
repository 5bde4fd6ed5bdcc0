package observer

import (
	"strconv"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
)

// observation makes what the journal writes of a record, in o.o.
func (o *Observer) observation(r *observe.Record) {
	o.events = o.events[:0]
	for t := range r.Types().All() {
		o.events = append(o.events, t.String())
	}
	o.o = versioned.Observation{
		Op: r.Op, Key: r.Key, MAC: r.MAC, Old: r.Old, Time: r.Time, Interface: r.Iface,
		Learned: learned(r), Events: o.events, Rule: r.Rule, Detail: r.Detail, Frame: r.Frame(),
		LastSeen: r.Previous, Frames: r.OldFrames, Folded: r.Folded,
	}
	if r.Count > 1 {
		o.o.Count = int(r.Count)
	}
	o.o.Subject = subject(r)
}

// learned says how an entry came about: the kind of the frame, "solicited "
// before it when it answers a request.
func learned(r *observe.Record) string {
	switch {
	case len(r.Frame()) == 0:
		return ""
	case r.Solicited:
		return "solicited " + r.Kind.String()
	}
	return r.Kind.String()
}

// subject returns the first line of a record's commit, empty for the usual one of
// a binding that came or went.
func subject(r *observe.Record) string {
	plain := r.Type == observe.TypeNone || r.Type == observe.NewStation || r.Type == observe.Changed
	if r.Folded || plain && (r.Binds() || r.Op == arp.OpRefused) {
		return ""
	}
	b := append(make([]byte, 0, 96), "arp: "...)
	if r.Key.Addr.IsValid() {
		b = append(b, r.Key.String()...)
		b = append(b, ' ')
	}
	switch {
	case r.Op == arp.OpMoved:
		b = append(b, "-> "...)
		b = r.MAC.AppendTo(b)
		b = append(b, " (was "...)
		b = r.Old.AppendTo(b)
		b = append(b, "), "...)
		b = append(b, r.Type.String()...)
	default:
		b = append(b, r.Type.String()...)
		if r.Phase == observe.PhaseEnded {
			b = append(b, " ended"...)
		}
		if !r.MAC.IsZero() {
			b = append(b, " by "...)
			b = r.MAC.AppendTo(b)
		}
		if !r.Old.IsZero() {
			b = append(b, ", held by "...)
			b = r.Old.AppendTo(b)
		}
	}
	switch {
	case r.Detail != "":
		b = append(b, ": "...)
		b = append(b, r.Detail...)
	case r.Phase == observe.PhaseEnded && r.Count > 0:
		b = append(b, ": "...)
		b = strconv.AppendUint(b, r.Count, 10)
		b = append(b, " in "...)
		b = append(b, r.Last.Sub(r.First).Round(time.Millisecond).String()...)
	}
	return string(b)
}
