package appliance

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/vcstest"
)

// card is a network card that claims an address, answers for it while it is up,
// and counts the IPv4 packets that are sent to it.
type card struct {
	t    *testing.T
	port *vnet.Port
	mac  ethernet.Addr
	ip   netip.Addr
	up   atomic.Bool
	got  atomic.Int64
}

func newCard(t *testing.T, sw *vnet.Switch, n byte, ip netip.Addr) *card {
	t.Helper()
	c := &card{t: t, ip: ip, mac: ethernet.Addr{2, 0x50, 0, 0, 0, n}}
	var err error
	if c.port, err = sw.Port(vnet.PortConfig{Name: c.mac.String(), Addr: c.mac}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fs := make([]link.Frame, 16)
		for {
			n, err := c.port.ReadFrames(fs)
			if err != nil {
				return
			}
			for i := range fs[:n] {
				c.receive(fs[i].AppendTo(nil))
			}
		}
	}()
	t.Cleanup(func() {
		c.port.Close()
		<-done
	})
	return c
}

func (c *card) receive(b []byte) {
	h, payload, err := ethernet.Parse(b)
	switch {
	case err != nil || h.Dst != c.mac && !h.Dst.IsBroadcast():
	case h.Type == ethernet.TypeIPv4 && h.Dst == c.mac:
		c.got.Add(1)
	case h.Type == ethernet.TypeARP && c.up.Load():
		if p, err := arp.Parse(payload); err == nil && p.Op == arp.OpRequest && p.TargetIP == c.ip {
			c.send(arp.Packet{Op: arp.OpReply, SenderMAC: c.mac, SenderIP: c.ip, TargetMAC: p.SenderMAC, TargetIP: p.SenderIP}, p.SenderMAC)
		}
	}
}

// claim asks for the appliance, and so says who it is.
func (c *card) claim() {
	c.send(arp.Packet{Op: arp.OpRequest, SenderMAC: c.mac, SenderIP: c.ip, TargetIP: ownNet.Addr()}, ethernet.Broadcast)
}

func (c *card) send(p arp.Packet, to ethernet.Addr) {
	h := ethernet.Header{Dst: to, Src: c.mac, Type: ethernet.TypeARP}
	f := link.Frame{Head: p.AppendTo(h.AppendTo(nil))}
	if _, err := c.port.WriteFrames([]link.Frame{f}); err != nil {
		c.t.Error(err)
	}
}

// TestOrdersFromGit: a revert, a merge and a pin that stock git or our own
// commands push into the history of a running appliance change its live table,
// and where its packets go.
func TestOrdersFromGit(t *testing.T) {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	port, err := sw.Port(vnet.PortConfig{Name: "appliance"})
	if err != nil {
		t.Fatal(err)
	}
	const token = "0123456789abcdef"
	tokens, err := gitserve.ReadTokens(strings.NewReader(token))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Start(t.Context(), Config{Device: port, Address: ownNet, Manage: 8081, Node: "box", Push: &gitserve.PushConfig{Authorize: tokens.Authorize}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(context.Background())
	live := a.newLive()
	srv := httptest.NewServer(live)
	defer srv.Close()
	defer live.Close()

	seven, nine := netip.MustParseAddr("10.9.0.7"), netip.MustParseAddr("10.9.0.9")
	before, after, other := newCard(t, sw, 0x0a, seven), newCard(t, sw, 0x0b, seven), newCard(t, sw, 0x0c, nine)
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the table has %+v", what, a.node.ARP.Neighbors())
			}
		}
	}
	at := func(ip netip.Addr) (mac ethernet.Addr, state arp.State) {
		for _, n := range a.node.ARP.Neighbors() {
			if n.Addr == ip {
				return n.MAC, n.State
			}
		}
		return mac, state
	}
	held := func(ip netip.Addr, by *card) func() bool {
		return func() bool { mac, _ := at(ip); return mac == by.mac }
	}
	// packets checks that what the appliance sends to an address goes to a card.
	packets := func(ip netip.Addr, to *card) {
		t.Helper()
		was := to.got.Load()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		a.node.Stack.Ping(ctx, ip, 8) // nobody answers
		until("packets for "+ip.String(), func() bool { return to.got.Load() > was })
	}

	before.up.Store(true)
	before.claim()
	until("a station asks for us", held(seven, before))
	packets(seven, before)
	before.up.Store(false)
	after.up.Store(true)
	until("another card has the address", func() bool { after.claim(); return held(seven, after)() })
	packets(seven, after)
	if err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}

	dir := filepath.Join(t.TempDir(), "clone")
	url := strings.Replace(srv.URL, "http://", "http://me:"+token+"@", 1) + "/arp.git"
	git := func(args ...string) string { t.Helper(); return vcstest.Git(t, dir, args...) }
	vcstest.Git(t, filepath.Dir(dir), "clone", "-q", url, dir)

	// stock git reverts the move
	after.up.Store(false)
	before.up.Store(true)
	move := git("log", "-1", "--format=%H", "--grep=-> 02:50:00:00:00:0b (was 02:50:00:00:00:0a)")
	git("revert", "--no-edit", move)
	git("push", "-q", "origin", "HEAD:primary")
	until("after the revert", held(seven, before))
	packets(seven, before)

	// stock git merges what another site has seen
	k := arp.Key{Domain: arp.DefaultDomain, Addr: nine}
	entry := versioned.Entry{State: versioned.Dynamic, MAC: other.mac, FirstSeen: 1, Learned: "request", Node: "site-b", Clock: time.Now().UnixMilli()}
	write := func(k arp.Key, e versioned.Entry) {
		t.Helper()
		text, err := e.Encode()
		file := filepath.Join(dir, filepath.FromSlash(versioned.Layout{}.Path(k)))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(file), 0o777)
		}
		if err == nil {
			err = os.WriteFile(file, text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		git("add", ".")
		git("commit", "-q", "-m", "seen by site-b")
	}
	git("checkout", "-q", "-b", "site-b")
	write(k, entry)
	own := k
	own.Addr = ownNet.Addr() // an own address stays
	write(own, entry)
	git("checkout", "-q", "primary")
	git("merge", "-q", "--no-ff", "-m", "merge site-b", "site-b")
	git("push", "-q", "origin", "primary")
	until("after the merge", held(nine, other))
	if _, state := at(nine); state != arp.StateStale {
		t.Errorf("what came from elsewhere is %v", state)
	}
	packets(nine, other)
	if mac, _ := at(own.Addr); !mac.IsZero() || len(a.Addresses()) != 1 {
		t.Errorf("the own address is at %v, own are %v", mac, a.Addresses())
	}

	// our own commands pin, and push
	bare := filepath.Join(t.TempDir(), "bare.git")
	vcstest.Git(t, filepath.Dir(bare), "clone", "-q", "--bare", url, bare)
	store := openBare(t, bare)
	repo, err := versioned.NewRepo(store)
	if err != nil {
		t.Fatal(err)
	}
	k.Addr = seven
	me := vcs.Signature{Name: "me", Email: "me@example.com"}
	if _, _, err := versioned.Pin(t.Context(), repo, versioned.Primary, "box", k, before.mac, vcs.CommitInfo{Author: me, Committer: me, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := gitremote.Push(t.Context(), store, url, []string{"primary"}, gitremote.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	until("after the pin", func() bool { mac, state := at(seven); return mac == before.mac && state == arp.StatePermanent })
	before.up.Store(false)
	after.up.Store(true)
	for range 3 {
		after.claim()
		time.Sleep(time.Second)
	}
	packets(seven, before)

	// and stock git takes the pin back
	if err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	git("pull", "-q", "--ff-only")
	git("revert", "--no-edit", git("log", "-1", "--format=%H", "--grep=pinned to"))
	git("push", "-q", "origin", "primary")
	until("after the pin is gone", func() bool { _, state := at(seven); return state != arp.StatePermanent })
	until("the other card has the address again", func() bool { after.claim(); return held(seven, after)() })
	packets(seven, after)

	// who has no token changes nothing
	resp, err := http.Get(srv.URL + "/arp.git/info/refs?service=git-receive-pack")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", resp.Status)
	}
	if err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	git("pull", "-q", "--ff-only")
	git("fsck", "--strict")
}

func openBare(t *testing.T, dir string) *vcs.Store {
	t.Helper()
	d, err := gitremote.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := vcs.OpenStore(t.Context(), d, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
