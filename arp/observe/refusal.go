package observe

import (
	"slices"
	"time"

	"arpeggio/stack/ethernet"
)

// RefusedEvery is how often the record repeats that a claim is refused, while it
// goes on. So whoever looks a minute around a time finds all that disputed an
// address then.
const RefusedEvery = time.Minute

// refusal is the claim of one MAC on an address that it does not get.
type refusal struct {
	mac   ethernet.Addr
	told  int64  // when it was recorded last
	since uint64 // claims since then
}

// maxRefusals bounds the claimants of one address that are counted; the one that
// was recorded longest ago makes room.
const maxRefusals = 8

// refuse counts a refused claim. It returns how many claims are to be recorded
// with this one: the first of a claimant, and then one record every
// RefusedEvery; 0 while it is not time. Now says that it is in any case.
func (m *more) refuse(mac ethernet.Addr, at int64, now bool) uint64 {
	i := slices.IndexFunc(m.refused, func(r refusal) bool { return r.mac == mac })
	switch {
	case i >= 0:
	case len(m.refused) < maxRefusals:
		i = len(m.refused)
		m.refused = append(m.refused, refusal{mac: mac})
	default:
		i = 0
		for j := range m.refused {
			if m.refused[j].told < m.refused[i].told {
				i = j
			}
		}
		m.refused[i] = refusal{mac: mac}
	}
	r := &m.refused[i]
	r.since++
	if !now && r.told != 0 && at >= r.told && at-r.told < int64(RefusedEvery) {
		return 0
	}
	n := r.since
	r.told, r.since = at, 0
	return n
}
