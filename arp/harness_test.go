package arp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

// Addresses of the tests: we are me; a, b and x are others.
var (
	meMAC = ethernet.MustParseAddr("02:50:00:00:00:01")
	aMAC  = ethernet.MustParseAddr("02:50:00:00:00:0a")
	bMAC  = ethernet.MustParseAddr("02:50:00:00:00:0b")
	xMAC  = ethernet.MustParseAddr("02:50:00:00:00:66")
	meIP  = netip.MustParseAddr("10.9.0.1")
	aIP   = netip.MustParseAddr("10.9.0.10")
	bIP   = netip.MustParseAddr("10.9.0.11")
)

// lab drives an Engine by hand: it advances a clock of its own, feeds frames
// and collects actions.
type lab struct {
	*testing.T
	e    *Engine
	now  time.Time
	acts []Action
}

// newLab returns an engine with one own address, announced long ago.
func newLab(t *testing.T, cfg Config) *lab {
	t.Helper()
	l := bareLab(t, cfg)
	l.e.AddAddress(l.now, netip.PrefixFrom(meIP, 24))
	l.wait(time.Minute)
	l.take()
	return l
}

func bareLab(t *testing.T, cfg Config) *lab {
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	return &lab{T: t, e: NewEngine(cfg, "eth0", meMAC, ethernet.VLAN{}), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// wait advances the clock, polling at every deadline on the way.
func (l *lab) wait(d time.Duration) {
	l.Helper()
	end := l.now.Add(d)
	for n := 0; ; n++ {
		next := l.e.Deadline()
		if next.IsZero() || next.After(end) {
			break
		}
		if n > 100_000 {
			l.Fatal("the engine polls without getting on")
		}
		if next.After(l.now) {
			l.now = next
		}
		l.e.Poll(l.now)
		l.acts = l.e.Drain(l.acts)
	}
	l.now = end
	l.acts = l.e.Drain(l.acts)
}

// take returns what the engine has wanted since the last take.
func (l *lab) take() []Action {
	out := l.e.Drain(l.acts)
	l.acts = nil
	return out
}

func pick(acts []Action, kinds ...ActionKind) (out []Action) {
	for _, a := range acts {
		for _, k := range kinds {
			if a.Kind == k {
				out = append(out, a)
			}
		}
	}
	return out
}

// sent returns the packets sent since the last take.
func (l *lab) sent() []Action { return pick(l.take(), ActSend) }

// frame feeds one packet in a frame from its sender to dst.
func (l *lab) frame(dst ethernet.Addr, p Packet) {
	l.e.Input(l.now, ethernet.Header{Dst: dst, Src: p.SenderMAC, Type: ethernet.TypeARP}, p.AppendTo(nil))
}

func request(mac ethernet.Addr, ip, target netip.Addr) Packet {
	return Packet{Op: OpRequest, SenderMAC: mac, SenderIP: ip, TargetIP: target}
}

func reply(mac ethernet.Addr, ip netip.Addr) Packet {
	return Packet{Op: OpReply, SenderMAC: mac, SenderIP: ip, TargetMAC: meMAC, TargetIP: meIP}
}

func announcement(mac ethernet.Addr, ip netip.Addr) Packet {
	return Packet{Op: OpRequest, SenderMAC: mac, SenderIP: ip, TargetIP: ip}
}

// state returns what the cache says of ip.
func (l *lab) state(ip netip.Addr) (State, ethernet.Addr) {
	for _, n := range l.e.Neighbors(l.now, nil) {
		if n.Addr == ip {
			return n.State, n.MAC
		}
	}
	return StateNone, ethernet.Addr{}
}

func (l *lab) want(ip netip.Addr, s State, mac ethernet.Addr) {
	l.Helper()
	if gs, gm := l.state(ip); gs != s || gm != mac {
		l.Errorf("%v is %v at %v, want %v at %v", ip, gs, gm, s, mac)
	}
}

// known makes a a reachable neighbour by a query and its answer.
func (l *lab) known() {
	l.Helper()
	l.e.Resolve(l.now, aIP)
	l.frame(meMAC, reply(aMAC, aIP))
	l.want(aIP, StateReachable, aMAC)
	l.take()
}

// ops returns the operations of the changes among acts, in order.
func ops(acts []Action) (out []ChangeOp) {
	for _, a := range pick(acts, ActPut, ActExpire, ActRecord) {
		out = append(out, a.Change.Op)
	}
	return out
}
