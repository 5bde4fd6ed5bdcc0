package stack

import (
	"encoding/binary"
	"net/netip"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/stack/udp"
)

// Bounds of what may be queued for the devices. The queue is emptied each time
// the lock is released, so only bursts come near them; TCP then stops
// emitting until there is room, everything else is dropped.
const (
	txMaxFrames = 2048
	txMaxBytes  = 8 << 20
)

// sender is told when a packet of its could not reach the next hop. The caller
// holds mu.
type sender interface {
	unreachable(err error, dst netip.Addr)
}

// txMeta is what flush must know of a frame besides its octets.
type txMeta struct {
	iface *Interface
	next  netip.Addr
	mac   ethernet.Addr // of next, when known already
	from  sender        // may be nil
}

// txBatch is a run of frames with their storage, which is used again.
type txBatch struct {
	frames []link.Frame
	meta   []txMeta
	bytes  int
	// held are the buffers that were given back until the batch was taken:
	// payloads of its frames may lie there.
	held tcp.Held
}

// txQueue collects frames under the stack's lock. One goroutine at a time,
// whichever finds work and nobody at it, takes the collected batch and writes
// it with the lock released; what others queue meanwhile is the next batch. So
// the order of a connection's frames is kept although no lock is held while
// the device and the resolver run.
type txQueue struct {
	txBatch
	spare txBatch
	busy  bool   // a goroutine is writing
	taken uint64 // batches; all but one of them are written while busy
}

func (b *txBatch) full() bool { return len(b.frames) >= txMaxFrames || b.bytes >= txMaxBytes }

// add returns an empty frame at the end of the batch whose Head has room for
// the Ethernet header of h's interface in front.
func (b *txBatch) add(h hop, from sender) *link.Frame {
	n := len(b.frames)
	if n < cap(b.frames) {
		b.frames = b.frames[:n+1]
	} else {
		b.frames = append(b.frames, link.Frame{})
	}
	f := &b.frames[n]
	f.Reset()
	var room [ethernet.MaxHeaderLen]byte
	f.Head = append(f.Head, room[:h.header.Len()]...)
	m := txMeta{iface: h.Interface, next: h.next, from: from}
	h.lastSent = h.s.tx.taken + 1
	switch {
	case h.broadcast:
		m.mac = ethernet.Broadcast
	case h.next.IsMulticast():
		ip := h.next.As4() // RFC 1112 §6.4
		m.mac = ethernet.Addr{0x01, 0x00, 0x5e, ip[1] & 0x7f, ip[2], ip[3]}
	}
	b.meta = append(b.meta, m)
	return f
}

// maxHead is the storage for a frame's first octets that is kept for the next
// frame: enough for a jumbo frame, not for a flattened super-frame.
const maxHead = 16 << 10

// reset empties the batch and keeps storage worth keeping.
func (b *txBatch) reset() {
	for k := range b.frames {
		f := &b.frames[k]
		clear(f.Payload)
		if cap(f.Head) > maxHead {
			f.Head = nil
		}
	}
	clear(b.meta)
	b.frames, b.meta, b.bytes, b.held = b.frames[:0], b.meta[:0], 0, tcp.Held{}
}

// take returns the collected batch when there is one and nobody else is
// writing. The caller holds mu and gives the batch to flush after releasing it.
func (s *Stack) take() (b txBatch, ok bool) {
	if s.tx.busy {
		return b, false
	}
	if len(s.tx.frames) == 0 {
		s.pool.Recycle(s.pool.TakeHeld())
		return b, false
	}
	b = s.tx.txBatch
	b.held = s.pool.TakeHeld()
	s.tx.txBatch, s.tx.spare, s.tx.busy = s.tx.spare, txBatch{}, true
	s.tx.taken++
	s.pending.overtaken(&b)
	return b, true
}

// drain returns when what is queued now has been written, however much follows. The
// caller holds mu, which is released meanwhile.
func (s *Stack) drain() {
	last := s.tx.taken
	if len(s.tx.frames) > 0 {
		last++
	}
	s.written(last)
}

// written returns when the first last batches have been written. It helps, for the
// run loop may be the caller, or gone. The caller holds mu, which is released
// meanwhile.
func (s *Stack) written(last uint64) {
	for s.tx.taken < last || s.tx.busy && s.tx.taken == last {
		if b, ok := s.take(); ok {
			s.mu.Unlock()
			s.flush(b)
			s.mu.Lock()
			continue
		}
		s.empty.Wait()
	}
}

// flushRounds bounds how many batches a goroutine writes for others before it
// leaves the rest to a run loop.
const flushRounds = 8

// flush writes b and what is queued meanwhile. No lock is held.
func (s *Stack) flush(b txBatch) {
	for round, more := 1, true; more; round++ {
		var st FrameStats
		s.write(&b, &st)
		s.mu.Lock()
		s.pool.Recycle(b.held)
		b.reset()
		s.stats.Frames.merge(&st)
		s.tx.spare, s.tx.busy = b, false
		for _, c := range s.stalled {
			c.changed()
		}
		s.stalled = s.stalled[:0]
		if len(s.dirty) > 0 {
			s.settle(s.now())
		}
		wake := s.wakeFor()
		if round >= flushRounds && len(s.tx.frames) > 0 && len(s.ports) > 0 {
			wake, more = s.ports[0].dev, false
		} else {
			b, more = s.take()
		}
		s.empty.Broadcast()
		s.mu.Unlock()
		if wake != nil {
			wake.Wake()
		}
	}
}

// write resolves the next hops of b's frames, completes them and writes them
// in runs, one for each stretch of frames of one device.
func (s *Stack) write(b *txBatch, st *FrameStats) {
	var (
		start   int // of the run that is being collected
		last    txMeta
		unknown []txMeta // neighbours of this batch that are being asked for
	)
	for k := range b.frames {
		m := &b.meta[k]
		if m.mac.IsZero() && m.iface == last.iface && m.next == last.next {
			m.mac = last.mac
		}
		asked := false
		if m.mac.IsZero() && m.iface != nil {
			m.mac, asked = s.neighbour(m, &unknown)
		}
		if k > start && (m.mac.IsZero() || m.iface.dev != b.meta[k-1].iface.dev) {
			writeRun(b.meta[start].iface.dev, b.frames[start:k], st)
			start = k
		}
		if m.mac.IsZero() {
			if m.iface != nil {
				s.park(&b.frames[k], m, asked)
			}
			start = k + 1
			continue
		}
		last = *m
		complete(&b.frames[k], m)
	}
	if start < len(b.frames) {
		writeRun(b.meta[start].iface.dev, b.frames[start:], st)
	}
}

// neighbour asks the resolver for m's next hop, once a batch. It returns zero
// when the answer is yet to come, and whether the question was asked now.
func (s *Stack) neighbour(m *txMeta, unknown *[]txMeta) (mac ethernet.Addr, asked bool) {
	for _, u := range *unknown {
		if u.iface == m.iface && u.next == m.next {
			return ethernet.Addr{}, false
		}
	}
	if mac, ok := m.iface.resolver.Resolve(m.next, m.iface.done); ok {
		return mac, false
	}
	*unknown = append(*unknown, *m)
	return ethernet.Addr{}, true
}

// complete fills in the Ethernet header, and the checksum when the device does
// not.
func complete(f *link.Frame, m *txMeta) {
	h := m.iface.header
	h.Dst, h.Type = m.mac, ethernet.TypeIPv4
	h.AppendTo(f.Head[:0])
	if f.Csum.State == link.CsumPartial && !m.iface.port.info.Caps.Has(link.CapTxChecksum) {
		sum := checksum.Sum(f.Head[f.Csum.Start:], 0)
		if len(f.Payload) > 0 {
			head := len(f.Head) - int(f.Csum.Start)
			sum = checksum.Combine(sum, head, checksum.SumSlices(f.Payload, 0))
		}
		binary.BigEndian.PutUint16(f.Head[f.Csum.Start+f.Csum.Offset:], udp.Finish(sum))
		f.Csum = link.Csum{}
	}
}

// writeRun writes frames to one device. What the device refuses is lost, as on
// a wire.
func writeRun(dev link.Device, frames []link.Frame, st *FrameStats) {
	for len(frames) > 0 {
		n, err := dev.WriteFrames(frames)
		st.Out += uint64(n)
		if err == nil && n > 0 {
			frames = frames[n:]
			continue
		}
		st.OutErrors++
		frames = frames[min(n+1, len(frames)):]
	}
}
