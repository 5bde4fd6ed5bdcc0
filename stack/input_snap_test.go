package stack_test

import (
	"testing"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
)

// RFC 1042: what comes in an 802.3 frame with LLC and SNAP is taken, without its
// padding, and answered in an Ethernet frame.
//
//rfc:1122 ieee802-receive
//rfc:894 type
func TestRFC1042Received(t *testing.T) { // RFC 1122 §2.3.3
	rawTest(t, "echo", func(t *testing.T, r *raw) {
		m := icmp.NewEcho(1, 2, []byte("snap"))
		body := m.AppendTo(nil)
		packet := append((&ipv4.Header{TTL: 64, Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}).AppendTo(nil, nil, len(body)), body...)
		send := func(length int, llc ...byte) {
			h := ethernet.Header{Dst: r.mac, Src: rawMAC, Type: ethernet.EtherType(length)}
			r.dev.WriteFrames([]link.Frame{{Head: append(append(append(h.AppendTo(nil), llc...), packet...), make([]byte, 10)...)}})
		}
		snap := []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}
		send(len(snap)+len(packet), snap...)
		if got := r.got(); len(got) != 1 || got[0].m.Type != icmp.EchoReply || string(got[0].m.Body) != "snap" {
			t.Errorf("%+v", got)
		}
		send(len(snap)+len(packet)+11, snap...)                         // more than there is
		send(len(packet), 0x42, 0x42, 3)                                // spanning tree
		send(len(snap)+len(packet), 0xaa, 0xaa, 3, 0, 0, 0xc, 0x20, 0)  // somebody's own
		send(len(snap)+len(packet), 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd) // IPv6
		if got, st := r.got(), r.stats(); len(got) != 0 || st.Frames.UnknownType != 4 {
			t.Errorf("%d answers, %+v", len(got), st.Frames)
		}
	})
}
