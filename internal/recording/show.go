package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// Packet is a recorded packet, read for people and programs.
type Packet struct {
	File      string    `json:"file"`
	Number    uint64    `json:"number"`        // in the file, from 1
	Time      time.Time `json:"time,omitzero"` // UTC; zero where the file does not say
	Interface string    `json:"iface,omitempty"`
	Direction string    `json:"direction,omitempty"` // in or out
	Length    int       `json:"length"`              // on the wire, in octets
	Kept      int       `json:"kept"`                // of them in the file
	Lost      uint64    `json:"lost,omitempty"`      // packets of the interface that are missing before this one
	Proto     string    `json:"proto"`               // arp, tcp, udp, icmp, the number of another of IPv4's, or an EtherType
	Src       string    `json:"src,omitempty"`       // the MAC address
	Dst       string    `json:"dst,omitempty"`
	From      End       `json:"from,omitzero"`
	To        End       `json:"to,omitzero"`
	Info      string    `json:"info"` // what it is, in a few words
	Comment
}

// End is an address, with a port where the protocol has one.
type End struct {
	Addr netip.Addr `json:"addr"`
	Port uint16     `json:"port,omitempty"`
}

// String returns address and port.
func (e End) String() string {
	if e.Port == 0 {
		return e.Addr.String()
	}
	return netip.AddrPortFrom(e.Addr, e.Port).String()
}

// Ends returns the packet's ends, ours first where that is known.
func (p *Packet) Ends() (local, remote End) {
	if c := p.Connection; c != nil {
		return End{c.Local.Addr(), c.Local.Port()}, End{c.Remote.Addr(), c.Remote.Port()}
	}
	if p.Direction == "in" {
		return p.To, p.From
	}
	return p.From, p.To
}

// Files returns the files that a name means: itself, or, where there is no such
// file, those of the ring that was recorded under it, oldest first.
func Files(name string) ([]string, error) {
	if _, err := os.Stat(name); name == "-" || !errors.Is(err, fs.ErrNotExist) {
		return []string{name}, nil
	}
	ring, err := capture.RingFiles(name)
	if err == nil && len(ring) == 0 {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return ring, err
}

// Show reads the packets of a capture file, pcapng or pcap, in order; "-" is stdin.
// The packet is shown's until it returns. The error is shown's, or one about the
// file, which wraps capture.ErrFormat where damage hid the rest. A file that is cut
// off is read up to there: the counters say so.
func Show(name string, stdin io.Reader, shown func(*Packet) error) (st capture.ReaderStats, err error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return st, err
		}
		defer f.Close()
		in = f
	}
	r, err := capture.NewReader(in)
	if err != nil {
		return st, fmt.Errorf("%s: %w", name, err)
	}
	for {
		k, err := r.Next()
		st = r.Stats()
		if err == io.EOF {
			return st, nil
		}
		if err != nil {
			return st, fmt.Errorf("%s: beyond packet %d: %w", name, st.Packets, err)
		}
		p := Packet{File: name, Number: st.Packets, Time: k.Time.UTC(), Length: k.Length, Kept: len(k.Data), Lost: k.Dropped, Comment: ParseComment(k.Comment)}
		if n := r.Interfaces(); k.Interface < len(n) {
			p.Interface = n[k.Interface].Name
		}
		switch k.Direction {
		case capture.In:
			p.Direction = "in"
		case capture.Out:
			p.Direction = "out"
		}
		if k.LinkType == capture.LinkTypeEthernet {
			p.describe(k.Data)
		} else {
			p.Proto, p.Info = fmt.Sprintf("link type %d", k.LinkType), "not Ethernet"
		}
		if y := p.Time.Year(); y < 0 || y > 9999 { // RFC 3339 cannot say it
			p.Time, p.Info = time.Time{}, p.Info+" (its time is damaged)"
		}
		if err := shown(&p); err != nil {
			return st, err
		}
	}
}

// describe says what a frame is.
func (p *Packet) describe(frame []byte) {
	h, payload, err := ethernet.Parse(frame)
	if err != nil {
		p.Proto, p.Info = "?", "cut off or malformed"
		return
	}
	p.Src, p.Dst, p.Proto = h.Src.String(), h.Dst.String(), strings.ToLower(h.Type.String())
	if h.NTags > 0 {
		defer func() { p.Info = "vlan " + h.VLAN().String() + " " + p.Info }()
	}
	p.Info = fmt.Sprintf("%v > %v", h.Src, h.Dst)
	switch h.Type {
	case ethernet.TypeARP:
		if a, err := arp.Parse(payload); err == nil {
			p.From, p.To, p.Info = End{Addr: a.SenderIP}, End{Addr: a.TargetIP}, describeARP(&a)
		}
	case ethernet.TypeIPv4:
		if k, ok := parse(frame); ok && len(payload) >= ipv4.MinHeaderLen {
			p.ip(&k, payload)
		}
	}
}

func describeARP(a *arp.Packet) string {
	switch {
	case a.SenderIP == a.TargetIP:
		return fmt.Sprintf("announce %v is at %v", a.SenderIP, a.SenderMAC)
	case a.Op == arp.OpRequest && a.SenderIP.IsUnspecified():
		return fmt.Sprintf("probe %v by %v", a.TargetIP, a.SenderMAC)
	case a.Op == arp.OpRequest:
		return fmt.Sprintf("who has %v, tell %v at %v", a.TargetIP, a.SenderIP, a.SenderMAC)
	case a.Op == arp.OpReply:
		return fmt.Sprintf("%v is at %v, to %v", a.SenderIP, a.SenderMAC, a.TargetIP)
	}
	return fmt.Sprintf("operation %d of %v at %v", a.Op, a.SenderIP, a.SenderMAC)
}

// ip describes an IPv4 packet.
func (p *Packet) ip(k *parsed, payload []byte) {
	p.From.Addr, p.To.Addr = netip.AddrFrom4([4]byte(payload[12:])), netip.AddrFrom4([4]byte(payload[16:]))
	switch k.proto {
	case ipv4.ProtoTCP:
		p.Proto = "tcp"
	case ipv4.ProtoUDP:
		p.Proto = "udp"
	case ipv4.ProtoICMP:
		p.Proto = "icmp"
	default:
		p.Proto = fmt.Sprintf("ip %d", k.proto)
	}
	p.Info = fmt.Sprintf("%d octets", len(k.body))
	switch {
	case k.fragment:
		p.Info = "fragment of " + p.Info
	case k.isSegment():
		p.From.Port, p.To.Port, p.Info = k.src.Port(), k.dst.Port(), k.segment()
	case k.src.IsValid() && k.proto == ipv4.ProtoUDP:
		p.From.Port, p.To.Port = k.src.Port(), k.dst.Port()
		p.Info = fmt.Sprintf("%d octets", max(0, len(k.body)-8))
	case k.proto == ipv4.ProtoICMP && len(k.body) >= 2:
		p.Info = fmt.Sprintf("type %d code %d", k.body[0], k.body[1])
	}
}

// segment describes a segment: its flags as tcpdump has them, and its numbers.
func (p *parsed) segment() string {
	b := p.body
	f := p.flags()
	var s strings.Builder
	s.WriteByte('[')
	for _, l := range []struct {
		bit  tcp.Flags
		char byte
	}{{tcp.SYN, 'S'}, {tcp.FIN, 'F'}, {tcp.RST, 'R'}, {tcp.PSH, 'P'}, {tcp.URG, 'U'}, {tcp.ECE, 'E'}, {tcp.CWR, 'W'}, {tcp.ACK, '.'}} {
		if f&l.bit != 0 {
			s.WriteByte(l.char)
		}
	}
	n := len(b) - min(len(b), int(b[12]>>4)*4)
	seq := binary.BigEndian.Uint32(b[4:])
	fmt.Fprintf(&s, "] seq %d", seq)
	if n > 0 {
		fmt.Fprintf(&s, ":%d", seq+uint32(n))
	}
	if f&tcp.ACK != 0 {
		fmt.Fprintf(&s, " ack %d", binary.BigEndian.Uint32(b[8:]))
	}
	fmt.Fprintf(&s, " win %d", binary.BigEndian.Uint16(b[14:]))
	if n > 0 {
		fmt.Fprintf(&s, " len %d", n)
	}
	return s.String()
}
