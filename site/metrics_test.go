package site_test

import (
	"net/netip"
	"strings"
	"testing"

	"arpeggio/site"
)

func TestMetrics(t *testing.T) {
	l := newLive(t, site.LiveConfig{
		Neighbors: func() []site.Neighbor {
			return []site.Neighbor{
				{Addr: netip.MustParseAddr("10.0.0.1"), State: "reachable"},
				{Addr: netip.MustParseAddr("10.0.0.2"), State: "reachable", VLAN: "vlan-7"},
				{Addr: netip.MustParseAddr("10.0.0.3"), State: "reachable"},
				{Addr: netip.MustParseAddr("fe80::1"), State: "stale"},
			}
		},
		Metrics: func() site.Metrics {
			return site.Metrics{
				EntriesMax:        4096,
				Events:            map[string]uint64{"new": 3, "10.0.0.9": 2, "02:50:2a:16:6d:01": 5},
				Frames:            map[string]uint64{"request": 10, "reply": 4},
				FramesDropped:     map[string]uint64{"short": 1},
				Resolutions:       map[string]uint64{"answered": 2, "timeout": 1},
				ResolutionSeconds: site.Histogram{Count: 2, Sum: 0.25, Buckets: map[float64]uint64{0.1: 1, 1: 2}},
				Evictions:         6, Commits: 7, StoreBytes: 8192, StoreCommits: 99, Epochs: map[string]uint64{"here": 3, "lost": 1},
				CommitSeconds: site.Histogram{Count: 1, Sum: 0.5, Buckets: map[float64]uint64{1: 1}},
			}
		},
		Counters: func() []site.Counter {
			return []site.Counter{
				{Name: "tcp_segments_in", Help: "TCP segments in", Value: 9},
				{Name: "tcp_segments_in", Help: "the same again", Value: 10},
				{Name: "tcp_curr_estab", Help: "TCP curr estab", Value: 2, Gauge: true},
				{Name: "events_total", Help: "clashes with arpeggio_events_total", Value: 11},
				{Name: "Bad-Name", Help: "cannot be a metric", Value: 12},
			}
		},
	})
	res := get(l, "/metrics")
	b := body(t, res)
	if res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, b)
	}
	for _, want := range []string{
		`arpeggio_neighbor_entries{family="ipv4",state="reachable",vlan=""} 2`,
		`arpeggio_neighbor_entries{family="ipv4",state="reachable",vlan="vlan-7"} 1`,
		`arpeggio_neighbor_entries{family="ipv6",state="stale",vlan=""} 1`,
		"arpeggio_neighbor_entries_max 4096",
		`arpeggio_events_total{type="new"} 3`,
		`arpeggio_events_total{type="other"} 7`,
		`arpeggio_frames_total{op="request"} 10`,
		`arpeggio_frames_dropped_total{reason="short"} 1`,
		`arpeggio_resolutions_total{result="timeout"} 1`,
		`arpeggio_resolution_seconds_bucket{le="0.1"} 1`,
		"arpeggio_resolution_seconds_count 2",
		"arpeggio_evictions_total 6", "arpeggio_commits_total 7", "arpeggio_store_bytes 8192",
		"arpeggio_store_commits 99", `arpeggio_store_epochs{state="here"} 3`, `arpeggio_store_epochs{state="lost"} 1`,
		"arpeggio_commit_seconds_sum 0.5",
		"arpeggio_tcp_segments_in_total 9",
		"# TYPE arpeggio_tcp_segments_in_total counter",
		"arpeggio_tcp_curr_estab 2",
		"# TYPE arpeggio_tcp_curr_estab gauge",
		"go_goroutines ",
	} {
		if !strings.Contains(b, want+"\n") && !strings.Contains(b, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, not := range []string{"10.0.0.", "02:50", "Bad", "arpeggio_events_total 11", "the same again"} {
		if strings.Contains(b, not) {
			t.Errorf("%q is in the metrics", not)
		}
	}
}
