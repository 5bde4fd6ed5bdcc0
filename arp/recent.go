package arp

import (
	"net/netip"
	"time"
)

// recent remembers when addresses were asked for whose entries are gone, so
// that a forgotten entry is no way around the rate limit. Its size is bounded
// by who looks: see Engine.query.
type recent struct {
	at    map[netip.Addr]time.Time
	order []netip.Addr // as they were added
}

// add notes the last request for an address.
func (r *recent) add(a netip.Addr, at time.Time) {
	if r.at == nil {
		r.at = make(map[netip.Addr]time.Time)
	}
	if _, ok := r.at[a]; !ok {
		r.order = append(r.order, a)
	}
	r.at[a] = at
}

// last returns when a was last asked for; zero when that is long ago.
func (r *recent) last(a netip.Addr) time.Time { return r.at[a] }

// prune forgets what no longer limits anything, and returns how much is left.
func (r *recent) prune(now time.Time, rate time.Duration) int {
	i := 0
	for ; i < len(r.order) && now.Sub(r.at[r.order[i]]) >= rate; i++ {
		delete(r.at, r.order[i])
	}
	if r.order = r.order[i:]; len(r.order) == 0 {
		r.order = nil
	}
	return len(r.order)
}
