package vnet

import (
	"time"

	"arpeggio/stack/ethernet"
)

// station is the key of the forwarding table: an address within a broadcast
// domain (IEEE 802.1Q §8.8, independent VLAN learning).
type station struct {
	vlan ethernet.VLAN
	addr ethernet.Addr
}

type location struct {
	port *Port
	seen time.Time
}

// table is the forwarding database: it remembers behind which port an address
// was last seen, for ageing at longest and for at most limit addresses. A full
// table learns nothing new, so that a flood of invented addresses makes the
// switch flood but forgets nobody who speaks.
type table struct {
	at     map[station]location
	ageing time.Duration
	limit  int
	swept  time.Time
}

func (t *table) learn(s station, p *Port, now time.Time) {
	if !s.addr.IsStation() {
		return
	}
	if _, known := t.at[s]; !known && len(t.at) >= t.limit && !t.sweep(now) {
		return
	}
	t.at[s] = location{p, now}
}

// sweep forgets what has aged, at most once a second, and reports whether
// there is room.
func (t *table) sweep(now time.Time) bool {
	if !t.swept.IsZero() && now.Sub(t.swept) < time.Second {
		return false
	}
	t.swept = now
	for s, l := range t.at {
		if now.Sub(l.seen) > t.ageing {
			delete(t.at, s)
		}
	}
	return len(t.at) < t.limit
}

// find returns the port behind which s was seen, or nil.
func (t *table) find(s station, now time.Time) *Port {
	l, ok := t.at[s]
	if !ok || now.Sub(l.seen) > t.ageing {
		return nil
	}
	return l.port
}

func (t *table) forget(p *Port) {
	for s, l := range t.at {
		if l.port == p {
			delete(t.at, s)
		}
	}
}
