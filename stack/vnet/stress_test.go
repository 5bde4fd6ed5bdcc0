package vnet_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// Twenty stations talk to one another over bad cables while the cables change,
// the switch is split and healed, and one port is closed. The race detector
// watches; the counters must agree in the end.
func TestManyStationsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stations, rounds = 20, 50
		sw := vnet.New(vnet.Config{Seed: 3})
		im := vnet.Impairment{Loss: 0.05, Duplicate: 0.05, Reorder: 0.1, Delay: time.Millisecond, Jitter: time.Millisecond, Rate: 1e9}
		var ports []*vnet.Port
		for i := range stations {
			p, err := sw.Port(vnet.PortConfig{Name: fmt.Sprint(i), Ingress: im, Egress: im})
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, p)
		}
		var wg sync.WaitGroup
		read := make([]uint64, stations)
		for i, p := range ports {
			wg.Go(func() { // reads until its port is closed
				fs := make([]link.Frame, 8)
				for {
					n, err := p.ReadFrames(fs)
					if err != nil {
						return
					}
					read[i] += uint64(n)
					if n == 0 && p.Wait(time.Time{}) != nil {
						return
					}
				}
			})
			wg.Go(func() {
				for r := range rounds {
					dst := ports[(i+r)%stations].Info().Addr
					if r%10 == 0 {
						dst = ethernet.Broadcast
					}
					p.WriteFrames([]link.Frame{{Head: frame(dst, p.Info().Addr, "hello")}})
					time.Sleep(time.Millisecond)
				}
			})
		}
		for r := range 10 {
			time.Sleep(5 * time.Millisecond)
			p := ports[r]
			p.SetImpairment(vnet.Direction(r%2), vnet.Impairment{})
			p.SetUp(r%3 != 0)
			sw.Partition([]string{"0", "1", "2"}, []string{"11"})
			sw.Partition()
			p.Stats()
		}
		ports[stations-1].Close()
		time.Sleep(time.Second)
		synctest.Wait()
		for i, p := range ports[:stations-1] {
			st := p.Stats()
			if st.Rx.Frames != read[i] || st.Rx.Frames == 0 || st.Rx.Dropped[vnet.DropQueue] != 0 {
				t.Errorf("station %d read %d frames, %+v", i, read[i], st.Rx)
			}
		}
		sw.Close()
		wg.Wait()
	})
}

func BenchmarkSwitch(b *testing.B) {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	src, _ := sw.Port(vnet.PortConfig{Name: "src", Addr: macA})
	dst, _ := sw.Port(vnet.PortConfig{Name: "dst", Addr: macB})
	dst.WriteFrames([]link.Frame{{Head: frame(macA, macB, "")}})
	const batch = 32
	out, in := make([]link.Frame, batch), make([]link.Frame, batch)
	for i := range out {
		out[i].Head = frame(macB, macA, string(make([]byte, 1500)))
		in[i].Head = make([]byte, 0, 2048)
	}
	b.SetBytes(1514)
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		src.WriteFrames(out)
		if k, err := dst.ReadFrames(in); k != batch || err != nil {
			b.Fatal(k, err)
		}
	}
}
