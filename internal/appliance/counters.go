package appliance

import (
	"reflect"
	"strings"
	"unicode"

	"arpeggio/arp"
	"arpeggio/site"
)

// counters lists what the stack counts, in the order of stack.Stats.
func (a *Appliance) counters() []site.Counter {
	var out []site.Counter
	add := func(prefix string, v reflect.Value) {
		for _, f := range reflect.VisibleFields(v.Type()) {
			if f.Anonymous || f.Type.Kind() != reflect.Uint64 {
				continue
			}
			words := prefix + splitWords(f.Name)
			out = append(out, site.Counter{
				Name: strings.ToLower(strings.ReplaceAll(words, " ", "_")), Help: words,
				Value: v.FieldByIndex(f.Index).Uint(),
			})
		}
	}
	add("", reflect.ValueOf(a.node.Stack.Stats()))
	add("record ", reflect.ValueOf(a.table.Stats()))
	return out
}

// splitWords makes words of a Go name, keeping acronyms: IPBadChecksum becomes
// "IP bad checksum".
func splitWords(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte(' ')
		}
		acronym := unicode.IsUpper(c) && (i > 0 && unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsUpper(r[i+1]))
		if i > 0 && !acronym || acronym && i+1 < len(r) && unicode.IsLower(r[i+1]) {
			c = unicode.ToLower(c)
		}
		b.WriteRune(c)
	}
	return b.String()
}

// histogram converts a distribution.
func histogram(d *arp.Durations) site.Histogram {
	h := site.Histogram{Count: d.Count, Sum: d.Sum.Seconds(), Buckets: map[float64]uint64{}}
	for bound, n := range d.Buckets {
		h.Buckets[bound.Seconds()] = n
	}
	return h
}

// metrics gives ARP's numbers their Prometheus names.
func (a *Appliance) metrics() site.Metrics {
	s, t, h := a.node.ARP.Stats(), a.table.Stats(), a.store.Stats()
	m := site.Metrics{
		EntriesMax: capacity,
		Events: map[string]uint64{
			"learned": s.Learned, "moved": s.Moved, "refused": s.Refused, "expired": s.Expired,
			"verified": s.Verified, "conflict": s.Conflicts,
		},
		Frames:            map[string]uint64{},
		FramesDropped:     map[string]uint64{},
		Resolutions:       map[string]uint64{"hit": s.Hits, "answered": s.Answered, "timeout": s.TimedOut},
		Evictions:         s.Evicted,
		ResolutionSeconds: histogram(&s.Waited), CommitSeconds: histogram(&t.Delay),
		Commits:      t.Commits + t.Merges,
		StoreBytes:   uint64(h.LogBytes),
		StoreCommits: uint64(h.Commits),
		Epochs:       map[string]uint64{"here": uint64(h.Epochs), "archived": uint64(h.Archived), "lost": uint64(h.Lost)},
	}
	for k, n := range s.Received {
		m.Frames[arp.Kind(k).String()] = n
	}
	for r := arp.DropReason(1); r < arp.NumDropReasons; r++ {
		m.FramesDropped[r.String()] = s.Dropped[r]
	}
	return m
}
