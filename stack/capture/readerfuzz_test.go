package capture_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"arpeggio/stack/capture"
)

// A file, small when it is compressed, that describes interfaces without end, each with a long
// name, does not fill the memory.
func TestInterfacesWithoutEnd(t *testing.T) {
	name := little.block(1, little.words(1, 0), []byte{2, 0, 0xfc, 0xff}, bytes.Repeat([]byte("n"), 0xfffc)) // if_name
	parts := []io.Reader{bytes.NewReader(little.section())}
	for range 600 { // 39 MB of names
		parts = append(parts, bytes.NewReader(name))
	}
	parts = append(parts, bytes.NewReader(bytes.Repeat(little.iface(1, 0), capture.MaxInterfaces)))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := capture.NewReader(io.MultiReader(parts...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.Next(); !errors.Is(err, capture.ErrFormat) {
		t.Errorf("read to its end: %v", err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if is := r.Interfaces(); len(is) != capture.MaxInterfaces || len(is[0].Name) != 256 || after.HeapAlloc-before.HeapAlloc > 24<<20 {
		t.Errorf("%d interfaces, the first with a name of %d octets, in %d octets of memory", len(is), len(is[0].Name), after.HeapAlloc-before.HeapAlloc)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample(f, capture.WriterConfig{}))
	f.Add(bytes.Join([][]byte{big.section(), big.iface(1, 20), big.packet(0, 9, arp), big.block(3, big.words(20), arp[:20])}, nil))
	var pcap bytes.Buffer
	p := pcapgo.NewWriter(&pcap)
	p.WriteFileHeader(100, layers.LinkTypeEthernet)
	p.WritePacket(gopacket.CaptureInfo{Timestamp: when, CaptureLength: 60, Length: 60}, arp)
	f.Add(pcap.Bytes())
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	zw.Write(pcap.Bytes())
	zw.Close()
	f.Add(z.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := capture.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		// Deflate makes at most 1032 octets of one, and a block has 12 at least.
		limit := uint64(len(b)) * 1032 / 12
		n := uint64(0)
		for ; ; n++ {
			if len(r.Interfaces()) > capture.MaxInterfaces || n+r.Stats().Malformed+r.Stats().Skipped > limit {
				t.Fatalf("%d interfaces, %d packets, %+v of %d octets", len(r.Interfaces()), n, r.Stats(), len(b))
			}
			p, err := r.Next()
			if err != nil {
				break
			}
			if p.Interface >= len(r.Interfaces()) || len(p.Data) > p.Length || p.Direction > capture.Out {
				t.Fatalf("impossible packet %+v", p)
			}
		}
		if r.Stats().Packets != n {
			t.Errorf("%d packets, %+v", n, r.Stats())
		}
	})
}
