package site

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Neighbor is one row of the neighbour table.
type Neighbor struct {
	Interface string     `json:"interface"`
	VLAN      string     `json:"vlan,omitempty"` // as in the repository's folder; empty when untagged
	Addr      netip.Addr `json:"addr"`
	MAC       string     `json:"mac,omitempty"` // empty while unresolved
	State     string     `json:"state"`         // static, reachable, stale, delay, probe, incomplete, failed
	Learned   string     `json:"learned"`       // how: reply, request, announcement, …
	FirstSeen time.Time  `json:"first_seen"`    // zero when unknown
	Confirmed time.Time  `json:"confirmed"`     // last sign of life; zero when there was none
}

// Commit is one commit of the history.
type Commit struct {
	ID      string    `json:"id"` // hexadecimal
	Subject string    `json:"subject"`
	Author  string    `json:"author"`
	Time    time.Time `json:"time"`
	Parents []string  `json:"parents"`
	Refs    []string  `json:"refs,omitempty"` // short names of the branches that end here
}

// Interface is a network interface of the node.
type Interface struct {
	Name  string         `json:"name"`
	MAC   string         `json:"mac"`
	Addrs []netip.Prefix `json:"addrs"`
	MTU   int            `json:"mtu"` // octets
}

// Counter is a number that only grows, or a gauge. On /metrics it is
// arpeggio_<Name>_total, a gauge arpeggio_<Name>; on the page it stands beside
// Help.
type Counter struct {
	Name  string `json:"name"` // lower-case letters, digits and underscores: tcp_segments_in
	Help  string `json:"help"` // a few words for people: TCP segments in
	Value uint64 `json:"value"`
	// Gauge marks a number that may fall: how much there is now.
	Gauge bool `json:"gauge,omitempty"`
}

// LiveConfig tells NewLive where its pages take their content. Each function
// returns a snapshot that the caller may keep; it is called from any goroutine,
// at most every 250 ms however many readers there are, and should take
// milliseconds. Every function may be nil: the page then leaves its part out.
type LiveConfig struct {
	Node    string    // the node's name; empty means arpeggio
	Started time.Time // for the uptime; zero means when NewLive was called

	Neighbors  func() []Neighbor
	Commits    func(n int) []Commit // the newest n, children before parents
	Interfaces func() []Interface
	Counters   func() []Counter
	Metrics    func() Metrics
	Health     func() error // nil error: /healthz answers 200, else 503 with its text

	// History serves the repository: it is mounted at /arp.git/ and sees
	// paths without that prefix, such as /info/refs.
	History http.Handler
	// CloneURL is what the page tells people to clone; empty means /arp.git
	// under the address they used.
	CloneURL string
	// SiteURL links to the site that the node serves; empty leaves it out.
	SiteURL string

	// Hosts are names under which the page may be asked for, besides
	// addresses, localhost, names without a dot and names that cannot be
	// registered on the Internet (.local, .lan, .internal, .home.arpa, .test).
	// Any other Host is refused: a page that names everyone on the network
	// must not be read by a stranger's script through DNS rebinding.
	Hosts []string

	// Interval is how often a reader's page is compared with the state; zero
	// means one second.
	Interval time.Duration
	// MaxStreams bounds the readers that are kept up to date at once; zero
	// means 32. One more gets 503 and a page that does not move.
	MaxStreams int
	Logger     *slog.Logger // nil discards
}

// commitsShown is how many commits the page shows.
const commitsShown = 40

// maxRows bounds each list on the page and in /api/; /metrics and the clone
// have everything.
const maxRows = 2000

// snapshotAge is for how long one snapshot answers every reader.
const snapshotAge = 250 * time.Millisecond

// Live is the handler of the management address. It is safe for concurrent use.
//
//	/             the page          /events       its changes (Server-Sent Events)
//	/arp.git/     the repository    /api/neighbors, /api/commits, /api/status
//	/metrics      for Prometheus    /healthz      for whoever restarts things
type Live struct {
	cfg     LiveConfig
	mux     *http.ServeMux
	log     *slog.Logger
	ctx     context.Context
	close   context.CancelFunc
	streams atomic.Int32

	mu   sync.Mutex
	last snapshot
}

//go:embed assets live.html
var assets embed.FS

// NewLive returns the management pages. Call Close when the server shuts down.
func NewLive(cfg LiveConfig) *Live {
	if cfg.Node == "" {
		cfg.Node = "arpeggio"
	}
	if cfg.Started.IsZero() {
		cfg.Started = time.Now()
	}
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = 32
	}
	l := &Live{cfg: cfg, mux: http.NewServeMux(), log: cfg.Logger}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.ctx, l.close = context.WithCancel(context.Background())

	l.mux.HandleFunc("GET /{$}", l.servePage)
	l.mux.HandleFunc("GET /events", l.serveEvents)
	l.mux.HandleFunc("GET /api/neighbors", l.serveNeighbors)
	l.mux.HandleFunc("GET /api/commits", l.serveCommits)
	l.mux.HandleFunc("GET /api/status", l.serveStatus)
	l.mux.HandleFunc("GET /healthz", l.serveHealth)
	l.mux.Handle("GET /metrics", metricsHandler(&l.cfg))
	if cfg.History != nil {
		l.mux.Handle("/arp.git/", http.StripPrefix("/arp.git", cfg.History))
	}
	sub, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // "assets" is a valid path
	}
	l.mux.Handle("GET /assets/", http.StripPrefix("/assets", embedded(sub)))
	l.mux.Handle("GET /favicon.svg", embedded(Default()))
	return l
}

// embedded serves files that are part of the binary; a browser asks each time,
// because the next binary may hold others.
func embedded(fsys fs.FS) *Handler {
	h, err := New(Config{FS: fsys, MaxAge: -1})
	if err != nil {
		panic(err) // an embedded folder can be read
	}
	return h
}

// Close ends the event streams, which http.Server.Shutdown would wait for;
// register it with RegisterOnShutdown. It is idempotent.
func (l *Live) Close() { l.close() }

// csp lets the page load its own style sheet and script, connect to its own
// events, and nothing else.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP serves the management pages.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.URL.Path != "/healthz" && !hostAllowed(r.Host, l.cfg.Hosts) {
		l.log.Debug("refused a request for a foreign host name", "host", r.Host)
		http.Error(w, "This server does not answer for that host name.\n"+
			"Use its address, or add the name to the management hosts in its configuration.", http.StatusMisdirectedRequest)
		return
	}
	l.mux.ServeHTTP(w, r)
}

func (l *Live) serveHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if l.cfg.Health != nil {
		if err := l.cfg.Health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(clean(err.Error(), 500) + "\n"))
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}
