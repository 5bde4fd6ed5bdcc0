package arp

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

// LearnPolicy says which packets may make a binding. Whatever the policy, an
// answer to a request of our own is believed when nobody is bound yet.
type LearnPolicy uint8

// Learning policies, from the default on.
const (
	// LearnRequested (the default) follows RFC 826 for requests: whoever asks
	// for one of our addresses is learned, since we are about to answer it;
	// every other packet only concerns addresses that are bound already.
	LearnRequested LearnPolicy = iota
	// LearnNever believes only the answers to our own requests.
	LearnNever
	// LearnKnown also lets other packets concern addresses that are bound
	// already (the merge step of RFC 826), but makes no binding from them.
	LearnKnown
	// LearnAlways makes a binding from every sane packet, gratuitous ones and
	// those of other stations' conversations included.
	LearnAlways
)

// MovePolicy says when a live binding may change its MAC address.
type MovePolicy uint8

// Move policies, from the default on.
const (
	// MoveVerify (the default) asks the old owner by unicast when somebody
	// claims its address unasked; the binding moves only if the old owner is
	// silent for VerifyTime.
	MoveVerify MovePolicy = iota
	// MoveStrict moves only on an answer to a broadcast request of our own.
	MoveStrict
	// MoveFirst never moves: the first owner keeps the address until its
	// binding has expired.
	MoveFirst
	// MoveCompat believes the last speaker, as RFC 826 and the systems of its
	// time do.
	MoveCompat
)

// DefendPolicy says what becomes of an own address that another station
// claims again within DefendInterval of a first defence (RFC 5227 §2.4).
type DefendPolicy uint8

// Defence policies, from the default on.
const (
	// DefendHold keeps the address and defends it once per DefendInterval
	// (§2.4 (c)): two frames must not take a server off the network. A link-local
	// address is given up as under DefendOnce (RFC 3927 §2.5).
	DefendHold DefendPolicy = iota
	// DefendOnce gives the address up at the second conflict (§2.4 (b)).
	DefendOnce
	// DefendNever gives the address up at the first conflict (§2.4 (a)).
	DefendNever
)

// Config holds every number and choice of an Engine and its Service. The zero
// value works and stands for the defaults named at each field; a negative
// duration or count means zero where that makes sense.
type Config struct {
	// Table receives the changes; NewMemTable() when nil. Used by Service only.
	Table Table
	// Domain names the broadcast domain in keys; "lan" when empty.
	Domain string

	Learn  LearnPolicy
	Move   MovePolicy
	Defend DefendPolicy

	// Neighbour states, RFC 4861 §10.
	ReachableTime time.Duration // 30 s, times a random factor of 0.5 to 1.5: then stale
	RetransTimer  time.Duration // 1 s between requests for one address, never less (RFC 1122 §2.3.2.1)
	MaxAsks       int           // 3 requests for an unknown address, then it has failed
	DelayTime     time.Duration // 5 s of use while stale, then it is probed
	MaxProbes     int           // 3 requests to a stale one, the last of them by broadcast
	FailedTime    time.Duration // 5 s for which a failed address is not asked for again
	VerifyTime    time.Duration // 1 s for the old owner to answer under MoveVerify

	// ExpireAfter is the life of a binding that nothing confirms, 20 min. It
	// is asked for during the last MaxProbes × RetransTimer of it, unless
	// QuietExpiry is set.
	ExpireAfter time.Duration
	QuietExpiry bool

	// Capacity bounds the dynamic entries, 4096; unanswered requests and failed
	// addresses take at most a quarter of it. InUse is how long after a use an
	// entry that was asked for is safe from eviction by unasked ones, 1 min.
	Capacity int
	InUse    time.Duration

	// RejectMismatch drops packets whose Ethernet source is not the sender
	// they speak for. They are legal (proxies, some clusters) and marked in the
	// evidence, so the default is to take them.
	RejectMismatch bool
	// AllowOffLink also learns senders outside the networks of our own
	// addresses.
	AllowOffLink bool

	// Own addresses, RFC 5227 §1.1. Probe checks that a new address is free
	// before it is answered for and announced. For an address of 169.254/16 the
	// times from ProbeWait to AnnounceWait are at least the defaults.
	Probe            bool
	ProbeWait        time.Duration // 1 s at most, random, before the first probe
	ProbeNum         int           // 3
	ProbeMin         time.Duration // 1 s at least between probes
	ProbeMax         time.Duration // 2 s at most
	AnnounceWait     time.Duration // 2 s from the last probe to the first announcement
	AnnounceNum      int           // 2; negative: none
	AnnounceInterval time.Duration // 2 s
	DefendInterval   time.Duration // 10 s
	// MaxConflicts is how many conflicts there may be, while probing or later, 10,
	// before new addresses are probed for at most one per RateLimitInterval, 60 s.
	// They are never forgotten: an interface without new addresses waits for nothing.
	MaxConflicts      int
	RateLimitInterval time.Duration
	// AnnounceReply announces in the older form, a gratuitous reply.
	AnnounceReply bool

	// Rand is the source of every random delay; seeded from the system when
	// nil. It is used under the Service's lock only.
	Rand *rand.Rand
	// Logger receives what an operator should know (conflicts over own
	// addresses); nil discards.
	Logger *slog.Logger
}

// withDefaults fills in what the zero value stands for.
func (c Config) withDefaults() Config {
	dur := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
		*d = max(*d, 0)
	}
	num := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	if c.Table == nil {
		c.Table = NewMemTable()
	}
	if c.Domain == "" {
		c.Domain = DefaultDomain
	}
	dur(&c.ReachableTime, 30*time.Second)
	dur(&c.RetransTimer, time.Second)
	c.RetransTimer = max(c.RetransTimer, time.Second)
	num(&c.MaxAsks, 3)
	c.MaxAsks = max(c.MaxAsks, 1)
	dur(&c.DelayTime, 5*time.Second)
	num(&c.MaxProbes, 3)
	c.MaxProbes = max(c.MaxProbes, 1)
	dur(&c.FailedTime, 5*time.Second)
	dur(&c.VerifyTime, time.Second)
	dur(&c.ExpireAfter, 20*time.Minute)
	num(&c.Capacity, 4096)
	c.Capacity = max(c.Capacity, 4)
	dur(&c.InUse, time.Minute)
	dur(&c.ProbeWait, time.Second)
	num(&c.ProbeNum, 3)
	c.ProbeNum = max(c.ProbeNum, 1)
	dur(&c.ProbeMin, time.Second)
	dur(&c.ProbeMax, 2*time.Second)
	c.ProbeMax = max(c.ProbeMax, c.ProbeMin)
	dur(&c.AnnounceWait, 2*time.Second)
	num(&c.AnnounceNum, 2)
	dur(&c.AnnounceInterval, 2*time.Second)
	dur(&c.DefendInterval, 10*time.Second)
	num(&c.MaxConflicts, 10)
	dur(&c.RateLimitInterval, time.Minute)
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
