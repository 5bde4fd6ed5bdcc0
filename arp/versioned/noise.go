package versioned

import (
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Noise bounds what others can make a Table write, for each broadcast domain
// (domain and VLAN: what one port reaches), so that nobody ages out the history
// of other stations by being loud. Hearsay (unsolicited bindings and moves,
// refused claims, conflicts), failed queries, and what came of our own questions
// (answers, expiries) have a bound each; one station's MAC address has a quarter
// of the hearsay. An operator's orders have none.
//
// A change within the bounds is a commit of its own. The others of a domain
// share one commit, a second after the first of them and then at intervals that
// double up to MaxFold while the flood lasts. That commit counts them, and holds
// the entries as they were at its time. A new address beyond Keep is only
// counted (Stats.TurnedAway): the cache of the Service has it, the record not.
// The zero value stands for the defaults.
type Noise struct {
	// Alone is how many changes in a row get a commit of their own, 100.
	Alone int
	// Keep is how many new entries and changes of entries in a row are kept,
	// alone or shared, 2048.
	Keep int
	// PerMinute is how many of each come back in a minute: 10 of hearsay and of
	// failed queries, and AnswersPerMinute, 60, of answers and expiries.
	PerMinute, AnswersPerMinute int
	// MaxEntries bounds the entries, 65536. The last quarter is for answers. Expired entries count until an epoch leaves them out.
	MaxEntries int
	// MaxFold is the longest time between two commits of a flood, 1 min.
	MaxFold time.Duration
	// Unbounded switches all this off.
	Unbounded bool
}

func (n Noise) withDefaults() Noise {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&n.Alone, 100)
	def(&n.Keep, 2048)
	def(&n.PerMinute, 10)
	def(&n.AnswersPerMinute, 60)
	def(&n.MaxEntries, 65536)
	if n.MaxFold <= 0 {
		n.MaxFold = time.Minute
	}
	return n
}

// maxStations bounds the stations of a domain that have a bound of their own.
const maxStations = 4096

// bucket holds tokens: up to a burst, filled again at a rate.
type bucket struct {
	used float64
	at   time.Time
}

// fill lets time pass; a clock that was set back fills nothing.
func (b *bucket) fill(now time.Time, perMinute float64) {
	if d := now.Sub(b.at); d > 0 {
		b.used, b.at = max(b.used-d.Minutes()*perMinute, 0), now
	}
}

func (b *bucket) has(burst int) bool { return b.used+1 <= float64(burst) }

// reason is why changes come about, as far as the bounds differ.
type reason uint8

const (
	hearsay reason = iota
	failure        // of a query
	answer         // to a question of ours, or the lack of one
)

// origin is where changes come from.
type origin struct {
	domain string
	vlan   ethernet.VLAN
	why    reason
}

// gate keeps the bounds of an origin, and its flood.
type gate struct {
	alone, keep bucket
	loud        bool // alone was empty, and a tenth of it has not come back yet
	stations    map[ethernet.Addr]*share
	swept       time.Time // when stations were last looked through
	flood       *flood
	interval    time.Duration // between the last two commits of the flood
	last        time.Time     // the last of them, in real time
}

// share is what a station has used of its quarter.
type share struct{ alone, keep bucket }

// verdict says what becomes of a change.
type verdict uint8

const (
	commitAlone verdict = iota // a commit of its own
	commitFold                 // counted, and its entry kept
	turnAway                   // counted
)

// why returns the reason for a change.
func why(c *arp.Change) reason {
	switch c.Op {
	case arp.OpRefused, arp.OpConflict:
		return hearsay
	case arp.OpLearned, arp.OpMoved:
		if !c.Evidence.Solicited {
			return hearsay
		}
	case arp.OpQueryFailed:
		return failure
	}
	return answer
}

// gate returns the gate that a key's changes pass; mu is held.
func (t *Table) gate(k arp.Key, why reason) *gate {
	o := origin{k.Domain, k.VLAN, why}
	g := t.gates[o]
	if g == nil {
		g = &gate{stations: make(map[ethernet.Addr]*share)}
		t.gates[o] = g
	}
	return g
}

// admit decides about a change and takes its tokens; mu is held. writes says
// that it changes an entry, and known that the key has one.
func (t *Table) admit(c *arp.Change, writes, known bool) (*gate, verdict) {
	n := &t.cfg.Noise
	if n.Unbounded || c.Op == arp.OpPinned || c.Op == arp.OpUnpinned {
		return nil, commitAlone
	}
	r := why(c)
	g := t.gate(c.Key, r)
	rate, limit := n.PerMinute, n.MaxEntries/4*3
	if r == answer {
		rate, limit = n.AnswersPerMinute, n.MaxEntries
	}
	g.alone.fill(c.Time, float64(rate))
	g.keep.fill(c.Time, float64(rate))
	if !g.alone.has(n.Alone) {
		g.loud = true
	} else if g.alone.has(n.Alone - n.Alone/10) {
		g.loud = false
	}
	alone, keep := !g.loud, g.keep.has(n.Keep)
	var s *share
	if r == hearsay {
		s = g.share(c.MAC, c.Time, float64(rate)/4)
		alone, keep = alone && s.alone.has(max(n.Alone/4, 1)), keep && s.keep.has(max(n.Keep/4, 1))
	}
	full := writes && !known && len(t.live) >= limit
	switch {
	case full || writes && !known && !keep:
		return g, turnAway
	case !alone || writes && !keep:
		if writes && !known {
			g.spend(s)
		}
		return g, commitFold
	}
	g.alone.used++
	if s != nil {
		s.alone.used++
	}
	if writes {
		g.spend(s)
	}
	return g, commitAlone
}

// spend takes a token for a kept entry.
func (g *gate) spend(s *share) {
	g.keep.used++
	if s != nil {
		s.keep.used++
	}
}

// share returns what a station has used, or what those have used together that
// are too many to be known one by one.
func (g *gate) share(mac ethernet.Addr, now time.Time, perMinute float64) *share {
	s := g.stations[mac]
	if s == nil && len(g.stations) >= maxStations {
		if now.Sub(g.swept) >= time.Second {
			g.swept = now
			g.sweep(now, perMinute)
		}
		if len(g.stations) >= maxStations {
			mac = ethernet.Addr{}
			s = g.stations[mac]
		}
	}
	if s == nil {
		s = &share{}
		g.stations[mac] = s
	}
	s.fill(now, perMinute)
	return s
}

// sweep forgets the stations that have all of their share.
func (g *gate) sweep(now time.Time, perMinute float64) {
	for m, s := range g.stations {
		if s.fill(now, perMinute); s.alone.used == 0 && s.keep.used == 0 {
			delete(g.stations, m)
		}
	}
}

func (s *share) fill(now time.Time, perMinute float64) {
	s.alone.fill(now, perMinute)
	s.keep.fill(now, perMinute)
}
