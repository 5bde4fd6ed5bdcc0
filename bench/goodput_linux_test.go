package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/netns"
	"arpeggio/stack"
	"arpeggio/stack/vnet"
	"arpeggio/tuntap"
)

// goodput: our stack and the Linux kernel's with CUBIC and SACK send to the same
// kernel, in turns, through the same relay in user space: 10 ms each way, and
// loss in both directions.
func goodput(ctx context.Context, b *board) {
	size := int64(2 << 20)
	if b.full {
		size = 8 << 20
	}
	for _, loss := range []float64{0.01, 0.05} {
		b.section(fmt.Sprintf("TCP through a relay: 20 ms there and back, %.0f %% loss in each direction, %d MiB", 100*loss, size>>20))
		ours, theirs, err := sendBoth(ctx, loss, size)
		if err != nil {
			b.fail("goodput", err)
			continue
		}
		b.add(Row{Name: "our stack", Value: ours, Unit: "Mbit/s", Note: "median of five; received by the kernel, too"})
		b.add(Row{Name: "Linux, CUBIC", Value: theirs, Unit: "Mbit/s", Ratio: ours / theirs, Bar: AtLeast(1)})
	}
}

// relay is a switch with two kernels and our stack on it.
type relay struct {
	sw         *vnet.Switch
	ours       *stack.Stack
	sink, peer *netns.Namespace
	close      []func() error
}

var (
	sinkAddr = netip.MustParsePrefix("10.9.0.1/24")
	oursAddr = netip.MustParsePrefix("10.9.0.2/24")
	peerAddr = netip.MustParsePrefix("10.9.0.3/24")
)

func newRelay(loss float64) (r *relay, err error) {
	r = &relay{sw: vnet.New(vnet.Config{Seed: 9})}
	r.close = append(r.close, r.sw.Close)
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	// Loss and half of the round trip where the senders are plugged in.
	way := vnet.Impairment{Delay: 10 * time.Millisecond, Loss: loss}
	if r.sink, err = r.kernel(sinkAddr, vnet.Impairment{}); err != nil {
		return nil, err
	}
	if r.peer, err = r.kernel(peerAddr, way); err != nil {
		return nil, err
	}
	p, err := r.sw.Port(vnet.PortConfig{Name: "ours", Ingress: way, Egress: way})
	if err != nil {
		return nil, err
	}
	r.ours = stack.New(stack.Config{})
	r.close = append(r.close, r.ours.Close)
	_, err = r.ours.AddInterface(stack.InterfaceConfig{Device: p, Resolver: arp.NewService(arp.Config{}), Addresses: []netip.Prefix{oursAddr}})
	return r, err
}

// kernel plugs a TAP of a new namespace into the switch. It has no offload: what
// the relay loses are packets, whoever sends them.
func (r *relay) kernel(addr netip.Prefix, way vnet.Impairment) (*netns.Namespace, error) {
	ns, err := netns.New()
	if err != nil {
		return nil, err
	}
	r.close = append(r.close, ns.Close)
	var tap *tuntap.TAP
	if err := ns.Do(func() (err error) {
		tap, err = tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Up: true})
		return err
	}); err != nil {
		return nil, err
	}
	r.close = append(r.close, tap.Close)
	a, err := r.sw.Attach(tap, vnet.PortConfig{Name: addr.String(), Ingress: way, Egress: way})
	if err != nil {
		return nil, err
	}
	r.close = append(r.close, a.Close)
	return ns, ns.IP("addr", "add", addr.String(), "dev", "tap0")
}

// Close takes everything down in the opposite order.
func (r *relay) Close() (err error) {
	for i := len(r.close) - 1; i >= 0; i-- {
		err = errors.Join(err, r.close[i]())
	}
	return err
}

// sendBoth returns the medians of what either side sends, in Mbit/s.
func sendBoth(ctx context.Context, loss float64, size int64) (ours, theirs float64, err error) {
	r, err := newRelay(loss)
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	var ln net.Listener
	if err := r.sink.Do(func() (err error) {
		ln, err = net.Listen("tcp4", netip.AddrPortFrom(sinkAddr.Addr(), 0).String())
		return err
	}); err != nil {
		return 0, 0, err
	}
	defer ln.Close()
	dials := []func() (net.Conn, error){
		func() (net.Conn, error) { return r.ours.DialContext(ctx, "tcp4", ln.Addr().String()) },
		func() (c net.Conn, err error) {
			d := net.Dialer{Timeout: time.Minute, Control: func(_, _ string, c syscall.RawConn) (err error) {
				if e := c.Control(func(fd uintptr) {
					err = syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CONGESTION, "cubic")
				}); e != nil {
					return e
				}
				return err
			}}
			err = r.peer.Do(func() (err error) { c, err = d.Dial("tcp4", ln.Addr().String()); return err })
			return c, err
		},
	}
	rates := make([][]float64, len(dials))
	for range 5 {
		for i, dial := range dials {
			rate, err := sendOnce(ln, dial, size)
			if err != nil {
				return 0, 0, err
			}
			rates[i] = append(rates[i], rate)
		}
	}
	return median(rates[0]), median(rates[1]), nil
}

// sendOnce moves size octets over a new connection, whose handshake is not
// counted, until the receiver has seen the end.
func sendOnce(ln net.Listener, dial func() (net.Conn, error), size int64) (rate float64, err error) {
	c, err := dial()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	far, err := ln.Accept()
	if err != nil {
		return 0, err
	}
	defer far.Close()
	limit := time.Now().Add(5 * time.Minute)
	if err := errors.Join(c.SetDeadline(limit), far.SetDeadline(limit)); err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	start := time.Now()
	go func() {
		_, err := io.CopyN(c, zeros{}, size)
		sent <- errors.Join(err, c.Close())
	}()
	n, err := io.Copy(io.Discard, far)
	took := time.Since(start)
	if err = errors.Join(err, <-sent); err == nil && n != size {
		err = fmt.Errorf("%d octets arrived of %d", n, size)
	}
	return float64(n) * 8 / 1e6 / took.Seconds(), err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
