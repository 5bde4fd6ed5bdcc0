package main

import (
	"context"
	"encoding/hex"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// observed writes what an observer recorded, into the store obs.store with a
// seen index beside it:
//
//	12:00:00    10.9.0.7 -> 0a
//	12:02:00.25 10.9.0.7 -> 0b, 0a was last seen at 12:01:58 in 31 frames
//	12:04:00    10.9.0.7 -> 0c, 0b was last seen at 12:02:58 in 12 frames
//	12:05:00    vlan-5/10.9.0.7 -> 0d
//	12:05:30    10.9.0.8 -> 0e
//	12:06:00    vlan-100.5/10.9.0.30 -> 1a
//	12:10:00    10.9.0.8 -> 0f, and back at 12:10:20, and again at 12:10:40
//	12:20:00    10.9.0.7 expires
//	12:30:00    a scan, which is about no address
//	12:31:00    10.9.0.8: a claim of 1b is refused
//
// The seen index says that 0f was last seen at 12:40:00.5 in 99 frames.
func observed(ts *testscript.TestScript, neg bool, args []string) {
	ctx := context.Background()
	dir := ts.MkAbs("obs.store")
	b, err := badger.Open(ctx, dir, badger.Config{MinFree: -1})
	ts.Check(err)
	s, err := vcs.OpenStore(ctx, b, vcs.StoreConfig{})
	ts.Check(err)
	j, err := versioned.OpenJournal(ctx, s, versioned.JournalConfig{Node: "site-a"})
	ts.Check(err)
	for _, o := range observations() {
		_, err := j.Write(ctx, &o)
		ts.Check(err)
	}
	ts.Check(j.Close(ctx))
	ts.Check(s.Close())
	x := versioned.OpenSeenIndex(versioned.SeenPath(dir, ""))
	all := slices.Values([]versioned.Seen{{Key: row(0, 8, 0, 0).Key, Owners: []versioned.SeenOwner{
		{MAC: card(0x0f), First: at(600), Last: at(2400).Add(time.Second / 2), Frames: 99}}}})
	ts.Check(x.Save(iter.Seq[versioned.Seen](all), all))
	ts.Check(x.Close())
}

func observations() []versioned.Observation {
	bind := func(sec float64, op arp.ChangeOp, vlan ethernet.VLAN, host, mac, old byte) versioned.Observation {
		o := versioned.Observation{Op: op, Time: at(0).Add(time.Duration(sec * float64(time.Second))), Interface: "eth0", Learned: "request",
			Key:   arp.Key{Domain: "lan", VLAN: vlan, Addr: netip.AddrFrom4([4]byte{10, 9, 0, host})},
			Frame: request(mac, host)}
		if mac != 0 {
			o.MAC = card(mac)
		}
		if old != 0 {
			o.Old = card(old)
		}
		return o
	}
	var none, five = ethernet.VLAN{}, ethernet.VLAN{Inner: 5}
	all := []versioned.Observation{
		bind(0, arp.OpLearned, none, 7, 0x0a, 0),
		bind(120.25, arp.OpMoved, none, 7, 0x0b, 0x0a),
		bind(240, arp.OpMoved, none, 7, 0x0c, 0x0b),
		bind(300, arp.OpLearned, five, 7, 0x0d, 0),
		bind(330, arp.OpLearned, none, 8, 0x0e, 0),
		bind(360, arp.OpLearned, ethernet.VLAN{Outer: 100, Inner: 5}, 30, 0x1a, 0),
		bind(600, arp.OpMoved, none, 8, 0x0f, 0x0e),
		bind(620, arp.OpMoved, none, 8, 0x0e, 0x0f),
		bind(640, arp.OpMoved, none, 8, 0x0f, 0x0e),
		bind(1200, arp.OpExpired, none, 7, 0, 0x0c),
		{Op: arp.OpNone, Time: at(1800), Interface: "eth0", MAC: card(0x66), Events: []string{"scan"}, Count: 100,
			Subject: "arp: scan by 02:50:00:00:00:66: 100 targets in 3.2 s", Detail: "100 targets in 3.2 s"},
		bind(1860, arp.OpRefused, none, 8, 0x1b, 0x0f),
	}
	all[0].Events = []string{"new-station"}
	all[1].Events, all[1].LastSeen, all[1].Frames = []string{"changed"}, at(118), 31
	all[2].Events, all[2].LastSeen, all[2].Frames = []string{"changed"}, at(178), 12
	all[9].Frame = nil
	all[11].Events = []string{"spoof"}
	return all
}

// request is an ARP request of a station for itself.
func request(mac, host byte) []byte {
	b, err := hex.DecodeString("ffffffffffff" + "025000000000" + "0806" + "0001080006040001" + "025000000000" + "0a090000" + "000000000000" + "0a090000")
	if err != nil {
		panic(err)
	}
	b[11], b[27] = mac, mac
	b[31], b[41] = host, host
	return b
}
