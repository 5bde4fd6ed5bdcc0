package vendors

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"arpeggio/stack/ethernet"
)

func TestName(t *testing.T) {
	var table Table
	for mac, want := range map[string]string{
		"3c:22:fb:00:00:01": "Apple, Inc.",
		"00:1b:21:12:34:56": "Intel Corporate",
		"b8:27:eb:00:00:00": "Raspberry Pi Foundation",
		"74:1a:e0:9f:ff:ff": "Private",       // 28 bits
		"70:b3:d5:f2:f0:00": "TELEPLATFORMS", // 36 bits
		"52:54:00:12:34:56": "QEMU/KVM",
		"02:42:ac:11:00:02": "Docker",
		"00:16:3e:00:00:01": "Xen",
		"00:00:5e:00:01:07": "VRRP or CARP",
		"00:00:5e:00:02:07": "VRRP (IPv6)",
		"00:00:0c:07:ac:01": "HSRP",
		"00:00:0c:9f:f0:01": "HSRP",
		"00:00:0c:9f:e0:01": "Cisco Systems, Inc",
		"02:50:2a:16:6d:01": Local,
		"da:a1:19:00:00:01": Local,
		"ff:ff:ff:ff:ff:ff": "broadcast",
		"01:00:5e:00:00:01": "IPv4 multicast",
		"33:33:00:00:00:01": "IPv6 multicast",
		"01:80:c2:00:00:00": "multicast",
		"00:00:00:00:00:00": "",
		"fc:ff:ff:00:00:00": "",
	} {
		if got := table.Name(ethernet.MustParseAddr(mac)); got != want {
			t.Errorf("%s is %q, want %q", mac, got, want)
		}
	}
	if n := table.Len(); n < 40_000 {
		t.Errorf("%d assignments", n)
	}
	if !strings.HasPrefix(table.Source(), "IEEE Registration Authority, 20") {
		t.Errorf("the source is %q", table.Source())
	}
}

// What is embedded is what the generator makes of its content.
func TestEmbedded(t *testing.T) {
	var table Table
	var all []Assignment
	table.load()
	for i, bits := range prefixBits {
		s := &table.sizes[i]
		if !slices.IsSorted(s.prefixes) {
			t.Errorf("prefixes of %d bits are not sorted", bits)
		}
		for k, p := range s.prefixes {
			if s.names[k] == "" || s.names[k] != tidy(s.names[k]) && len(s.names[k]) <= maxName {
				t.Errorf("%x is called %q", p, s.names[k])
			}
			all = append(all, Assignment{p, bits, s.names[k]})
		}
	}
	slices.Reverse(all)
	again, err := Encode(table.Source(), all)
	if err != nil {
		t.Fatal(err)
	}
	// Other releases of Go may compress in another way.
	if inflate(t, again) != inflate(t, []byte(registry)) {
		t.Error("encoded again, it differs")
	}
	if len(registry) > 500<<10 {
		t.Errorf("%d octets", len(registry))
	}
}

func inflate(t testing.TB, b []byte) string {
	t.Helper()
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(b[len(tableMagic):])))
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestNameAllocatesNothing(t *testing.T) {
	var table Table
	macs := []ethernet.Addr{{0x3c, 0x22, 0xfb}, {0x70, 0xb3, 0xd5, 0xf2, 0xf0}, {0x52, 0x54}, {0x02, 9}}
	table.Name(macs[0])
	if n := testing.AllocsPerRun(100, func() {
		for _, m := range macs {
			table.Name(m)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":          "Hello.\n",
		"no first half":    "F2F000-F2FFFF     (base 16)\t\tX\n",
		"a long OUI":       "70-B3-D5-00 (hex)\tX\n",
		"another OUI":      "70-B3-D5 (hex)\tX\n70B3D6 (base 16)\tX\n",
		"an odd range":     "70-B3-D5 (hex)\tX\n719000-71AFFF (base 16)\tX\n",
		"a range of 20":    "70-B3-D5 (hex)\tX\n710000-71FFFF (base 16)\tX\n",
		"a reversed range": "70-B3-D5 (hex)\tX\n719FFF-719000 (base 16)\tX\n",
		"no number":        "70-B3-D5 (hex)\tX\nzzzzzz (base 16)\tX\n",
	} {
		if a, err := Parse(strings.NewReader(s)); !errors.Is(err, ErrRegistry) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, a := range []Assignment{{1, 25, "X"}, {1 << 24, 24, "X"}} {
		if _, err := Encode("", []Assignment{a}); !errors.Is(err, ErrRegistry) {
			t.Errorf("%v: %v", a, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := Encode("here", []Assignment{{0x3c22fb, 24, "A"}, {0x741ae09, 28, "B"}, {0x3c22fc, 24, "A"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := Decode(good[:n]); !errors.Is(err, ErrRegistry) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("70-B3-D5   (hex)\t\tTELEPLATFORMS\r\nF2F000-F2FFFF     (base 16)\t\tTELE\xff\x07PLATFORMS\r\n")
	f.Add("00-22-72   (hex)\t\tA\n002272     (base 16)\t\tA\n08-00-30 (hex) B\n080030 (base 16) B\n")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := Parse(strings.NewReader(s))
		if err != nil {
			return
		}
		b, err := Encode("fuzz", all)
		if err != nil {
			t.Fatalf("what was parsed cannot be encoded: %v", err)
		}
		table, err := Decode(b)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		for _, a := range all {
			i := slices.Index(prefixBits[:], a.Bits)
			k, ok := slices.BinarySearch(table.sizes[i].prefixes, a.Prefix)
			if !ok || !strings.Contains(table.sizes[i].names[k], a.Name) {
				t.Fatalf("%+v is lost", a)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	good, err := Encode("here", []Assignment{{0x3c22fb, 24, "A"}, {0x741ae09, 28, "B"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(inflate(f, good)))
	f.Fuzz(func(t *testing.T, plain []byte) {
		var b bytes.Buffer
		b.WriteString(tableMagic)
		w, _ := flate.NewWriter(&b, flate.NoCompression)
		w.Write(plain)
		w.Close()
		if table, err := Decode(b.Bytes()); err == nil {
			table.Name(ethernet.Addr{0x3c, 0x22, 0xfb})
		}
	})
}

func BenchmarkName(b *testing.B) {
	var table Table
	macs := []ethernet.Addr{{0x3c, 0x22, 0xfb}, {0x70, 0xb3, 0xd5, 0xf2, 0xf0}, {0x52, 0x54}, {0x02, 9}, {0xfc, 0xff, 0xff}}
	table.Name(macs[0])
	i := 0
	for b.Loop() {
		table.Name(macs[i%len(macs)])
		i++
	}
}
