package observe

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strconv"
	"time"
)

// episodeKey says which frames belong to one episode.
type episodeKey struct {
	typ  Type
	sub  uint8 // of malformed: the reason; of a sum: sumOfMany
	addr addrKey
	mac  uint64
}

// sumOfMany marks the episode that stands for events that are not told one by
// one.
const sumOfMany = 255

// episode is something that goes on.
type episode struct {
	key    episodeKey
	id     EpisodeID
	event  Event // what its end tells; First, Last and Count grow
	seen   int64 // when it was last seen
	gap    int64 // of silence, which ends it
	folded bool
	en     *entry     // of a dispute
	st     *station   // of a scan or proxy
	kind   windowKind // of st
}

// occur counts a frame in the episode of that key, which it begins where there
// is none. It returns the episode, nil when there is no room for it, and the
// record of its beginning, nil unless it begins. The record is complete but for
// what only the caller knows; it is valid until the next event.
func (e *Engine) occur(k episodeKey, gap time.Duration, s *Sighting) (*episode, *Record) {
	if ep := e.episodes[k]; ep != nil {
		e.again(ep, s)
		return ep, nil
	}
	d := e.domains[k.addr.seg>>32]
	_, many := d.limits[k.typ].add(e.now, e.cfg.FoldCount+1, int64(e.cfg.FloodWindow))
	many = many && e.cfg.FoldCount > 0
	full := len(e.episodes) >= e.cfg.MaxEpisodes
	if many || full {
		e.sum(k, s, e.cfg.FoldCount)
	}
	if full {
		return nil, nil
	}
	ep, r := e.begin(k, gap, s)
	r.Alert, r.Folded, ep.folded = !many, many, many
	return ep, r
}

// sum counts an event that is one too many, of a kind of which n were told.
func (e *Engine) sum(k episodeKey, s *Sighting, n int) {
	sk := episodeKey{typ: k.typ, sub: sumOfMany, addr: addrKey{seg: k.addr.seg &^ 0xffffffff}}
	if ep := e.episodes[sk]; ep != nil {
		e.again(ep, s)
		return
	}
	ep, r := e.begin(sk, e.cfg.FloodWindow, s)
	r.Alert = true
	r.Detail = "more than " + strconv.Itoa(n) + " such events within " + span(int64(e.cfg.FloodWindow)) +
		": the rest is in the record only"
	ep.tell(r)
}

// begin begins an episode.
func (e *Engine) begin(k episodeKey, gap time.Duration, s *Sighting) (*episode, *Record) {
	r := e.event(s, k.typ, k.addr)
	if k.addr.hi == 0 && k.addr.lo == 0 {
		r.Key.Addr = noAddr
	}
	r.Phase, r.Episode = PhaseBegan, e.identify(k, s)
	ep := &episode{key: k, id: r.Episode, event: r.Event, seen: e.now, gap: max(int64(gap), 0)}
	e.episodes[k] = ep
	e.at(ep.seen+ep.gap, ep, nil)
	return ep, r
}

// tell has the end of the episode repeat what its beginning told.
func (ep *episode) tell(r *Record) { ep.event = r.Event }

// again counts a frame of an episode that is under way.
func (e *Engine) again(ep *episode, s *Sighting) {
	ep.seen, ep.event.Last = e.now, s.Time
	ep.event.Count++
}

// identify returns the id of an episode that begins with s.
func (e *Engine) identify(k episodeKey, s *Sighting) EpisodeID {
	h := fnv.New64a()
	b := make([]byte, 0, 64)
	b = append(b, byte(k.typ), k.sub)
	b = binary.BigEndian.AppendUint64(b, uint64(nano(s.Time)))
	b = binary.BigEndian.AppendUint64(b, k.mac)
	b = binary.BigEndian.AppendUint64(b, k.addr.hi)
	b = binary.BigEndian.AppendUint64(b, k.addr.lo)
	b = append(b, e.ifaces[s.Interface].name...)
	h.Write(b)
	h.Write(s.Frame)
	return EpisodeID(max(h.Sum64(), 1))
}

// expireEpisode ends an episode, unless it was seen again since the timer was
// set.
func (e *Engine) expireEpisode(ep *episode) {
	if due := ep.seen + ep.gap; due >= e.now {
		e.at(due, ep, nil)
		return
	}
	e.end(ep)
}

// end ends an episode and records it.
func (e *Engine) end(ep *episode) {
	delete(e.episodes, ep.key)
	e.out = append(e.out, Record{Event: ep.event})
	r := &e.out[len(e.out)-1]
	r.Phase, r.Time, r.Folded = PhaseEnded, e.last, ep.folded
	if ep.en != nil {
		c := ep.en.more.contest
		c.episodes = slices.DeleteFunc(c.episodes, func(o *episode) bool { return o == ep })
	}
	if ep.st != nil {
		ep.st.more.busy[ep.kind] = nil
	}
}

// endAll ends every episode in the order in which they would fall due.
func (e *Engine) endAll() {
	var entries []timer
	for len(e.timers) > 0 {
		t := e.timers.pop()
		if t.ep == nil {
			entries = append(entries, t)
		} else {
			e.end(t.ep)
		}
	}
	for _, t := range entries {
		e.timers.push(t)
	}
}
