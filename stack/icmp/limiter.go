package icmp

import (
	"net/netip"
	"time"
)

// What a Limiter allows unless its Config says otherwise: Linux's total, and
// per destination a burst that lets a traceroute or a port scan of modest speed
// through.
const (
	DefaultRate      = 1000 // errors a second, to all destinations together
	DefaultBurst     = 50
	DefaultHostRate  = 10 // errors a second, to one destination
	DefaultHostBurst = 20
	maxHosts         = 1024
)

// LimiterConfig sets the token buckets of a Limiter. The zero value takes the
// defaults.
type LimiterConfig struct {
	Rate, Burst         int
	HostRate, HostBurst int
	// Rand returns random numbers. With it, what an error takes of the total varies
	// around one, so that who makes the host send errors cannot count those that it
	// sends to others: that would tell which ports are open to them. Nil means that
	// each takes one.
	Rand func() uint64
}

// Limiter limits the rate of error messages (RFC 1812 §4.3.2.8), in total and
// by destination, with token buckets. It is not safe for concurrent use. The
// zero value is not usable; call NewLimiter.
type Limiter struct {
	cfg   LimiterConfig
	total bucket
	hosts map[netip.Addr]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewLimiter returns a Limiter with full buckets.
func NewLimiter(cfg LimiterConfig) *Limiter {
	setDefault(&cfg.Rate, DefaultRate)
	setDefault(&cfg.Burst, DefaultBurst)
	setDefault(&cfg.HostRate, DefaultHostRate)
	setDefault(&cfg.HostBurst, DefaultHostBurst)
	return &Limiter{cfg: cfg, total: bucket{tokens: float64(cfg.Burst)}, hosts: map[netip.Addr]*bucket{}}
}

func setDefault(v *int, def int) {
	if *v <= 0 {
		*v = def
	}
}

// Allow reports whether an error may go to dst at now, and if so counts it.
func (l *Limiter) Allow(now time.Time, dst netip.Addr) bool {
	h := l.hosts[dst]
	if h == nil {
		if len(l.hosts) >= maxHosts {
			l.prune(now)
		}
		h = &bucket{tokens: float64(l.cfg.HostBurst), at: now}
		l.hosts[dst] = h
	}
	h.fill(now, l.cfg.HostRate, l.cfg.HostBurst)
	l.total.fill(now, l.cfg.Rate, l.cfg.Burst)
	if h.tokens < 1 || l.total.tokens < 1 {
		return false
	}
	h.tokens--
	l.total.tokens -= l.share()
	return true
}

// share returns what one error takes of the total.
func (l *Limiter) share() float64 {
	if l.cfg.Rand == nil {
		return 1
	}
	return float64(l.cfg.Rand()%2048) / 1023.5 // 0 to 2
}

func (b *bucket) fill(now time.Time, rate, burst int) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(float64(burst), b.tokens+d.Seconds()*float64(rate))
	}
	b.at = now
}

// prune forgets the destinations whose bucket is full again; when there are
// none it forgets all and leaves the total to do the limiting.
func (l *Limiter) prune(now time.Time) {
	for a, h := range l.hosts {
		if h.fill(now, l.cfg.HostRate, l.cfg.HostBurst); h.tokens >= float64(l.cfg.HostBurst) {
			delete(l.hosts, a)
		}
	}
	if len(l.hosts) >= maxHosts {
		clear(l.hosts)
	}
}
