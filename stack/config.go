package stack

import (
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"arpeggio/stack/icmp"
	"arpeggio/stack/igmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// Config configures a Stack. The zero value works.
type Config struct {
	// Logger hears about events that an operator should know: interfaces that
	// come and go, address conflicts, devices that fail. Nil discards. What
	// arrives malformed is counted (Stats) and never logged.
	Logger *slog.Logger

	// Rand is the source of secrets: sequence numbers, ports, identifiers. Nil
	// means crypto/rand; tests hand in a seeded generator.
	Rand io.Reader

	// TTL of packets sent, 1 to 255 (default 64, as IANA recommends).
	TTL uint8

	// Backlog bounds the connections of a listener that are being opened or
	// wait for Accept (default 4096).
	Backlog int
	// MaxConns bounds the TCP connections before TIME-WAIT (default 65536). At the
	// bound a new one takes the place of the one that its user has closed for
	// longest, if there is any: peers that vanish would fill it for minutes.
	MaxConns int

	// RcvBuf and SndBuf bound the octets that a TCP connection queues. Zero
	// means a bound that begins with DefaultBuffer and grows as the path and the
	// reader need it, to an eighth of TCPMemory. UDPRcvBuf bounds those of a
	// PacketConn (default 256 KiB).
	RcvBuf, SndBuf, UDPRcvBuf int
	// TCPMemory bounds the octets that all TCP connections queue together
	// (default 64 MiB); see tcp.Pool. Each queue may take an eighth of what is
	// free, so thousands of peers that do not read share what a few of them would
	// take. As memory gets short, first no buffer grows any more, then the
	// windows get smaller (never by taking back what was promised), then what
	// arrived out of order gives way to what arrives in order. Stats counts all
	// three.
	TCPMemory int

	// Ports is the range from which TCP and UDP ports are drawn where a program
	// names none (RFC 6056 §3.2). A zero end, or a range that ends before it
	// begins, is the default: 1024 to 65535. A port on which somebody listens, or
	// that is bound, is not drawn.
	Ports PortRange
	// ReservedPorts are never drawn: those of services that may start later.
	ReservedPorts []PortRange

	// StrongHost takes an address of ours for ours on its own interface only, in
	// both directions (the strong end-system model, RFC 1122 §3.3.4.2): packets for
	// it that arrive elsewhere are dropped, and what it sends leaves by its own
	// interface or, where no route leads that way, not at all. For hosts whose
	// networks must not reach each other's addresses. The default is the weak model.
	StrongHost bool

	// KeepAlive of new TCP connections; off when Idle is zero, as RFC 9293
	// §3.8.4 (MUST-25) wants it. Programs switch it on for a connection, too.
	KeepAlive tcp.KeepAlive
	// ChallengeLimit is how many challenges (RFC 5961) a TCP connection answers
	// per ChallengePeriod, 1 to 255 (default 10 a second); see tcp.Pool.
	ChallengeLimit  int
	ChallengePeriod time.Duration
	// MinRTO and TimeWait are tcp.Config's.
	MinRTO, TimeWait time.Duration
	// ECN says whether connections use Explicit Congestion Notification
	// (RFC 3168); zero accepts it from peers that ask.
	ECN tcp.ECN

	// CongestionControl makes a connection's; nil means the default of package
	// tcp.
	CongestionControl func() tcp.CongestionControl

	// Reassembly, IGMP and ICMPLimit configure the engines of those names.
	Reassembly ipv4.ReassemblerConfig
	IGMP       igmp.HostConfig // MTU is the interface's
	ICMPLimit  icmp.LimiterConfig

	// Forward sees each well-formed unicast packet that arrived for an address
	// that is not ours, before it is dropped. packet is the hook's to keep and,
	// with segmentation offload, may be larger than the MTU. Forward is called
	// on the run loop with no lock held, must not block, and must not call
	// Close. The default counts and drops: a Stack is a host, not a router
	// (RFC 1122 §3.3.1.1).
	Forward func(in *Interface, packet []byte)

	// TraceTCP is told of each change of a connection's state, with the stack's
	// lock held: it returns at once and calls nothing of the Stack.
	TraceTCP func(TCPEvent)
}

// Defaults of Config.
const (
	DefaultTTL       = 64
	DefaultBacklog   = 4096
	DefaultMaxConns  = 65536
	DefaultBuffer    = tcp.DefaultBuffer // of TCP, to begin with
	DefaultUDPBuffer = 256 << 10
	DefaultTCPMemory = 64 << 20
	// DefaultKeepAlive is the silence before the first probe of a connection
	// whose program asks for probes and names no time: the least that RFC 9293
	// §3.8.4 (MUST-28) allows. Package net takes 15 s where it is asked to choose.
	DefaultKeepAlive = 2 * time.Hour
)

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	c.Ports.setDefaults()
	for _, d := range []struct {
		v   *int
		def int
	}{
		{&c.Backlog, DefaultBacklog}, {&c.MaxConns, DefaultMaxConns},
		{&c.UDPRcvBuf, DefaultUDPBuffer},
		{&c.TCPMemory, DefaultTCPMemory},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
}
