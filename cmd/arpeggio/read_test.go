package main

import (
	"bytes"
	"net/netip"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"arpeggio/arp"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
)

// mkcapture writes a capture of four frames: a station, the one that takes its
// address, one behind two tags, and a message that nobody can use.
func mkcapture(ts *testscript.TestScript, _ bool, args []string) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	frame := func(n byte, ip string, vlan ethernet.VLAN) []byte {
		mac := ethernet.Addr{2, 0x50, 0, 0, 0, n}
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
		h.SetVLAN(vlan)
		p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.MustParseAddr(ip), TargetIP: netip.MustParseAddr("10.9.0.1")}
		return p.AppendTo(h.AppendTo(nil))
	}
	bad := frame(8, "10.9.0.8", ethernet.VLAN{})
	bad[18] = 8 // the length of a hardware address
	var out bytes.Buffer
	w, err := capture.NewWriter(&out, capture.WriterConfig{})
	ts.Check(err)
	_, err = w.AddInterface(capture.Interface{Name: "va"})
	ts.Check(err)
	for i, f := range [][]byte{
		frame(7, "10.9.0.7", ethernet.VLAN{}), frame(9, "10.9.0.9", ethernet.VLAN{Outer: 100, Inner: 5}),
		frame(11, "10.9.0.7", ethernet.VLAN{}), bad,
	} {
		ts.Check(w.WritePacket(capture.Packet{Time: at.Add(time.Duration(i) * time.Second), Data: f}))
	}
	ts.Check(w.Flush())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o666))
}

// truncated copies a file without its last octets.
func truncated(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b[:len(b)-10], 0o666))
}
