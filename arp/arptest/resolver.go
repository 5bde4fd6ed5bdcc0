package arptest

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Stations of the suite: the resolver under test is me, with addresses in
// 10.9.0.0/24; a, b and x are spoken for by the test.
var (
	meMAC = ethernet.MustParseAddr("02:50:00:00:00:01")
	aMAC  = ethernet.MustParseAddr("02:50:00:00:00:0a")
	bMAC  = ethernet.MustParseAddr("02:50:00:00:00:0b")
	xMAC  = ethernet.MustParseAddr("02:50:00:00:00:66")

	zero = netip.IPv4Unspecified()
	meIP = netip.MustParseAddr("10.9.0.1")
	me2  = netip.MustParseAddr("10.9.0.2")
	aIP  = netip.MustParseAddr("10.9.0.10")
	bIP  = netip.MustParseAddr("10.9.0.11")
)

// pinner is the ability to hold static bindings.
type pinner interface {
	Pin(netip.Addr, ethernet.Addr) error
	Unpin(netip.Addr) bool
}

// bench is one case under way.
type bench struct {
	*testing.T
	r       Resolver
	open    func(arp.Config) Resolver
	hub     *Hub
	me      *Port // the resolver under test
	a, b, x *Port // stations that the test speaks for
}

type resolverCase struct {
	name string
	cfg  arp.Config
	run  func(*bench)
}

// TestResolver checks that open, called in the test's bubble, returns resolvers that keep the contract of
// package stack's Resolver and behave on the wire as arp.Config says. A
// resolver without some policy may be opened for the closest one that it has;
// the cases that it then fails are its differences.
func TestResolver(t *testing.T, open func(t *testing.T, cfg arp.Config) Resolver) {
	for _, list := range resolverLists() {
		t.Run(list.name, func(t *testing.T) {
			for _, c := range list.cases {
				t.Run(c.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := newBench(t, open, c.cfg)
						defer b.r.Close()
						c.run(b)
					})
				})
			}
		})
	}
}

// resolverList is a list of cases under its name.
type resolverList struct {
	name  string
	cases []resolverCase
}

func resolverLists() []resolverList {
	return []resolverList{
		{"irmin-arp", irminCases()},
		{"mirage", mirageCases()},
		{"defects", defectCases()},
		{"contract", contractCases()},
	}
}

func newBench(t *testing.T, open func(*testing.T, arp.Config) Resolver, cfg arp.Config) *bench {
	b := &bench{T: t, open: func(cfg arp.Config) Resolver { return open(t, cfg) }, hub: &Hub{}}
	b.r = b.open(cfg)
	b.me = b.hub.Join(b.r, meMAC)
	b.a, b.b, b.x = b.hub.Join(nil, aMAC), b.hub.Join(nil, bMAC), b.hub.Join(nil, xMAC)
	return b
}

// own gives the resolver an address and waits until it has been announced.
func (b *bench) own(ips ...netip.Addr) {
	for _, ip := range ips {
		b.r.AddressAdded(netip.PrefixFrom(ip, 24), nil)
	}
	b.wait(time.Minute)
	b.me.Sent()
	b.a.Got()
}

func (b *bench) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func request(mac ethernet.Addr, ip, target netip.Addr) arp.Packet {
	return arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: ip, TargetIP: target}
}

func replyTo(mac ethernet.Addr, ip netip.Addr, tha ethernet.Addr, tpa netip.Addr) arp.Packet {
	return arp.Packet{Op: arp.OpReply, SenderMAC: mac, SenderIP: ip, TargetMAC: tha, TargetIP: tpa}
}

// announcement is the RFC 5227 form, garp the older reply form.
func announcement(mac ethernet.Addr, ip netip.Addr) arp.Packet { return request(mac, ip, ip) }
func garp(mac ethernet.Addr, ip netip.Addr) arp.Packet {
	return replyTo(mac, ip, ethernet.Broadcast, ip)
}

// cached checks that ip is answered from the cache, without a frame.
func (b *bench) cached(ip netip.Addr, want ethernet.Addr) {
	b.Helper()
	b.me.Sent()
	mac, _, ok := b.me.Ask(b.T, ip).Answered()
	if !ok || mac != want {
		b.Errorf("%v: %v (known: %v), want %v from the cache", ip, mac, ok, want)
	}
	if s := b.me.Sent(); len(s) != 0 {
		b.Errorf("%v: a hit sent %+v", ip, s)
	}
}

// missing checks that ip is not in the cache: Resolve asks the wire for it.
func (b *bench) missing(ip netip.Addr) {
	b.Helper()
	b.me.Sent()
	if mac, _, ok := b.me.Ask(b.T, ip).Answered(); ok {
		b.Errorf("%v is cached at %v", ip, mac)
	}
	b.asked(ip, 1)
}

// asked checks that exactly n requests for ip, and nothing else, were sent.
func (b *bench) asked(ip netip.Addr, n int) []Frame {
	b.Helper()
	sent := b.me.Sent()
	for _, f := range sent {
		if f.Packet.Op != arp.OpRequest || f.Packet.TargetIP != ip || f.Packet.SenderMAC != meMAC {
			b.Errorf("sent %+v, want a request for %v", f, ip)
		}
	}
	if len(sent) != n {
		b.Errorf("%d frames, want %d requests for %v", len(sent), n, ip)
	}
	return sent
}

// silent checks that the resolver has sent nothing.
func (b *bench) silent() {
	b.Helper()
	if s := b.me.Sent(); len(s) != 0 {
		b.Errorf("sent %+v, want silence", s)
	}
}

// learn makes ip known by a query that is answered.
func (b *bench) learn(ip netip.Addr, from *Port) {
	b.Helper()
	q := b.me.Ask(b.T, ip)
	from.Say(meMAC, replyTo(from.MAC, ip, meMAC, meIP))
	synctest.Wait()
	if mac, err, ok := q.Answered(); !ok || err != nil || mac != from.MAC {
		b.Fatalf("query for %v: %v %v %v", ip, mac, err, ok)
	}
	b.me.Sent()
}

// failed checks that a query ended with an error.
func (b *bench) failed(q *Query) {
	b.Helper()
	if mac, err, ok := q.Answered(); !ok || err == nil {
		b.Errorf("query for %v: %v, %v, over: %v; want an error", q.addr, mac, err, ok)
	}
}

// waiting checks that a query is still under way.
func (b *bench) waiting(q *Query) {
	b.Helper()
	if mac, err, ok := q.Answered(); ok {
		b.Errorf("query for %v is over: %v, %v", q.addr, mac, err)
	}
}

// answered checks that a query ended with a MAC address.
func (b *bench) answered(q *Query, want ethernet.Addr) {
	b.Helper()
	if mac, err, ok := q.Answered(); !ok || err != nil || mac != want {
		b.Errorf("query for %v: %v, %v, over: %v; want %v", q.addr, mac, err, ok, want)
	}
}

func (b *bench) pinner() pinner {
	p, ok := b.r.(pinner)
	if !ok {
		b.Skip("the resolver holds no static bindings")
	}
	return p
}
