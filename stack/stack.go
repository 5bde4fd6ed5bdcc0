package stack

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// Stack is an IPv4 host. All methods are safe for concurrent use. Call New.
type Stack struct {
	cfg   Config
	epoch time.Time // Instant 1

	mu        sync.Mutex
	closed    bool
	ports     []*port
	ifaces    []*Interface
	indexes   uint32                    // given to interfaces
	own       map[netip.Addr]*Interface // our addresses
	routes    []route                   // longest prefix, then lowest metric first
	gateways  map[neighbour]*gateway    // next hops of the routes
	stats     Stats
	secret    [32]byte
	cookies   tcp.Cookies
	fastKeys  tcp.FastOpenKeys
	fastPeers map[fastOpenKey]fastOpenPeer
	ids       [256]identifications // by hash of the destination (RFC 6864)
	seed      maphash.Seed
	rng       uint64
	paths     pathCache
	udpPaths  pathCache // as datagrams know them
	reasm     *ipv4.Reassembler
	icmpLim   *icmp.Limiter
	pings     map[pingKey]*ping
	names     NameResolver // nil is nobody

	conns     map[connKey]*TCPConn
	listeners map[uint16][]*TCPListener
	tcpPorts  map[uint16]int // users of a local TCP port
	bound     map[uint16][]*Binding
	portSeq   uint32
	pool      tcp.Pool
	cause     uint64                  // Tag of the frame that is being received
	emitting  *TCPConn                // whose Output runs
	emit      func(*tcp.Segment) bool // sendSegment, bound once
	dirty     []*TCPConn              // wait for Output
	stalled   []*TCPConn              // found the transmit queue full
	timeWait  list.List               // of *TCPConn, oldest first
	orphans   list.List               // of *TCPConn that their users have closed, oldest first
	timers    timerHeap
	udp       map[uint16][]*UDPConn
	raw       map[ipv4.Proto][]*IPConn
	loop      []looped // packets to ourselves

	tx      txQueue // see flush
	pending pendingQueue

	loops sync.WaitGroup
	empty sync.Cond // on mu: a connection went away
}

// New returns a Stack without interfaces. It panics when Config.Rand fails,
// which crypto/rand never does.
func New(cfg Config) *Stack {
	cfg.setDefaults()
	s := &Stack{
		cfg:       cfg,
		epoch:     time.Now(),
		seed:      maphash.MakeSeed(),
		own:       map[netip.Addr]*Interface{},
		gateways:  map[neighbour]*gateway{},
		reasm:     ipv4.NewReassembler(cfg.Reassembly),
		pings:     map[pingKey]*ping{},
		conns:     map[connKey]*TCPConn{},
		listeners: map[uint16][]*TCPListener{},
		tcpPorts:  map[uint16]int{},
		bound:     map[uint16][]*Binding{},
		udp:       map[uint16][]*UDPConn{},
		raw:       map[ipv4.Proto][]*IPConn{},
		fastPeers: map[fastOpenKey]fastOpenPeer{},
	}
	if cfg.ICMPLimit.Rand == nil {
		cfg.ICMPLimit.Rand = s.rand
	}
	s.icmpLim = icmp.NewLimiter(cfg.ICMPLimit)
	s.pending.init()
	s.empty.L = &s.mu
	s.emit = s.sendSegment
	s.pool.Limit = cfg.TCPMemory
	s.pool.ChallengeLimit, s.pool.ChallengePeriod = cfg.ChallengeLimit, cfg.ChallengePeriod
	s.traceTCP()
	s.pool.Hold()
	var seed [8]byte
	s.random(s.secret[:])
	s.cookies.Secret = s.hash(connKey{}, 'c')
	s.fastKeys.Secret = s.hash(connKey{}, 'f')
	s.random(seed[:])
	s.rng = binary.LittleEndian.Uint64(seed[:]) | 1
	for i := range s.ids {
		s.ids[i].last = uint16(s.rand())
	}
	s.portSeq = uint32(s.rand())
	return s
}

// looped is a packet that we sent to ourselves. in is nil unless it went to a
// group that in receives.
type looped struct {
	in     *Interface
	packet []byte
}

// random fills b from Config.Rand.
func (s *Stack) random(b []byte) {
	for len(b) > 0 {
		n, err := s.cfg.Rand.Read(b)
		if err != nil {
			panic("stack: Config.Rand failed: " + err.Error())
		}
		b = b[n:]
	}
}

// rand returns a number that need not be a secret (xorshift64*). The caller
// holds mu.
func (s *Stack) rand() uint64 {
	s.rng ^= s.rng >> 12
	s.rng ^= s.rng << 25
	s.rng ^= s.rng >> 27
	return s.rng * 0x2545f4914f6cdd1d
}

// instant converts t to the engines' clock.
func (s *Stack) instant(t time.Time) tcp.Instant { return tcp.Instant(t.Sub(s.epoch)) + 1 }

// time converts a deadline of the engines; zero stays zero.
func (s *Stack) time(t tcp.Instant) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return s.epoch.Add(time.Duration(t - 1))
}

func (s *Stack) now() tcp.Instant { return s.instant(time.Now()) }

// unlock ends a piece of work under mu: the packets that were sent to
// ourselves are received, the connections that changed emit what is due, the
// lock is released, and what has been queued leaves.
func (s *Stack) unlock(now tcp.Instant) {
	s.settle(now)
	b, ok := s.take()
	wake := s.wakeFor()
	s.mu.Unlock()
	if wake != nil {
		wake.Wake()
	}
	if ok {
		s.flush(b)
	}
}

// settle runs the engines until nothing is left to do at now. It ends because
// our own segments carry data only as far as the connections' windows reach.
func (s *Stack) settle(now tcp.Instant) {
	for len(s.dirty) > 0 || len(s.loop) > 0 {
		for len(s.dirty) > 0 {
			c := s.dirty[len(s.dirty)-1]
			s.dirty = s.dirty[:len(s.dirty)-1]
			c.dirty = false
			s.output(c, now)
		}
		loop := s.loop
		s.loop = nil
		for _, l := range loop {
			s.receive(l.in, l.packet, arrival{now: now, trusted: true})
		}
	}
}

// Shutdown closes the stack in order: listeners refuse, connections are closed
// for writing after what they hold is sent, and when the last one has ended,
// or has only TIME-WAIT before it, Close is called. When ctx ends first, what
// remains is reset and ctx's error returned.
func (s *Stack) Shutdown(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.empty.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	now := s.now()
	for _, ls := range s.listeners {
		for _, l := range append([]*TCPListener(nil), ls...) {
			l.closeLocked(now)
		}
	}
	for _, c := range s.conns {
		c.closed = true
		c.m.Close(now)
		c.changed()
	}
	s.unlock(now)
	s.mu.Lock()
	for ctx.Err() == nil && !s.closed && s.open() {
		s.empty.Wait()
	}
	s.mu.Unlock()
	return errors.Join(ctx.Err(), s.Close())
}

// open reports whether a connection has more before it than TIME-WAIT.
func (s *Stack) open() bool {
	for _, c := range s.conns {
		if st := c.m.State(); st != tcp.TimeWait && st != tcp.Closed {
			return true
		}
	}
	return false
}

// Close resets all connections, ends every listener and packet connection,
// removes the interfaces, closes their resolvers and devices, and returns when
// the run loops have ended. It is idempotent.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.loops.Wait()
		return nil
	}
	s.closed = true
	now := s.now()
	for _, ls := range s.listeners {
		for _, l := range append([]*TCPListener(nil), ls...) {
			l.closeLocked(now)
		}
	}
	for _, us := range s.udp {
		for _, u := range append([]*UDPConn(nil), us...) {
			u.closeLocked(now)
		}
	}
	s.closeRaw()
	for _, c := range s.conns {
		c.m.Abort(now)
		c.changed()
	}
	for _, p := range s.pings {
		p.fail(errClosed)
	}
	ifaces := append([]*Interface(nil), s.ifaces...)
	s.unlock(now)
	var errs []error
	for _, i := range ifaces {
		errs = append(errs, s.RemoveInterface(i))
	}
	s.loops.Wait()
	return errors.Join(errs...)
}
