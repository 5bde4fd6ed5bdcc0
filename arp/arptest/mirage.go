package arptest

import (
	"testing/synctest"
	"time"

	"arpeggio/arp"
)

// mirageCases are the counterparts of mirage/arp's list: only answers make
// bindings, and any packet moves one. Its codec cases stand with the codec.
func mirageCases() []resolverCase {
	cfg := arp.Config{Learn: arp.LearnKnown, Move: arp.MoveCompat}
	once, five := cfg, cfg
	once.MaxAsks, five.MaxAsks = 2, 5
	return []resolverCase{
		{"handler/basic", cfg, basic},
		{"handler/remove", cfg, remove},
		{"handler/alias", cfg, alias},
		{"handler/static", cfg, static},
		{"handler/static_and_alias", cfg, staticAlias},
		{"handler/request_once_then_wait", cfg, requestOnce},
		{"handler/alias_wakes", cfg, aliasWakes},
		{"handler/static_wakes", cfg, staticWakes},
		{"handler/timeout", cfg, timeout},
		{"handler/request_before_timeout", cfg, refreshed},
		{"handler/requests_are_repeated", once, func(b *bench) { repeated(b, 2) }},
		{"handler/requests_are_repeated_5", five, func(b *bench) { repeated(b, 5) }},
		{"handler/unsolicited_reply_not_cached", cfg, unsolicited},
		{"handler/garp_not_cached", cfg, garpNotCached},
		{"handler/answers_requests", cfg, answers},
		{"handler/not_answering_random", cfg, notAnswering},
		{"handler/reply_does_not_harm_static", cfg, staticUnharmed},
		{"handler/reply_is_in_cache", cfg, func(b *bench) { b.own(meIP); b.learn(aIP, b.a); b.cached(aIP, aMAC) }},
		{"handler/reply_times_out", cfg, replyTimesOut},
		{"handler/dynamic_overridden", cfg, overridden},
		{"handler/dynamic_not_advertised", cfg, notAdvertised},
		{"handler/reply_wakes_all", cfg, wakesAll},
		{"mirage/nonsense_operations", cfg, nonsenseOps},
		{"mirage/requests_are_responded_to", cfg, answers},
		{"mirage/set_ip_sends_garp", cfg, setIPs},
		{"mirage/get_remove_ips", cfg, removeIPs},
		{"mirage/unreachable_times_out", cfg, timeout},
		{"mirage/queries_are_tried_repeatedly", cfg, func(b *bench) { repeated(b, 3) }},
	}
}

func basic(b *bench) {
	b.own(meIP)
	b.cached(meIP, meMAC)
}

func remove(b *bench) {
	b.own(meIP)
	b.r.AddressRemoved(me2) // which it never had
	b.cached(meIP, meMAC)
	b.r.AddressRemoved(meIP)
	b.missing(meIP)
}

func alias(b *bench) {
	b.own(meIP, me2)
	b.cached(meIP, meMAC)
	b.cached(me2, meMAC)
	b.a.Say(meMAC, request(aMAC, aIP, me2))
	if s := b.me.Sent(); len(s) != 1 || s[0].Packet.SenderIP != me2 {
		b.Errorf("request for the alias: %+v", s)
	}
	b.r.AddressRemoved(me2)
	b.missing(me2)
	b.cached(meIP, meMAC)
}

func static(b *bench) {
	p := b.pinner()
	b.own(meIP)
	if err := p.Pin(aIP, aMAC); err != nil {
		b.Fatal(err)
	}
	b.cached(aIP, aMAC)
	b.wait(2 * time.Hour)
	b.cached(aIP, aMAC)
	b.a.Say(meMAC, request(bMAC, bIP, aIP))
	b.silent() // static is not published
}

// staticAlias: an address is either ours or somebody's. A pin does not take an
// own address; a new own address ends a pin.
func staticAlias(b *bench) {
	p := b.pinner()
	b.own(meIP)
	if err := p.Pin(meIP, aMAC); err == nil {
		b.Error("an own address was pinned to another station")
	}
	b.cached(meIP, meMAC)
	if err := p.Pin(me2, aMAC); err != nil {
		b.Fatal(err)
	}
	b.own(me2)
	b.cached(me2, meMAC)
}

func requestOnce(b *bench) {
	b.own(meIP)
	q1 := b.me.Ask(b.T, aIP)
	b.asked(aIP, 1)
	q2 := b.me.Ask(b.T, aIP)
	b.silent()
	b.waiting(q1)
	b.waiting(q2)
}

func aliasWakes(b *bench) {
	b.own(meIP)
	q := b.me.Ask(b.T, me2)
	b.own(me2)
	b.answered(q, meMAC)
}

func staticWakes(b *bench) {
	p := b.pinner()
	b.own(meIP)
	q := b.me.Ask(b.T, aIP)
	if err := p.Pin(aIP, aMAC); err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
	b.answered(q, aMAC)
	b.me.Sent()
	b.wait(time.Minute)
	b.silent() // nothing is left to ask for
}

func timeout(b *bench) {
	b.own(meIP)
	q := b.me.Ask(b.T, aIP)
	b.wait(3*time.Second - time.Millisecond)
	b.waiting(q)
	b.wait(2 * time.Millisecond)
	b.failed(q)
}

// refreshed: the owner is asked before its entry ends, and if it answers the
// entry does not.
func refreshed(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	b.wait(20*time.Minute - 3*time.Second)
	if s := b.asked(aIP, 1); len(s) == 1 && s[0].Dst != aMAC {
		b.Errorf("refreshed by a request to %v", s[0].Dst)
	}
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	b.wait(time.Minute)
	b.cached(aIP, aMAC)
}

func repeated(b *bench, n int) {
	b.own(meIP)
	q := b.me.Ask(b.T, aIP)
	b.wait(time.Duration(n)*time.Second + time.Millisecond)
	sent := b.asked(aIP, n)
	for i := 1; i < len(sent); i++ {
		if d := sent[i].At.Sub(sent[i-1].At); d < time.Second {
			b.Errorf("requests %v apart (RFC 1122 §2.3.2.1)", d)
		}
	}
	b.failed(q)
}

func unsolicited(b *bench) {
	b.own(meIP)
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	b.missing(aIP)
}

func garpNotCached(b *bench) {
	b.own(meIP)
	b.a.Say(b.me.MAC, garp(aMAC, aIP))
	b.b.Say(b.me.MAC, announcement(bMAC, bIP))
	b.missing(aIP)
	b.missing(bIP)
}

func answers(b *bench) {
	b.own(meIP)
	for _, dst := range []*Port{b.me, nil} {
		to := macBroadcast
		if dst != nil {
			to = dst.MAC
		}
		b.a.Say(to, request(aMAC, aIP, meIP))
		want := replyTo(meMAC, meIP, aMAC, aIP)
		if s := b.me.Sent(); len(s) != 1 || s[0].Packet != want || s[0].Dst != aMAC {
			b.Errorf("request to %v answered by %+v", to, s)
		}
	}
}

func notAnswering(b *bench) {
	b.own(meIP)
	b.a.Say(macBroadcast, request(aMAC, aIP, bIP))
	b.a.Say(meMAC, request(aMAC, aIP, bIP))
	b.a.Say(meMAC, replyTo(aMAC, aIP, bMAC, bIP))
	b.silent()
}

func staticUnharmed(b *bench) {
	p := b.pinner()
	b.own(meIP)
	if err := p.Pin(aIP, aMAC); err != nil {
		b.Fatal(err)
	}
	b.x.Say(meMAC, replyTo(xMAC, aIP, meMAC, meIP))
	b.x.Say(macBroadcast, announcement(xMAC, aIP))
	b.x.Say(macBroadcast, garp(xMAC, aIP))
	b.wait(time.Minute)
	b.cached(aIP, aMAC)
}

func replyTimesOut(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	b.wait(20*time.Minute + time.Second)
	b.me.Sent()
	b.missing(aIP)
}

func overridden(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	b.cached(aIP, aMAC)
	b.b.Say(meMAC, replyTo(bMAC, aIP, meMAC, meIP))
	b.cached(aIP, bMAC)
	b.a.Say(macBroadcast, announcement(aMAC, aIP))
	b.cached(aIP, aMAC)
}

func notAdvertised(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	b.b.Say(macBroadcast, request(bMAC, bIP, aIP))
	b.silent()
}

func wakesAll(b *bench) {
	b.own(meIP)
	var qs []*Query
	for range 20 {
		qs = append(qs, b.me.Ask(b.T, aIP))
	}
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	synctest.Wait()
	for _, q := range qs {
		b.answered(q, aMAC)
	}
}

func nonsenseOps(b *bench) {
	b.own(meIP)
	p := request(aMAC, aIP, meIP)
	for _, op := range []int{0, 3, 8, 9, 24, 25, 255, 256, 257, 65535} {
		p.Op = arp.Op(op)
		b.a.Say(meMAC, p)
	}
	b.silent()
	b.missing(aIP)
}
