package observer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"arpeggio/stack/capture"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// LiveConfig says how interfaces are opened.
type LiveConfig struct {
	Interfaces []string
	// Promiscuous asks the cards for frames to other stations, too.
	Promiscuous bool
	// Buffer is how many octets of kernel memory may hold the frames of an
	// interface that are not read yet; 32 MiB when 0: some 40,000 frames.
	Buffer int
	// Note hears, in a line for people, that an interface went down, vanished
	// or came back. Nil: nobody does.
	Note func(string)
}

// Live reads interfaces. It sends nothing, and changes nothing about them but
// that promiscuous mode is on while it is open.
type Live struct {
	cards []*card
	note  func(string)
}

// card is one interface.
type card struct {
	*tuntap.Packet
	described capture.Interface
	state     tuntap.State
	number    int    // of the Observer
	drops     uint64 // as the kernel has counted them
	lost      uint64 // of those, the ones that no frame has been told with
	queue     []frame
	data      []byte // what the queue's frames point into
	drained   bool
	until     time.Time // everything before that has been read
}

// frame waits in a queue.
type frame struct {
	at       time.Time
	from, to int // in data
	dropped  uint64
}

// OpenLive opens interfaces, which is what takes privileges: CAP_NET_RAW, and
// CAP_NET_ADMIN for the large buffer. Everything after that does without.
func OpenLive(c LiveConfig) (*Live, error) {
	if c.Buffer == 0 {
		c.Buffer = 32 << 20
	}
	l := &Live{note: c.Note}
	if l.note == nil {
		l.note = func(string) {}
	}
	filter, err := neighbours()
	if err != nil {
		return nil, err
	}
	for _, name := range c.Interfaces {
		p, err := tuntap.OpenPacket(tuntap.PacketConfig{
			Interface: name, Promiscuous: c.Promiscuous, Outgoing: true, Down: true, Filter: filter, Buffer: c.Buffer,
		})
		if err != nil {
			l.Close()
			return nil, err
		}
		k := &card{Packet: p, state: tuntap.Up, described: capture.Interface{Name: name, LinkType: capture.LinkTypeEthernet, Networks: networksOf(name)}}
		l.cards = append(l.cards, k)
		l.look(k)
	}
	return l, nil
}

// networksOf returns the addresses of an interface, with their networks.
func networksOf(name string) (out []netip.Prefix) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	addrs, _ := i.Addrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			ip, ok := netip.AddrFromSlice(n.IP)
			ones, _ := n.Mask.Size()
			if ip = ip.Unmap(); ok && ip.Is4() == (len(n.Mask) == net.IPv4len) {
				out = append(out, netip.PrefixFrom(ip, ones))
			}
		}
	}
	return out
}

// Close closes the interfaces.
func (l *Live) Close() error {
	var errs []error
	for _, c := range l.cards {
		errs = append(errs, c.Packet.Close())
	}
	return errors.Join(errs...)
}

const (
	// readBatch is how many frames one call reads, and readMost how many of an
	// interface are read before they are looked at.
	readBatch = 64
	readMost  = 4096
	// settle is how long a frame of one of several interfaces is kept, so that
	// one of another interface with an earlier timestamp is not late: the kernel
	// takes that long at most from the timestamp to the queue.
	settle = 2 * time.Millisecond
	// tick is how often what can wait is done, and interfaces are looked at.
	tick = 250 * time.Millisecond
)

// Watch observes until ctx ends, and then what has arrived until then. The frames
// of several interfaces are observed in the order of their timestamps.
func (l *Live) Watch(ctx context.Context, o *Observer) error {
	for _, c := range l.cards {
		var err error
		if c.number, err = o.AddInterface(c.described, len(l.cards) == 1); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { l.cards[0].Wake() })
	defer stop()
	fs := make([]link.Frame, readBatch)
	next := time.Now()
	// The work goes on for what was there when ctx ended.
	work := context.WithoutCancel(ctx)
	for {
		ending, until := ctx.Err() != nil, time.Now()
		pending, err := l.read(fs, ending)
		if err == nil {
			err = l.observe(work, o, ending)
		}
		if err != nil {
			return err
		}
		now := time.Now()
		if now.After(next) {
			next = now.Add(tick)
			for _, c := range l.cards {
				l.look(c)
			}
			if pending {
				until = time.Time{}
			}
			if err := o.idle(work, until); err != nil {
				return err
			}
		}
		switch {
		case pending:
			continue
		case ending:
			return nil
		}
		wake := next
		if l.waiting() {
			wake = now.Add(settle / 2)
		}
		if err := l.wait(wake); err != nil {
			return err
		}
	}
}

// read moves what has arrived into the queues; it reports whether there is more.
func (l *Live) read(fs []link.Frame, ending bool) (more bool, err error) {
	for _, c := range l.cards {
		start := time.Now()
		c.drained = false
		for n := 0; n < readMost && !c.drained; {
			k, err := c.ReadFrames(fs)
			if err != nil && !errors.Is(err, tuntap.ErrNoInterface) {
				return false, err
			}
			c.take(fs[:k])
			n += k
			c.drained = k < len(fs)
		}
		if c.drained {
			c.until = start.Add(-settle)
		} else {
			c.until = c.queue[len(c.queue)-1].at
			more = true
		}
		if ending || len(l.cards) == 1 {
			c.until = time.Unix(1<<40, 0)
		}
	}
	return more, nil
}

// take copies frames into the queue. What the kernel has dropped is told with the
// first frame of those that were read next.
func (c *card) take(fs []link.Frame) {
	if drops := c.Stats().RxDropped; drops > c.drops {
		c.lost += drops - c.drops
		c.drops = drops
	}
	for i := range fs {
		f := &fs[i]
		at := f.Time
		if at.IsZero() {
			at = time.Now()
		}
		from := len(c.data)
		c.data = f.AppendTo(c.data)
		c.queue = append(c.queue, frame{at, from, len(c.data), c.lost})
		c.lost = 0
	}
}

// waiting reports whether frames are kept back.
func (l *Live) waiting() bool {
	for _, c := range l.cards {
		if len(c.queue) > 0 {
			return true
		}
	}
	return false
}

// observe hands on the frames before which nothing can come any more, oldest
// first, those of one moment in the order of the interfaces.
func (l *Live) observe(ctx context.Context, o *Observer, ending bool) error {
	until := l.cards[0].until
	for _, c := range l.cards[1:] {
		if c.until.Before(until) {
			until = c.until
		}
	}
	heads := make([]int, len(l.cards))
	var err error
	for err == nil {
		best := -1
		for i, c := range l.cards {
			if heads[i] < len(c.queue) && (best < 0 || c.queue[heads[i]].at.Before(l.cards[best].queue[heads[best]].at)) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		c := l.cards[best]
		f := &c.queue[heads[best]]
		if f.at.After(until) {
			break
		}
		heads[best]++
		p := capture.Packet{Time: f.at, LinkType: capture.LinkTypeEthernet, Data: c.data[f.from:f.to], Length: f.to - f.from, Dropped: f.dropped}
		err = o.Frame(ctx, c.number, &p)
	}
	for i, c := range l.cards {
		c.forget(heads[i])
	}
	return err
}

// forget drops the first n frames of the queue.
func (c *card) forget(n int) {
	switch {
	case n == 0:
	case n == len(c.queue):
		c.queue, c.data = c.queue[:0], c.data[:0]
	default:
		gone := c.queue[n].from
		c.data = c.data[:copy(c.data, c.data[gone:])]
		c.queue = c.queue[:copy(c.queue, c.queue[n:])]
		for i := range c.queue {
			c.queue[i].from -= gone
			c.queue[i].to -= gone
		}
	}
}

// wait waits for frames.
func (l *Live) wait(until time.Time) error {
	packets := make([]*tuntap.Packet, len(l.cards))
	for i, c := range l.cards {
		packets[i] = c.Packet
	}
	return tuntap.WaitPackets(until, packets...)
}

// look follows what becomes of an interface, and says so.
func (l *Live) look(c *card) {
	was := c.state
	c.state = c.State()
	if c.state == tuntap.Gone && c.Rebind() == nil {
		c.state = c.State()
		if was != tuntap.Gone {
			l.note(fmt.Sprintf("%s was replaced by another interface of that name", c.described.Name))
		}
	}
	if c.state == was {
		return
	}
	name := c.described.Name
	switch c.state {
	case tuntap.Gone:
		l.note(name + " was removed; waiting for it to come back")
	case tuntap.Down:
		l.note(fmt.Sprintf("%s is down; waiting for it (ip link set %s up)", name, name))
	default:
		l.note(name + " is up")
	}
}

// Lost returns how many frames the kernel has dropped that no frame was read
// after.
func (l *Live) Lost() (n uint64) {
	for _, c := range l.cards {
		n += c.lost
	}
	return n
}
