package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
)

// ErrPingSize is returned by Ping for more data than a datagram holds, and for a
// negative number of octets.
var ErrPingSize = errors.New("stack: ping data are 0 to 65507 octets")

type pingKey struct {
	dst     netip.Addr
	id, seq uint16
}

// ping is an echo request that waits for its reply.
type ping struct {
	sent time.Time
	data []byte
	done chan pingResult // capacity 1
}

type pingResult struct {
	rtt time.Duration
	err error
}

func (p *ping) finish(r pingResult) {
	select {
	case p.done <- r:
	default: // a duplicate
	}
}

func (p *ping) fail(err error) { p.finish(pingResult{err: err}) }

// unreachable implements sender.
func (p *ping) unreachable(err error, _ netip.Addr) { p.fail(err) }

// Ping sends an ICMP echo request with size octets of data to addr and waits
// for the reply with the same data. It returns ctx's error when that ends
// first, and EHOSTUNREACH or another errno when the network said so.
func (s *Stack) Ping(ctx context.Context, addr netip.Addr, size int) (rtt time.Duration, err error) {
	fail := func(err error) (time.Duration, error) {
		return 0, &net.OpError{Op: "ping", Net: "ip4:icmp", Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: err}
	}
	if !addr.Is4() {
		return fail(errInvalid)
	}
	if size < 0 || size > ipv4.MaxLen-ipv4.MinHeaderLen-icmp.HeaderLen {
		return fail(ErrPingSize)
	}
	p := &ping{data: make([]byte, size), done: make(chan pingResult, 1)}
	for i := range p.data {
		p.data[i] = byte(i)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fail(errClosed)
	}
	via, ok := s.lookup(addr, nil)
	if !ok {
		s.mu.Unlock()
		return fail(errNetUnreach)
	}
	k := pingKey{dst: addr}
	for {
		r := s.rand()
		k.id, k.seq = uint16(r), uint16(r>>16)
		if s.pings[k] == nil {
			break
		}
	}
	s.pings[k] = p
	p.sent = time.Now()
	m := icmp.NewEcho(k.id, k.seq, p.data)
	s.stats.ICMP.sent(m.Type)
	err = s.sendIP(via, ipv4.Header{Proto: ipv4.ProtoICMP, Src: via.src, Dst: addr}, nil, m.AppendTo(nil), p)
	s.unlock(s.instant(p.sent))
	defer func() {
		s.mu.Lock()
		delete(s.pings, k)
		s.mu.Unlock()
	}()
	if err != nil {
		return fail(err)
	}
	select {
	case r := <-p.done:
		if r.err != nil {
			return fail(r.err)
		}
		return r.rtt, nil
	case <-ctx.Done():
		return fail(ctx.Err())
	}
}

// pong takes an echo reply.
func (s *Stack) pong(h *ipv4.Header, m *icmp.Message, a arrival) {
	p := s.pings[pingKey{h.Src, m.ID(), m.Seq()}]
	if p == nil || string(p.data) != string(m.Body) {
		s.stats.ICMP.Ignored++
		return
	}
	p.finish(pingResult{rtt: s.time(a.now).Sub(p.sent)})
}
