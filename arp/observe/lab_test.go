package observe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
)

// lab is an engine on a network that a test makes up, in virtual time.
type lab struct {
	t      testing.TB
	e      *Engine
	now    time.Time
	vlan   ethernet.VLAN
	all    []Record
	frames int
	hold   Holder
	lines  []Line
}

var labStart = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newLab(t testing.TB, cfg Config, networks ...string) *lab {
	t.Helper()
	l := &lab{t: t, e: New(cfg), now: labStart}
	i := Interface{Name: "va"}
	for _, n := range networks {
		i.Networks = append(i.Networks, netip.MustParsePrefix(n))
	}
	if n, err := l.e.AddInterface(i); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	return l
}

// mac is a station's MAC; ip is an address of 10.9.0.0/16.
func mac(n int) ethernet.Addr {
	return ethernet.Addr{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
}

func ip(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}) }

func (l *lab) wait(d time.Duration) { l.now = l.now.Add(d) }

// frame hands one frame in and returns what happened.
func (l *lab) frame(b []byte, wire int) []Record {
	var s Sighting
	s.Time = l.now
	Parse(&s, b, wire)
	l.frames++
	return l.take(l.e.Input(&s))
}

func (l *lab) take(rs []Record) []Record {
	out := slices.Clone(rs)
	l.all = append(l.all, out...)
	for i := range out {
		l.hold.Add(&out[i], "")
	}
	l.lines = append(l.lines, l.hold.Take(l.now)...)
	return out
}

// finish ends the capture.
func (l *lab) finish() {
	l.take(l.e.Finish())
	l.lines = append(l.lines, l.hold.Flush()...)
}

func (l *lab) arp(dst, src ethernet.Addr, p arp.Packet) []Record {
	h := ethernet.Header{Dst: dst, Src: src, Type: ethernet.TypeARP}
	h.SetVLAN(l.vlan)
	return l.frame(p.AppendTo(h.AppendTo(nil)), 0)
}

var zero4 = netip.AddrFrom4([4]byte{})

// says announces: RFC 5227 §2.3.
func (l *lab) says(m ethernet.Addr, a netip.Addr) []Record {
	return l.arp(ethernet.Broadcast, m, arp.Packet{Op: arp.OpRequest, SenderMAC: m, SenderIP: a, TargetIP: a})
}

func (l *lab) asks(m ethernet.Addr, a, target netip.Addr) []Record {
	return l.arp(ethernet.Broadcast, m, arp.Packet{Op: arp.OpRequest, SenderMAC: m, SenderIP: a, TargetIP: target})
}

func (l *lab) replies(m ethernet.Addr, a netip.Addr, to ethernet.Addr, toIP netip.Addr) []Record {
	return l.arp(to, m, arp.Packet{Op: arp.OpReply, SenderMAC: m, SenderIP: a, TargetMAC: to, TargetIP: toIP})
}

func (l *lab) probes(m ethernet.Addr, target netip.Addr) []Record {
	return l.asks(m, zero4, target)
}

// nd is a neighbour discovery message. A zero mac has no option.
func (l *lab) nd(src ethernet.Addr, from, to netip.Addr, typ, flags byte, target netip.Addr, mac ethernet.Addr) []Record {
	h := ethernet.Header{Dst: ethernet.Addr{0x33, 0x33, 0, 0, 0, 1}, Src: src, Type: ethernet.TypeIPv6}
	h.SetVLAN(l.vlan)
	return l.frame(ndFrame(h, from, to, typ, flags, target, mac), 0)
}

func ndFrame(h ethernet.Header, from, to netip.Addr, typ, flags byte, target netip.Addr, mac ethernet.Addr) []byte {
	msg := []byte{typ, 0, 0, 0, flags, 0, 0, 0}
	msg = append(msg, target.AsSlice()...)
	if !mac.IsZero() {
		msg = append(append(msg, typ-ndSolicit+1, 1), mac[:]...)
	}
	c := checksum.Checksum(checksum.Sum(msg, checksum.Pseudo(from, to, icmpv6, len(msg))))
	msg[2], msg[3] = byte(c>>8), byte(c)
	b := h.AppendTo(nil)
	b = append(b, 0x60, 0, 0, 0, 0, byte(len(msg)), icmpv6, ndHopLimit)
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	return append(b, msg...)
}

// text is a record as tests write it down: what, about which address, who, and
// what becomes of the binding.
func text(r *Record) string {
	var b strings.Builder
	b.WriteString(r.Type.String())
	if r.Phase != PhaseOnce {
		fmt.Fprintf(&b, "/%v", r.Phase)
	}
	if r.Key.Addr.IsValid() {
		fmt.Fprintf(&b, " %v", r.Key.Addr)
	}
	if !r.MAC.IsZero() {
		fmt.Fprintf(&b, " %d", int(r.MAC[3])<<16|int(r.MAC[4])<<8|int(r.MAC[5]))
	}
	if !r.Old.IsZero() {
		fmt.Fprintf(&b, " (%d)", int(r.Old[3])<<16|int(r.Old[4])<<8|int(r.Old[5]))
	}
	if r.Op != arp.OpNone {
		fmt.Fprintf(&b, " %v", r.Op)
	}
	if r.Alert {
		b.WriteString(" !")
	}
	if r.Folded {
		b.WriteString(" folded")
	}
	return b.String()
}

func texts(rs []Record) string {
	var out []string
	for i := range rs {
		out = append(out, text(&rs[i]))
	}
	return strings.Join(out, "; ")
}

// want checks what one call made happen.
func (l *lab) want(got []Record, want ...string) {
	l.t.Helper()
	if g, w := texts(got), strings.Join(want, "; "); g != w {
		l.t.Errorf("at %v:\n got %s\nwant %s", l.now.Sub(labStart), g, w)
	}
}

// wantLines ends the capture and checks what was printed.
func (l *lab) wantLines(want ...string) {
	l.t.Helper()
	l.finish()
	var rs []Record
	for _, line := range l.lines {
		rs = append(rs, line.Record)
	}
	if g, w := texts(rs), strings.Join(want, "; "); g != w {
		l.t.Errorf("lines:\n got %s\nwant %s", g, w)
	}
}
