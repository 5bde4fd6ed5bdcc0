package appliance

import (
	"reflect"
	"strings"

	"arpeggio/arp"
	"arpeggio/site"
)

// counters lists what the stack, the record, the card and the recording count, in
// the order of their fields.
func (a *Appliance) counters() []site.Counter {
	var out []site.Counter
	st := reflect.ValueOf(a.node.Stack.Stats())
	for i := range st.NumField() {
		if f := st.Type().Field(i); f.Type.Kind() == reflect.Struct {
			out = appendCounters(out, splitWords(f.Name)+" ", st.Field(i))
		}
	}
	out = appendCounters(out, "", st)
	out = appendCounters(out, "record ", reflect.ValueOf(a.table.Stats()))
	if a.cfg.Recording != nil {
		out = appendCounters(out, "recording ", reflect.ValueOf(a.cfg.Recording.Stats()))
	}
	if a.cfg.DeviceStats != nil {
		out = appendCounters(out, "device ", reflect.ValueOf(a.cfg.DeviceStats()))
	}
	return out
}

// appendCounters adds the uint64 fields of a struct, with prefix before their
// names. The tag mib is an object of a MIB, and the tag metric:"gauge" marks
// what may fall.
func appendCounters(out []site.Counter, prefix string, v reflect.Value) []site.Counter {
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous || f.Type.Kind() != reflect.Uint64 {
			continue
		}
		words := prefix + splitWords(f.Name)
		c := site.Counter{Name: metricName(words), Help: strings.ToUpper(words[:1]) + words[1:], Value: v.FieldByIndex(f.Index).Uint(), Gauge: f.Tag.Get("metric") == "gauge"}
		if object := f.Tag.Get("mib"); object != "" {
			c.Help += " (" + object + ")"
		}
		out = append(out, c)
	}
	return out
}

// metricName makes a name for Prometheus, with its base unit for octets.
func metricName(words string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(words), " ", "_"), "octets", "bytes")
}

// splitWords makes lower-case words of a Go name, keeping acronyms, also in the
// plural: BadChecksum becomes "bad checksum", ReasmOKs "reasm OKs".
func splitWords(name string) string {
	upper := func(i int) bool { return i < len(name) && 'A' <= name[i] && name[i] <= 'Z' }
	var words []string
	for i := 0; i < len(name); {
		end := i + 1
		for upper(end) {
			end++
		}
		switch {
		case end == i+1: // a word
			for end < len(name) && !upper(end) {
				end++
			}
			words = append(words, strings.ToLower(name[i:end]))
		case end < len(name) && name[end] == 's' && (end+1 == len(name) || upper(end+1)):
			end++
			words = append(words, name[i:end])
		default:
			if end < len(name) {
				end-- // the last capital begins a word
			}
			words = append(words, name[i:end])
		}
		i = end
	}
	return strings.Join(words, " ")
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
