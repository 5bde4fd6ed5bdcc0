package arptest

import (
	"net/netip"
	"testing/synctest"
	"time"

	"arpeggio/arp"
)

// irminCases are the counterparts of irmin-arp's list: every sane packet is
// believed, and a binding that is not heard of again ends.
func irminCases() []resolverCase {
	cfg := arp.Config{Learn: arp.LearnAlways, Move: arp.MoveCompat, QuietExpiry: true, ExpireAfter: time.Minute}
	compat := cfg
	compat.AnnounceReply = true
	short := cfg
	short.ExpireAfter = time.Second
	seeded, aging := cfg, short
	seeded.Table, aging.Table = seedTable(), seedTable()
	return []resolverCase{
		{"input/changed_ip", cfg, changedIP},
		{"input/garbage", cfg, inputGarbage},
		{"input/single_garp", cfg, singleGARP},
		{"input/single_garp_of_2015", compat, singleGARP},
		{"input/multiple_garp", cfg, multipleGARP},
		{"input/single_unicast_reply", cfg, singleUnicastReply},
		{"ip_CRUD/set_ips", cfg, setIPs},
		{"ip_CRUD/get_remove_ips", cfg, removeIPs},
		{"query/with_seeded_cache", seeded, querySeeded},
		{"query/sent_with_empty_cache", cfg, queryEmpty},
		{"aging/entries_aged_out", aging, agedOut},
		{"aging/learned_entries_aged_out", short, learnedAgedOut},
	}
}

func seedTable() arp.Table {
	t := arp.NewMemTable()
	t.Put(arp.Change{Op: arp.OpLearned, Key: arp.Key{Domain: arp.DefaultDomain, Addr: aIP}, MAC: aMAC, Time: time.Now()})
	return t
}

func changedIP(b *bench) {
	speaker := b.open(arp.Config{})
	defer speaker.Close()
	p := b.hub.Join(speaker, macA)
	var last netip.Addr
	for _, s := range []string{"10.23.10.1", "10.50.20.22", "10.20.254.2", "192.168.3.1"} {
		if last.IsValid() {
			speaker.AddressRemoved(last)
		}
		last = netip.MustParseAddr(s)
		speaker.AddressAdded(netip.PrefixFrom(last, 24), nil)
		b.wait(100 * time.Millisecond)
	}
	b.cached(last, p.MAC)
}

// inputGarbage sends whole frames, so that the resolver and not an Ethernet
// filter has to refuse them.
func inputGarbage(b *bench) {
	b.own(meIP)
	b.x.Raw(nil)
	b.x.Raw([]byte{1, 2, 3})
	b.x.Say(meMAC, replyTo(xMAC, aIP, bMAC, bIP)) // an answer to somebody else
	bad := replyTo(xMAC, aIP, meMAC, meIP)
	for _, mac := range []string{"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"} {
		bad.SenderMAC.UnmarshalText([]byte(mac))
		b.x.Say(meMAC, bad)
	}
	for _, ip := range []string{"0.0.0.0", "255.255.255.255", "10.9.0.255", "224.0.0.1", "127.0.0.1"} {
		b.x.Say(meMAC, replyTo(xMAC, netip.MustParseAddr(ip), meMAC, meIP))
	}
	b.silent()
	b.x.Say(meMAC, replyTo(xMAC, meIP, meMAC, meIP)) // our own address
	b.cached(meIP, meMAC)
	b.missing(aIP)
}

func singleGARP(b *bench) {
	speaker := b.open(arp.Config{AnnounceReply: true})
	defer speaker.Close()
	b.hub.Join(speaker, macA)
	speaker.AddressAdded(netip.PrefixFrom(aIP, 24), nil)
	b.wait(500 * time.Millisecond)
	b.cached(aIP, macA)
}

// multipleGARP is the lost-update case: five stations announce at once.
func multipleGARP(b *bench) {
	start := make(chan struct{})
	ips := []netip.Addr{}
	for i, last := range []byte{1, 10, 33, 44, 255} {
		r := b.open(arp.Config{})
		defer r.Close()
		mac := macA
		mac[4] = byte(i + 1)
		b.hub.Join(r, mac)
		ip := netip.AddrFrom4([4]byte{192, 168, 3, last})
		ips = append(ips, ip)
		go func() {
			<-start
			r.AddressAdded(netip.PrefixFrom(ip, 16), nil)
		}()
	}
	close(start)
	b.wait(500 * time.Millisecond)
	for i, ip := range ips {
		mac := macA
		mac[4] = byte(i + 1)
		b.cached(ip, mac)
	}
}

func singleUnicastReply(b *bench) {
	b.own(meIP)
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, meIP))
	b.cached(aIP, aMAC)
}

func setIPs(b *bench) {
	b.r.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
	b.wait(100 * time.Millisecond)
	want := announcement(meMAC, meIP)
	if got := b.a.Got(); len(got) != 1 || got[0].Packet != want || !got[0].Dst.IsBroadcast() {
		b.Errorf("heard %+v, want %+v", got, want)
	}
	b.r.AddressAdded(netip.PrefixFrom(me2, 24), nil)
	b.r.AddressRemoved(me2)
	b.r.AddressRemoved(meIP)
	b.wait(time.Minute)
	b.me.Sent()
	b.a.Say(meMAC, request(aMAC, aIP, meIP))
	b.a.Say(meMAC, request(aMAC, aIP, me2))
	b.silent()
}

func removeIPs(b *bench) {
	b.own(meIP, meIP, me2)
	b.r.AddressRemoved(meIP)
	b.r.AddressRemoved(meIP)
	b.a.Say(meMAC, request(aMAC, aIP, meIP))
	b.silent()
	b.a.Say(meMAC, request(aMAC, aIP, me2))
	if s := b.me.Sent(); len(s) != 1 || s[0].Packet.SenderIP != me2 {
		b.Errorf("the other address: %+v", s)
	}
}

func querySeeded(b *bench) {
	b.cached(aIP, aMAC)
	b.wait(500 * time.Millisecond)
	b.silent()
}

func queryEmpty(b *bench) {
	b.me.Ask(b.T, aIP)
	b.wait(100 * time.Millisecond)
	for _, f := range b.asked(aIP, 1) {
		if f.Packet.SenderIP != zero || !f.Dst.IsBroadcast() || !f.Packet.TargetMAC.IsZero() {
			b.Errorf("without an address of our own: %+v", f)
		}
	}
	// the answer goes to 0.0.0.0, that is to our MAC address
	q := b.me.Ask(b.T, aIP)
	b.a.Say(meMAC, replyTo(aMAC, aIP, meMAC, zero))
	synctest.Wait()
	b.answered(q, aMAC)
}

func agedOut(b *bench) {
	b.cached(aIP, aMAC)
	b.wait(2 * time.Second)
	b.missing(aIP)
}

func learnedAgedOut(b *bench) {
	b.a.Say(b.me.MAC, garp(aMAC, aIP))
	b.b.Say(b.me.MAC, announcement(bMAC, bIP))
	b.cached(aIP, aMAC)
	b.wait(2 * time.Second)
	b.missing(aIP)
}
