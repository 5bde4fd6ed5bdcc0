package observe

import (
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// frames makes n requests of n hosts, each for its gateway.
func benchFrames(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(i), Type: ethernet.TypeARP}
		out[i] = arp.Packet{Op: arp.OpRequest, SenderMAC: mac(i), SenderIP: ip(i), TargetIP: ip(1)}.AppendTo(h.AppendTo(nil))
	}
	return out
}

func runFrames(b *testing.B, e *Engine, frames [][]byte, now *time.Time) {
	var s Sighting
	for _, f := range frames {
		*now = now.Add(time.Millisecond)
		s.Time = *now
		Parse(&s, f, 0)
		e.Input(&s)
	}
}

// 200 hosts that are known ask for their gateway; arpwatch takes 2 µs a frame.
func BenchmarkSteady(b *testing.B) {
	l := newLab(b, Config{}, "10.9.0.0/16")
	frames, now := benchFrames(200), labStart
	runFrames(b, l.e, frames, &now)
	b.ReportAllocs()
	b.ResetTimer()
	var s Sighting
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Millisecond)
		s.Time = now
		Parse(&s, frames[i%200], 0)
		l.e.Input(&s)
	}
}

// 10,000 hosts are seen for the first time; the figure is for one of them.
func BenchmarkNew(b *testing.B) {
	const hosts = 10_000
	frames := benchFrames(hosts)
	b.ReportAllocs()
	for b.Loop() {
		l := newLab(b, Config{}, "10.0.0.0/8")
		now := labStart
		runFrames(b, l.e, frames, &now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/hosts, "ns/host")
}
