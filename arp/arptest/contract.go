package arptest

import (
	"net/netip"
	"runtime"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// contractCases are what a stack relies on, under the default policy.
func contractCases() []resolverCase {
	cfg := arp.Config{}
	return []resolverCase{
		{"done_is_never_called_inside_resolve", cfg, neverInside},
		{"done_may_resolve_again", cfg, reentrant},
		{"learns_from_requests_to_us", cfg, learnsFromRequests},
		{"poison_is_refused", cfg, poison},
		{"moved_station_is_followed", cfg, moved},
		{"announces_twice_2s_apart", cfg, announcesTwice},
		{"defends_once_per_10s", cfg, defends},
		{"probe_before_use", arp.Config{Probe: true}, probes},
		{"probe_finds_the_owner", arp.Config{Probe: true}, probeConflict},
	}
}

func neverInside(b *bench) {
	b.own(meIP)
	for _, s := range []string{"10.9.0.10", "0.0.0.0", "224.0.0.1", "fe80::1"} {
		called := make(chan error, 1)
		b.r.Resolve(netip.MustParseAddr(s), func(_ netip.Addr, _ ethernet.Addr, err error) {
			if below("arpeggio/arp/arptest.neverInside") {
				b.Error("done was called inside Resolve")
			}
			called <- err
		})
		if err := <-called; err == nil {
			b.Errorf("%s resolved", s)
		}
	}
}

// below reports whether a function is on the stack below its caller. Another
// goroutine may call done before Resolve has returned; that is not inside.
func below(function string) bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if f.Function == function {
			return true
		}
		if !more {
			return false
		}
	}
}

func reentrant(b *bench) {
	b.own(meIP)
	var mac ethernet.Addr
	var ok bool
	b.r.Resolve(aIP, func(a netip.Addr, _ ethernet.Addr, _ error) {
		mac, ok = b.r.Resolve(a, func(netip.Addr, ethernet.Addr, error) {})
	})
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	synctest.Wait()
	if !ok || mac != aMAC {
		b.Errorf("resolved again from done: %v %v", mac, ok)
	}
}

func learnsFromRequests(b *bench) {
	b.own(meIP)
	b.a.Say(macBroadcast, request(aMAC, aIP, meIP))
	b.cached(aIP, aMAC)
	b.b.Say(macBroadcast, request(bMAC, bIP, aIP)) // not to us
	b.missing(bIP)
}

// poison: whoever claims a live neighbour's address, in whatever form, gets
// nothing while that neighbour answers.
func poison(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	for i := range 20 {
		b.wait(1200 * time.Millisecond)
		switch i % 4 {
		case 0:
			b.x.Say(meMAC, replyTo(xMAC, aIP, meMAC, meIP))
		case 1:
			b.x.Say(macBroadcast, announcement(xMAC, aIP))
		case 2:
			b.x.Say(macBroadcast, garp(xMAC, aIP))
		case 3:
			b.x.Say(meMAC, request(xMAC, aIP, meIP))
		}
		for _, f := range b.me.Sent() {
			if f.Dst == aMAC && f.Packet.Op == arp.OpRequest {
				b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
			}
		}
		b.cached(aIP, aMAC)
	}
}

// moved: an address whose old owner is silent goes to the new one.
func moved(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	b.wait(10 * time.Second)
	b.b.Say(macBroadcast, announcement(bMAC, aIP))
	if s := b.asked(aIP, 1); len(s) == 1 && s[0].Dst != aMAC {
		b.Errorf("asked %v, want the old owner", s[0].Dst)
	}
	b.cached(aIP, aMAC)
	b.wait(time.Second)
	b.cached(aIP, bMAC)
}

func announcesTwice(b *bench) {
	start := time.Now()
	b.r.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
	b.wait(time.Minute)
	s := b.me.Sent()
	want := announcement(meMAC, meIP)
	if len(s) != 2 || s[0].Packet != want || s[1].Packet != want ||
		s[0].At.Sub(start) != 0 || s[1].At.Sub(start) != 2*time.Second {
		b.Errorf("RFC 5227 §2.3 wants two announcements 2 s apart, got %+v", s)
	}
}

func defends(b *bench) {
	calls := 0
	b.r.AddressAdded(netip.PrefixFrom(meIP, 24), func(netip.Addr, ethernet.Addr) { calls++ })
	b.wait(time.Minute)
	b.me.Sent()
	for range 25 {
		b.x.Say(macBroadcast, announcement(xMAC, meIP))
		b.wait(time.Second)
	}
	s := b.me.Sent()
	if len(s) != 3 {
		b.Errorf("RFC 5227 §2.4: %d defences in 25 s, want 3", len(s))
	}
	for _, f := range s {
		if f.Packet != announcement(meMAC, meIP) {
			b.Errorf("defended by %+v", f)
		}
	}
	if calls == 0 {
		b.Error("the owner of the address never heard of the conflict")
	}
	b.cached(meIP, meMAC)
}

func probes(b *bench) {
	b.r.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
	b.a.Say(meMAC, request(aMAC, aIP, meIP))
	b.wait(time.Minute)
	s := b.me.Sent()
	if len(s) != 5 {
		b.Fatalf("RFC 5227 §2.1.1 and §2.3: sent %+v", s)
	}
	for i, f := range s {
		want := request(meMAC, zero, meIP)
		if i >= 3 {
			want = announcement(meMAC, meIP)
		}
		if f.Packet != want {
			b.Errorf("frame %d: %+v, want %+v", i, f.Packet, want)
		}
	}
	if d := s[3].At.Sub(s[2].At); d != 2*time.Second {
		b.Errorf("announced %v after the last probe, want 2 s", d)
	}
}

func probeConflict(b *bench) {
	var owner ethernet.Addr
	b.r.AddressAdded(netip.PrefixFrom(meIP, 24), func(_ netip.Addr, mac ethernet.Addr) { owner = mac })
	b.wait(1100 * time.Millisecond)
	b.x.Say(meMAC, replyTo(xMAC, meIP, meMAC, zero))
	b.me.Sent()
	b.wait(time.Minute)
	b.silent()
	if owner != xMAC {
		b.Errorf("the conflict with %v was not reported (got %v)", xMAC, owner)
	}
}
