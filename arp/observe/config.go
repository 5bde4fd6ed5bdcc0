package observe

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"arpeggio/arp"
)

// Policy says when a binding moves to a MAC that claims it. An observer cannot
// ask anybody, so Verify and Strict wait for what others ask and answer.
type Policy uint8

// Policies.
const (
	// Compat (the default) believes the last speaker, as RFC 826 and most
	// systems do: the record then says what such systems believed.
	Compat Policy = iota
	// Verify moves a binding when the claimant repeats its claim after somebody
	// has asked everybody for the address and the owner has been silent for
	// Config.VerifyTime since.
	Verify
	// Strict moves a binding only on an answer to a broadcast request that was
	// seen within Config.ACDWindow before.
	Strict
	// First never moves a binding; it ends by expiry only.
	First
)

var policyNames = [...]string{"compat", "verify", "strict", "first"}

// String returns the lower-case name.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "policy(" + strconv.Itoa(int(p)) + ")"
}

// ParsePolicy reads the name of a policy. The error lists the names.
func ParsePolicy(name string) (Policy, error) {
	for i, n := range policyNames {
		if n == name {
			return Policy(i), nil
		}
	}
	return Compat, fmt.Errorf("observe: unknown policy %.40q (want compat, verify, strict or first)", name)
}

// DefaultMaxEntries is how many addresses an Engine knows at most.
const DefaultMaxEntries = 1_000_000

// Config holds every number and choice of an Engine. The zero value works and
// stands for the defaults named at each field. A negative number or duration
// switches the event off that it belongs to (never for NewActivity, Expire); of
// a cap it stands for the default.
type Config struct {
	Policy     Policy
	VerifyTime time.Duration // 1 s, of Verify

	// Expire ends a binding that was silent for so long; 0, the default:
	// never.
	Expire time.Duration

	NewActivity time.Duration // 180 days of silence
	DupWindow   time.Duration // 1 min from a holder's frame to its next one, with a rival between: dup-ip, spoof
	ACDWindow   time.Duration // 2 s from a question to its answer
	ProxyCount  int           // 8 addresses
	ProxyWindow time.Duration // 1 min
	FloodCount  int           // 100 new stations in one VLAN, or ten times as many in a domain
	FloodWindow time.Duration // 10 s
	ScanCount   int           // 100 targets, at most 1,000
	ScanWindow  time.Duration // 10 s
	// FoldCount is how many episodes of one type may begin in a domain within
	// FloodWindow, 30. Further ones are folded, and told once as a sum. For
	// moves (changed, flip-flop, reused) it is FloodCount.
	FoldCount int
	// StationBurst is how many changes of bindings in a row one MAC may make with
	// records of their own, 100, and StationPerMinute how many more each minute,
	// 10. Further ones are folded, and told once. Negative: no such limit.
	StationBurst     int
	StationPerMinute int
	// FlipRate is from how many moves of one address within a second on they
	// are folded, 10.
	FlipRate int

	// EpisodeGap is the silence that ends an episode, 5 min. A flood, a scan
	// and a proxy end when their window is no longer full for one window more.
	EpisodeGap time.Duration
	// OddGap is the same for what a station does by its nature, 1 h: bogon,
	// ether-*, ip-broadcast, malformed.
	OddGap time.Duration

	MaxEntries   int           // DefaultMaxEntries addresses
	MaxPerMAC    int           // a quarter of MaxEntries
	MaxMACs      int           // 16 MACs that are remembered for one address, 3 to 255
	MaxEpisodes  int           // 10,000 episodes under way
	MaxWindows   int           // 4,096 windows for scans, as many for proxies
	MaxVisitors  int           // 65,536 MACs that hold no address: they only ask or probe
	MaxPending   int           // 4,096 probes that wait for an answer
	ConfirmAfter time.Duration // 1 min from its first frame to another: then an entry is never evicted
}

// Interface is where frames come from.
type Interface struct {
	// Name stands in records; "" is allowed.
	Name string
	// Domain is the broadcast domain of its keys; arp.DefaultDomain when empty.
	// Interfaces of one domain share their stations.
	Domain string
	// Networks are the local ones. Addresses outside are bogons: of IPv4 if
	// there is an IPv4 network here, of IPv6 if there is an IPv6 network. IPv4
	// and IPv6 link-local addresses are always local. The broadcast addresses
	// of IPv4 networks follow from them.
	Networks []netip.Prefix
}

func (c Config) withDefaults() Config {
	dur := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	num := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	limit := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	dur(&c.VerifyTime, time.Second)
	dur(&c.NewActivity, DefaultNewActivity)
	dur(&c.DupWindow, DefaultDupWindow)
	dur(&c.ACDWindow, DefaultACDWindow)
	num(&c.ProxyCount, DefaultProxyCount)
	dur(&c.ProxyWindow, DefaultProxyWindow)
	num(&c.FloodCount, DefaultFloodCount)
	dur(&c.FloodWindow, DefaultFloodWindow)
	num(&c.ScanCount, DefaultScanCount)
	dur(&c.ScanWindow, DefaultScanWindow)
	num(&c.FoldCount, 30)
	num(&c.FlipRate, 10)
	num(&c.StationBurst, 100)
	limit(&c.StationPerMinute, 10)
	dur(&c.EpisodeGap, 5*time.Minute)
	dur(&c.OddGap, time.Hour)
	dur(&c.ConfirmAfter, time.Minute)
	limit(&c.MaxEntries, DefaultMaxEntries)
	limit(&c.MaxPerMAC, max(c.MaxEntries/4, 1))
	limit(&c.MaxMACs, 16)
	limit(&c.MaxEpisodes, 10_000)
	limit(&c.MaxWindows, 4096)
	limit(&c.MaxVisitors, 65_536)
	limit(&c.MaxPending, 4096)
	c.ScanCount = min(c.ScanCount, 1000)
	c.ProxyCount = min(c.ProxyCount, 1000)
	c.MaxMACs = min(max(c.MaxMACs, 3), 255)
	return c
}

func (i Interface) withDefaults() Interface {
	if i.Domain == "" {
		i.Domain = arp.DefaultDomain
	}
	return i
}
