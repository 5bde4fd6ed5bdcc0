package igmp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// HostConfig configures a Host. The zero value takes the defaults.
type HostConfig struct {
	// Version is the newest that is spoken, 1 to 3 (default 3). Queriers of
	// older versions are spoken to in theirs (RFC 3376 §7.2.1).
	Version Version
	// Robustness is how often a change is reported, 1 to 7, until a querier
	// says otherwise (default DefaultRobustness).
	Robustness int
	// MTU bounds a report's packet, in octets (default 576).
	MTU int
	// Int64N returns a random number from 0 up to but not including n, to spread
	// reports with (default math/rand/v2's).
	Int64N func(n int64) int64
}

// Host is the state of one interface: which groups it receives, what routers
// were told and are to be told, and which version they speak. It is not safe for
// concurrent use. Call NewHost.
type Host struct {
	cfg        HostConfig
	version    Version // spoken now
	old        [3]time.Time
	robustness int
	interval   time.Duration // between queries
	groups     map[netip.Addr]*group
	leaves     []netip.Addr // to be told to version 2 routers
	changeAt   time.Time    // the next report of changes is due, version 3
	generalAt  time.Time    // the answer to a general query is due, version 3
}

// group is one group's state.
type group struct {
	filter Filter

	// Version 3: what is still to be reported, and how often.
	mode    int                // the change of the filter's mode
	changed map[netip.Addr]int // changes of single sources

	// Versions 1 and 2.
	reports int  // unsolicited ones still to be sent
	last    bool // nobody else has reported since

	answerAt time.Time    // the answer to a query, or an unsolicited report, is due
	asked    []netip.Addr // sources that the query names; nil: all about the group
}

// NewHost returns a Host that receives no groups.
func NewHost(cfg HostConfig) *Host {
	if cfg.Version < 1 || cfg.Version > 3 {
		cfg.Version = 3
	}
	if cfg.Robustness <= 0 {
		cfg.Robustness = DefaultRobustness
	}
	if cfg.MTU <= 0 {
		cfg.MTU = 576
	}
	if cfg.Int64N == nil {
		cfg.Int64N = rand.Int64N
	}
	return &Host{cfg: cfg, version: cfg.Version, robustness: min(cfg.Robustness, 7), interval: DefaultQueryInterval, groups: map[netip.Addr]*group{}}
}

// Version returns the version that is spoken.
func (h *Host) Version() Version { return h.version }

// delay returns a random time from 0 to most.
func (h *Host) delay(most time.Duration) time.Duration {
	return time.Duration(h.cfg.Int64N(int64(most) + 1))
}

// follow changes the version when that of the queriers has changed. A change
// ends all that was pending (RFC 3376 §7.2.1).
func (h *Host) follow(now time.Time) {
	v := h.cfg.Version
	for older := Version(1); older < v; older++ {
		if now.Before(h.old[older]) {
			v = older
		}
	}
	if v == h.version {
		return
	}
	h.version, h.leaves, h.changeAt, h.generalAt = v, nil, time.Time{}, time.Time{}
	for a, g := range h.groups {
		if g.filter.None() {
			delete(h.groups, a)
			continue
		}
		*g = group{filter: g.filter}
	}
}

// Set changes what the interface receives of a group: the merged filter of all
// sockets, or the zero Filter when nobody wants it any more. AllSystems and
// addresses that are no group are ignored.
func (h *Host) Set(now time.Time, a netip.Addr, f Filter) {
	if !a.Is4() || !a.IsMulticast() || a == AllSystems {
		return
	}
	h.follow(now)
	g := h.groups[a]
	if g == nil {
		if f.None() {
			return
		}
		g = &group{}
		h.groups[a] = g
	}
	was := g.filter
	if was.Equal(f) {
		return
	}
	g.filter = f
	if h.version == 3 {
		h.changed(now, g, was)
		return
	}
	switch {
	case f.None():
		if h.version == 2 && g.last {
			h.leaves = append(h.leaves, a)
		}
		delete(h.groups, a)
	case was.None(): // RFC 2236 §3: at once, and again
		h.leaves = slices.DeleteFunc(h.leaves, func(l netip.Addr) bool { return l == a })
		g.reports, g.answerAt = h.robustness, now
	}
}

// changed notes what routers must hear of a filter that was another one
// (RFC 3376 §5.1).
func (h *Host) changed(now time.Time, g *group, was Filter) {
	if was.Exclude != g.filter.Exclude {
		g.mode, g.changed = h.robustness, nil
	} else {
		if g.changed == nil {
			g.changed = map[netip.Addr]int{}
		}
		for _, s := range minus(was.Sources, g.filter.Sources) {
			g.changed[s] = h.robustness
		}
		for _, s := range minus(g.filter.Sources, was.Sources) {
			g.changed[s] = h.robustness
		}
	}
	h.changeAt = now
}

// Input takes a message that arrived on the interface. Errors say why it was
// ignored.
func (h *Host) Input(now time.Time, b []byte) error {
	m, err := Parse(b)
	if err != nil {
		return err
	}
	h.follow(now)
	switch m.Type {
	case Query:
		h.query(now, &m)
	case ReportV1, ReportV2:
		// Somebody else has said it (RFC 2236 §3). Version 3 tells each host's.
		if g := h.groups[m.Group]; g != nil && h.version < 3 && !g.answerAt.IsZero() {
			g.answerAt, g.reports, g.last = time.Time{}, 0, false
		}
	}
	return nil
}

// query schedules the answers to a query.
func (h *Host) query(now time.Time, m *Message) {
	if m.Version < 3 && m.Group.IsUnspecified() { // RFC 3376 §7.2.1, §8.12
		h.old[m.Version] = now.Add(time.Duration(h.robustness)*h.interval + DefaultQueryResponse)
		h.follow(now)
	}
	if m.Version == 3 { // RFC 3376 §4.1.6, §4.1.7
		h.robustness, h.interval = int(m.Robustness), m.Interval
		if h.robustness == 0 {
			h.robustness = h.cfg.Robustness
		}
		if h.interval == 0 {
			h.interval = DefaultQueryInterval
		}
	}
	if h.version < 3 {
		for a, g := range h.groups {
			// A running timer is only shortened (RFC 2236 §3).
			if (m.Group.IsUnspecified() || m.Group == a) && (g.answerAt.IsZero() || now.Add(m.MaxResp).Before(g.answerAt)) {
				g.answerAt = now.Add(h.delay(m.MaxResp))
			}
		}
		return
	}
	at := now.Add(h.delay(m.MaxResp))
	switch { // RFC 3376 §5.2
	case !h.generalAt.IsZero() && h.generalAt.Before(at): // rule 1
	case m.Group.IsUnspecified(): // rule 2
		if len(h.groups) > 0 {
			h.generalAt = at
		}
	default:
		if g := h.groups[m.Group]; g != nil && !g.filter.None() {
			g.ask(at, m.Sources)
		}
	}
}

// maxAsked bounds the sources that are kept of queries for one group; a query
// for more is answered as one for all.
const maxAsked = 256

// ask schedules the answer to a query for the group (RFC 3376 §5.2, rules 3 to 5).
func (g *group) ask(at time.Time, sources []netip.Addr) {
	switch {
	case g.answerAt.IsZero():
		g.answerAt, g.asked = at, sources
		return
	case len(sources) == 0 || len(g.asked) == 0 || len(g.asked)+len(sources) > maxAsked:
		g.asked = nil
	default:
		g.asked = append(g.asked, sources...)
	}
	if at.Before(g.answerAt) {
		g.answerAt = at
	}
}

// Deadline returns when Emit is next due, zero when nothing waits.
func (h *Host) Deadline() (t time.Time) {
	sooner := func(u time.Time) {
		if !u.IsZero() && (t.IsZero() || u.Before(t)) {
			t = u
		}
	}
	sooner(h.changeAt)
	sooner(h.generalAt)
	for _, g := range h.groups {
		sooner(g.answerAt)
	}
	return t
}
