package versioned

import (
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

const solicited = "solicited "

// how returns the text for the way in which a change was learned. It allocates
// nothing.
func how(c *arp.Change) string {
	switch {
	case c.Evidence.Len == 0:
		return "operator"
	case c.Evidence.Solicited && c.Evidence.Kind == arp.KindReply:
		return "solicited reply"
	case c.Evidence.Solicited:
		return "solicited gratuitous-reply" // the answer to a request from 0.0.0.0
	}
	return c.Evidence.Kind.String()
}

// clock returns the revision of a write at a time over what it replaces.
func clock(at time.Time, seen Entry) int64 { return max(at.UnixMilli(), seen.Clock+1) }

// put returns the entry after a binding came, and whether that changed it.
func put(e Entry, c *arp.Change, node string) (Entry, bool) { return putAs(e, c, node, how(c)) }

// putAs is put with a text of its own for the way in which it was learned.
func putAs(e Entry, c *arp.Change, node, learned string) (Entry, bool) {
	static := c.Op == arp.OpPinned
	if e.State != Expired && e.MAC == c.MAC {
		pinned := e.State == Static && e.Node == node
		if pinned == static || pinned && c.Op != arp.OpUnpinned {
			return e, false
		}
	}
	n := Entry{
		State: Dynamic, MAC: c.MAC, Earlier: e.Earlier, FirstSeen: max(c.Time.Unix(), 0),
		Learned: learned, Interface: Clean(c.Interface), Node: node, Clock: clock(c.Time, e),
	}
	if static {
		n.State = Static
	} else if !c.Deadline.IsZero() {
		n.Deadline = max(c.Deadline.Unix(), 0)
	}
	switch e.MAC {
	case c.MAC:
		n.FirstSeen = e.FirstSeen
	case ethernet.Addr{}:
	default:
		n.Earlier = succeed(e.Earlier, e.MAC, c.MAC)
	}
	return n, true
}

// succeed puts old in front of the earlier addresses and takes now out of them.
func succeed(earlier [MaxEarlier]ethernet.Addr, old, now ethernet.Addr) (out [MaxEarlier]ethernet.Addr) {
	i := 0
	add := func(m ethernet.Addr) {
		if i < MaxEarlier && !m.IsZero() && m != now && !slices.Contains(out[:i], m) {
			out[i] = m
			i++
		}
	}
	add(old)
	for _, m := range earlier {
		add(m)
	}
	return out
}

// expire returns the entry after its binding ended, and whether that changed
// it. A binding to another MAC than the one that ended stays.
func expire(e Entry, c *arp.Change, node string) (Entry, bool) {
	if e.State == Expired || !c.Old.IsZero() && c.Old != e.MAC {
		return e, false
	}
	n := e
	n.State, n.Node, n.Deadline, n.Clock = Expired, node, 0, clock(c.Time, e)
	if c.Interface != "" {
		n.Interface = Clean(c.Interface)
	}
	return n, true
}
