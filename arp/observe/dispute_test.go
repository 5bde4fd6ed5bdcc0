package observe

import (
	"net/netip"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// X, Y, X within a minute is a duplicate address: once, and one line.
func TestDuplicateAddressIsOneLine(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.wait(time.Minute)
	l.says(mac(1), ip(7))
	l.wait(20 * time.Second)
	l.want(l.says(mac(2), ip(7)), "changed 10.9.0.7 2 (1) moved !")
	l.wait(20 * time.Second)
	l.want(l.says(mac(1), ip(7)), "flip-flop 10.9.0.7 1 (2) moved", "dup-ip/began 10.9.0.7 2 (1) !")
	if a, b := l.all[len(l.all)-2].Episode, l.all[len(l.all)-1].Episode; a != b || a == 0 {
		t.Errorf("episodes %v and %v", a, b)
	}
	for range 20 {
		l.wait(2 * time.Second)
		l.want(l.says(mac(2), ip(7)), "flip-flop 10.9.0.7 2 (1) moved")
		l.wait(2 * time.Second)
		l.want(l.says(mac(1), ip(7)), "flip-flop 10.9.0.7 1 (2) moved")
	}
	l.wait(10 * time.Minute)
	l.want(l.says(mac(1), ip(7)), "dup-ip/ended 10.9.0.7 2 (1)")
	if n := l.all[len(l.all)-1].Count; n != 41 {
		t.Errorf("the episode had %d frames", n)
	}
	l.wantLines("new-station 10.9.0.7 1 learned !", "dup-ip/began 10.9.0.7 2 (1) !")
}

// The window is measured from the holder's frame to its next one.
func TestSlowFlipIsNoDuplicate(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.wait(30 * time.Second)
	l.says(mac(2), ip(7))
	l.wait(31 * time.Second)
	l.want(l.says(mac(1), ip(7)), "flip-flop 10.9.0.7 1 (2) moved !")
	l.wantLines("new-station 10.9.0.7 1 learned !", "changed 10.9.0.7 2 (1) moved !", "flip-flop 10.9.0.7 1 (2) moved !")
}

// poison makes a network of a gateway (1, .1), a victim (7, .7) and an attacker
// (66, .66), all of them known for a while.
func poison(t *testing.T, cfg Config) *lab {
	l := newLab(t, cfg)
	for range 3 {
		for _, n := range []int{1, 7, 66} {
			l.says(mac(n), ip(n))
		}
		l.wait(40 * time.Second)
	}
	return l
}

var known = []string{"new-station 10.9.0.1 1 learned !", "new-station 10.9.0.7 7 learned !", "new-station 10.9.0.66 66 learned !"}

// Poisoning two victims is two lines, however long it takes: answers that
// nobody asked for, each to one victim.
func TestPoisoningByUnicastIsTwoLines(t *testing.T) {
	for _, policy := range []Policy{Compat, Verify, Strict, First} {
		t.Run(policy.String(), func(t *testing.T) {
			l := poison(t, Config{Policy: policy})
			for i := range 60 {
				l.replies(mac(66), ip(1), mac(7), ip(7)) // to the victim
				l.replies(mac(66), ip(7), mac(1), ip(1)) // to the gateway
				l.wait(time.Second)
				if i%10 == 0 { // they still talk
					l.asks(mac(1), ip(1), ip(20))
					l.asks(mac(7), ip(7), ip(20))
				}
				l.wait(time.Second)
			}
			l.wantLines(append(known, "spoof/began 10.9.0.1 66 (1) !", "spoof/began 10.9.0.7 66 (7) !")...)
			moved := 0
			for i := range l.all {
				if l.all[i].Op == arp.OpMoved {
					moved++
				}
			}
			if policy != Compat && moved != 0 {
				t.Errorf("%d moves", moved)
			}
			k, ok := l.e.Lookup(arp.Key{Domain: "lan", Addr: ip(1)})
			if policy != Compat && (!ok || k.Owners[0].MAC != mac(1)) {
				t.Errorf("the gateway's address went to %v", k.Owners)
			}
		})
	}
}

// The same by gratuitous requests to all, as a takeover in good faith looks:
// the owner's next frame shows what it was.
func TestPoisoningByBroadcastIsTwoLines(t *testing.T) {
	l := poison(t, Config{})
	l.want(l.says(mac(66), ip(1)), "changed 10.9.0.1 66 (1) moved !")
	l.want(l.says(mac(66), ip(7)), "changed 10.9.0.7 66 (7) moved !")
	l.wait(10 * time.Second)
	l.want(l.asks(mac(1), ip(1), ip(7)), "flip-flop 10.9.0.1 1 (66) moved", "spoof/began 10.9.0.1 66 (1) !")
	l.want(l.asks(mac(7), ip(7), ip(1)), "flip-flop 10.9.0.7 7 (66) moved", "spoof/began 10.9.0.7 66 (7) !")
	l.want(l.says(mac(66), ip(1)), "flip-flop 10.9.0.1 66 (1) moved")
	l.wantLines(append(known, "spoof/began 10.9.0.1 66 (1) !", "spoof/began 10.9.0.7 66 (7) !")...)
}

// Two attackers within a minute are two episodes, on one address or on two.
func TestIndependentAttacksStayApart(t *testing.T) {
	l := poison(t, Config{})
	l.says(mac(67), ip(67))
	l.wait(time.Minute)
	l.says(mac(1), ip(1))
	l.says(mac(7), ip(7))
	l.wait(time.Second)
	l.want(l.replies(mac(66), ip(1), mac(7), ip(7)), "changed 10.9.0.1 66 (1) moved", "spoof/began 10.9.0.1 66 (1) !")
	l.wait(time.Second)
	l.says(mac(1), ip(1))
	l.wait(time.Second)
	l.want(l.replies(mac(67), ip(1), mac(7), ip(7)), "changed 10.9.0.1 67 (1) moved", "spoof/began 10.9.0.1 67 (1) !")
	l.want(l.replies(mac(67), ip(7), mac(1), ip(1)), "changed 10.9.0.7 67 (7) moved", "spoof/began 10.9.0.7 67 (7) !")
	l.wait(time.Second)
	l.want(l.says(mac(1), ip(1)), "flip-flop 10.9.0.1 1 (67) moved")
}

// An address that DHCP gives to the next host is a change and nothing worse,
// even when the next host had another address and the last one talked lately.
func TestDHCPReuseIsAChange(t *testing.T) {
	l := poison(t, Config{})
	l.wait(30 * time.Second) // host 7 talked 70 s ago at most, and leaves
	l.probes(mac(66), ip(7))
	l.wait(2 * time.Second)
	l.want(l.says(mac(66), ip(7)), "changed 10.9.0.7 66 (7) moved !")
	l.wait(time.Second)
	l.want(l.asks(mac(66), ip(7), ip(1)))
	l.want(l.asks(mac(1), ip(1), ip(7)))
	l.want(l.replies(mac(66), ip(7), mac(1), ip(1)))
	l.wantLines(append(known, "changed 10.9.0.7 66 (7) moved !")...)
}

// An answer to a question that was seen is no whisper: the address may have
// moved in good faith.
func TestSolicitedAnswerByAnotherHost(t *testing.T) {
	l := poison(t, Config{})
	l.asks(mac(1), ip(1), ip(7))
	l.want(l.replies(mac(66), ip(7), mac(1), ip(1)), "changed 10.9.0.7 66 (7) moved !")
	if r := l.all[len(l.all)-1]; !r.Solicited {
		t.Error("not solicited")
	}
	// RFC 1122 §2.3.2.1: a unicast poll is a question too.
	l = poison(t, Config{})
	l.arp(mac(66), mac(1), arp.Packet{Op: arp.OpRequest, SenderMAC: mac(1), SenderIP: ip(1), TargetMAC: mac(66), TargetIP: ip(7)})
	l.want(l.replies(mac(66), ip(7), mac(1), ip(1)), "changed 10.9.0.7 66 (7) moved !")
}

// A VRRP, HSRP or CARP failover is no event: the binding stays, frames come
// from another Ethernet source, the new master announces.
func TestFailoverIsSilent(t *testing.T) {
	for _, v := range []string{"00:00:5e:00:01:0a", "00:00:5e:00:02:0a", "00:00:0c:07:ac:01", "00:00:0c:9f:f0:01", "00:05:73:a0:00:01", "02:bf:0a:09:00:01"} {
		t.Run(v, func(t *testing.T) {
			l := newLab(t, Config{}, "10.9.0.0/16")
			virtual := ethernet.MustParseAddr(v)
			l.says(mac(2), ip(2))
			l.says(mac(3), ip(3))
			gratuitous := arp.Packet{Op: arp.OpReply, SenderMAC: virtual, SenderIP: ip(1), TargetMAC: ethernet.Broadcast, TargetIP: ip(1)}
			l.arp(ethernet.Broadcast, virtual, gratuitous)
			before := len(l.all)
			for i := range 20 {
				master := mac(2 + i/5%2)
				src := master // CARP and some VRRP send from the real address
				if i%2 == 0 {
					src = virtual
				}
				l.wait(time.Second)
				l.arp(ethernet.Broadcast, src, gratuitous)
				l.asks(mac(9), ip(2), ip(1))
				l.arp(mac(9), src, arp.Packet{Op: arp.OpReply, SenderMAC: virtual, SenderIP: ip(1), TargetMAC: mac(9), TargetIP: ip(9)})
				// It asks in the name of the virtual address.
				l.arp(ethernet.Broadcast, src, arp.Packet{Op: arp.OpRequest, SenderMAC: virtual, SenderIP: ip(1), TargetIP: ip(9)})
			}
			for i := range l.all[before:] {
				if r := &l.all[before+i]; r.Key.Addr == ip(1) || r.Type == EtherMismatch {
					t.Errorf("%s", text(r))
				}
			}
		})
	}
	l := newLab(t, Config{})
	l.says(ethernet.MustParseAddr("00:07:b4:00:01:01"), ip(1))
	l.says(ethernet.MustParseAddr("00:07:b4:00:01:02"), ip(1))
	l.says(ethernet.MustParseAddr("00:07:b4:00:01:01"), ip(1))
	l.wantLines("new-station 10.9.0.1 257 learned !") // GLBP answers in turn
}

// A host that has addresses of both families is no spoofer for it.
func TestDualStackDuplicateIsNoSpoof(t *testing.T) {
	l := newLab(t, Config{})
	for n := 1; n <= 2; n++ {
		link := netip.MustParseAddr("fe80::" + string(rune('0'+n)))
		l.nd(mac(n), link, netip.MustParseAddr("ff02::1"), ndAdvertise, 0, link, mac(n))
	}
	l.says(mac(1), ip(7))
	l.says(mac(2), ip(7))
	l.want(l.says(mac(1), ip(7)), "flip-flop 10.9.0.7 1 (2) moved", "dup-ip/began 10.9.0.7 2 (1) !")
}

// A move that happens again and again within a second is folded.
func TestFastFlipsFold(t *testing.T) {
	l := newLab(t, Config{})
	for i := range 100 {
		l.says(mac(1+i%2), ip(7))
		l.wait(time.Millisecond)
	}
	folded := 0
	for i := range l.all {
		if l.all[i].Folded {
			folded++
		}
	}
	if folded != 99-10 {
		t.Errorf("%d of 99 moves are folded", folded)
	}
	l.wantLines("new-station 10.9.0.7 1 learned !", "dup-ip/began 10.9.0.7 2 (1) !")
}

// A poisoner whose Ethernet source differs too is two lines all the same.
func TestPoisoningWithMismatchIsTwoLines(t *testing.T) {
	for _, dst := range []ethernet.Addr{mac(7), ethernet.Broadcast} {
		l := poison(t, Config{})
		for range 10 {
			for victim, other := range map[int]int{1: 7, 7: 1} {
				l.arp(dst, mac(99), arp.Packet{Op: arp.OpReply, SenderMAC: mac(66), SenderIP: ip(victim), TargetMAC: mac(other), TargetIP: ip(other)})
			}
			l.wait(2 * time.Second)
			l.asks(mac(1), ip(1), ip(20))
			l.asks(mac(7), ip(7), ip(20))
		}
		l.finish()
		if n := len(l.lines); n != 5 || l.lines[3].Record.Type != Spoof || l.lines[4].Record.Type != Spoof {
			t.Errorf("to %v: %d lines", dst, n)
			for _, line := range l.lines {
				t.Log(text(&line.Record))
			}
		}
		if l.e.Stats().Events[EtherMismatch] != 1 {
			t.Error("the record has no mismatch")
		}
	}
}

// When a dispute begins anew the same station is the offender, also if it was
// the last to speak before.
func TestRolesAreKept(t *testing.T) {
	l := poison(t, Config{})
	l.says(mac(66), ip(1))
	l.want(l.says(mac(1), ip(1)), "flip-flop 10.9.0.1 1 (66) moved", "spoof/began 10.9.0.1 66 (1) !")
	l.wait(10 * time.Minute)
	l.want(l.says(mac(66), ip(1)), "spoof/ended 10.9.0.1 66 (1)", "flip-flop 10.9.0.1 66 (1) moved !")
	l.wait(10 * time.Second)
	l.want(l.says(mac(1), ip(1)), "flip-flop 10.9.0.1 1 (66) moved !")
	l.wait(10 * time.Second)
	l.want(l.says(mac(66), ip(1)), "flip-flop 10.9.0.1 66 (1) moved", "spoof/began 10.9.0.1 66 (1) !")
}

// A third station in a dispute is an offender of its own, whoever speaks next.
func TestThirdStation(t *testing.T) {
	l := poison(t, Config{})
	l.says(mac(67), ip(67))
	l.says(mac(66), ip(1))
	l.want(l.says(mac(1), ip(1)), "flip-flop 10.9.0.1 1 (66) moved", "spoof/began 10.9.0.1 66 (1) !")
	l.want(l.says(mac(67), ip(1)), "changed 10.9.0.1 67 (1) moved !")
	l.want(l.says(mac(66), ip(1)), "reused 10.9.0.1 66 (67) moved", "spoof/began 10.9.0.1 67 (1) !")
	l.want(l.says(mac(67), ip(1)), "flip-flop 10.9.0.1 67 (66) moved")
	// A fourth that holds nothing else makes it a duplicate too, and a fifth
	// adds nothing.
	l.says(mac(68), ip(1))
	l.want(l.says(mac(1), ip(1)), "reused 10.9.0.1 1 (68) moved", "dup-ip/began 10.9.0.1 68 (1) !")
	for n := 69; n < 80; n++ {
		l.says(mac(n), ip(1))
		for _, r := range l.says(mac(1), ip(1)) {
			if r.Phase == PhaseBegan {
				t.Errorf("%s", text(&r))
			}
		}
	}
}

// With no room for episodes the sum is told, and the moves stay quiet.
func TestNoRoomForEpisodes(t *testing.T) {
	l := newLab(t, Config{MaxEpisodes: 1})
	l.says(mac(1), ip(255).Next())
	for n := 2; n <= 4; n++ {
		l.says(mac(n), ip(n))
		l.says(mac(n+10), ip(n))
		l.says(mac(n), ip(n))
	}
	l.finish()
	disputes := 0
	for _, line := range l.lines {
		switch line.Record.Type {
		case DupIP:
			disputes++
		case NewStation:
		case Changed: // of the disputes that found no room: nothing explains it
		default:
			t.Errorf("%s", text(&line.Record))
		}
	}
	if disputes != 2 || l.e.Stats().Episodes != 0 {
		t.Errorf("%d lines of disputes", disputes)
	}
}

// The holder was silent for long, and answers when another claims its address:
// the proof comes with the other's next frame, and who is new is the offender.
func TestDuplicateOfASilentHolder(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.wait(time.Hour)
	l.want(l.says(mac(2), ip(7)), "changed 10.9.0.7 2 (1) moved !")
	l.want(l.says(mac(1), ip(7)), "flip-flop 10.9.0.7 1 (2) moved !")
	l.wait(30 * time.Second)
	l.want(l.says(mac(2), ip(7)), "flip-flop 10.9.0.7 2 (1) moved", "dup-ip/began 10.9.0.7 2 (1) !")
	l.wantLines("new-station 10.9.0.7 1 learned !", "dup-ip/began 10.9.0.7 2 (1) !")
}

// The same over IPv6: an advertisement that nobody asked for, to one victim, by
// a station with a global address of its own; and a solicitation scan.
func TestNeighbourDiscoveryAttacks(t *testing.T) {
	l := newLab(t, Config{})
	addr := func(n byte) netip.Addr {
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0x0d, 3: 0xb8, 14: n >> 7, 15: n})
	}
	all := netip.MustParseAddr("ff02::1")
	for _, n := range []int{1, 7, 66} {
		l.nd(mac(n), addr(byte(n)), all, ndAdvertise, 0x20, addr(byte(n)), mac(n))
	}
	l.wait(10 * time.Second)
	h := ethernet.Header{Dst: mac(7), Src: mac(66), Type: ethernet.TypeIPv6}
	l.want(l.frame(ndFrame(h, addr(1), addr(7), ndAdvertise, 0x60, addr(1), mac(66)), 0),
		"changed 2001:db8::1 66 (1) moved", "spoof/began 2001:db8::1 66 (1) !")
	for n := range 120 {
		target := addr(byte(100 + n))
		node := netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 15: byte(100 + n)})
		l.nd(mac(7), addr(7), node, ndSolicit, 0, target, mac(7))
		l.wait(50 * time.Millisecond)
	}
	l.wantLines("new-station 2001:db8::1 1 learned !", "new-station 2001:db8::7 7 learned !", "new-station 2001:db8::42 66 learned !",
		"spoof/began 2001:db8::1 66 (1) !", "scan/began 7 !")
}
