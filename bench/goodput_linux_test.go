package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/netns"
	"arpeggio/stack"
	"arpeggio/stack/vnet"
	"arpeggio/tuntap"
)

// streams is how many connections of either side send at once, rounds how often.
// What luck has to do with one of them is gone in the median of so many, whatever
// else the machine does meets both sides alike, and the relay has time for all.
const streams, rounds = 8, 5

// goodput: our stack and the Linux kernel's with CUBIC and SACK send to the same
// kernel, at the same time, through the same relay in user space: 10 ms each way,
// loss in both directions, and no bottleneck that they would share.
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
		b.add(Row{Name: "our stack", Value: ours, Unit: "Mbit/s", Note: fmt.Sprintf("median of %d connections; received by the kernel, too", streams*rounds)})
		b.add(Row{Name: "Linux, CUBIC", Value: theirs, Unit: "Mbit/s", Ratio: ours / theirs, Bar: AtLeast(1), Note: "as many, at the same time"})
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

// sendBoth returns the medians of what the connections of either side send, in
// Mbit/s.
func sendBoth(ctx context.Context, loss float64, size int64) (ours, theirs float64, err error) {
	r, err := newRelay(loss)
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	dials := [2]func(to string) (net.Conn, error){
		func(to string) (net.Conn, error) { return r.ours.DialContext(ctx, "tcp4", to) },
		func(to string) (c net.Conn, err error) {
			d := net.Dialer{Timeout: time.Minute, Control: setCubic}
			err = r.peer.Do(func() (err error) { c, err = d.DialContext(ctx, "tcp4", to); return err })
			return c, err
		},
	}
	var rates [2][streams * rounds]float64
	var errs [2][streams * rounds]error
	for round := range rounds {
		var all sync.WaitGroup
		for i := round * streams; i < (round+1)*streams; i++ {
			for side, dial := range dials {
				all.Go(func() { rates[side][i], errs[side][i] = r.sendOnce(dial, size) })
			}
		}
		all.Wait()
	}
	err = errors.Join(append(errs[0][:], errs[1][:]...)...)
	return median(rates[0][:]), median(rates[1][:]), err
}

// setCubic chooses the congestion control of one socket: the machine's default
// may be another.
func setCubic(_, _ string, c syscall.RawConn) (err error) {
	if e := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CONGESTION, "cubic")
	}); e != nil {
		return e
	}
	return err
}

// sendOnce moves size octets over a new connection, whose handshake is not
// counted, until the receiver has seen the end.
func (r *relay) sendOnce(dial func(to string) (net.Conn, error), size int64) (rate float64, err error) {
	var ln net.Listener
	if err := r.sink.Do(func() (err error) {
		ln, err = net.Listen("tcp4", netip.AddrPortFrom(sinkAddr.Addr(), 0).String())
		return err
	}); err != nil {
		return 0, err
	}
	defer ln.Close()
	c, err := dial(ln.Addr().String())
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
