package versioned

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// station is a node with a resolver and a repository of its own.
type station struct {
	name string
	ip   netip.Addr
	mac  ethernet.Addr
	tab  *Table
	s    *vcs.Store
	svc  *arp.Service
	port *arptest.Port
}

func newStation(t *testing.T, hub *arptest.Hub, last byte, b vcs.Backend, cfg arp.Config) *station {
	t.Helper()
	st := &station{name: fmt.Sprintf("node-%d", last), ip: netip.AddrFrom4([4]byte{192, 168, 3, last}), mac: ethernet.Addr{2, 0x50, 0, 0, 0, last}}
	st.tab, st.s = openStore(t, b, Config{Node: st.name})
	cfg.Table = st.tab
	cfg.Rand = rand.New(rand.NewPCG(uint64(last), 0))
	st.svc = arp.NewService(cfg)
	st.port = hub.Join(st.svc, st.mac)
	return st
}

func (st *station) up() { st.svc.AddressAdded(netip.PrefixFrom(st.ip, 16), nil) }

func (st *station) close(t *testing.T) {
	t.Helper()
	if err := st.svc.Close(); err != nil {
		t.Error(err)
	}
	closeBoth(t, st.tab, st.s)
}

// Stations announce at once, ask, fall silent and change their card; each
// node's repository tells it.
func TestNodesRecordTheirNetwork(t *testing.T) {
	var nodes []*station
	synctest.Test(t, func(t *testing.T) {
		hub := &arptest.Hub{}
		cfg := arp.Config{Learn: arp.LearnAlways, ExpireAfter: time.Minute}
		for _, last := range []byte{1, 10, 33, 44, 254} {
			nodes = append(nodes, newStation(t, hub, last, mem.New(), cfg))
		}
		for _, n := range nodes {
			go n.up()
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		for _, n := range nodes {
			if err := n.tab.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, m := range nodes {
				if b, ok := n.tab.Get(arp.Key{Domain: arp.DefaultDomain, Addr: m.ip}); m != n && (!ok || b.MAC != m.mac) {
					t.Errorf("%s has %v at %+v, %v", n.name, m.ip, b, ok)
				}
			}
		}
		q := nodes[0].port.Ask(t, netip.MustParseAddr("192.168.3.99")) // nobody
		x := hub.Join(nil, ethernet.Addr{2, 0x50, 0, 0, 0, 99})
		time.Sleep(20 * time.Second)
		if _, err, ok := q.Answered(); !ok || err == nil {
			t.Error("nobody answered, and yet the query did not fail")
		}
		// node 44 falls silent; somebody else takes its address
		gone := nodes[3]
		gone.svc.AddressRemoved(gone.ip)
		x.Say(ethernet.Broadcast, arp.Packet{Op: arp.OpRequest, SenderMAC: x.MAC, SenderIP: gone.ip, TargetIP: gone.ip})
		time.Sleep(2 * time.Minute) // and falls silent too
		// a false claim against a station that is alive
		x.Say(ethernet.Broadcast, arp.Packet{Op: arp.OpRequest, SenderMAC: x.MAC, SenderIP: nodes[1].ip, TargetIP: nodes[1].ip})
		time.Sleep(5 * time.Second)
		for _, n := range nodes {
			n.close(t)
		}
	})
	for _, n := range nodes {
		dir := export(t, n.name, n.s)
		if merges := lines(t, dir, "log", "--merges", "--oneline", "primary"); n.tab.Stats().Merges != uint64(len(merges)) {
			t.Errorf("%s: %d merges counted, log says %q", n.name, n.tab.Stats().Merges, merges)
		}
	}
	dir := filepathOf(t, nodes[0].name)
	log := lines(t, dir, "log", "--format=%s", "primary")
	for _, want := range []string{
		"arp: initial empty cache",
		"arp: 192.168.3.10 -> 02:50:00:00:00:0a",
		"arp: 192.168.3.254 -> 02:50:00:00:00:fe",
		"arp: 192.168.3.99 query timed out",
		"arp: 192.168.3.44 -> 02:50:00:00:00:63 (was 02:50:00:00:00:2c)",
		"arp: 192.168.3.44 expired (was 02:50:00:00:00:63)",
		"arp: 192.168.3.10 claim of 02:50:00:00:00:63 refused, 02:50:00:00:00:0a keeps it",
	} {
		wantLine(t, log, want)
	}
	body := strings.Join(lines(t, dir, "log", "-1", "--format=%B", "--grep=192.168.3.44 -> 02:50:00:00:00:63"), "\n")
	for _, want := range []string{"Arp-Rule: verify: the old owner is silent", "Arp-Kind: announcement", "Arp-Frame: ffffffffffff025000000063", "Arp-Node: node-1"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	wantLine(t, lines(t, dir, "branch", "--list"), "query/192.168.3.99-")
	wantLine(t, lines(t, dir, "branch", "--list"), "expire/")
}

func filepathOf(t *testing.T, node string) string {
	return "../../test_results/" + t.Name() + "/" + node
}

// A node that comes back knows its neighbours at once, asks nobody, and finds
// out by itself who is gone.
func TestWarmStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &arptest.Hub{}
		disk := mem.New()
		a := newStation(t, hub, 1, disk, arp.Config{})
		b := newStation(t, hub, 2, mem.New(), arp.Config{})
		a.up()
		b.up()
		a.port.Ask(t, b.ip)
		time.Sleep(time.Second)
		if err := a.svc.Pin(netip.MustParseAddr("192.168.3.77"), ethernet.Addr{2, 7}); err != nil {
			t.Fatal(err)
		}
		a.close(t)

		a = newStation(t, &arptest.Hub{}, 1, disk, arp.Config{}) // alone on its wire
		for _, want := range []struct {
			ip    netip.Addr
			mac   ethernet.Addr
			state arp.State
		}{{b.ip, b.mac, arp.StateStale}, {netip.MustParseAddr("192.168.3.77"), ethernet.Addr{2, 7}, arp.StatePermanent}} {
			found := false
			for _, n := range a.svc.Neighbors() {
				found = found || n.Addr == want.ip && n.MAC == want.mac && n.State == want.state
			}
			if !found {
				t.Errorf("no %+v in %+v", want, a.svc.Neighbors())
			}
		}
		if mac, _, ok := a.port.Ask(t, b.ip).Answered(); !ok || mac != b.mac || len(a.port.Sent()) != 0 {
			t.Error("the warm cache did not answer at once")
		}
		time.Sleep(time.Minute)
		if _, ok := a.tab.Get(arp.Key{Domain: arp.DefaultDomain, Addr: b.ip}); ok {
			t.Error("a neighbour that is gone was not found out")
		}
		a.close(t)
		b.close(t)
	})
}

// A commit from outside changes what the resolver says.
func TestForeignCommitReachesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStation(t, &arptest.Hub{}, 1, mem.New(), arp.Config{})
		a.up()
		ip := netip.MustParseAddr("192.168.3.50")
		k := arp.Key{Domain: arp.DefaultDomain, Addr: ip}
		set := func(k arp.Key, mac ethernet.Addr) {
			e, _ := put(Entry{}, &arp.Change{Key: k, MAC: mac, Time: time.Now()}, "elsewhere")
			if _, err := a.tab.Repo().Set(context.Background(), Primary, k, e, vcs.CommitInfo{Message: "pushed"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		set(k, bMAC)
		set(arp.Key{Domain: arp.DefaultDomain, Addr: a.ip}, bMAC) // never over our own
		set(arp.Key{Domain: "office", Addr: netip.MustParseAddr("192.168.3.51")}, bMAC)
		a.port.Sent()
		if mac, _, ok := a.port.Ask(t, ip).Answered(); !ok || mac != bMAC {
			t.Errorf("the pushed binding: %v %v", mac, ok)
		}
		if mac, _, ok := a.port.Ask(t, a.ip).Answered(); !ok || mac != a.mac {
			t.Errorf("our own address: %v %v", mac, ok)
		}
		for _, n := range a.svc.Neighbors() {
			if n.State != arp.StateDelay || n.Addr != ip { // stale, and used just now
				t.Errorf("cache: %+v", n)
			}
		}
		a.close(t)
	})
}
