package observe

import (
	"net/netip"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// arpwatch's algorithm: head is silent, index 1 is flip-flop, index 2 and on is
// reused, anything else is changed.
func TestArpwatchAlgorithm(t *testing.T) {
	l := newLab(t, Config{})
	a := ip(7)
	l.want(l.says(mac(1), a), "new-station 10.9.0.7 1 learned !")
	l.wait(time.Hour)
	l.want(l.says(mac(1), a))
	l.wait(time.Hour)
	l.want(l.says(mac(2), a), "changed 10.9.0.7 2 (1) moved !")
	l.wait(time.Hour)
	l.want(l.says(mac(1), a), "flip-flop 10.9.0.7 1 (2) moved !")
	l.wait(time.Hour)
	l.want(l.says(mac(3), a), "changed 10.9.0.7 3 (1) moved !")
	l.wait(time.Hour)
	l.want(l.says(mac(2), a), "reused 10.9.0.7 2 (3) moved !")
	l.wait(time.Hour)
	l.want(l.says(mac(3), a), "flip-flop 10.9.0.7 3 (2) moved !")
}

// A move closes the interval of who held the address before.
func TestMoveClosesTheInterval(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	first := l.now
	l.wait(10 * time.Minute)
	l.says(mac(1), ip(7))
	last := l.now
	l.wait(10 * time.Minute)
	r := l.says(mac(2), ip(7))[0]
	if !r.OldFirst.Equal(first) || !r.Previous.Equal(last) || r.OldFrames != 2 {
		t.Errorf("interval %v to %v, %d frames", r.OldFirst, r.Previous, r.OldFrames)
	}
	if len(r.Frame()) != 14+arp.PacketLen {
		t.Errorf("evidence of %d octets", len(r.Frame()))
	}
}

func TestNewActivity(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.wait(DefaultNewActivity - time.Second)
	l.want(l.says(mac(1), ip(7)))
	l.wait(DefaultNewActivity)
	l.want(l.says(mac(1), ip(7)), "new-activity 10.9.0.7 1 !")
	l.want(l.says(mac(1), ip(7)))
}

// A VLAN is a broadcast domain of its own, and so is a domain.
func TestKeyIsDomainVLANAddress(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.vlan = ethernet.VLAN{Inner: 5}
	l.want(l.says(mac(2), ip(7)), "new-station 10.9.0.7 2 learned !")
	l.vlan = ethernet.VLAN{Outer: 100, Inner: 5}
	r := l.says(mac(3), ip(7))
	l.want(r, "new-station 10.9.0.7 3 learned !")
	if r[0].Key.VLAN.String() != "100.5" || r[0].Key.Domain != "lan" {
		t.Errorf("key %v", r[0].Key)
	}
	i, err := l.e.AddInterface(Interface{Name: "vb", Domain: "other"})
	if err != nil {
		t.Fatal(err)
	}
	s := Sighting{Time: l.now, Interface: i, Kind: KindReply, Source: mac(4), MAC: mac(4), Addr: ip(7), VLAN: l.vlan}
	l.want(l.e.Input(&s), "new-station 10.9.0.7 4 learned !")
	if n := l.e.Stats().Entries; n != 4 {
		t.Errorf("%d entries", n)
	}
}

// Probes and RARP bind nothing, nor does InARP.
func TestProbesAndRARPBindNothing(t *testing.T) {
	l := newLab(t, Config{}, "10.9.0.0/16")
	l.want(l.probes(mac(1), ip(7)))
	for _, op := range []arp.Op{arp.OpReverseRequest, arp.OpReverseReply} {
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(1), Type: ethernet.TypeRARP}
		p := arp.Packet{Op: op, SenderMAC: mac(1), SenderIP: ip(9), TargetMAC: mac(1), TargetIP: ip(9)}
		l.want(l.frame(p.AppendTo(h.AppendTo(nil)), 0))
	}
	l.want(l.arp(ethernet.Broadcast, mac(1), arp.Packet{Op: arp.OpInverseRequest, SenderMAC: mac(1), SenderIP: ip(9)}))
	if n := l.e.Stats().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestBogon(t *testing.T) {
	l := newLab(t, Config{}, "10.9.0.0/24", "2001:db8::/64")
	l.want(l.says(mac(1), ip(7)), "new-station 10.9.0.7 1 learned !")
	l.want(l.says(mac(2), netip.MustParseAddr("192.168.1.5")), "bogon/began 192.168.1.5 2 learned !")
	l.wait(time.Minute)
	l.want(l.says(mac(2), netip.MustParseAddr("192.168.1.5")))
	l.want(l.says(mac(3), netip.MustParseAddr("169.254.1.5")), "new-station 169.254.1.5 3 learned !")
	l.wait(time.Hour + time.Second)
	l.want(l.says(mac(1), ip(7)), "bogon/ended 192.168.1.5 2")
	if r := l.all[len(l.all)-1]; r.Count != 2 || r.Last.Sub(r.First) != time.Minute {
		t.Errorf("the episode had %d frames in %v", r.Count, r.Last.Sub(r.First))
	}
	bogon := netip.MustParseAddr("2001:db8:1::5")
	l.want(l.nd(mac(4), bogon, netip.MustParseAddr("ff02::1"), ndAdvertise, 0, bogon, mac(4)), "bogon/began 2001:db8:1::5 4 learned !")
	link := netip.MustParseAddr("fe80::5")
	l.want(l.nd(mac(4), link, netip.MustParseAddr("ff02::1"), ndAdvertise, 0, link, mac(4)), "new-station fe80::5 4 learned !")

	without := newLab(t, Config{})
	without.want(without.says(mac(2), netip.MustParseAddr("192.168.1.5")), "new-station 192.168.1.5 2 learned !")
}

func TestSendersThatAreNoStations(t *testing.T) {
	l := newLab(t, Config{}, "10.9.0.0/24")
	l.want(l.arp(ethernet.Broadcast, mac(1), arp.Packet{Op: arp.OpReply, SenderMAC: ethernet.Broadcast, SenderIP: ip(7), TargetIP: ip(1)}),
		"ether-broadcast/began 10.9.0.7 16777215 !")
	multicast := ethernet.Addr{3, 0, 0, 0, 0, 9}
	l.want(l.arp(ethernet.Broadcast, mac(1), arp.Packet{Op: arp.OpReply, SenderMAC: multicast, SenderIP: ip(7), TargetIP: ip(1)}),
		"ether-multicast/began 10.9.0.7 9 !")
	l.want(l.says(mac(1), ip(255)), "ip-broadcast/began 10.9.0.255 1 !")
	l.want(l.says(mac(1), ip(255)))
	l.want(l.says(mac(2), netip.MustParseAddr("255.255.255.255")), "ip-broadcast/began 255.255.255.255 2 !")
	l.want(l.says(mac(3), ip(0)), "ip-broadcast/began 10.9.0.0 3 !")
	l.want(l.says(mac(4), netip.MustParseAddr("224.0.0.1")), "malformed/began 224.0.0.1 4 !")
	if n := l.e.Stats().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestEtherMismatch(t *testing.T) {
	l := newLab(t, Config{})
	p := arp.Packet{Op: arp.OpReply, SenderMAC: mac(1), SenderIP: ip(7), TargetMAC: mac(9), TargetIP: ip(9)}
	l.want(l.arp(mac(9), mac(2), p), "new-station 10.9.0.7 1 learned !", "ether-mismatch/began 10.9.0.7 1 (2) !")
	l.want(l.arp(mac(9), mac(2), p))
	l.want(l.arp(mac(9), mac(3), p)) // a cluster's address passes to another member
	l.want(l.arp(mac(9), mac(1), p))
}

func TestMalformed(t *testing.T) {
	l := newLab(t, Config{})
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(1), Type: ethernet.TypeARP}
	good := arp.Packet{Op: arp.OpRequest, SenderMAC: mac(1), SenderIP: ip(7), TargetIP: ip(7)}.AppendTo(h.AppendTo(nil))
	bad := append([]byte(nil), good...)
	bad[14+4] = 8 // hlen, which kills arpalert
	l.want(l.frame(bad, 0), "malformed/began 1 !")
	l.want(l.frame(bad, 0))
	l.want(l.frame(good[:30], 0), "malformed/began 1 !") // another reason
	l.want(l.frame(good[:30], 42), "malformed/began 1 !")
	l.want(l.frame(good[:31], 42))
	l.want(l.frame(good, 0), "new-station 10.9.0.7 1 learned !")
	if got := l.e.Stats().Malformed; got[ReasonHardwareLen] != 2 || got[ReasonShort] != 1 || got[ReasonTruncated] != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestACDConflict(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.wait(time.Hour)
	l.want(l.probes(mac(2), ip(7)))
	l.wait(time.Millisecond)
	// RFC 5227: the answer to a probe goes to 0.0.0.0.
	l.want(l.replies(mac(1), ip(7), mac(2), zero4), "acd-conflict/began 10.9.0.7 2 (1) !")
	l.wait(time.Second)
	l.probes(mac(2), ip(7))
	l.want(l.replies(mac(1), ip(7), mac(2), zero4)) // the same episode

	// Nobody answers: no conflict, and the prober's own announcement is none.
	l.probes(mac(3), ip(8))
	l.wait(time.Second)
	l.want(l.says(mac(3), ip(8)), "new-station 10.9.0.8 3 learned !")
	// The holder answers a prober too late: it is no answer.
	l.probes(mac(4), ip(8))
	l.wait(DefaultACDWindow + time.Second)
	l.want(l.says(mac(3), ip(8)))
	// The holder was not known before.
	l.probes(mac(4), ip(9))
	l.want(l.replies(mac(5), ip(9), mac(4), zero4), "new-station 10.9.0.9 5 learned !", "acd-conflict/began 10.9.0.9 4 (5) !")
	// RFC 4862 §5.4: the same for IPv6.
	a := netip.MustParseAddr("2001:db8::7")
	l.nd(mac(6), netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1:ff00:7"), ndSolicit, 0, a, ethernet.Addr{})
	l.want(l.nd(mac(1), a, netip.MustParseAddr("ff02::1"), ndAdvertise, 0x20, a, mac(1)),
		"new-station 2001:db8::7 1 learned !", "acd-conflict/began 2001:db8::7 6 (1) !")
}

func TestScan(t *testing.T) {
	l := newLab(t, Config{})
	for n := 1; n <= 99; n++ {
		l.asks(mac(1), ip(1000), ip(n))
		l.asks(mac(1), ip(1000), ip(n)) // asking twice is one target
		l.wait(50 * time.Millisecond)
	}
	l.want(l.asks(mac(1), ip(1000), ip(100)), "scan/began 1 !")
	if r := l.all[len(l.all)-1]; r.Count != 100 || r.Detail != "100 targets in 4.95s" {
		t.Errorf("%d: %s", r.Count, r.Detail)
	}
	l.want(l.asks(mac(1), ip(1000), ip(101)))
	l.wait(11 * time.Second)
	l.want(l.says(mac(2), ip(2000)), "scan/ended 1", "new-station 10.9.7.208 2 learned !")
	if r := l.all[len(l.all)-2]; r.Count != 101 {
		t.Errorf("ended with %d targets", r.Count)
	}
	// A slow one is none: 99 targets in any 10 s.
	slow := newLab(t, Config{})
	for n := range 500 {
		slow.asks(mac(1), ip(1000), ip(n))
		slow.wait(10*time.Second/99 + time.Millisecond)
	}
	slow.wantLines("new-station 10.9.3.232 1 learned !")
	// A scanner that has no address asks with probes.
	probe := newLab(t, Config{})
	for n := range 100 {
		probe.probes(mac(1), ip(n))
	}
	probe.wantLines("scan/began 1 !")
}

func TestProxyARP(t *testing.T) {
	l := newLab(t, Config{})
	for n := 1; n <= 7; n++ {
		l.replies(mac(1), ip(n), mac(9), ip(9))
		l.wait(8 * time.Second)
	}
	l.want(l.replies(mac(1), ip(8), mac(9), ip(9)), "new-station 10.9.0.8 1 learned !", "proxy-arp/began 1 !")
	// A host with aliases that announces them is no proxy.
	aliases := newLab(t, Config{})
	for n := range 20 {
		aliases.says(mac(1), ip(n))
	}
	for i := range aliases.all {
		if aliases.all[i].Type != NewStation {
			t.Errorf("%s", text(&aliases.all[i]))
		}
	}
}
