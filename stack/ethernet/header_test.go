package ethernet

import (
	"bytes"
	"errors"
	"testing"
)

var (
	dst = MustParseAddr("02:00:00:00:00:02")
	src = MustParseAddr("02:00:00:00:00:01")
)

func TestHeaderRoundTrip(t *testing.T) {
	for _, v := range []VLAN{{}, {Inner: 5}, {Outer: 100, Inner: 5}, {Outer: 100}} {
		h := Header{Dst: dst, Src: src, Type: TypeIPv4}
		h.SetVLAN(v)
		frame := append(h.AppendTo(nil), "payload"...)
		if len(frame) != h.Len()+len("payload") {
			t.Errorf("VLAN %v: frame of %d octets, Len %d", v, len(frame), h.Len())
		}
		got, payload, err := Parse(frame)
		if err != nil || got != h || string(payload) != "payload" || got.VLAN() != v {
			t.Errorf("VLAN %v: Parse = %+v, %q, %v", v, got, payload, err)
		}
	}
}

// A tag stacked by 802.1ad is told from one by 802.1Q, and both directions of
// SetVLAN replace what was there before.
func TestSetVLANReplaces(t *testing.T) {
	h := Header{Dst: dst, Src: src, Type: TypeARP}
	h.SetVLAN(VLAN{Outer: 7, Inner: 8})
	if h.Tags[0].TPID != TypeQinQ || h.Tags[1].TPID != TypeVLAN {
		t.Errorf("tags = %v", h.Tags)
	}
	h.SetVLAN(VLAN{})
	if h != (Header{Dst: dst, Src: src, Type: TypeARP}) {
		t.Errorf("after SetVLAN(0): %+v", h)
	}
}

func TestParseRefuses(t *testing.T) {
	h := Header{Dst: dst, Src: src, Type: TypeIPv4}
	plain := h.AppendTo(nil)
	tag := []byte{0x81, 0x00, 0x00, 0x05}
	three := append(append([]byte{}, plain[:12]...), bytes.Repeat(tag, 3)...)
	for _, c := range []struct {
		name  string
		frame []byte
		want  error
	}{
		{"empty", nil, ErrShort},
		{"runt", plain[:13], ErrShort},
		{"cut inside a tag", append(append([]byte{}, plain[:12]...), 0x81, 0x00, 0x00), ErrShort},
		{"three tags", append(three, 0x08, 0x00), ErrTooManyTags},
		{"802.3 length (spanning tree)", append(append([]byte{}, plain[:12]...), 0x00, 0x26, 0x42, 0x42), ErrLength},
	} {
		if _, _, err := Parse(c.frame); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
}

func TestTagFields(t *testing.T) {
	tag := Tag{TypeVLAN, 5<<13 | 1<<12 | 0xabc}
	if tag.VID() != 0xabc || tag.PCP() != 5 {
		t.Errorf("VID %#x PCP %d", tag.VID(), tag.PCP())
	}
}

func FuzzParse(f *testing.F) {
	h := Header{Dst: dst, Src: src, Type: TypeARP}
	f.Add(h.AppendTo(nil))
	h.SetVLAN(VLAN{Outer: 1, Inner: 2})
	f.Add(h.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := Parse(b)
		if err != nil {
			return
		}
		if again := append(h.AppendTo(nil), payload...); !bytes.Equal(again, b) {
			t.Errorf("Parse then AppendTo changes the frame:\n%x\n%x", b, again)
		}
	})
}

func TestParseVLAN(t *testing.T) {
	for _, v := range []VLAN{{}, {Inner: 5}, {Inner: 4094}, {Outer: 100, Inner: 5}, {Outer: 4094}, {Inner: 4095}, {Outer: 4095, Inner: 4095}} {
		if got, err := ParseVLAN(v.String()); err != nil || got != v {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
	for _, s := range []string{"", "x", "-1", "4096", "100.4096", "0.5", "1.2.3", "1.", ".1", " 5", "65541"} {
		if v, err := ParseVLAN(s); err == nil {
			t.Errorf("%q is %v", s, v)
		}
	}
}
