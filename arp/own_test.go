package arp

import (
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

// RFC 5227 §2.4: (a) give up at once, (b) defend once, (c) hold.
//
//rfc:5227 defend defend-announces ongoing respond at-once once indefinitely
//rfc:3927 at-once
func TestDefencePolicies(t *testing.T) {
	for _, c := range []struct {
		policy   DefendPolicy
		defences int
		lostAt   int // the conflict that cost the address; 0: none
		told     int
	}{
		{DefendNever, 0, 1, 1},
		{DefendOnce, 1, 2, 1},
		{DefendHold, 2, 0, 2},
	} {
		l := newLab(t, Config{Defend: c.policy})
		told, defences, lostAt := 0, 0, 0
		for i := 1; i <= 15; i++ { // one conflict a second
			l.frame(ethernet.Broadcast, announcement(xMAC, meIP))
			acts := l.take()
			told += len(pick(acts, ActConflict))
			defences += len(pick(acts, ActSend))
			if lostAt == 0 && len(l.e.Addresses()) == 0 {
				lostAt = i
			}
			l.wait(time.Second)
		}
		if told != c.told || defences != c.defences || lostAt != c.lostAt {
			t.Errorf("policy %d: told %d times, %d defences, lost at conflict %d; want %+v", c.policy, told, defences, lostAt, c)
		}
	}
}

// A conflict ten seconds after the last defence is a first one again.
func TestRareConflictsAreDefendedEachTime(t *testing.T) {
	l := newLab(t, Config{Defend: DefendOnce})
	for range 5 {
		l.frame(meMAC, reply(xMAC, meIP))
		if s := l.sent(); len(s) != 1 || s[0].Packet != announcement(meMAC, meIP) {
			t.Fatalf("defended by %+v", s)
		}
		l.wait(10 * time.Second)
	}
}

// RFC 5227 §2.1.1: two hosts that probe for one address at once see each
// other's probes, and neither takes it.
//
//rfc:5227 probe probe-conflict
func TestSimultaneousProbesAreAConflict(t *testing.T) {
	l := bareLab(t, Config{Probe: true})
	l.e.AddAddress(l.now, netip.PrefixFrom(meIP, 24))
	l.wait(1500 * time.Millisecond)
	l.frame(ethernet.Broadcast, request(xMAC, netip.IPv4Unspecified(), meIP))
	if c := pick(l.take(), ActConflict); len(c) != 1 || c[0].MAC != xMAC {
		t.Fatalf("conflict: %+v", c)
	}
	l.wait(time.Minute)
	if len(l.sent()) != 0 || len(l.e.Addresses()) != 0 {
		t.Fatal("the address was taken all the same")
	}
}

// Once it is ours, a probe for it is answered and is no conflict.
func TestProbeForAHeldAddressIsAnswered(t *testing.T) {
	l := newLab(t, Config{})
	l.frame(ethernet.Broadcast, request(xMAC, netip.IPv4Unspecified(), meIP))
	acts := l.take()
	if s := pick(acts, ActSend); len(s) != 1 || s[0].Packet.Op != OpReply || len(pick(acts, ActRecord, ActConflict)) != 0 {
		t.Fatalf("%+v", acts)
	}
}

// RFC 3927 §2.5: all replies for link-local addresses are broadcast.
//
//rfc:3927 broadcast-replies
func TestLinkLocalRepliesAreBroadcast(t *testing.T) {
	l := bareLab(t, Config{})
	ours, theirs := netip.MustParseAddr("169.254.7.1"), netip.MustParseAddr("169.254.9.9")
	l.e.AddAddress(l.now, netip.PrefixFrom(ours, 16))
	l.wait(time.Minute)
	l.take()
	l.frame(ethernet.Broadcast, request(aMAC, theirs, ours))
	if s := l.sent(); len(s) != 1 || !s[0].Dst.IsBroadcast() || s[0].Packet.TargetMAC != aMAC {
		t.Fatalf("%+v", s)
	}
}

//rfc:5227 announce announce-form
//rfc:2131 announce
//rfc:3927 announce
func TestAnnouncementForms(t *testing.T) {
	for _, compat := range []bool{false, true} {
		l := bareLab(t, Config{AnnounceReply: compat})
		l.e.AddAddress(l.now, netip.PrefixFrom(meIP, 24))
		l.wait(time.Minute)
		want := KindAnnouncement
		if compat {
			want = KindGratuitousReply
		}
		s := l.sent()
		if len(s) != 2 || s[0].Packet.Kind() != want || s[0].Packet.SenderIP != meIP {
			t.Errorf("compat %v: %+v", compat, s)
		}
	}
}

// The source of a request is the own address of the same network.
func TestRequestsComeFromTheRightAddress(t *testing.T) {
	l := newLab(t, Config{})
	other := netip.MustParsePrefix("172.16.0.1/16")
	l.e.AddAddress(l.now, other)
	l.wait(time.Minute)
	l.take()
	for _, c := range []struct{ target, source netip.Addr }{
		{aIP, meIP}, {netip.MustParseAddr("172.16.9.9"), other.Addr()}, {netip.MustParseAddr("8.8.8.8"), meIP},
	} {
		l.e.Resolve(l.now, c.target)
		if s := l.sent(); len(s) != 1 || s[0].Packet.SenderIP != c.source {
			t.Errorf("for %v: %+v", c.target, s)
		}
	}
}

// An address that becomes ours stops being a neighbour's.
func TestOwnAddressEndsABinding(t *testing.T) {
	l := newLab(t, Config{})
	l.known()
	l.e.AddAddress(l.now, netip.PrefixFrom(aIP, 24))
	if x := pick(l.take(), ActExpire); len(x) != 1 || x[0].Change.Old != aMAC {
		t.Fatalf("%+v", x)
	}
	if mac, v, _ := l.e.Resolve(l.now, aIP); v != Hit || mac != meMAC {
		t.Fatalf("resolves to %v", mac)
	}
	if l.e.Seed(l.now, aIP, Binding{MAC: aMAC}) || l.e.Pin(l.now, aIP, aMAC) != ErrOwnAddress {
		t.Fatal("an own address was given away")
	}
}

// RFC 826: what a packet says of its sender is heard whatever its operation;
// only a request is answered.
//
//rfc:826 merge only-requests
func TestRFC826MergeThenAnswer(t *testing.T) {
	l := newLab(t, Config{ExpireAfter: time.Minute})
	l.known()
	for range 10 {
		l.wait(30 * time.Second)
		l.frame(ethernet.Broadcast, request(aMAC, aIP, bIP)) // not for us
		if s := l.sent(); len(s) > 0 {
			t.Fatalf("%+v", s)
		}
	}
	if s, mac := l.state(aIP); mac != aMAC || s == StateNone {
		t.Fatalf("%v, %v", s, mac)
	}
	l.frame(ethernet.Broadcast, Packet{OpReply, aMAC, aIP, meMAC, meIP})
	if s := l.sent(); len(s) > 0 {
		t.Fatalf("a reply was answered: %+v", s)
	}
}

// RFC 3927 §2.5: requests from a link-local address are broadcast, too, also those
// that ask a known neighbour whether it is still there.
//
//rfc:3927 broadcast-requests
func TestLinkLocalRequestsAreBroadcast(t *testing.T) {
	l := bareLab(t, Config{})
	ours, theirs := netip.MustParseAddr("169.254.7.1"), netip.MustParseAddr("169.254.9.9")
	l.e.AddAddress(l.now, netip.PrefixFrom(ours, 16))
	l.wait(time.Minute)
	l.frame(ethernet.Broadcast, request(aMAC, theirs, ours))
	l.take()
	l.e.Resolve(l.now, theirs) // the first use of a stale binding
	l.wait(20 * time.Second)
	s := l.sent()
	if len(s) != 3 {
		t.Fatalf("%d requests", len(s))
	}
	for _, a := range s {
		if !a.Dst.IsBroadcast() || a.Packet.Op != OpRequest || a.Packet.SenderIP != ours || a.Packet.TargetIP != theirs {
			t.Errorf("%+v", a)
		}
	}
}

// RFC 3927 §2.5: a link-local address is given up at the second conflict within ten
// seconds whatever the policy for others is, and a conflict is never ignored.
//
//rfc:3927 cease respond defend-once
func TestLinkLocalIsGivenUp(t *testing.T) {
	l := bareLab(t, Config{Defend: DefendHold})
	ours := netip.MustParseAddr("169.254.7.1")
	l.e.AddAddress(l.now, netip.PrefixFrom(ours, 16))
	l.wait(time.Minute)
	l.take()
	l.frame(ethernet.Broadcast, announcement(xMAC, ours))
	if s := l.sent(); len(s) != 1 || s[0].Packet != announcement(meMAC, ours) {
		t.Errorf("defended by %+v", s)
	}
	l.wait(9 * time.Second)
	l.frame(ethernet.Broadcast, announcement(xMAC, ours))
	if acts := l.take(); len(pick(acts, ActConflict)) != 1 || len(l.e.Addresses()) != 0 {
		t.Errorf("%+v, addresses %v", acts, l.e.Addresses())
	}
}

// RFC 3927 §2.2 and §4: an address that is ours is neither probed for nor announced
// again as long as nobody disputes it.
//
//rfc:3927 not-periodic
//rfc:5227 not-periodic
func TestNothingIsSentForAHeldAddress(t *testing.T) {
	l := bareLab(t, Config{Probe: true})
	l.e.AddAddress(l.now, netip.MustParsePrefix("169.254.7.1/16"))
	l.wait(time.Minute)
	if s := l.sent(); len(s) != 5 {
		t.Errorf("%d packets to begin with", len(s))
	}
	l.wait(24 * time.Hour)
	if s := l.sent(); len(s) != 0 {
		t.Errorf("then %+v", s)
	}
}

// RFC 3927 §2.7, RFC 826: nobody answers for an address that is not its own.
//
//rfc:3927 only-own
//rfc:826 only-ours
//rfc:919 arp
func TestOnlyOwnAddressesAreAnswered(t *testing.T) {
	l := newLab(t, Config{})
	for _, a := range []string{"169.254.7.1", "10.0.0.99", "10.0.0.255", "255.255.255.255", "0.0.0.0", "127.0.0.1"} {
		l.frame(ethernet.Broadcast, request(aMAC, aIP, netip.MustParseAddr(a)))
		if s := l.sent(); len(s) != 0 {
			t.Errorf("asked for %s: %+v", a, s)
		}
	}
}

// RFC 3927 §2.2.1 and §9: a configuration that makes probes of other addresses
// faster leaves those of link-local ones alone.
//
//rfc:3927 probe-times
func TestLinkLocalProbesTakeTheirTime(t *testing.T) {
	brisk := Config{Probe: true, ProbeWait: -1, ProbeMin: time.Millisecond, ProbeMax: time.Millisecond, AnnounceWait: time.Millisecond}
	const step = 10 * time.Millisecond
	times := func(p string) (at []time.Duration) {
		l := bareLab(t, brisk)
		began := l.now
		l.e.AddAddress(l.now, netip.MustParsePrefix(p))
		for range 1000 {
			l.wait(step)
			for range l.sent() {
				at = append(at, l.now.Sub(began))
			}
		}
		if len(at) != 5 {
			t.Fatalf("%d probes and announcements of %s", len(at), p)
		}
		return at
	}
	if at := times("10.0.0.9/24"); at[3] > 2*step {
		t.Errorf("the configured times are not heeded: %v", at)
	}
	at := times("169.254.7.1/16")
	for n, gap := range []time.Duration{at[1] - at[0], at[2] - at[1], at[3] - at[2]} {
		if gap < time.Second-step || gap > 2*time.Second+step || n == 2 && gap < 2*time.Second-step {
			t.Errorf("probes and the first announcement at %v", at)
		}
	}
	if at[0] > time.Second+step {
		t.Errorf("first probe at %v", at[0])
	}
}
