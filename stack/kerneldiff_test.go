//go:build linux

package stack_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
	"arpeggio/tuntap"
)

// diffCase is what is injected in a state.
type diffCase struct {
	name  string
	state string
	opts  bool // with SACK, timestamps and window scale
	segs  []diffSeg
}

// diffSeg is a segment with numbers relative to where the connection stands.
type diffSeg struct {
	flags tcp.Flags
	seq   seqKind
	ack   ackKind
	n     int
}

type seqKind string

type ackKind string

const (
	atNext     seqKind = "next"
	justBefore seqKind = "next-1"
	gap        seqKind = "next+5"
	oldText    seqKind = "next-100"
	partly     seqKind = "next-5"
	lastOne    seqKind = "edge-1"
	atEdge     seqKind = "edge"
	beyond     seqKind = "edge+1000"
	farAhead   seqKind = "next+2^30"

	ackAll     ackKind = "all"
	ackUna     ackKind = "una"
	ackUnsent  ackKind = "unsent"
	ackFar     ackKind = "2^30 ahead"
	ackOld     ackKind = "una-1"
	ackVeryOld ackKind = "una-2^24"
)

var (
	seqKinds = []seqKind{atNext, justBefore, gap, oldText, partly, lastOne, atEdge, beyond, farAhead}
	ackKinds = []ackKind{ackAll, ackUna, ackUnsent, ackFar, ackOld, ackVeryOld}
	diffSegs = []diffSeg{ // the kinds of segments
		{flags: tcp.SYN}, {flags: tcp.SYN | tcp.ACK}, {flags: tcp.ACK}, {flags: tcp.RST}, {flags: tcp.RST | tcp.ACK}, {flags: tcp.FIN | tcp.ACK},
		{flags: tcp.FIN}, {flags: tcp.ACK, n: 10}, {flags: tcp.PSH, n: 10}, {}, {flags: tcp.SYN | tcp.FIN}, {flags: tcp.SYN | tcp.RST},
		{flags: tcp.SYN | tcp.ACK, n: 10}, {flags: tcp.FIN | tcp.ACK, n: 10},
	}
)

func (d diffSeg) String() string {
	s := fmt.Sprintf("[%v] seq %s", d.flags, d.seq)
	if d.flags&tcp.ACK != 0 {
		s += fmt.Sprintf(" ack %s", d.ack)
	}
	if d.n > 0 {
		s += fmt.Sprint(" len ", d.n)
	}
	return s
}

// diffCases returns every kind of segment at every place with a good
// acknowledgment, every acknowledgment at the right place, and sequences at
// random, in every state.
func diffCases() (all []*diffCase) {
	seen := make(map[string]bool)
	add := func(state string, opts bool, segs ...diffSeg) {
		c := &diffCase{state: state, opts: opts, segs: segs}
		c.name = state
		if opts {
			c.name += " with options"
		}
		for _, s := range segs {
			c.name += ": " + s.String()
		}
		if !seen[c.name] {
			seen[c.name], all = true, append(all, c)
		}
	}
	var states []string
	for s := range diffStates {
		states = append(states, s)
	}
	sort.Strings(states)
	for _, state := range states {
		for _, opts := range []bool{false, true} {
			for _, d := range diffSegs {
				d.ack = ackAll
				for _, d.seq = range seqKinds {
					add(state, opts, d)
				}
				d.seq = atNext
				for _, d.ack = range ackKinds {
					add(state, opts, d)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(5, 8))
	for range 400 {
		var segs []diffSeg
		for range 2 + rng.IntN(2) {
			d := diffSegs[rng.IntN(len(diffSegs))]
			d.seq, d.ack = seqKinds[rng.IntN(len(seqKinds))], ackKinds[rng.IntN(2)]
			segs = append(segs, d)
		}
		add(states[rng.IntN(len(states))], rng.IntN(2) == 0, segs...)
	}
	return all
}

// accepting closes the connections of a listener for writing when asked to.
type accepting struct {
	t     *testing.T
	mu    sync.Mutex
	conns map[uint16]net.Conn
}

func accepts(t *testing.T, ln net.Listener) *accepting {
	a := &accepting{t: t, conns: make(map[uint16]net.Conn)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns[c.RemoteAddr().(*net.TCPAddr).AddrPort().Port()] = c
			a.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
		for _, c := range a.conns {
			c.Close()
		}
	})
	return a
}

func (a *accepting) finish(port uint16) {
	for range 400 {
		a.mu.Lock()
		c := a.conns[port]
		a.mu.Unlock()
		if c != nil {
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				a.t.Error(err)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	a.t.Errorf("the connection with port %d was not accepted", port)
}

// diffKernel is the kernel's stack in a namespace of its own.
func diffKernel(t *testing.T) *diffHost {
	ns := newNamespace(t)
	tap := inside(t, ns, func() (*tuntap.TAP, error) { return tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Up: true}) })
	run(t, "ip", "-n", ns, "addr", "add", "10.9.0.1/24", "dev", "tap0")
	run(t, "ip", "-n", ns, "neigh", "add", diffPeer.String(), "lladdr", diffPeerMAC.String(), "dev", "tap0", "nud", "permanent")
	// One answer in half a second would hide all others.
	in(t, ns, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/tcp_invalid_ratelimit")
	show := strings.Fields(run(t, "ip", "-n", ns, "-o", "link", "show", "tap0"))
	k := slices.Index(show, "link/ether")
	if k < 0 {
		t.Fatalf("%q", show)
	}
	ln := inside(t, ns, func() (net.Listener, error) { return net.Listen("tcp4", fmt.Sprintf("10.9.0.1:%d", diffListens)) })
	h := &diffHost{t: t, name: "kernel", addr: netip.MustParseAddr("10.9.0.1"), dev: tap, mac: ethernet.MustParseAddr(show[k+1]), finish: accepts(t, ln).finish,
		catchUp: func() {}} // a write to a TAP is taken at once
	h.dial = func(ports []uint16) {
		fds := inside(t, ns, func() (fds []int, err error) {
			for _, p := range ports {
				fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
				if err != nil {
					return fds, err
				}
				fds = append(fds, fd)
				if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(p), Addr: diffPeer.As4()}); err != syscall.EINPROGRESS {
					return fds, err
				}
			}
			return fds, nil
		})
		t.Cleanup(func() {
			for _, fd := range fds {
				syscall.Close(fd)
			}
		})
	}
	h.listen()
	return h
}

// diffOurs is ours on a switch.
func diffOurs(t *testing.T) *diffHost {
	sw := vnet.New(vnet.Config{Seed: 1})
	own := port(t, sw, vnet.PortConfig{Name: "own"})
	s := stack.New(stack.Config{Backlog: 10_000, RcvBuf: 65_535})
	add(t, s, stack.InterfaceConfig{Device: own, Resolver: stack.StaticResolver{diffPeer: diffPeerMAC},
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")}})
	ln, err := s.Listen("tcp", fmt.Sprint(":", diffListens))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); sw.Close() })
	h := &diffHost{t: t, name: "ours", addr: netip.MustParseAddr("10.9.0.2"), dev: port(t, sw, vnet.PortConfig{Name: "peer", Addr: diffPeerMAC}),
		mac: own.Info().Addr, finish: accepts(t, ln).finish, catchUp: s.CatchUp}
	ctx, cancel := context.WithCancel(t.Context())
	var dials sync.WaitGroup
	t.Cleanup(func() { cancel(); dials.Wait() })
	h.dial = func(ports []uint16) {
		for _, p := range ports {
			dials.Add(1)
			go func() {
				defer dials.Done()
				if c, err := s.DialTCP(ctx, netip.AddrPort{}, netip.AddrPortFrom(diffPeer, p)); err == nil {
					<-ctx.Done()
					c.Close()
				}
			}()
		}
	}
	h.listen()
	return h
}

// The same segments to the kernel's stack and to ours: every answer is the same,
// or the difference has its reason in diffReasons.
func TestKernelDifferences(t *testing.T) {
	needTools(t)
	hosts := []*diffHost{diffKernel(t), diffOurs(t)}
	cases := diffCases()
	got := [2]map[string]string{{}, {}}
	first := uint16(10_000)
	play := func(cases []*diffCase) {
		for some := range slices.Chunk(cases, 600) {
			var answers [2]map[string]string
			var wg sync.WaitGroup
			for i, h := range hosts {
				wg.Add(1)
				go func() { defer wg.Done(); answers[i] = h.play(some, first) }()
			}
			wg.Wait()
			for i := range hosts {
				maps.Copy(got[i], answers[i])
			}
			first += uint16(len(some))
		}
	}
	play(cases)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); { // what differs without a reason again, when the machine may be less busy
		again := slices.DeleteFunc(slices.Clone(cases), func(c *diffCase) bool {
			return got[0][c.name] == got[1][c.name] || explain(c) != ""
		})
		if len(again) == 0 {
			break
		}
		time.Sleep(time.Second)
		play(again)
	}
	answered, used := 0, make(map[string]int)
	unexplained := 0
	for _, c := range cases {
		k, o := got[0][c.name], got[1][c.name]
		if o != "" {
			answered++
		}
		if k == o {
			continue
		}
		if why := explain(c); why != "" {
			used[why]++
		} else if unexplained++; unexplained <= 40 {
			t.Errorf("%s\n\tkernel: %s\n\tours:   %s", c.name, k, o)
		}
	}
	for _, d := range diffReasons {
		if used[d.why] == 0 {
			t.Errorf("no case differs any more for this reason: %s", d.why)
		}
		t.Logf("%4d differ: %s", used[d.why], d.why)
	}
	t.Logf("%d cases, %d answered, %d differences without a reason", len(cases), answered, unexplained)
	if answered < len(cases)/4 {
		t.Error("hardly anything was answered: the test shows nothing")
	}
}
