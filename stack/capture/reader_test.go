package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"arpeggio/stack/capture"
)

func TestWeReadWhatGopacketWrites(t *testing.T) {
	ci := gopacket.CaptureInfo{Timestamp: when, CaptureLength: 60, Length: 99}
	write := map[string]func(io.Writer){
		"pcap, microseconds": func(w io.Writer) {
			p := pcapgo.NewWriter(w)
			p.WriteFileHeader(100, layers.LinkTypeEthernet)
			p.WritePacket(ci, arp)
		},
		"pcap, nanoseconds": func(w io.Writer) {
			p := pcapgo.NewWriterNanos(w)
			p.WriteFileHeader(100, layers.LinkTypeEthernet)
			p.WritePacket(ci, arp)
		},
		"pcapng": func(w io.Writer) {
			p, _ := pcapgo.NewNgWriter(w, layers.LinkTypeEthernet)
			p.WritePacket(ci, arp)
			p.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{PacketsReceived: 1})
			p.Flush()
		},
	}
	for name, fn := range write {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			fn(&buf)
			want := when
			if name == "pcap, microseconds" {
				want = when.Truncate(time.Microsecond)
			}
			check := func(b []byte) {
				t.Helper()
				all, _ := readAll(t, b)
				if len(all) != 1 || !bytes.Equal(all[0].Data, arp) || all[0].Length != 99 ||
					!all[0].Time.Equal(want) || all[0].LinkType != capture.LinkTypeEthernet {
					t.Errorf("%+v", all)
				}
			}
			check(buf.Bytes())
			var z bytes.Buffer
			zw := gzip.NewWriter(&z)
			zw.Write(buf.Bytes())
			zw.Close()
			check(z.Bytes())
		})
	}
}

// ng builds pcapng blocks in either byte order.
type ng struct{ binary.AppendByteOrder }

var little, big = ng{binary.LittleEndian}, ng{binary.BigEndian}

func (o ng) block(typ uint32, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	n := uint32(len(b) + 12)
	return o.AppendUint32(append(o.AppendUint32(o.AppendUint32(nil, typ), n), b...), n)
}

func (o ng) words(v ...uint32) (b []byte) {
	for _, w := range v {
		b = o.AppendUint32(b, w)
	}
	return b
}

func (o ng) option(code uint16, v []byte) []byte {
	b := append(o.AppendUint16(o.AppendUint16(nil, code), uint16(len(v))), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (o ng) section() []byte {
	return o.block(0x0a0d0d0a, o.words(0x1a2b3c4d), o.AppendUint16(o.AppendUint16(nil, 1), 0), o.words(0xffffffff, 0xffffffff))
}

func (o ng) iface(linkType uint16, snap uint32, options ...[]byte) []byte {
	return o.block(1, o.AppendUint16(o.AppendUint16(nil, linkType), 0), o.words(snap), bytes.Join(options, nil))
}

func (o ng) packet(iface uint32, ts uint64, data []byte) []byte {
	return o.block(6, o.words(iface, uint32(ts>>32), uint32(ts), uint32(len(data)), uint32(len(data))), data)
}

func TestByteOrdersAndSections(t *testing.T) {
	var file []byte
	for _, o := range []ng{big, little, big} {
		file = append(file, o.section()...)
		file = append(file, o.iface(1, 0)...)
		file = append(file, o.iface(276, 0)...)
		file = append(file, o.packet(1, 5_000_001, arp)...)
	}
	all, r := readAll(t, file)
	if len(all) != 3 || len(r.Interfaces()) != 6 {
		t.Fatalf("%d packets, %d interfaces", len(all), len(r.Interfaces()))
	}
	for i, p := range all {
		if p.Interface != 2*i+1 || p.LinkType != 276 || !p.Time.Equal(time.Unix(5, 1000)) || !bytes.Equal(p.Data, arp) {
			t.Errorf("packet %d: %+v", i, p)
		}
	}
}

func TestTimestampResolutions(t *testing.T) {
	offset := little.option(14, binary.LittleEndian.AppendUint64(nil, 1000))
	for _, c := range []struct {
		name    string
		resol   byte
		ts      uint64
		sec, ns int64
	}{
		{"seconds", 0, 7, 7, 0},
		{"milliseconds", 3, 7001, 7, 1_000_000},
		{"nanoseconds", 9, 7_000_000_001, 7, 1},
		{"picoseconds", 12, 7_000_000_001_999, 7, 1},
		{"10^-19", 19, 10_000_000_000_000_000_000, 1, 0},
		{"10^-127", 127, 1 << 63, 0, 0},
		{"1/2", 0x81, 15, 7, 500_000_000},
		{"2^-32", 0x80 | 32, 7<<32 | 1<<31, 7, 500_000_000},
		{"2^-64", 0x80 | 64, 1 << 63, 0, 500_000_000},
		{"2^-65", 0x80 | 65, 1 << 63, 0, 250_000_000},
		{"2^-127", 0x80 | 127, 1 << 63, 0, 0},
		{"2^0", 0x80, 7, 7, 0},
	} {
		file := append(little.section(), little.iface(1, 0, little.option(9, []byte{c.resol}), offset)...)
		file = append(file, little.packet(0, c.ts, arp)...)
		all, _ := readAll(t, file)
		if want := time.Unix(c.sec+1000, c.ns); len(all) != 1 || !all[0].Time.Equal(want) {
			t.Errorf("%s: %+v, want %v", c.name, all, want)
		}
	}
}

func TestOldAndSimplePackets(t *testing.T) {
	file := append(little.section(), little.iface(1, 20)...)
	old := append(little.AppendUint16(little.AppendUint16(nil, 0), 3), little.words(0, 1, 42, 42)...)
	file = append(file, little.block(2, old, arp[:42])...)
	file = append(file, little.block(3, little.words(60), arp[:20])...)
	all, _ := readAll(t, file)
	if len(all) != 2 || !bytes.Equal(all[0].Data, arp[:42]) || !all[0].Time.Equal(time.Unix(0, 1000)) ||
		!bytes.Equal(all[1].Data, arp[:20]) || all[1].Length != 60 || !all[1].Time.IsZero() {
		t.Errorf("%+v", all)
	}
}

func TestMalformedBlocksAreSkippedAndCounted(t *testing.T) {
	good := little.packet(0, 1, arp)
	for name, bad := range map[string][]byte{
		"packet too short":              little.block(6, little.words(0, 0, 0)),
		"old packet too short":          little.block(2, little.words(0, 0, 0)),
		"unknown interface":             little.packet(1, 1, arp),
		"data longer than the block":    little.block(6, little.words(0, 0, 1, 61, 61), arp),
		"simple, longer than the block": little.block(3, little.words(61), arp),
		"simple without length":         little.block(3),
		"interface too short":           little.block(1),
	} {
		file := bytes.Join([][]byte{little.section(), little.iface(1, 0), bad, good}, nil)
		all, r := readAll(t, file)
		if len(all) != 1 || r.Stats().Malformed != 1 {
			t.Errorf("%s: %d packets, %+v", name, len(all), r.Stats())
		}
	}
	file := bytes.Join([][]byte{little.section(), little.iface(1, 0), little.block(5, little.words(0, 0, 0)), little.block(0xbad, nil), good}, nil)
	if all, r := readAll(t, file); len(all) != 1 || r.Stats().Skipped != 2 {
		t.Errorf("unknown blocks: %d packets, %+v", len(all), r.Stats())
	}
	future := little.section()
	future[12] = 2
	file = bytes.Join([][]byte{little.section(), little.iface(1, 0), future, good, good, little.section(), little.iface(1, 0), good}, nil)
	if all, r := readAll(t, file); len(all) != 1 || r.Stats().Malformed != 1 {
		t.Errorf("section of the future: %d packets, %+v", len(all), r.Stats())
	}
}

// A file that is cut anywhere yields the packets before the cut.
func TestTruncatedFiles(t *testing.T) {
	pcap := bytes.Buffer{}
	p := pcapgo.NewWriter(&pcap)
	p.WriteFileHeader(100, layers.LinkTypeEthernet)
	for range 4 {
		p.WritePacket(gopacket.CaptureInfo{Timestamp: when, CaptureLength: 60, Length: 60}, arp)
	}
	for name, file := range map[string][]byte{"pcapng": sample(t, capture.WriterConfig{}), "pcap": pcap.Bytes()} {
		last := 0
		for cut := 24; cut <= len(file); cut++ {
			all, r := readAll(t, file[:cut])
			if len(all) < last || len(all) > last+1 {
				t.Fatalf("%s cut at %d: %d packets after %d", name, cut, len(all), last)
			}
			if len(all) > last && r.Stats().Truncated {
				t.Errorf("%s cut at %d, behind a packet, counts as truncated", name, cut)
			}
			last = len(all)
		}
		if last != 4 {
			t.Errorf("%s: %d packets in the whole file", name, last)
		}
		if _, r := readAll(t, file[:len(file)-1]); !r.Stats().Truncated {
			t.Errorf("%s: the missing octet was not noticed", name)
		}
	}
}

func TestUnreadableFiles(t *testing.T) {
	wrongTrailer := bytes.Clone(little.packet(0, 1, arp))
	wrongTrailer[len(wrongTrailer)-4]++
	wrongLength := bytes.Clone(little.packet(0, 1, arp))
	wrongLength[4]++
	head := append(little.section(), little.iface(1, 0)...)
	pcap := little.words(0xa1b2c3d4, 4<<16|2, 0, 0, 100, 1)
	for name, file := range map[string][]byte{
		"empty":             nil,
		"three octets":      {1, 2, 3},
		"text":              []byte("this is not a capture file"),
		"pcap 3.0":          little.words(0xa1b2c3d4, 3, 0, 0, 100, 1),
		"half a header":     pcap[:20],
		"gzip of nothing":   {0x1f, 0x8b, 0},
		"no byte order":     little.block(0x0a0d0d0a, make([]byte, 16)),
		"length mismatch":   append(bytes.Clone(head), wrongTrailer...),
		"crooked length":    append(bytes.Clone(head), wrongLength...),
		"block of 8 octets": append(bytes.Clone(head), little.words(6, 8, 0)...),
		"giant packet":      append(bytes.Clone(pcap), little.words(0, 0, 1<<30, 1<<30)...),
	} {
		r, err := capture.NewReader(bytes.NewReader(file))
		if err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, capture.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken disk")
	file := sample(t, capture.WriterConfig{})
	r, err := capture.NewReader(io.MultiReader(bytes.NewReader(file[:len(file)-30]), iotest.ErrReader(broken)))
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, broken) {
		t.Errorf("reading a broken disk: %v", err)
	}
}
