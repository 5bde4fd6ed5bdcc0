package observer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
)

// ErrOlder is wrapped by the error for a capture that begins before what the
// history has of its interface already. A history is written in the order of
// time: who held an address until when could not be told otherwise.
var ErrOlder = errors.New("older than the history")

// inOrder returns an error for a capture whose first frame, of the interface with
// that number, is earlier than what is recorded.
func (o *Observer) inOrder(iface int, at time.Time) error {
	src := &o.ifaces[iface]
	if !usable(at) || !src.isBack(at) {
		return nil
	}
	what := "an earlier capture goes"
	if src.latest.Equal(o.recorded) {
		what = o.cfg.Journal.Branch() + " goes"
	}
	return fmt.Errorf("%w: it begins at %s, and %s to %s", ErrOlder, moment(at), what, moment(src.latest))
}

// usable reports whether a timestamp can be true.
func usable(at time.Time) bool {
	s := at.Unix()
	return s > 0 && s <= maxUnix
}

// isBack reports whether a timestamp is too early to be that of a frame which was
// merely captured out of order.
func (s *source) isBack(at time.Time) bool { return at.Before(s.latest.Add(-observe.MaxStep)) }

// clock follows the clock of an interface. When it goes back, as when it is set,
// what was seen before stays before: until it has caught up, all that is
// observed is put down at the latest time before, beside what the clock said.
// That it went back is written down and told.
func (o *Observer) clock(ctx context.Context, src *source, at time.Time) error {
	if !src.isBack(at) {
		src.behind = false
		if at.After(src.latest) {
			src.latest = at
		}
		return nil
	}
	o.stats.Behind++
	if src.behind {
		return nil
	}
	src.behind = true
	if _, err := o.cfg.Journal.Flush(ctx); err != nil { // it is of a second that will not end
		return err
	}
	by := src.latest.Sub(at).Round(time.Millisecond)
	o.cfg.Note(fmt.Sprintf("%sthe timestamps go back %v, from %s to %s; until they have caught up, changes have the time before",
		prefix(src.Name), by, moment(src.latest), moment(at)))
	ob := versioned.Observation{
		Time: at, Interface: src.Name, Events: []string{versioned.EventClock},
		Subject: fmt.Sprintf("arp: %sthe clock went back %v, to %s", prefix(src.Name), by, moment(at)),
	}
	src.date(&ob)
	_, err := o.cfg.Journal.Write(ctx, &ob)
	return err
}

// date puts an observation behind all that came before it on its interface,
// whatever its clock says.
func (s *source) date(o *versioned.Observation) {
	if !o.Time.Before(s.latest) {
		return
	}
	o.Stamp, o.Time = o.Time, s.latest
	if o.LastSeen.After(s.latest) {
		o.LastSeen = s.latest
	}
}

func prefix(iface string) string {
	if iface == "" {
		return ""
	}
	return iface + ": "
}

// moment writes a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999 UTC") }
