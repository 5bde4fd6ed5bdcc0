package tracecheck

import (
	"fmt"
	"net/netip"
	"time"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// Host checks all TCP connections of one IPv4 address, packet by packet: from a
// device, or from a capture taken next to the host. It is not for concurrent use.
type Host struct {
	addr  netip.Addr
	cfg   Config
	conns map[[2]netip.AddrPort]*Checker
}

// NewHost returns a checker for the host with the address. cfg is that of each
// connection.
func NewHost(addr netip.Addr, cfg Config) *Host {
	return &Host{addr: addr, cfg: cfg, conns: make(map[[2]netip.AddrPort]*Checker)}
}

// Packet takes an IPv4 packet that passes at a time, in either direction. What
// is not a whole TCP segment from or to the host is ignored, and so is what
// arrives with a wrong checksum: the host must not take it.
func (h *Host) Packet(at time.Duration, packet []byte) error {
	ip, _, body, err := ipv4.Parse(packet)
	if err != nil || ip.Proto != ipv4.ProtoTCP || ip.IsFragment() || ip.Src != h.addr && ip.Dst != h.addr {
		return nil
	}
	sum := checksum.Checksum(checksum.Sum(body, checksum.Pseudo(ip.Src, ip.Dst, uint8(ip.Proto), len(body))))
	seg, err := tcp.ParseSegment(body)
	if err != nil || sum != 0 && ip.Src != h.addr {
		return nil
	}
	seg.Mark = ip.TOS & 3
	src, dst := netip.AddrPortFrom(ip.Src, seg.SrcPort), netip.AddrPortFrom(ip.Dst, seg.DstPort)
	if ip.Src == h.addr {
		return wrap(src, dst, h.conn(src, dst).Sent(at, &seg))
	}
	return wrap(dst, src, h.conn(dst, src).Received(at, &seg))
}

func (h *Host) conn(own, peer netip.AddrPort) *Checker {
	k := [2]netip.AddrPort{own, peer}
	c := h.conns[k]
	if c == nil {
		c = New(h.cfg)
		h.conns[k] = c
	}
	return c
}

// Close ends the trace at a time, as Checker.Close does for each connection.
func (h *Host) Close(at time.Duration) error {
	for k, c := range h.conns {
		if err := c.Close(at); err != nil {
			return wrap(k[0], k[1], err)
		}
	}
	return nil
}

// Segments returns how many segments have been seen.
func (h *Host) Segments() (n int) {
	for _, c := range h.conns {
		n += c.index
	}
	return n
}

func wrap(own, peer netip.AddrPort, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tracecheck: %v to %v: %w", own, peer, err)
}
