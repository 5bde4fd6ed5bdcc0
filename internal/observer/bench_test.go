package observer

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// steady is a capture of 200 hosts that ask for their gateway, 10 ms apart.
func steady(n int) []byte {
	out := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	out = append(out, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0)
	for i := range n {
		h := i % 200
		mac := ethernet.Addr{2, 0x50, 0, 0, 0, byte(h)}
		eth := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
		p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.AddrFrom4([4]byte{10, 9, 0, byte(h + 1)}), TargetIP: netip.AddrFrom4([4]byte{10, 9, 0, 1})}
		frame := append(p.AppendTo(eth.AppendTo(nil)), make([]byte, 18)...)
		out = binary.LittleEndian.AppendUint32(out, uint32(1_700_000_000+i/100))
		out = binary.LittleEndian.AppendUint32(out, uint32(i%100*10_000))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(frame)))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(frame)))
		out = append(out, frame...)
	}
	return out
}

func newTestObserver(t testing.TB, cfg Config) (*Observer, *vcs.Store) {
	t.Helper()
	s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if cfg.Journal, err = versioned.OpenJournal(context.Background(), s, versioned.JournalConfig{}); err != nil {
		t.Fatal(err)
	}
	return New(cfg), s
}

// A frame that says nothing new.
func BenchmarkSteadyFrame(b *testing.B) {
	const frames = 100_000
	file := steady(frames)
	o, _ := newTestObserver(b, Config{})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r, err := capture.NewReader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		if err := o.readPackets(context.Background(), r); err != nil {
			b.Fatal(err)
		}
		n += frames
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/frame")
}
