package arptest

import (
	"net/netip"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

var macBroadcast = ethernet.Broadcast

// defectCases shows that defects found in earlier implementations are not
// here. The numbers are those of the list that the project keeps of them.
func defectCases() []resolverCase {
	always := arp.Config{Learn: arp.LearnAlways, Move: arp.MoveCompat}
	small := arp.Config{Capacity: 64}
	quiet := arp.Config{Learn: arp.LearnAlways, QuietExpiry: true, ExpireAfter: time.Minute}
	return []resolverCase{
		{"1_second_reply", always, secondReply},
		{"1_late_reply", arp.Config{}, lateReply},
		{"2_two_queries_for_one_address", arp.Config{}, twoQueries},
		{"3_move_within_a_second", always, moveWithinSecond},
		{"8_claims_of_what_is_ours_or_nobodys", always, inputGarbage},
		{"9_three_requests_not_four", arp.Config{}, func(b *bench) { repeated(b, 3) }},
		{"10_close_ends_everything", arp.Config{}, closeEnds},
		{"11_reads_see_expiry", quiet, readsSeeExpiry},
		{"lru_overflow_keeps_the_new_entry", small, overflow},
		{"lru_overflow_of_queries", small, overflowQueries},
		{"own_addresses_gone_wake_nobody_twice", arp.Config{}, recreate},
	}
}

// secondReply: any further reply for an address once asked for must not upset
// what is over.
func secondReply(b *bench) {
	b.own(meIP)
	b.learn(aIP, b.a)
	for range 3 {
		b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
		b.a.Say(macBroadcast, garp(aMAC, aIP))
	}
	synctest.Wait()
	b.cached(aIP, aMAC)
}

func lateReply(b *bench) {
	b.own(meIP)
	q := b.me.Ask(b.T, aIP)
	b.wait(3*time.Second + time.Millisecond)
	b.failed(q)
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	synctest.Wait()
	b.cached(aIP, aMAC) // it did answer, if late
}

func twoQueries(b *bench) {
	b.own(meIP)
	q1 := b.me.Ask(b.T, aIP)
	b.wait(500 * time.Millisecond)
	q2 := b.me.Ask(b.T, aIP)
	b.asked(aIP, 1)
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	synctest.Wait()
	b.answered(q1, aMAC)
	b.answered(q2, aMAC)
}

func moveWithinSecond(b *bench) {
	b.own(meIP)
	b.a.Say(macBroadcast, announcement(aMAC, aIP))
	b.wait(time.Millisecond)
	b.b.Say(macBroadcast, announcement(bMAC, aIP))
	b.cached(aIP, bMAC)
}

func closeEnds(b *bench) {
	b.own(meIP)
	q := b.me.Ask(b.T, aIP)
	b.me.Sent()
	b.r.Close()
	synctest.Wait()
	b.failed(q)
	b.wait(time.Hour)
	b.silent()
	q = b.me.Ask(b.T, aIP)
	synctest.Wait()
	b.failed(q)
	b.r.Close()
}

func readsSeeExpiry(b *bench) {
	b.own(meIP)
	b.a.Say(macBroadcast, announcement(aMAC, aIP))
	b.wait(time.Minute - time.Millisecond)
	b.cached(aIP, aMAC)
	b.wait(time.Millisecond)
	b.missing(aIP)
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(1 + i/250), byte(1 + i%250)}) }

// overflow: with a cache of 64, the 65th neighbour and all later ones are
// usable too.
func overflow(b *bench) {
	b.own(meIP)
	for i := range 300 {
		b.learn(addr(i), b.a)
		b.cached(addr(i), aMAC)
	}
}

// overflowQueries: more queries at once than there is room for end with an
// error or an answer, each exactly once.
func overflowQueries(b *bench) {
	b.own(meIP)
	var qs []*Query
	for i := range 300 {
		qs = append(qs, b.me.Ask(b.T, addr(i)))
	}
	for i := range 300 {
		b.a.Say(meMAC, replyTo(aMAC, addr(i), meMAC, meIP))
	}
	b.wait(time.Minute)
	good := 0
	for _, q := range qs {
		_, err, ok := q.Answered()
		if !ok {
			b.Fatalf("the query for %v never ended", q.addr)
		}
		if err == nil {
			good++
		}
	}
	if good < 16 {
		b.Errorf("only %d of 300 queries were answered", good)
	}
}

func recreate(b *bench) {
	b.own(meIP)
	q := b.me.Ask(b.T, aIP)
	b.r.AddressRemoved(meIP)
	b.r.AddressAdded(netip.PrefixFrom(me2, 24), nil)
	b.wait(5 * time.Second)
	b.failed(q)
}
