package main

import (
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
)

func TestWatchMetrics(t *testing.T) {
	f := observeFlags{Node: "observer", Branch: "primary", Policy: "compat", Quiet: true, sinkFlags: sinkFlags{Exec: "true"}}
	o, err := f.start(t.Context(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	n, err := o.AddInterface(capture.Interface{Name: "va"}, true)
	if err != nil {
		t.Fatal(err)
	}
	mac := ethernet.MustParseAddr("52:54:00:00:00:07")
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
	p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.MustParseAddr("10.9.0.7"), TargetIP: netip.MustParseAddr("10.9.0.1")}
	frame := p.AppendTo(h.AppendTo(nil))
	for _, data := range [][]byte{frame, frame, frame[:20]} {
		if err := o.Frame(t.Context(), n, &capture.Packet{Time: time.Now(), Data: data, Length: len(data)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Idle(); err != nil {
		t.Fatal(err)
	}
	m, err := listenMetrics("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	m.serve(o)
	resp, err := http.Get("http://" + m.listener.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`arpeggio_neighbor_entries{family="",state="observed",vlan=""} 1`, `arpeggio_neighbor_entries_max 1e+06`, `arpeggio_stations 1`,
		`arpeggio_events_total{type="new-station"} 1`, `arpeggio_events_total{type="malformed"} 1`, `arpeggio_events_total{type="spoof"} 0`,
		`arpeggio_frames_total{op="request"} 2`, `arpeggio_frames_dropped_total{reason="short"} 1`, `arpeggio_frames_dropped_total{reason="lost"} 0`,
		`arpeggio_commits_total 2`, `arpeggio_commit_seconds_count 2`, `arpeggio_commit_seconds_bucket{le="10"} 2`, `arpeggio_deliveries_total{result="failed"} 0`,
	} {
		if !strings.Contains(string(b), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if bad := regexp.MustCompile(`(?i)10\.9\.0|52:54`).FindString(string(b)); bad != "" {
		t.Errorf("%s is in the metrics", bad)
	}
	if t.Failed() {
		t.Logf("%s", b)
	}
	if err := o.finish(t.Context(), nil, 0); err != nil {
		t.Fatal(err)
	}
	if m, err := listenMetrics("127.0.0.1:x"); err == nil {
		m.close()
		t.Error("an address without a port is accepted")
	}
	var none *metricsServer
	none.serve(o)
	none.close()
}
