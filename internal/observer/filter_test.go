package observer

import (
	"testing"

	"golang.org/x/net/bpf"

	"arpeggio/stack/ethernet"
)

// filterFrame makes a frame of a type behind some tags.
func filterFrame(tags []ethernet.EtherType, typ ethernet.EtherType, payload ...byte) []byte {
	b := make([]byte, 12, 128)
	for _, t := range tags {
		b = append(b, byte(t>>8), byte(t), 0, 5)
	}
	b = append(b, byte(typ>>8), byte(typ))
	return append(b, payload...)
}

// icmp6 is an IPv6 packet of a next header and an ICMPv6 type.
func icmp6(next, typ byte) []byte {
	b := make([]byte, 64)
	b[0], b[6], b[40] = 0x60, next, typ
	return b
}

func TestFilter(t *testing.T) {
	raw, err := neighbours()
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	type E = []ethernet.EtherType
	arp := make([]byte, 28)
	for _, tags := range []E{nil, {ethernet.TypeVLAN}, {ethernet.TypeQinQ, ethernet.TypeVLAN}, {oldOuterTag, ethernet.TypeVLAN}, {ethernet.TypeVLAN, ethernet.TypeVLAN}} {
		for _, c := range []struct {
			name    string
			frame   []byte
			accepts bool
		}{
			{"ARP", filterFrame(tags, ethernet.TypeARP, arp...), true},
			{"a short ARP", filterFrame(tags, ethernet.TypeARP, 0), true},
			{"RARP", filterFrame(tags, ethernet.TypeRARP, arp...), true},
			{"IPv4", filterFrame(tags, ethernet.TypeIPv4, arp...), false},
			{"TCP over IPv6", filterFrame(tags, ethernet.TypeIPv6, icmp6(6, 135)...), false},
			{"a ping over IPv6", filterFrame(tags, ethernet.TypeIPv6, icmp6(58, 128)...), false},
			{"MLD", filterFrame(tags, ethernet.TypeIPv6, icmp6(58, 132)...), false},
			{"an error", filterFrame(tags, ethernet.TypeIPv6, icmp6(58, 138)...), false},
			{"a solicitation", filterFrame(tags, ethernet.TypeIPv6, icmp6(58, 135)...), true},
			{"a router solicitation", filterFrame(tags, ethernet.TypeIPv6, icmp6(58, 133)...), true},
			{"a redirect", filterFrame(tags, ethernet.TypeIPv6, icmp6(58, 137)...), true},
			{"short IPv6", filterFrame(tags, ethernet.TypeIPv6, 0x60), false},
			{"spanning tree", filterFrame(tags, 0x26, 0x42, 0x42), false},
		} {
			n, err := vm.Run(c.frame)
			if err != nil {
				t.Fatal(err)
			}
			if (n > 0) != c.accepts {
				t.Errorf("%s behind %v: %d octets", c.name, tags, n)
			}
		}
	}
}
