package gitserve

import (
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"arpeggio/vcs"
)

// Repository is what the server serves: any vcs store, or a bare Git directory
// opened by package gitremote.
type Repository interface {
	vcs.ObjectReader
	vcs.RefReader
}

// Config configures a Handler. All fields but Repository may be zero.
type Config struct {
	// Repository is served. It must be safe for concurrent use, and its refs
	// may move at any time.
	Repository Repository
	// Prefix is the path that the repository lives under, such as "/arp.git".
	// Leave it empty at the root or behind http.StripPrefix.
	Prefix string
	// Agent is the server's name in the protocol, without blanks; default
	// "arpeggio".
	Agent string
	// Logger is told of failures of the repository, not of clients' mistakes.
	// Nil discards.
	Logger *slog.Logger
	// MaxRequest bounds a request's body, in bytes after decompression;
	// default 16 MiB, which holds 320,000 have lines.
	MaxRequest int64
	// MaxWants and MaxHaves bound the want lines, and the have and shallow
	// lines each, of one request; defaults 65,536 and 262,144.
	MaxWants, MaxHaves int
	// MaxConcurrent bounds the fetches that compute and send packs at one time;
	// more wait for their turn. Default 4.
	MaxConcurrent int
	// WriteTimeout ends a response to a client that takes no data for so long;
	// default one minute. It replaces the http.Server's WriteTimeout, which
	// would limit a whole clone.
	WriteTimeout time.Duration
	// Grace is how long what a list of refs named stays readable for the client
	// that got it, should an epoch leave the repository before its next request.
	// Default one minute; negative: not at all. What is held for that is bounded
	// (see vcs.Pin).
	Grace time.Duration
	// Push lets clients write. Nil, or one without Writer or Authorize: the
	// repository is read-only here.
	Push *PushConfig
}

func (c Config) withDefaults() Config {
	if c.Agent == "" {
		c.Agent = "arpeggio"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxRequest <= 0 {
		c.MaxRequest = 16 << 20
	}
	if c.MaxWants <= 0 {
		c.MaxWants = 1 << 16
	}
	if c.MaxHaves <= 0 {
		c.MaxHaves = 1 << 18
	}
	if c.MaxConcurrent <= 0 {
		c.MaxConcurrent = 4
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = time.Minute
	}
	if c.Grace == 0 {
		c.Grace = time.Minute
	}
	if c.Push != nil && (c.Push.Writer == nil || c.Push.Authorize == nil) {
		c.Push = nil
	}
	if c.Push != nil {
		c.Push = c.Push.withDefaults()
	}
	return c
}

// Handler serves one repository. It is safe for concurrent use.
type Handler struct {
	cfg   Config
	slots chan struct{} // one element for each pack being made
	takes chan struct{} // one element for each push being taken in

	leases leases

	mu    sync.Mutex
	stats Stats
}

var _ http.Handler = (*Handler)(nil)

// Stats are totals since New.
type Stats struct {
	Advertisements uint64 // GET info/refs answered
	LsRefs         uint64 // v2 ls-refs answered
	Fetches        uint64 // packs sent in full
	Objects        uint64 // objects in those packs
	PackBytes      uint64 // bytes of those packs
	Hangups        uint64 // clients that went away, or took no data, in a response
	Failures       uint64 // failures of the repository
	Pushes         uint64 // pushes that changed at least one ref
	Updates        uint64 // refs that pushes changed
	Received       uint64 // objects that pushes stored
	// Refused counts requests, and refs of pushes, by the reason why they were
	// refused.
	Refused map[string]uint64
}

// New returns a handler that serves cfg.Repository.
func New(cfg Config) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{
		cfg:   cfg,
		slots: make(chan struct{}, cfg.MaxConcurrent),
		stats: Stats{Refused: map[string]uint64{}},

		leases: leases{grace: cfg.Grace},
	}
	if cfg.Push != nil {
		h.takes = make(chan struct{}, cfg.Push.MaxConcurrent)
	}
	return h
}

// Stats returns a copy of the totals.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Refused = maps.Clone(s.Refused)
	return s
}

func (h *Handler) count(add func(*Stats)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	add(&h.stats)
}

func (h *Handler) newFetchArgs() *fetchArgs {
	return &fetchArgs{maxWants: h.cfg.MaxWants, maxHaves: h.cfg.MaxHaves}
}
