package site

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is a snapshot of the numbers behind /metrics that are not on the page.
// Keys of the maps become label values: they are few and chosen by the program,
// never an address. Nil maps and zero histograms are left out.
type Metrics struct {
	EntriesMax        int               // capacity of the neighbour table, entries; 0 leaves it out
	Observed          *Observed         // what an observer knows; nil when there is none
	Deliveries        map[string]uint64 // events that receivers were told of, by result
	Events            map[string]uint64 // by type
	Frames            map[string]uint64 // ARP frames by operation
	FramesDropped     map[string]uint64 // by reason
	Resolutions       map[string]uint64 // by result
	ResolutionSeconds Histogram         // from question to answer
	Evictions         uint64            // entries that made room
	Commits           uint64            // commits made
	CommitSeconds     Histogram         // from change to commit
	StoreBytes        uint64            // octets in the store
	StoreCommits      uint64            // commits in the store
	Epochs            map[string]uint64 // epochs of the history by state
}

// Observed is how much an observer of a network knows.
type Observed struct {
	Addresses int // entries, all states
	Stations  int // MAC addresses
	Episodes  int // under way
}

// Histogram is a distribution of durations in seconds.
type Histogram struct {
	Count   uint64
	Sum     float64            // seconds
	Buckets map[float64]uint64 // by upper bound in seconds: how many took no longer
}

// NewMetrics returns a handler of Prometheus metrics alone, those that Live has
// under /metrics. Of cfg it uses Started, Neighbors, Metrics and Counters.
func NewMetrics(cfg LiveConfig) http.Handler {
	if cfg.Started.IsZero() {
		cfg.Started = time.Now()
	}
	return metricsHandler(&cfg)
}

// metricsHandler serves a registry of its own: what other packages of the
// program register globally is not shown.
func metricsHandler(cfg *LiveConfig) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), &collector{cfg})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}

// collector turns one snapshot into metrics at each scrape.
type collector struct{ cfg *LiveConfig }

// Describe names nothing, which makes the collector unchecked: which label
// values and which counters there are is only known at the scrape.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	e := &exposition{ch: ch, seen: make(map[string]bool)}
	cfg := c.cfg
	e.gauge("start_time_seconds", "When the node started, in seconds since 1970.", float64(cfg.Started.UnixMilli())/1000)
	if cfg.Neighbors != nil {
		e.neighbors(cfg.Neighbors())
	}
	if cfg.Metrics != nil {
		m := cfg.Metrics()
		if m.EntriesMax > 0 {
			e.gauge("neighbor_entries_max", "How many entries the neighbour table can hold.", float64(m.EntriesMax))
		}
		if o := m.Observed; o != nil {
			// No VLAN: whoever sends tagged frames could make any number of series.
			e.send("neighbor_entries", neighborEntries, prometheus.GaugeValue, float64(o.Addresses), []string{"family", "state", "vlan"}, "", "observed", "")
			e.gauge("stations", "MAC addresses that are known.", float64(o.Stations))
			e.gauge("episodes", "Episodes under way, such as a duplicate address.", float64(o.Episodes))
		}
		e.counters("deliveries_total", "Events for syslog, a webhook or a command.", "result", m.Deliveries)
		e.counters("events_total", "Changes seen on the network.", "type", m.Events)
		e.counters("frames_total", "ARP frames received.", "op", m.Frames)
		e.counters("frames_dropped_total", "Frames that were not used.", "reason", m.FramesDropped)
		e.counters("resolutions_total", "Questions for a neighbour's link-layer address.", "result", m.Resolutions)
		e.histogram("resolution_seconds", "Time from a question to its answer.", m.ResolutionSeconds)
		e.counter("evictions_total", "Entries that left the table to make room.", m.Evictions)
		e.counter("commits_total", "Commits made.", m.Commits)
		e.histogram("commit_seconds", "Time from a change to its commit.", m.CommitSeconds)
		e.gauge("store_bytes", "Size of the store.", float64(m.StoreBytes))
		e.gauge("store_commits", "Commits in the store.", float64(m.StoreCommits))
		for _, k := range slices.Sorted(maps.Keys(m.Epochs)) {
			e.send("store_epochs", "Epochs of the history.", prometheus.GaugeValue, float64(m.Epochs[k]), []string{"state"}, k)
		}
	}
	if cfg.Counters != nil {
		for _, k := range cfg.Counters() {
			name, add := strings.TrimSuffix(k.Name, "_total")+"_total", e.counter
			if k.Gauge {
				name, add = k.Name, func(name, help string, v uint64) { e.gauge(name, help, float64(v)) }
			}
			if metricName(k.Name) && !e.seen[name] {
				add(name, clean(k.Help, 100), k.Value)
			}
		}
	}
}

const neighborEntries = "Entries of the neighbour table."

// exposition writes metrics named arpeggio_…, each series once.
type exposition struct {
	ch   chan<- prometheus.Metric
	seen map[string]bool // names, and names with their label values
}

func (e *exposition) neighbors(ns []Neighbor) {
	type key struct{ family, state, vlan string }
	count := make(map[key]int)
	for _, n := range ns {
		family := "ipv4"
		if n.Addr.Is6() && !n.Addr.Is4In6() {
			family = "ipv6"
		}
		count[key{family, n.State, n.VLAN}]++
	}
	for k, n := range count {
		e.send("neighbor_entries", neighborEntries, prometheus.GaugeValue, float64(n),
			[]string{"family", "state", "vlan"}, k.family, k.state, k.vlan)
	}
}

func (e *exposition) gauge(name, help string, v float64) {
	e.send(name, help, prometheus.GaugeValue, v, nil)
}

func (e *exposition) counter(name, help string, v uint64) {
	e.send(name, help, prometheus.CounterValue, float64(v), nil)
}

func (e *exposition) counters(name, help, label string, m map[string]uint64) {
	other := uint64(0)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if labelValue(k) == "other" {
			other += m[k]
			continue
		}
		e.send(name, help, prometheus.CounterValue, float64(m[k]), []string{label}, k)
	}
	if other > 0 {
		e.send(name, help, prometheus.CounterValue, float64(other), []string{label}, "other")
	}
}

func (e *exposition) histogram(name, help string, h Histogram) {
	if h.Count == 0 && len(h.Buckets) == 0 {
		return
	}
	d := prometheus.NewDesc("arpeggio_"+name, help, nil, nil)
	if m, err := prometheus.NewConstHistogram(d, h.Count, h.Sum, h.Buckets); err == nil && e.first(name) {
		e.ch <- m
	}
}

func (e *exposition) send(name, help string, t prometheus.ValueType, v float64, labels []string, values ...string) {
	for i := range values {
		values[i] = labelValue(values[i])
	}
	d := prometheus.NewDesc("arpeggio_"+name, help, labels, nil)
	if m, err := prometheus.NewConstMetric(d, t, v, values...); err == nil && e.first(name, values...) {
		e.ch <- m
	}
}

// first reports whether a series has not been written yet: one that is written
// twice would spoil the whole scrape.
func (e *exposition) first(name string, values ...string) bool {
	k := name + "\x00" + strings.Join(values, "\x00")
	if e.seen[k] {
		return false
	}
	e.seen[k], e.seen[name] = true, true
	return true
}

// labelValue lets nothing become a label that there can be any number of: an
// address as a label makes a series for every stranger who sends a frame.
func labelValue(s string) string {
	if _, err := netip.ParseAddr(s); err == nil {
		return "other"
	}
	if _, err := net.ParseMAC(s); err == nil {
		return "other"
	}
	return clean(s, 60)
}

// metricName reports whether s can continue arpeggio_ in a metric's name.
func metricName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
