// Package vnet is an Ethernet segment inside a process: a learning switch whose
// ports are link.Devices, with seeded impairments for each direction of each
// port. A test plugs stacks into it and has a LAN; a launcher plugs a virtual
// machine's wire into it and has a network worth recording.
//
// The clock is time.Now, and ports wait on channels and timers only. A switch
// that is made inside a testing/synctest bubble therefore lives in virtual
// time: an hour of delays, jitter and outages passes in an instant, and the
// same seed gives the same losses. There is no goroutine and no timer per
// frame: a station finds what has arrived when it looks.
//
// A switch carries every VLAN on every port (all ports are trunks) and learns
// addresses separately for each. It knows nothing above layer 2.
package vnet

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// Config configures a Switch. The zero value works.
type Config struct {
	// Seed determines every random decision of the switch, together with the
	// names of the ports and the order of the frames at each port.
	Seed uint64
	// Ageing is how long a learned address is kept without a frame from it
	// (default 5 minutes).
	Ageing time.Duration
	// TableSize is the largest number of learned addresses (default 8192).
	TableSize int
}

// Defaults of Config.
const (
	DefaultAgeing    = 5 * time.Minute
	DefaultTableSize = 8192
)

// Errors of Switch.Port and Switch.Attach.
var (
	// ErrPortExists is returned for a port name that is in use.
	ErrPortExists = errors.New("vnet: port name is in use")
	// ErrPortConfig is returned for a PortConfig that makes no sense.
	ErrPortConfig = errors.New("vnet: bad port configuration")
)

// Switch is a learning Ethernet switch. Its methods may be called from any
// goroutine.
type Switch struct {
	seed uint64

	// mu guards everything below and the fields of ports that say so. It is
	// taken before a port's own lock.
	mu       sync.Mutex
	ports    []*Port // in the order of their making
	table    table
	monitors []*monitor
	seg      link.Segmenter
	flat     []byte
	flight   flight // delayed on the way in
	pool     pool
	timer    *time.Timer // runs advance when the flight's first frame is due
	armed    time.Time   // when timer fires; zero when it does not
	closed   bool
}

type monitor struct {
	fn func(port string, frame []byte, at time.Time)
}

// New returns a switch without ports.
func New(c Config) *Switch {
	return &Switch{
		seed: c.Seed,
		table: table{
			at:     make(map[station]location),
			ageing: orDefault(c.Ageing, DefaultAgeing),
			limit:  orDefault(c.TableSize, DefaultTableSize),
		},
	}
}

// Port adds a port and returns the station's side of it.
func (s *Switch) Port(c PortConfig) (*Port, error) {
	caps := link.Caps(0)
	if c.Offload {
		caps = offloads
	}
	return s.addPort(c, caps, caps)
}

// addPort adds a port whose station sees caps and can take frames with the
// descriptors that takes names.
func (s *Switch) addPort(c PortConfig, caps, takes link.Caps) (*Port, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Addr.IsZero() {
		c.Addr = s.addrFor(c.Name)
	}
	p := &Port{
		sw:      s,
		info:    link.Info{Name: c.Name, Addr: c.Addr, MTU: orDefault(c.MTU, DefaultMTU), Caps: caps},
		takes:   takes,
		in:      cable{Impairment: c.Ingress},
		out:     cable{Impairment: c.Egress},
		rand:    s.random(c.Name, ""),
		streams: make(map[*Port]*rand.Rand),
		bell:    make(chan struct{}, 1),
		q: queue{
			max:  orDefault(c.QueueFrames, DefaultQueueFrames),
			maxB: orDefault(c.QueueBytes, DefaultQueueBytes),
		},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, link.ErrClosed
	}
	for _, o := range s.ports {
		if o.info.Name == c.Name {
			return nil, fmt.Errorf("%w: %q", ErrPortExists, c.Name)
		}
	}
	s.ports = append(s.ports, p)
	return p, nil
}

// random returns the generator for decisions that concern a and b alone, so
// that they do not depend on what other ports do meanwhile.
func (s *Switch) random(a, b string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q", a, b)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// addrFor derives a locally administered address from the port's name.
func (s *Switch) addrFor(name string) ethernet.Addr {
	r := s.random(name, "address").Uint32()
	return ethernet.Addr{0x02, 0x50, byte(r >> 24), byte(r >> 16), byte(r >> 8), byte(r)}
}

// Partition splits the switch: each group of port names reaches only itself,
// and the ports that no group names form one more. Partition without arguments
// heals the switch. It names only ports that exist.
func (s *Switch) Partition(groups ...[]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := make(map[*Port]int)
	for g, names := range groups {
		for _, name := range names {
			i := slices.IndexFunc(s.ports, func(p *Port) bool { return p.info.Name == name })
			if i < 0 {
				return fmt.Errorf("vnet: partition: no port %q", name)
			}
			of[s.ports[i]] = g + 1
		}
	}
	for _, p := range s.ports {
		p.group = of[p]
	}
	return nil
}

// Monitor makes the switch call fn for each frame that it forwards: port is
// where the frame came in, after that port's ingress impairment. Super-frames
// are shown whole, partial checksums as they are. fn runs with the switch
// locked: it must be quick, must not call the switch or a port, and must not
// keep frame. The returned function ends the calls.
func (s *Switch) Monitor(fn func(port string, frame []byte, at time.Time)) (stop func()) {
	m := &monitor{fn}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.monitors = append(s.monitors, m)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.monitors = slices.DeleteFunc(s.monitors, func(o *monitor) bool { return o == m })
	}
}

// Close closes every port. It is idempotent. Attachments notice and end; their
// own Close still joins them.
func (s *Switch) Close() error {
	s.mu.Lock()
	s.closed = true
	ports := slices.Clone(s.ports)
	s.mu.Unlock()
	for _, p := range ports {
		p.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.flight = flight{}
	return nil
}
