package stack

import (
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// rxBatch is how many frames one pass of a run loop reads.
const rxBatch = 64

// port is a device with its run loop and the interfaces that share it.
type port struct {
	s      *Stack
	dev    link.Device
	info   link.Info
	ifaces atomic.Pointer[[]*Interface] // replaced, never changed, under s.mu
	asked  atomic.Uint64                // how often CatchUp was called

	// Guarded by s.mu. waiting is the deadline that the loop waits for or, when
	// it is not waiting, zero: it will look at the timers before it does.
	waiting  tcp.Instant
	idle     bool   // the loop waits (or is about to)
	seen     uint64 // of asked: how many of the calls have been served
	mark     uint64 // of asked, when behind began to be counted
	behind   int    // frames read since then, while a call waits
	ended    bool   // the loop has returned
	confirms []confirmation
	forwards []forward
}

// confirmation is a neighbour that proved to be alive.
type confirmation struct {
	c    Confirmer
	addr netip.Addr
}

// forward is a packet for Config.Forward.
type forward struct {
	in     *Interface
	packet []byte
}

func (p *port) interfaces() []*Interface { return *p.ifaces.Load() }

func (p *port) byVLAN(v ethernet.VLAN) *Interface {
	for _, i := range p.interfaces() {
		if i.vlan == v {
			return i
		}
	}
	return nil
}

// never is later than any deadline.
const never = tcp.Instant(1<<63 - 1)

// run is the loop: read a batch, process it, write, run timers, wait.
func (p *port) run() {
	s := p.s
	frames := make([]link.Frame, rxBatch)
	inputs := make([]input, 0, rxBatch)
	var confirmed []confirmation
	for {
		asked := p.asked.Load()
		n, err := p.dev.ReadFrames(frames)
		at := time.Now()
		drops := FrameStats{In: uint64(n)}
		inputs = inputs[:0]
		for k := range frames[:n] {
			if in, ok := p.accept(&frames[k], at, &drops); ok {
				inputs = append(inputs, in)
			}
		}
		s.mu.Lock()
		// Not the time at which the frames were read: who held the lock meanwhile
		// has emitted with a later one, and timestamps must not go back.
		now := s.now()
		p.idle = false
		s.stats.Frames.merge(&drops)
		for k := range inputs {
			in := &inputs[k]
			s.cause = in.tag
			s.receive(in.iface, in.packet, arrival{now: now, csum: in.csum, gso: in.gso, group: in.group})
		}
		s.cause = 0
		s.runTimers(now)
		s.settle(now)
		confirms, forwards := p.confirms, p.forwards
		p.confirms, p.forwards = confirmed[:0], nil
		gone := len(p.interfaces()) == 0
		var deadline tcp.Instant
		if err == nil && n == 0 {
			deadline = s.deadline(p)
			p.waiting, p.idle = deadline, true
			if deadline == 0 {
				p.waiting = never
			}
		}
		if err == nil {
			p.caughtUp(asked, n)
		}
		b, ok := s.take()
		s.mu.Unlock()
		if ok {
			s.flush(b)
		}
		for _, c := range confirms {
			c.c.Confirm(c.addr)
		}
		confirmed = confirms
		for _, f := range forwards {
			s.cfg.Forward(f.in, f.packet)
		}
		if err == nil && n == 0 {
			err = p.dev.Wait(s.time(deadline))
		}
		if err != nil || gone {
			p.end(err)
			return
		}
	}
}

// catchUpFrames is how many frames a device's loop reads at most before it takes
// those that had arrived at some time before for read: no device here queues a
// sixteenth of it.
const catchUpFrames = 16 << 10

// caughtUp notes that n frames were read and processed after CatchUp had been
// called asked times. No frame means that all that had arrived is done; when they do
// not end, so many frames do. The caller holds mu.
func (p *port) caughtUp(asked uint64, n int) {
	switch {
	case p.seen == asked:
		return
	case n == 0:
		p.seen, p.behind = asked, 0
	case p.behind == 0:
		p.mark, p.behind = asked, n
		return
	default:
		if p.behind += n; p.behind < catchUpFrames {
			return
		}
		p.seen, p.behind = p.mark, 0
	}
	p.s.empty.Broadcast()
}

// CatchUp returns when the frames that had arrived at the devices before the
// call have been processed, the transmit queue is written out as far as the
// devices allow, and timers that were due have run. A device that never stops
// receiving holds it for 32,768 frames at most. Programs need it to observe
// cause and effect in order, as a test does that injects a segment and then
// looks at the socket: the run loops read on their own time. It must not be
// called from a run loop (Config.Forward).
func (s *Stack) CatchUp() {
	s.mu.Lock()
	ports := slices.Clone(s.ports)
	s.mu.Unlock()
	for _, p := range ports {
		want := p.asked.Add(1)
		p.dev.Wake()
		s.mu.Lock()
		for p.seen < want && !p.ended {
			s.empty.Wait()
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.drain()
	s.mu.Unlock()
}

// end is the end of the loop: the device is gone, by RemoveInterface or by
// itself.
func (p *port) end(err error) {
	p.s.mu.Lock()
	p.ended = true
	p.s.empty.Broadcast()
	p.s.mu.Unlock()
	if err != nil && !errors.Is(err, link.ErrClosed) {
		p.s.cfg.Logger.Error("device failed; its interfaces are removed", "device", p.info.Name, "err", err)
	}
	for _, i := range slices.Clone(p.interfaces()) {
		p.s.RemoveInterface(i)
	}
}
