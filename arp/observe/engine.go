package observe

import (
	"errors"
	"time"
)

// ErrInterfaces is returned by AddInterface when there are too many.
var ErrInterfaces = errors.New("observe: more than 65,536 interfaces or domains")

// Engine turns Sightings into Records. Its methods must not be called
// concurrently. The zero value is not usable: see New.
type Engine struct {
	cfg     Config
	ifaces  []iface
	domains []*domain

	now     int64     // Unix nanoseconds of the latest frame
	last    time.Time // timestamp of the last frame
	started bool
	out     []Record
	stats   Stats

	entries     index[addrKey, entry]
	chunks      []*entryChunk
	usedEntries int
	freeEntries []*entry
	probation   queue[*entry] // those that may be evicted, and some that may not any more
	dirty       []*entry

	stations     index[macKey, station]
	stationChunk []station
	freeStations []*station
	visitors     queue[*station]
	pools        [numWindowKinds]pool

	questions questions
	floods    floods
	episodes  map[episodeKey]*episode
	timers    timers
	seq       uint64
}

// Stats counts what an Engine has done since it was made. It is a plain value.
type Stats struct {
	Frames    [NumKinds]uint64   // messages, by Kind
	Malformed [NumReasons]uint64 // frames that are none, by Reason; ReasonOther included
	Events    [NumTypes]uint64   // records of PhaseOnce and PhaseBegan, by Type
	Records   uint64
	Alerts    uint64
	Folded    uint64

	Entries, Stations, Episodes int    // now: addresses, MACs, episodes under way
	Evicted                     uint64 // unconfirmed addresses that made room
	Overflow                    uint64 // claims of new addresses that found no room
	Untracked                   uint64 // questions and answers that found no window
	Steps                       uint64 // steps back of time
}

// New returns an Engine that knows nothing yet.
func New(cfg Config) *Engine {
	return &Engine{
		cfg:      cfg.withDefaults(),
		entries:  newIndex(func(en *entry) addrKey { return en.key }),
		stations: newIndex(func(st *station) macKey { return st.key }),
		episodes: map[episodeKey]*episode{},
	}
}

// AddInterface makes an interface known and returns the number that Sightings
// of its frames carry: 0 for the first, 1 for the second, and so on. The error
// is ErrInterfaces.
func (e *Engine) AddInterface(i Interface) (int, error) {
	i = i.withDefaults()
	d := 0
	for d < len(e.domains) && e.domains[d].name != i.Domain {
		d++
	}
	if d > 0xffff || len(e.ifaces) > 0xffff {
		return 0, ErrInterfaces
	}
	if d == len(e.domains) {
		e.domains = append(e.domains, &domain{name: i.Domain})
	}
	e.ifaces = append(e.ifaces, newIface(i, uint64(d)))
	return len(e.ifaces) - 1, nil
}

// MaxStep is how far a timestamp may lie before the latest one and still count
// as a frame that was captured out of order.
const MaxStep = 10 * time.Second

// Input takes one sighting and returns what happened, in order. The slice is
// valid until the next call. Sightings come in the order of capture. Those with
// a Reason must be handed in too: they are counted, and malformed ones are
// events. A sighting of an interface that was not added is ignored.
//
// Time passes with the sightings. One that is more than MaxStep before the
// latest is a clock that was set back, or the next capture: all episodes end and
// all windows begin anew. One that is less far back counts as simultaneous with
// the latest.
func (e *Engine) Input(s *Sighting) []Record {
	e.out = e.out[:0]
	if uint(s.Interface) >= uint(len(e.ifaces)) {
		return nil
	}
	e.advance(s.Time)
	if s.Reason != ReasonNone {
		if s.Reason < NumReasons {
			e.stats.Malformed[s.Reason]++
		}
		if s.Reason != ReasonOther {
			e.malformed(s)
		}
		return e.done()
	}
	if s.Kind < NumKinds {
		e.stats.Frames[s.Kind]++
	}
	if s.Kind == KindReverse || s.Kind == KindInverse || s.Kind >= NumKinds {
		return e.done() // they bind nothing
	}
	seg := segment(e.ifaces[s.Interface].domain, s.VLAN)
	if e.impossible(s, seg) {
		return e.done()
	}
	var en *entry
	if s.Claims() && s.Addr.IsValid() {
		en = e.claim(s, seg)
	}
	switch {
	case s.Kind.Asks():
		e.asks(s, seg, en)
	case en != nil && (s.Kind == KindReply || s.Kind == KindAdvertisement):
		e.answers(s, en)
	}
	if s.MAC != s.Source && !s.MAC.IsZero() {
		e.mismatch(s, seg, en)
	}
	return e.done()
}

// Finish ends all episodes, in the order in which they fall due, at the time of
// the last frame: at the end of a capture, or at exit. The slice is valid until
// the next call.
func (e *Engine) Finish() []Record {
	e.out = e.out[:0]
	e.endAll()
	return e.done()
}

// done counts the records of a call and returns them.
func (e *Engine) done() []Record {
	for i := range e.out {
		r := &e.out[i]
		e.stats.Records++
		if r.Phase != PhaseEnded && r.Type != TypeNone {
			e.stats.Events[r.Type]++
		}
		if r.Alert {
			e.stats.Alerts++
		}
		if r.Folded {
			e.stats.Folded++
		}
	}
	return e.out
}

// Stats returns the counts.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Entries, s.Stations, s.Episodes = e.entries.len(), e.stations.len(), len(e.episodes)
	return s
}

// advance moves the clock to a frame's timestamp and ends what falls due
// before it.
func (e *Engine) advance(t time.Time) {
	now := nano(t)
	if e.started && now < e.now-int64(MaxStep) {
		e.stats.Steps++
		e.endAll()
		e.restart()
		e.now = now
	}
	e.now, e.last, e.started = max(e.now, now), t, true
	for len(e.timers) > 0 && e.timers[0].due < e.now {
		if d := e.timers.pop(); d.ep != nil {
			e.expireEpisode(d.ep)
		} else {
			e.expireEntry(d.en)
		}
	}
}

// restart empties the windows.
func (e *Engine) restart() {
	e.floods = floods{}
	for _, d := range e.domains {
		d.flood, d.limits = flood{}, [NumTypes]rate{}
	}
	for i := range e.pools {
		for _, w := range e.pools[i].all {
			if w.owner != nil {
				w.owner.more.windows[w.kind] = nil
				e.pools[i].put(w)
			}
		}
	}
}

// at has the timer fall due when its time has passed.
func (e *Engine) at(due int64, ep *episode, en *entry) {
	e.seq++
	e.timers.push(timer{due, e.seq, ep, en})
}

// within reports whether at, a time of the past, is no longer ago than span.
func (e *Engine) within(at, span int64) bool {
	return at != 0 && at <= e.now && e.now-at <= span
}

// nano returns t in Unix nanoseconds, within what they can hold.
func nano(t time.Time) int64 {
	switch s := t.Unix(); {
	case s < 0:
		return 0
	case s > maxSecond:
		return maxSecond * int64(time.Second)
	}
	return t.UnixNano()
}

// maxSecond is in the year 2242, which leaves room for adding a duration.
const maxSecond = 1 << 33

// stamp is the opposite of nano.
func stamp(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// event appends a record of the sighting and returns it; it is valid until the
// next one.
func (e *Engine) event(s *Sighting, typ Type, k addrKey) *Record {
	e.out = append(e.out, Record{})
	r := &e.out[len(e.out)-1]
	r.Type, r.Time, r.Iface, r.Kind, r.Source = typ, s.Time, e.ifaces[s.Interface].name, s.Kind, s.Source
	r.Key, r.MAC = e.key(k), s.MAC
	r.First, r.Last, r.Count = s.Time, s.Time, 1
	r.frameLen = uint8(copy(r.frame[:], s.Frame))
	return r
}
