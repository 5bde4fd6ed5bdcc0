package versioned

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs/mem"
)

// attack is a way to take a gateway's entry over: frames that claim its address
// for the attacker, some time after its true answer.
type attack struct {
	name    string
	after   time.Duration // since the true answer
	forgot  bool          // the victim's cache has no entry (any more)
	times   int           // one a second
	unicast bool          // to the victim, else to everybody
	frame   func(gateway, victim netip.Addr, victimMAC ethernet.Addr) arp.Packet
	linux   bool // Linux 6.x gives the entry away
}

var (
	gatewayMAC  = ethernet.MustParseAddr("02:50:00:00:00:fe")
	attackerMAC = ethernet.MustParseAddr("02:50:00:00:00:66")
)

// attacks are the six of the project's notes on Linux under attack.
var attacks = []attack{
	{"unicast_reply_without_entry", 0, true, 1, true, poisonReply, false},
	{"gratuitous_reply_without_entry", 0, true, 1, false, poisonGARP, false},
	{"reply_50ms_after_the_answer", 50 * time.Millisecond, false, 1, true, poisonReply, false},
	{"reply_1.2s_after_the_answer", 1200 * time.Millisecond, false, 1, true, poisonReply, true},
	{"gratuitous_request_100ms_after_the_answer", 100 * time.Millisecond, false, 1, false, poisonAnnouncement, true},
	{"gratuitous_request_each_second", time.Second, false, 3, false, poisonAnnouncement, true},
}

func poisonReply(gw, victim netip.Addr, mac ethernet.Addr) arp.Packet {
	return arp.Packet{Op: arp.OpReply, SenderMAC: attackerMAC, SenderIP: gw, TargetMAC: mac, TargetIP: victim}
}

func poisonGARP(gw, _ netip.Addr, _ ethernet.Addr) arp.Packet {
	return arp.Packet{Op: arp.OpReply, SenderMAC: attackerMAC, SenderIP: gw, TargetMAC: ethernet.Broadcast, TargetIP: gw}
}

func poisonAnnouncement(gw, _ netip.Addr, _ ethernet.Addr) arp.Packet {
	return arp.Packet{Op: arp.OpRequest, SenderMAC: attackerMAC, SenderIP: gw, TargetIP: gw}
}

// bytes returns the whole frame that the attacker sends to a victim.
func (a attack) bytes(gw, victim netip.Addr, mac ethernet.Addr) []byte {
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: attackerMAC, Type: ethernet.TypeARP}
	if a.unicast {
		h.Dst = mac
	}
	return a.frame(gw, victim, mac).AppendTo(h.AppendTo(nil))
}

// recorded checks that the history tells of each of the attacker's attempts at
// gw, with the frame that made it.
func (a attack) recorded(t *testing.T, tab *Table, gw netip.Addr, frame []byte) {
	t.Helper()
	told := 0
	for c, err := range tab.Commits() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Trailer(TrailerCause) != "refused" || c.Trailer(TrailerAddress) != gw.String() {
			continue
		}
		folded := 0
		fmt.Sscan(c.Trailer(TrailerFolded), &folded)
		told += 1 + folded
		if c.Trailer(TrailerMAC) != attackerMAC.String() || c.Trailer(TrailerOld) != gatewayMAC.String() ||
			!strings.HasPrefix(c.Trailer(TrailerFrame), hex.EncodeToString(frame)) {
			t.Errorf("%s: the commit says\n%s\nand the frame was %x", a.name, c.Message, frame)
		}
	}
	if told != a.times {
		t.Errorf("%s: the history tells of %d attempts, want %d", a.name, told, a.times)
	}
	head, err := tab.Repo().Head(Primary)
	if err != nil {
		t.Fatal(err)
	}
	claimed := 0
	for c, err := range Claims(t.Context(), tab.Repo(), time.Time{}, time.Now().Add(time.Hour), head) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Key.Addr == gw {
			claimed += c.Count
			if c.MAC != attackerMAC || c.Against != gatewayMAC || c.Op != arp.OpRefused || c.Rule == "" || c.Node == "" {
				t.Errorf("%s: %+v", a.name, c)
			}
		}
	}
	if claimed != a.times {
		t.Errorf("%s: %d claims, want %d", a.name, claimed, a.times)
	}
}

// Frames on which Linux gives its gateway entry away, or did: ours stays, and
// each attempt is in the history with the frame that made it.
func TestSixAttackFrames(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			var st *station
			synctest.Test(t, func(t *testing.T) {
				hub := &arptest.Hub{}
				st = newStation(t, hub, 2, mem.New(), arp.Config{})
				gw := netip.MustParseAddr("192.168.3.254")
				hub.Join(&answerer{ip: gw}, gatewayMAC)
				x := hub.Join(nil, attackerMAC)
				st.up()
				time.Sleep(time.Minute)
				st.port.Ask(t, gw)
				synctest.Wait()
				if a.forgot {
					st.svc.Flush()
				}
				for i := range a.times {
					time.Sleep(a.after)
					x.Raw(a.bytes(gw, st.ip, st.mac))
					for range 50 { // it is in use meanwhile
						if mac, _, ok := st.port.Ask(t, gw).Answered(); !ok || mac != gatewayMAC {
							t.Errorf("attempt %d: the gateway is at %v", i+1, mac)
						}
						time.Sleep(10 * time.Millisecond)
					}
				}
				time.Sleep(20 * time.Second)
				x.Raw(poisonReply(gw, st.ip, st.mac).AppendTo(nil)) // no whole frame: nothing
				if b, ok := st.tab.Get(arp.Key{Domain: arp.DefaultDomain, Addr: gw}); !ok || b.MAC != gatewayMAC {
					t.Errorf("the table has the gateway at %v", b.MAC)
				}
				settle(t, st.tab)
				a.recorded(t, st.tab, gw, a.bytes(gw, st.ip, st.mac))
				st.close(t)
			})
			export(t, st.name, st.s)
		})
	}
}

// answerer is a station that answers for one address and knows nothing.
type answerer struct {
	ip   netip.Addr
	mac  ethernet.Addr
	send func(ethernet.Addr, ethernet.EtherType, []byte) error
}

func (r *answerer) AttachLink(_ string, mac ethernet.Addr, _ ethernet.VLAN, _ int, send func(ethernet.Addr, ethernet.EtherType, []byte) error) {
	r.mac, r.send = mac, send
}
func (r *answerer) Resolve(netip.Addr, func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	return ethernet.Addr{}, false
}
func (r *answerer) EtherTypes() []ethernet.EtherType { return []ethernet.EtherType{ethernet.TypeARP} }
func (r *answerer) HandleFrame(_ ethernet.Header, b []byte, _ time.Time) {
	if p, err := arp.Parse(b); err == nil && p.Op == arp.OpRequest && p.TargetIP == r.ip && p.SenderIP != r.ip {
		a := arp.Packet{Op: arp.OpReply, SenderMAC: r.mac, SenderIP: r.ip, TargetMAC: p.SenderMAC, TargetIP: p.SenderIP}
		go r.send(p.SenderMAC, ethernet.TypeARP, a.AppendTo(nil))
	}
}
func (r *answerer) AddressAdded(netip.Prefix, func(netip.Addr, ethernet.Addr)) {}
func (r *answerer) AddressRemoved(netip.Addr)                                  {}
func (r *answerer) Close() error                                               { return nil }
