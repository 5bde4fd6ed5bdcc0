package tuntap

import (
	"bytes"
	"testing"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

func tcpFrame(n int) []byte {
	b := make([]byte, n)
	b[14], b[46] = 0x45, 0x50 // IPv4 and TCP headers of 20 octets
	return b
}

func TestVnetRoundTrip(t *testing.T) {
	csum := link.Csum{State: link.CsumPartial, Start: 34, Offset: 16}
	for name, f := range map[string]link.Frame{
		"plain":   {},
		"valid":   {Csum: link.Csum{State: link.CsumValid}},
		"partial": {Csum: csum},
		"TCP4":    {Csum: csum, GSO: link.GSO{Type: link.GSOTCP4, HdrLen: 54, Size: 1460}},
		"TCP6":    {Csum: csum, GSO: link.GSO{Type: link.GSOTCP6, HdrLen: 54, Size: 1440, ECN: true}},
	} {
		var h [vnetLen]byte
		putVnet(&h, &f)
		got := link.Frame{Head: tcpFrame(3000)}
		if v := parseVnet(&h, &got, 0); v != accepted || got.Csum != f.Csum || got.GSO != f.GSO {
			t.Errorf("%s: verdict %d, %+v %+v", name, v, got.Csum, got.GSO)
		}
		if f.Csum.State != link.CsumPartial {
			continue
		}
		// A tag put back shifts the descriptors.
		got = link.Frame{Head: append(make([]byte, 4), tcpFrame(3000)...)}
		if v := parseVnet(&h, &got, 4); v != accepted || got.Csum.Start != 38 || got.GSO.Type != 0 && got.GSO.HdrLen != 58 {
			t.Errorf("%s, shifted: verdict %d, %+v %+v", name, v, got.Csum, got.GSO)
		}
	}
}

func TestVnetVerdicts(t *testing.T) {
	for _, c := range []struct {
		name string
		h    [vnetLen]byte
		n    int
		want verdict
	}{
		{"UDP super-frame", [vnetLen]byte{1, 5, 0, 0, 9, 0, 34, 0, 6, 0}, 3000, unwanted},
		{"checksum behind the end", [vnetLen]byte{1, 0, 0, 0, 0, 0, 34, 0, 16, 0}, 51, malformed},
		{"super-frame with a whole checksum", [vnetLen]byte{0, 1, 0, 0, 9, 0, 34, 0, 16, 0}, 3000, malformed},
		{"super-frame of size 0", [vnetLen]byte{1, 1, 0, 0, 0, 0, 34, 0, 16, 0}, 3000, malformed},
		{"super-frame without TCP header", [vnetLen]byte{1, 1, 0, 0, 9, 0, 34, 0, 1, 0}, 40, malformed},
	} {
		f := link.Frame{Head: tcpFrame(max(c.n, 60))[:c.n]}
		if got := parseVnet(&c.h, &f, 0); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
	}
}

func FuzzParseVnet(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 9, 0, 34, 0, 16, 0}, tcpFrame(100), 4)
	f.Fuzz(func(t *testing.T, hdr, frame []byte, shift int) {
		var h [vnetLen]byte
		copy(h[:], hdr)
		fr := link.Frame{Head: frame}
		if parseVnet(&h, &fr, shift&4) == accepted && int(fr.GSO.HdrLen) > len(frame) {
			t.Errorf("headers of %d octets in a frame of %d", fr.GSO.HdrLen, len(frame))
		}
	})
}

// settle must give the same frame wherever the storage ends.
func TestSettle(t *testing.T) {
	wire := make([]byte, 200)
	for i := range wire {
		wire[i] = byte(i)
	}
	for _, tag := range []ethernet.Tag{{}, {TPID: ethernet.TypeQinQ, TCI: 0x1234}} {
		want := bytes.Clone(wire)
		if tag.TPID != 0 {
			want = append(bytes.Clone(wire[:12]), 0x88, 0xa8, 0x12, 0x34)
			want = append(want, wire[12:]...)
		}
		for room := 14; room <= 210; room++ {
			f := link.Frame{Head: make([]byte, 0, room)}
			k := copy(f.Head[:room], wire)
			spill := make([]byte, 256)
			copy(spill, wire[k:])
			settle(&f, len(wire), spill, tag)
			if !bytes.Equal(f.Head, want) {
				t.Fatalf("room %d, tag %v: % x", room, tag, f.Head)
			}
		}
	}
}

func TestCheckSize(t *testing.T) {
	info := link.Info{Name: "x", MTU: 1500, Caps: link.CapTSO4}
	for _, c := range []struct {
		name string
		n    int
		gso  link.GSOType
		ok   bool
	}{
		{"whole MTU", 1514, 0, true},
		{"one more", 1515, 0, false},
		{"super-frame", 60000, link.GSOTCP4, true},
		{"super-frame of the wrong kind", 60000, link.GSOTCP6, false},
		{"runt", 13, 0, false},
	} {
		f := link.Frame{Head: make([]byte, c.n), GSO: link.GSO{Type: c.gso}}
		if err := checkSize(&f, info); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
