package main

import (
	"net"
	"net/http"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/site"
)

// metricsServer serves an observer's metrics. A nil one does nothing.
type metricsServer struct {
	listener net.Listener
	server   *http.Server
}

// listenMetrics opens an address, and nothing when it is empty.
func listenMetrics(addr string) (*metricsServer, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, withHint(err, "--metrics wants HOST:PORT, such as 127.0.0.1:9101, that nobody else uses")
	}
	return &metricsServer{listener: l}, nil
}

// serve begins to answer.
func (m *metricsServer) serve(o *observation) {
	if m == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", site.NewMetrics(site.LiveConfig{Metrics: o.metrics}))
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	go m.server.Serve(m.listener)
}

func (m *metricsServer) close() {
	if m == nil {
		return
	}
	m.listener.Close()
	if m.server != nil {
		m.server.Close()
	}
}

// metrics gives an observer's numbers their Prometheus names. They are at most a
// moment old.
func (o *observation) metrics() site.Metrics {
	st, store := o.Latest(), o.store.Stats()
	m := site.Metrics{
		EntriesMax:    observe.DefaultMaxEntries,
		Observed:      &site.Observed{Addresses: st.Engine.Entries, Stations: st.Engine.Stations, Episodes: st.Engine.Episodes},
		Events:        map[string]uint64{},
		Frames:        map[string]uint64{},
		FramesDropped: map[string]uint64{"lost": st.Lost},
		Evictions:     st.Engine.Evicted,
		Commits:       st.Journal.Commits,
		CommitSeconds: site.Histogram{Count: st.Delay.Count, Sum: st.Delay.Sum.Seconds(), Buckets: map[float64]uint64{}},
		StoreBytes:    uint64(max(store.LogBytes, 0)),
		StoreCommits:  uint64(store.Commits),
		Epochs:        map[string]uint64{"here": uint64(store.Epochs), "archived": uint64(store.Archived), "lost": uint64(store.Lost)},
	}
	for bound, n := range st.Delay.Buckets {
		m.CommitSeconds.Buckets[bound.Seconds()] = n
	}
	for i := range observe.Types() {
		m.Events[i.Name] = st.Engine.Events[i.Type]
	}
	for k, n := range st.Engine.Frames {
		m.Frames[observe.Kind(k).String()] = n
	}
	for r := observe.ReasonOther; r < observe.NumReasons; r++ {
		m.FramesDropped[r.String()] = st.Engine.Malformed[r]
	}
	m.FramesDropped["overflow"] = st.Engine.Overflow
	if len(o.sinks.Group) > 0 {
		m.Deliveries = map[string]uint64{}
		for _, s := range o.sinks.Group {
			c := s.Counts()
			m.Deliveries["delivered"] += c.Delivered
			m.Deliveries["failed"] += c.Failed
			m.Deliveries["dropped"] += c.Dropped
		}
	}
	return m
}
