package igmp

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Packet is a message to be sent with time to live 1, the router alert option
// and internetwork control precedence (RFC 3376 §4).
type Packet struct {
	Dst     netip.Addr
	Payload []byte
}

// Emit sends what is due at now.
func (h *Host) Emit(now time.Time, send func(Packet)) {
	h.follow(now)
	if h.version < 3 {
		h.emitOld(now, send)
		return
	}
	var records []Record
	if due(h.changeAt, now) {
		h.changeAt = time.Time{}
		again := false
		for _, a := range h.sorted() {
			g := h.groups[a]
			records = append(records, g.changes(a)...)
			switch {
			case g.mode > 0 || len(g.changed) > 0:
				again = true
			case g.filter.None():
				delete(h.groups, a)
			}
		}
		if again {
			h.changeAt = now.Add(max(h.delay(unsolicited3), time.Millisecond))
		}
	}
	general := due(h.generalAt, now)
	if general {
		h.generalAt = time.Time{}
	}
	for _, a := range h.sorted() {
		g := h.groups[a]
		if asked := due(g.answerAt, now); asked || general {
			records = append(records, g.current(a, !general)...)
			if asked {
				g.answerAt, g.asked = time.Time{}, nil
			}
		}
	}
	h.report(records, send)
}

// emitOld is Emit in versions 1 and 2.
func (h *Host) emitOld(now time.Time, send func(Packet)) {
	for _, a := range h.leaves {
		m := Message{Type: Leave, Group: a}
		send(Packet{AllRouters, m.AppendTo(nil)})
	}
	h.leaves = nil
	for _, a := range h.sorted() {
		g := h.groups[a]
		if !due(g.answerAt, now) {
			continue
		}
		m := Message{Type: ReportV2, Group: a}
		if h.version == 1 {
			m.Type = ReportV1
		}
		send(Packet{a, m.AppendTo(nil)})
		g.last, g.answerAt = true, time.Time{}
		if g.reports = max(g.reports-1, 0); g.reports > 0 {
			g.answerAt = now.Add(max(h.delay(unsolicited2), time.Millisecond))
		}
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (h *Host) sorted() []netip.Addr {
	return slices.SortedFunc(maps.Keys(h.groups), netip.Addr.Compare)
}

// changes returns the records of what has changed in the group and counts them
// as told once. While the change of mode is being told, which carries the whole
// list, it speaks for the sources too (RFC 3376 §5.1).
func (g *group) changes(a netip.Addr) (out []Record) {
	if g.mode > 0 {
		g.mode--
		typ := ToInclude
		if g.filter.Exclude {
			typ = ToExclude
		}
		out = []Record{{typ, a, g.filter.Sources}}
	} else {
		var allow, block []netip.Addr
		for s := range g.changed {
			if g.filter.Allows(s) {
				allow = append(allow, s)
			} else {
				block = append(block, s)
			}
		}
		for typ, list := range map[RecordType][]netip.Addr{Allow: allow, Block: block} {
			if len(list) > 0 {
				out = append(out, Record{typ, a, NewFilter(false, list...).Sources})
			}
		}
		slices.SortFunc(out, func(x, y Record) int { return int(x.Type) - int(y.Type) })
	}
	for s, n := range g.changed {
		if g.changed[s] = n - 1; n <= 1 {
			delete(g.changed, s)
		}
	}
	return out
}

// current returns the record that answers a query: of all, or of the sources that
// were asked for (RFC 3376 §5.2).
func (g *group) current(a netip.Addr, asked bool) []Record {
	f := g.filter
	switch {
	case f.None():
		return nil
	case asked && len(g.asked) > 0:
		asked := NewFilter(false, g.asked...).Sources
		list := common(asked, f.Sources)
		if f.Exclude {
			list = minus(asked, f.Sources)
		}
		if len(list) == 0 {
			return nil
		}
		return []Record{{IsInclude, a, list}}
	case f.Exclude:
		return []Record{{IsExclude, a, f.Sources}}
	}
	return []Record{{IsInclude, a, f.Sources}}
}

// ipHeader is that of a report's packet, with the router alert option.
const ipHeader = 24

// report sends the records in as few packets as the MTU allows. A list that does
// not fit is told in several records, or, when it says what is excluded, cut: the
// network then brings more than is wanted, not less (RFC 3376 §4.2.16).
func (h *Host) report(records []Record, send func(Packet)) {
	size := max(h.cfg.MTU-ipHeader-headerLen, recordLen+4)
	fit := (size - recordLen) / 4
	m := Message{Type: ReportV3}
	room := size
	flush := func() {
		if len(m.Records) > 0 {
			send(Packet{AllReports, m.AppendTo(nil)})
		}
		m.Records, room = nil, size
	}
	for _, r := range records {
		if r.Type == IsExclude || r.Type == ToExclude {
			r.Sources = r.Sources[:min(len(r.Sources), fit)]
		}
		for {
			part := r
			part.Sources = r.Sources[:min(len(r.Sources), fit)]
			r.Sources = r.Sources[len(part.Sources):]
			n := recordLen + 4*len(part.Sources)
			if n > room {
				flush()
			}
			m.Records = append(m.Records, part)
			room -= n
			if len(r.Sources) == 0 {
				break
			}
		}
	}
	flush()
}
