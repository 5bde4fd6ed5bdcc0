package observe

// quota is how much of the record a station may fill with commits of their own:
// StationBurst changes in a row, then StationPerMinute. What it does beyond that
// is recorded, too, in the summaries of its seconds.
type quota struct {
	spent float32
	at    uint32 // Unix seconds, of what is spent
}

// take counts a change at a second and reports whether it is one too many.
func (q *quota) take(second int64, burst, perMinute int) bool {
	at := uint32(second)
	if at > q.at {
		q.spent = max(0, q.spent-float32(at-q.at)*float32(perMinute)/60)
	}
	q.at = at // it may have gone back
	if q.spent+1 > float32(burst) {
		return true
	}
	q.spent++
	return false
}

// noisy counts a change that a station made, and reports whether its quota is
// used up. That is told once, when it begins.
func (e *Engine) noisy(s *Sighting, st *station, typ Type, k addrKey) bool {
	if e.cfg.StationBurst < 0 || !st.quota.take(e.now/1e9, e.cfg.StationBurst, e.cfg.StationPerMinute) {
		return false
	}
	sk := episodeKey{typ: typ, sub: sumOfMany, addr: segmentKey(k.seg), mac: packMAC(s.MAC)}
	if ep := e.episodes[sk]; ep != nil {
		e.again(ep, s)
		return true
	}
	if len(e.episodes) >= e.cfg.MaxEpisodes {
		return true
	}
	ep, r := e.begin(sk, e.cfg.EpisodeGap, s)
	r.Alert = true
	r.Detail = "and many more changes by this station: the rest is in the record only"
	ep.tell(r)
	return true
}
