package stack_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// counted lists the counters in which st differs from before, in the order of
// their fields: "TCP.InSegs 1, TCP.OutRsts 1". Those that every packet moves are
// left out.
func counted(before, st stack.Stats) string {
	var out []string
	var walk func(prefix string, a, b reflect.Value)
	walk = func(prefix string, a, b reflect.Value) {
		for i := range a.NumField() {
			f := a.Type().Field(i)
			switch name := prefix + f.Name; {
			case f.Anonymous:
				walk(prefix, a.Field(i), b.Field(i))
			case f.Type.Kind() == reflect.Struct:
				walk(name+".", a.Field(i), b.Field(i))
			case a.Field(i).Uint() == b.Field(i).Uint():
			case strings.Contains("Frames.In Frames.Out IP.InReceives IP.InOctets IP.OutOctets IP.OutRequests IP.OutTransmits", name):
			default:
				out = append(out, fmt.Sprintf("%s %d", name, int64(b.Field(i).Uint()-a.Field(i).Uint())))
			}
		}
	}
	walk("", reflect.ValueOf(before), reflect.ValueOf(st))
	return strings.Join(out, ", ")
}

// Each event moves the counters that are about it, by one, and no other.
//
//rfc:4022 tcpActiveOpens tcpPassiveOpens tcpAttemptFails tcpEstabResets tcpCurrEstab tcpHCInSegs tcpHCOutSegs tcpRetransSegs tcpInErrs tcpOutRsts
//rfc:4113 udpHCInDatagrams udpNoPorts udpInErrors udpHCOutDatagrams
func TestCountersAreExact(t *testing.T) {
	udpHead := ipv4.Header{Proto: ipv4.ProtoUDP, Src: addr(9), Dst: addr(1)}
	tcpHead := ipv4.Header{Proto: ipv4.ProtoTCP, Src: addr(9), Dst: addr(1)}
	icmpHead := ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}
	good := func() []byte {
		return udpHead.AppendTo(nil, nil, 0)
	}
	edited := func(f func(b []byte)) func(r *raw) {
		return func(r *raw) {
			b := good()
			f(b)
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], checksum.Checksum(checksum.Sum(b[:20], 0)))
			r.frame(r.mac, b)
		}
	}
	datagram := func(port uint16, f func(b []byte)) func(r *raw) {
		return func(r *raw) {
			h, b := udpPacket(addrPort(9, 4000), addrPort(1, port), []byte("hello"))
			f(b)
			r.ip(h, nil, b)
		}
	}
	message := func(m icmp.Message) func(r *raw) { return func(r *raw) { r.ip(icmpHead, nil, m.AppendTo(nil)) } }
	nothing := func([]byte) {}
	for name, tc := range map[string]struct {
		do   func(r *raw)
		want string
	}{
		"no source": {func(r *raw) {
			h := ethernet.Header{Dst: r.mac, Type: ethernet.TypeIPv4}
			r.dev.WriteFrames([]link.Frame{{Head: append(h.AppendTo(nil), good()...)}})
		}, "Frames.BadSource 1"},
		"a foreign MAC":  {func(r *raw) { r.frame(ethernet.MustParseAddr("02:00:00:00:00:77"), good()) }, "Frames.ForeignMAC 1"},
		"unknown type":   {func(r *raw) { r.frameOf(r.mac, ethernet.TypeIPv6, make([]byte, 46)) }, "Frames.UnknownType 1"},
		"IP: short":      {func(r *raw) { r.frame(r.mac, good()[:19]) }, "IP.InHdrErrors 1, IP.Short 1"},
		"IP: version":    {edited(func(b []byte) { b[0] = 0x65 }), "IP.InHdrErrors 1, IP.BadVersion 1"},
		"IP: header":     {edited(func(b []byte) { b[0] = 0x4f }), "IP.InHdrErrors 1, IP.BadHeaderLen 1"},
		"IP: truncated":  {edited(func(b []byte) { b[3] = 21 }), "IP.InTruncatedPkts 1"},
		"IP: checksum":   {func(r *raw) { b := good(); b[8]--; r.frame(r.mac, b) }, "IP.InHdrErrors 1, IP.BadChecksum 1"},
		"IP: foreign":    {edited(func(b []byte) { b[19] = 7 }), "IP.InAddrErrors 1, IP.Foreign 1"},
		"IP: martian":    {edited(func(b []byte) { b[12] = 127 }), "IP.InAddrErrors 1, IP.Martians 1"},
		"IP: fragment":   {edited(func(b []byte) { b[6] = 0x20 }), "IP.ReasmReqds 1, IP.ReasmFails 1, IP.FragmentErrors 1"},
		"IP: protocol":   {edited(func(b []byte) { b[9] = 199 }), "IP.InUnknownProtos 1, ICMP.OutMsgs 1, ICMP.OutDestUnreachs 1"},
		"ICMP: short":    {func(r *raw) { r.ip(icmpHead, nil, make([]byte, 7)) }, "IP.InDelivers 1, ICMP.InMsgs 1, ICMP.InErrors 1, ICMP.Short 1"},
		"ICMP: checksum": {func(r *raw) { r.ip(icmpHead, nil, []byte{8, 0, 1, 2, 0, 0, 0, 0}) }, "IP.InDelivers 1, ICMP.InMsgs 1, ICMP.InErrors 1, ICMP.BadChecksum 1"},
		"ICMP: echo":     {message(icmp.NewEcho(1, 2, nil)), "IP.InDelivers 1, ICMP.InMsgs 1, ICMP.OutMsgs 1, ICMP.InEchos 1, ICMP.OutEchoReps 1"},
		"ICMP: redirect": {message(icmp.Message{Type: icmp.Redirect}), "IP.InDelivers 1, ICMP.InMsgs 1, ICMP.InRedirects 1, ICMP.Ignored 1"},
		"ICMP: not about us": {message(icmp.NewUnreachable(icmp.CodePort, good())),
			"IP.InDelivers 1, ICMP.InMsgs 1, ICMP.InErrors 1, ICMP.InDestUnreachs 1, ICMP.BadQuote 1"},
		"UDP: delivered": {datagram(53, nothing), "IP.InDelivers 1, UDP.InDatagrams 1"},
		"UDP: no port":   {datagram(54, nothing), "IP.InDelivers 1, ICMP.OutMsgs 1, ICMP.OutDestUnreachs 1, UDP.NoPorts 1"},
		"UDP: short":     {func(r *raw) { r.ip(udpHead, nil, make([]byte, 7)) }, "IP.InDelivers 1, UDP.InErrors 1, UDP.Short 1"},
		"UDP: length":    {datagram(53, func(b []byte) { b[5] = 7 }), "IP.InDelivers 1, UDP.InErrors 1, UDP.BadLength 1"},
		"UDP: checksum":  {datagram(53, func(b []byte) { b[8]++ }), "IP.InDelivers 1, UDP.InErrors 1, UDP.BadChecksum 1"},
		"TCP: short":     {func(r *raw) { r.ip(tcpHead, nil, make([]byte, 19)) }, "IP.InDelivers 1, TCP.InSegs 1, TCP.InErrs 1, TCP.BadChecksum 1"},
		"TCP: offset": {func(r *raw) {
			b := tcpPacket(addr(9), addr(1), nil, syn(4000))[ipv4.MinHeaderLen:]
			b[12] = 0xf0
			binary.BigEndian.PutUint16(b[16:], 0)
			binary.BigEndian.PutUint16(b[16:], checksum.Checksum(checksum.Sum(b, checksum.Pseudo(addr(9), addr(1), 6, len(b)))))
			r.ip(tcpHead, nil, b)
		}, "IP.InDelivers 1, TCP.InSegs 1, TCP.InErrs 1, TCP.BadDataOffset 1"},
		"TCP: port zero":   {func(r *raw) { r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 0, Flags: tcp.SYN}) }, "IP.InDelivers 1, TCP.InSegs 1, TCP.InErrs 1, TCP.BadPort 1"},
		"TCP: no listener": {func(r *raw) { r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 81, Flags: tcp.SYN}) }, "IP.InDelivers 1, TCP.InSegs 1, TCP.OutSegs 1, TCP.OutRsts 1, TCP.NoListener 1"},
		"TCP: a reset for nobody": {func(r *raw) { r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 81, Flags: tcp.RST}) },
			"IP.InDelivers 1, TCP.InSegs 1, TCP.NoListener 1"},
		"TCP: FIN to a listener": {func(r *raw) { r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.FIN}) }, "IP.InDelivers 1, TCP.InSegs 1, TCP.Unasked 1"},
		"TCP: an attempt that is reset": {func(r *raw) {
			r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.SYN, Seq: 100, Window: 1000})
			r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.RST, Seq: 101})
		}, "IP.InDelivers 2, TCP.PassiveOpens 1, TCP.AttemptFails 1, TCP.InSegs 2, TCP.OutSegs 1"},
		"TCP: an answer sent again": {func(r *raw) {
			r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.SYN, Seq: 100, Window: 1000})
			time.Sleep(1500 * time.Millisecond)
		}, "IP.InDelivers 1, TCP.PassiveOpens 1, TCP.InSegs 1, TCP.OutSegs 1, TCP.RetransSegs 1"},
		"TCP: an attempt of ours that is given up": {func(r *raw) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			r.stacks[0].DialTCP(ctx, netip.AddrPort{}, addrPort(9, 80))
		}, "TCP.ActiveOpens 1, TCP.AttemptFails 1, TCP.OutSegs 1"},
		"UDP: sent":          {func(r *raw) { listenUDP(r.t, r.stacks[0], ":54").WriteToAddrPort(nil, addrPort(9, 9)) }, "UDP.OutDatagrams 1"},
		"UDP: wrong in sum":  {datagram(53, func(b []byte) { b[8]++ }), "IP.InDelivers 1, UDP.InErrors 1, UDP.BadChecksum 1"},
		"UDP: wrong in size": {datagram(53, func(b []byte) { b[5] = 7 }), "IP.InDelivers 1, UDP.InErrors 1, UDP.BadLength 1"},
		"TCP: opened": {func(r *raw) { r.open(4000) },
			"IP.InDelivers 2, TCP.PassiveOpens 1, TCP.CurrEstab 1, TCP.InSegs 2, TCP.OutSegs 1"},
		"TCP: opened and reset": {func(r *raw) {
			r.open(4000)
			r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.RST, Seq: 1001})
		}, "IP.InDelivers 3, TCP.PassiveOpens 1, TCP.EstabResets 1, TCP.InSegs 3, TCP.OutSegs 1"},
		"TCP: blind reset": {func(r *raw) {
			r.open(4000)
			r.tcp(tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.RST, Seq: 1002})
		}, "IP.InDelivers 3, TCP.PassiveOpens 1, TCP.CurrEstab 1, TCP.InSegs 3, TCP.OutSegs 2, TCP.BlindResets 1, TCP.ChallengeAcks 1"},
		"TCP: text twice": {func(r *raw) {
			o := r.open(4000)
			for range 2 {
				r.tcp(ack(4000, o, 0, []byte("x")))
			}
		}, "IP.InDelivers 4, TCP.PassiveOpens 1, TCP.CurrEstab 1, TCP.InSegs 4, TCP.OutSegs 2, TCP.OutOfWindow 1"},
	} {
		rawTest(t, name, func(t *testing.T, r *raw) {
			ln, err := r.stacks[0].ListenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), 80))
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			defer listenUDP(t, r.stacks[0], ":53").Close()
			synctest.Wait()
			before := r.stats()
			tc.do(r)
			synctest.Wait()
			if got := counted(before, r.stats()); got != tc.want {
				t.Errorf("counted %s\n   want %s", got, tc.want)
			}
		})
	}
}

// A change of state names the frame that has led to it, by the tag that whoever
// wraps the device has given it.
func TestTraceTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		r := newRaw(t, stack.Config{})
		defer r.close()
		tapped, err := r.sw.Port(vnet.PortConfig{Name: "tapped"})
		if err != nil {
			t.Fatal(err)
		}
		s := stack.New(stack.Config{TraceTCP: func(e stack.TCPEvent) {
			events = append(events, fmt.Sprintf("%v %v to %v by %d", e.Remote, e.From, e.To, e.Frame))
		}})
		defer s.Close()
		if err := r.stacks[0].Close(); err != nil { // another one has its address
			t.Fatal(err)
		}
		r.stacks[0], r.mac = s, tapped.Info().Addr
		if _, err := s.AddInterface(stack.InterfaceConfig{
			Device: &tagging{Device: tapped}, Resolver: r.neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(addr(1), 24)},
		}); err != nil {
			t.Fatal(err)
		}
		ln := r.listen()
		defer ln.Close()
		r.open(4000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		synctest.Wait()
		want := []string{
			"10.0.0.9:4000 CLOSED to SYN-RECEIVED by 1", "10.0.0.9:4000 SYN-RECEIVED to ESTABLISHED by 2",
			"10.0.0.9:4000 ESTABLISHED to FIN-WAIT-1 by 0",
		}
		if strings.Join(events, "\n") != strings.Join(want, "\n") {
			t.Errorf("events %q\n  want %q", events, want)
		}
	})
}

// tagging numbers the frames that are read.
type tagging struct {
	link.Device
	n uint64
}

func (d *tagging) ReadFrames(f []link.Frame) (int, error) {
	n, err := d.Device.ReadFrames(f)
	for i := range f[:n] {
		d.n++
		f[i].Tag = d.n
	}
	return n, err
}

// The objects of the TCP-MIB and the UDP-MIB: the counters say which they are, and
// the lists have what stands in the tables.
//
//rfc:4022 names tcpConnectionTable tcpListenerTable
//rfc:4113 names udpEndpointTable
func TestMIBObjects(t *testing.T) {
	objects := map[string]bool{}
	for _, v := range []any{stack.TCPStats{}, stack.UDPStats{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			objects[f.Tag.Get("mib")] = true
		}
	}
	for name := range strings.FieldsSeq("tcpActiveOpens tcpPassiveOpens tcpAttemptFails tcpEstabResets tcpCurrEstab tcpHCInSegs tcpHCOutSegs " +
		"tcpRetransSegs tcpInErrs tcpOutRsts udpHCInDatagrams udpNoPorts udpInErrors udpHCOutDatagrams") {
		if !objects[name] {
			t.Errorf("no counter is %s", name)
		}
	}
	rawTest(t, "tables", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		r.listen()
		r.open(4000)
		u, err := s.DialUDP(addrPort(1, 53), addrPort(9, 54))
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		if c := s.Conns(); len(c) != 1 || c[0].Local != addrPort(1, 80) || c[0].Remote != addrPort(9, 4000) || c[0].State != tcp.Established {
			t.Errorf("%+v", c)
		}
		if l := s.Listeners(); len(l) != 1 || l[0].Local.Port() != 80 {
			t.Errorf("%+v", l)
		}
		if p := s.PacketConns(); len(p) != 1 || p[0].Local != addrPort(1, 53) || p[0].Remote != addrPort(9, 54) {
			t.Errorf("%+v", p)
		}
	})
}
