package observe

import (
	"net/netip"
	"strconv"
	"time"

	"arpeggio/stack/ethernet"
)

// question is somebody having asked everybody for an address.
type question struct {
	at     int64         // 0: nobody asked
	prober ethernet.Addr // who wants to know whether it is free; zero when the asker wants to talk to it
}

// questions are those about addresses that are not known yet.
type questions struct {
	open  map[addrKey]question
	order queue[asked]
}

type asked struct {
	key addrKey
	at  int64
}

// put notes a question and forgets the oldest beyond limit.
func (q *questions) put(k addrKey, v question, limit int) {
	if q.open == nil {
		q.open = map[addrKey]question{}
	}
	if old, ok := q.open[k]; ok && v.prober.IsZero() {
		v.prober = old.prober // a probe waits for its answer even if others ask too
	}
	q.open[k] = v
	q.order.push(asked{k, v.at})
	for q.order.len() > limit {
		if o := q.order.pop(); q.open[o.key].at == o.at {
			delete(q.open, o.key)
		}
	}
}

// take returns the question about k and forgets it.
func (q *questions) take(k addrKey) question {
	v := q.open[k]
	if v.at != 0 {
		delete(q.open, k)
	}
	return v
}

// asks handles a question: it may be a scan, or a probe for an address in use.
// en is the entry of the asker's own address, nil when there is none.
func (e *Engine) asks(s *Sighting, seg uint64, en *entry) {
	target := s.Target.Unmap()
	if !target.IsValid() || target.IsUnspecified() || target == s.Addr {
		return
	}
	k := keyOf(seg, target)
	switch probes, known := s.Kind.Probes(), e.entries.get(k); {
	case probes && known != nil:
		known.wasAsked(e.now)
		known.extra().probe = question{e.now, s.Sender()}
	case probes:
		e.questions.put(k, question{e.now, s.Sender()}, e.cfg.MaxPending)
	case !s.Dest.IsMulticast():
		if known != nil {
			known.polled = e.now
		}
	case known != nil:
		known.wasAsked(e.now)
	default:
		e.questions.put(k, question{at: e.now}, e.cfg.MaxPending)
	}
	var st *station
	if en != nil && en.agree {
		st = en.holder
	} else if mac := s.Sender(); mac.IsStation() {
		st, _ = e.station(seg, mac)
	} else {
		return
	}
	n, span := e.cfg.ScanCount, e.cfg.ScanWindow
	full, fresh, oldest := e.note(st, scanWindow, k, n, int64(span))
	e.many(s, st, scanWindow, Scan, full, fresh, oldest, n, span, "targets")
}

// wasAsked notes that somebody asked everybody for the address.
func (en *entry) wasAsked(now int64) {
	en.asked = now
	if x := en.more; x != nil && x.doubted < x.claimed {
		x.doubted = now
	}
}

// answers handles an answer by the holder of en: it may be a proxy. Virtual MACs
// hold many addresses by design, and what is disputed is a spoof's.
func (e *Engine) answers(s *Sighting, en *entry) {
	st := en.holder
	if st == nil || !en.agree || st.virtual {
		return
	}
	if c := en.contestOf(); c != nil && len(c.episodes) > 0 {
		return
	}
	n, span := e.cfg.ProxyCount, e.cfg.ProxyWindow
	full, fresh, oldest := e.note(st, proxyWindow, en.key, n, int64(span))
	e.many(s, st, proxyWindow, ProxyARP, full, fresh, oldest, n, span, "addresses")
}

// many begins or continues the episode of a station whose window is full.
func (e *Engine) many(s *Sighting, st *station, kind windowKind, typ Type, full, fresh bool, oldest int64, n int, span time.Duration, what string) {
	if !full {
		return
	}
	if ep := st.busy(kind); ep != nil {
		ep.seen, ep.event.Last = e.now, s.Time
		if fresh {
			ep.event.Count++
		}
		return
	}
	ep, r := e.occur(episodeKey{typ: typ, addr: segmentKey(st.key.seg), mac: st.key.mac}, span, s)
	if r == nil {
		return
	}
	r.MAC, r.Count = st.mac(), uint64(n)
	r.First = r.Time.Add(-time.Duration(e.now - oldest))
	r.Detail = within(n, what, e.now-oldest)
	ep.tell(r)
	ep.st, ep.kind = st, kind
	st.extra().busy[kind] = ep
}

// recall takes what was asked about an address before it was known.
func (e *Engine) recall(en *entry) {
	q := e.questions.take(en.key)
	en.asked = q.at
	if !q.prober.IsZero() {
		en.extra().probe = q
	}
}

// solicited reports whether the sighting answers a question that was seen.
func (e *Engine) solicited(s *Sighting, en *entry) bool {
	answer := s.Kind == KindReply || s.Kind == KindAdvertisement ||
		s.Kind == KindGratuitousReply && s.Target.IsUnspecified() // to a probe
	return answer && e.within(en.asked, e.answerTime())
}

// answerTime is how long a question may wait for its answer, also when no
// acd-conflict is wanted.
func (e *Engine) answerTime() int64 {
	if e.cfg.ACDWindow < 0 {
		return int64(DefaultACDWindow)
	}
	return int64(e.cfg.ACDWindow)
}

// answered finds the conflict of a probe for an address that somebody holds:
// whatever its holder says (RFC 5227 §2.1.1), unless the prober says it itself.
func (e *Engine) answered(s *Sighting, en *entry) {
	q := en.more.probe
	if q.at == 0 {
		return
	}
	if s.MAC == q.prober || s.Source == q.prober || !e.within(q.at, int64(e.cfg.ACDWindow)) {
		en.more.probe = question{}
		return
	}
	en.more.probe = question{}
	ep, r := e.occur(episodeKey{typ: ACDConflict, addr: en.key, mac: packMAC(q.prober)}, e.cfg.EpisodeGap, s)
	if r != nil {
		r.MAC, r.Old = q.prober, s.MAC
		r.Detail = "probed for by " + q.prober.String() + ", held by " + s.MAC.String()
		ep.tell(r)
	}
}

// within is "n things in a time".
func within(n int, what string, ns int64) string {
	return strconv.Itoa(n) + " " + what + " in " + span(ns)
}

// plural is "n things".
func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}

var noAddr netip.Addr
