package arp

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
)

// A check probes three times, takes nothing, and says that the address is free,
// or whose it is: one who answers, one who probes for it too.
//
//rfc:5227 probe-form probe-number sender-hardware target-null used probe-conflict
//rfc:3927 probe-form target-null probe-number used theirs
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		said func(l *lab)
		free bool
	}{
		{"nobody", func(*lab) {}, true},
		{"others talk", func(l *lab) { l.frame(ethernet.Broadcast, request(bMAC, bIP, aIP)) }, true},
		{"an answer", func(l *lab) { l.frame(meMAC, Packet{OpReply, aMAC, aIP, meMAC, netip.IPv4Unspecified()}) }, false},
		{"an announcement", func(l *lab) { l.frame(ethernet.Broadcast, announcement(aMAC, aIP)) }, false},
		{"another probe", func(l *lab) { l.frame(ethernet.Broadcast, request(aMAC, netip.IPv4Unspecified(), aIP)) }, false},
	} {
		l := newLab(t, Config{})
		first, again := l.e.Check(l.now, aIP), l.e.Check(l.now, aIP)
		if !first || !again {
			t.Fatal("no check")
		}
		l.wait(1500 * time.Millisecond)
		c.said(l)
		l.wait(time.Minute)
		acts := l.take()
		free, taken := pick(acts, ActFree), pick(acts, ActConflict)
		if c.free && (len(free) != 1 || len(taken) != 0 || len(pick(acts, ActSend)) != 3) ||
			!c.free && (len(free) != 0 || len(taken) != 1 || taken[0].MAC != aMAC) {
			t.Errorf("%s: free %+v, taken %+v", c.name, free, taken)
		}
		for _, a := range pick(acts, ActSend) {
			if a.Packet != request(meMAC, netip.IPv4Unspecified(), aIP) || !a.Dst.IsBroadcast() {
				t.Errorf("%s: sent %+v", c.name, a)
			}
		}
		if n := len(l.e.Addresses()); n != 1 {
			t.Errorf("%s: %d own addresses afterwards", c.name, n)
		}
	}
	l := newLab(t, Config{})
	for _, s := range []string{"10.9.0.1", "0.0.0.0", "224.0.0.1", "10.9.0.255", "::1"} {
		if l.e.Check(l.now, netip.MustParseAddr(s)) {
			t.Errorf("%s is checked", s)
		}
	}
}

// RFC 5227 §2.1.1: after MAX_CONFLICTS (RFC 3927 §2.2.1 allows one more) no more than one address is probed for in
// RATE_LIMIT_INTERVAL, for good: that one was free meanwhile changes nothing.
//
//rfc:5227 rate
//rfc:3927 rate
func TestConflictsLimitTheRate(t *testing.T) {
	l := newLab(t, Config{})
	try := func(i int, taken bool) time.Duration {
		start := l.now
		a := ipOf(i)
		l.e.Check(l.now, a)
		for range 2000 {
			l.wait(100 * time.Millisecond)
			if len(l.sent()) > 0 {
				break
			}
		}
		took := l.now.Sub(start)
		if taken {
			l.frame(ethernet.Broadcast, announcement(xMAC, a))
		} else {
			l.wait(10 * time.Second)
		}
		l.take()
		return took
	}
	for i := range 10 {
		if d := try(i, true); d > 1200*time.Millisecond {
			t.Errorf("attempt %d waited %v", i, d)
		}
	}
	for i := range 3 {
		if d := try(20+i, true); d < 57*time.Second || d > 62*time.Second {
			t.Errorf("attempt %d waited %v, want a minute from the one before", 10+i, d)
		}
	}
	try(30, false)
	if d := try(31, true); d < 45*time.Second || d > 62*time.Second {
		t.Errorf("after a success it waited %v, want a minute from the attempt before", d)
	}
}

// RFC 5227 §2.1.1: conflicts over an address in use limit the rate as well.
//
//rfc:5227 rate-later
func TestLaterConflictsLimitTheRate(t *testing.T) {
	l := newLab(t, Config{})
	for range 10 {
		l.frame(ethernet.Broadcast, announcement(xMAC, meIP))
		l.wait(time.Minute)
	}
	l.e.Check(l.now, aIP)
	l.e.Check(l.now, bIP)
	l.take()
	l.wait(30 * time.Second)
	for _, a := range l.sent() {
		if a.Packet.TargetIP != aIP {
			t.Errorf("probed for %v, the second address in a minute", a.Packet.TargetIP)
		}
	}
	l.wait(time.Minute)
	if n := len(l.sent()); n != 3 {
		t.Errorf("%d probes for the second address", n)
	}
}

// RFC 5227 §2.1.1 and §2.3: how long the parts of taking an address last.
//
//rfc:5227 probe-spacing announce-spacing
func TestSpacing(t *testing.T) {
	for seed := range uint64(20) {
		l := bareLab(t, Config{Probe: true})
		l.e.cfg.Rand = rand.New(rand.NewPCG(seed, 0))
		last := l.now
		var gaps []time.Duration
		l.e.AddAddress(l.now, netip.PrefixFrom(meIP, 24))
		for len(gaps) < 5 {
			l.wait(10 * time.Millisecond)
			if n := len(l.sent()); n > 0 {
				gaps = append(gaps, l.now.Sub(last).Truncate(10*time.Millisecond))
				last = l.now
			}
			if l.now.Sub(last) > time.Minute {
				t.Fatalf("sent only %v apart", gaps)
			}
		}
		ranges := [][2]time.Duration{{0, time.Second}, {time.Second, 2 * time.Second}, {time.Second, 2 * time.Second},
			{2 * time.Second, 2 * time.Second}, {2 * time.Second, 2 * time.Second}}
		for i, r := range ranges {
			if gaps[i] < r[0] || gaps[i] > r[1]+10*time.Millisecond {
				t.Errorf("packet %d came %v after the one before, want %v", i+1, gaps[i], r)
			}
		}
	}
}

// RFC 3927 §2.1: the same station tries the same addresses, others try others,
// all in the range; one that is taken is left alone.
//
//rfc:3927 range differ seed probe not-subnetted
func TestLinkLocal(t *testing.T) {
	first := linkLocalPick(linkLocalSource(meMAC))
	if first != linkLocalPick(linkLocalSource(meMAC)) || first == linkLocalPick(linkLocalSource(aMAC)) {
		t.Error("the candidates do not come from the MAC address")
	}
	r := linkLocalSource(aMAC)
	for range 100_000 {
		if b := linkLocalPick(r).As4(); b[0] != 169 || b[1] != 254 || b[2] == 0 || b[2] == 255 {
			t.Fatalf("%v is reserved", b)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := NewService(Config{})
		defer s.Close()
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, func(_ ethernet.Addr, _ ethernet.EtherType, b []byte) error {
			if p, _ := Parse(b); p.TargetIP == first && p.Kind() == KindProbe {
				a := Packet{OpReply, xMAC, first, meMAC, netip.IPv4Unspecified()}
				go s.HandleFrame(ethernet.Header{Dst: meMAC, Src: xMAC, Type: ethernet.TypeARP}, a.AppendTo(nil), time.Time{})
			}
			return nil
		})
		p, err := s.LinkLocal(t.Context())
		if err != nil || p.Addr() == first || !linkLocal.Contains(p.Addr()) || p.Bits() != 16 {
			t.Fatalf("%v, %v", p, err)
		}
		if !s.InUse(t.Context(), first) || s.InUse(t.Context(), p.Addr()) {
			t.Error("InUse says something else")
		}
		s.AddressAdded(p, nil)
		if got := s.Addresses(); len(got) != 1 || got[0] != p {
			t.Errorf("own addresses: %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.LinkLocal(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
}

// Proxy ARP happens on request only, and is no claim.
func TestPublish(t *testing.T) {
	l := newLab(t, Config{})
	ask := func(p Packet) int {
		l.frame(ethernet.Broadcast, p)
		return len(l.sent())
	}
	if ask(request(bMAC, bIP, aIP)) != 0 {
		t.Error("answered for another unasked")
	}
	if !l.e.Publish(aIP) || l.e.Publish(meIP) || l.e.Publish(netip.MustParseAddr("224.0.0.1")) {
		t.Error("what may be published")
	}
	if n := len(l.take()); n != 0 {
		t.Errorf("publishing sent %d packets", n)
	}
	l.frame(ethernet.Broadcast, request(bMAC, bIP, aIP))
	if s := l.sent(); len(s) != 1 || s[0].Dst != bMAC || s[0].Packet.SenderIP != aIP || s[0].Packet.SenderMAC != meMAC {
		t.Errorf("%+v", s)
	}
	if ask(request(bMAC, netip.IPv4Unspecified(), aIP)) != 0 || ask(announcement(aMAC, aIP)) != 0 {
		t.Error("a probe for it, or its owner, met resistance")
	}
	l.known()
	if ask(request(bMAC, bIP, aIP)) != 0 {
		t.Error("answered for a station that is on this very wire")
	}
	l.e.Flush()
	l.e.Unpublish(aIP)
	if ask(request(bMAC, bIP, aIP)) != 0 {
		t.Error("answered after the end")
	}
}

func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewService(Config{})
		defer s.Close()
		sent := make(chan Packet, 100)
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, func(_ ethernet.Addr, _ ethernet.EtherType, b []byte) error {
			p, err := Parse(b)
			sent <- p
			return err
		})
		if s.Announce(meIP) {
			t.Error("announced what is not ours")
		}
		s.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
		s.AddressAdded(netip.PrefixFrom(aIP, 24), nil)
		time.Sleep(time.Minute)
		if len(sent) != 4 || !s.Announce() {
			t.Errorf("%d announcements", len(sent))
		}
		time.Sleep(time.Minute)
		if len(sent) != 8 || !s.Announce(aIP) || s.Announce(bIP) {
			t.Errorf("%d announcements", len(sent))
		}
	})
}
