package stack

import (
	"container/list"
	"encoding/binary"
	"net/netip"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// Bounds of the packets that wait for their neighbour's address.
const (
	pendingPerAddr  = 16      // datagrams; RFC 1122 §2.3.2.2 asks for at least one
	pendingPerBytes = 1 << 18 // of one neighbour, unless a single datagram is larger
	pendingMaxBytes = 1 << 20 // in all; the oldest is dropped
	pendingOverhead = 256     // charged for a packet besides its octets
)

// pendingQueue keeps the packets whose next hop is being asked for. mu of the
// Stack guards it.
type pendingQueue struct {
	waiting map[neighbour]parkedQueue
	order   *list.List // of *parked, oldest first
	bytes   int
	// early holds answers that came between Resolve and park.
	early map[neighbour]answer
}

type neighbour struct {
	iface *Interface
	addr  netip.Addr
}

type answer struct {
	mac ethernet.Addr
	err error
}

// parkedQueue is what waits for one neighbour. The fragments of a datagram count
// as one: without its first ones the rest is good for nothing.
type parkedQueue struct {
	frames    []*list.Element
	datagrams int
	bytes     int
}

type parked struct {
	frame link.Frame // flattened
	meta  txMeta
	later bool // a fragment that follows another
}

func (p *parked) cost() int { return len(p.frame.Head) + pendingOverhead }

func (p *parked) neighbour() neighbour { return neighbour{p.meta.iface, p.meta.next} }

func (q *pendingQueue) init() {
	q.waiting, q.order, q.early = map[neighbour]parkedQueue{}, list.New(), map[neighbour]answer{}
}

// overtaken moves the frames of b whose next hop is being asked for already to
// the queue, so that none overtakes another and the resolver is asked once.
// What has moved is left without an interface.
func (q *pendingQueue) overtaken(b *txBatch) {
	if len(q.waiting) == 0 {
		return
	}
	for k := range b.meta {
		m := &b.meta[k]
		if _, ok := q.waiting[neighbour{m.iface, m.next}]; ok && m.mac.IsZero() {
			m.iface.s.keep(&b.frames[k], m)
			m.iface = nil
		}
	}
}

// park keeps a frame whose next hop the resolver is looking for. asked says that
// this frame raised the question; another one of the same batch may find it
// answered already and is queued anew. No lock is held.
func (s *Stack) park(f *link.Frame, m *txMeta, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := neighbour{m.iface, m.next}
	a, early := s.pending.early[n]
	delete(s.pending.early, n)
	if m.iface.gone {
		return
	}
	if _, waiting := s.pending.waiting[n]; !asked && !waiting {
		s.requeue(f.AppendTo(nil), f, m)
		return
	}
	s.keep(f, m)
	if early {
		s.answered(n, a)
	}
}

// requeue puts a frame, flattened to b, at the end of the transmit queue. The
// caller holds mu.
func (s *Stack) requeue(b []byte, f *link.Frame, m *txMeta) {
	if s.tx.full() {
		s.stats.IP.OutDiscards++
		return
	}
	q := s.tx.add(hop{Interface: m.iface, next: m.next}, m.from)
	q.Head = append(q.Head[:0], b...)
	q.Csum, q.GSO = f.Csum, f.GSO
	s.tx.meta[len(s.tx.meta)-1].mac = m.mac
	s.tx.bytes += len(b)
}

// keep appends a copy of f to its neighbour's packets. The caller holds mu.
func (s *Stack) keep(f *link.Frame, m *txMeta) {
	q := &s.pending
	p := &parked{frame: link.Frame{Csum: f.Csum, GSO: f.GSO}, meta: *m}
	p.frame.Head = f.AppendTo(make([]byte, 0, f.Len()))
	n := neighbour{m.iface, m.next}
	w := q.waiting[n]
	p.later = w.datagrams > 0 && laterFragment(&p.frame, m.iface)
	if !p.later && w.datagrams >= pendingPerAddr {
		s.dropOldest(w.frames[0])
		w = q.waiting[n]
	}
	w.frames = append(w.frames, q.order.PushBack(p))
	if !p.later {
		w.datagrams++
	}
	w.bytes += p.cost()
	q.waiting[n] = w
	q.bytes += p.cost()
	s.stats.Pending.Queued++
	for o := q.waiting[n]; o.bytes > pendingPerBytes && o.datagrams > 1; o = q.waiting[n] {
		s.dropOldest(o.frames[0])
	}
	for q.bytes > pendingMaxBytes {
		s.dropOldest(q.order.Front())
	}
}

// dropOldest drops the datagram whose first frame is e, the oldest of its
// neighbour.
func (s *Stack) dropOldest(e *list.Element) {
	n := s.forget(e).neighbour()
	s.stats.Pending.Dropped++
	for w := s.pending.waiting[n]; len(w.frames) > 0 && w.frames[0].Value.(*parked).later; w = s.pending.waiting[n] {
		s.forget(w.frames[0])
		s.stats.Pending.Dropped++
	}
}

// forget takes the oldest frame of a neighbour, e, out of the queue. The
// neighbour stays known as being asked for.
func (s *Stack) forget(e *list.Element) *parked {
	q := &s.pending
	p := q.order.Remove(e).(*parked)
	n := p.neighbour()
	w := q.waiting[n]
	w.frames = w.frames[1:]
	if !p.later {
		w.datagrams--
	}
	w.bytes -= p.cost()
	q.waiting[n] = w
	q.bytes -= p.cost()
	return p
}

// resolved is what resolvers call.
func (i *Interface) resolved(addr netip.Addr, mac ethernet.Addr, err error) {
	s := i.s
	s.mu.Lock()
	if i.gone {
		s.mu.Unlock()
		return
	}
	n, a := neighbour{i, addr}, answer{mac, err}
	if err == nil && !mac.IsStation() {
		a.err = errHostUnreach // an address that nobody can own
	}
	if _, ok := s.pending.waiting[n]; ok {
		s.answered(n, a)
	} else {
		s.pending.early[n] = a
	}
	s.unlock(s.now())
}

// answered sends n's packets, or tells their senders. The caller holds mu.
func (s *Stack) answered(n neighbour, a answer) {
	q := &s.pending
	instead := s.gatewayAnswered(n, a.err)
	for range q.waiting[n].frames {
		p := s.forget(q.waiting[n].frames[0])
		if a.err != nil && instead && s.detour(p) {
			continue
		}
		if a.err != nil {
			s.stats.Pending.Failed++
			if p.meta.from != nil {
				p.meta.from.unreachable(errHostUnreach, destination(&p.frame, n.iface))
			}
			continue
		}
		p.meta.mac = a.mac
		s.requeue(p.frame.Head, &p.frame, &p.meta)
	}
	delete(q.waiting, n)
}

// destination reads the packet's destination from its IPv4 header.
func destination(f *link.Frame, i *Interface) netip.Addr {
	ip := f.Head[i.header.Len():]
	return netip.AddrFrom4([4]byte(ip[16:20]))
}

// laterFragment reports whether f is a fragment that is not the first of its
// datagram.
func laterFragment(f *link.Frame, i *Interface) bool {
	ip := f.Head[i.header.Len():]
	return binary.BigEndian.Uint16(ip[6:])&0x1fff != 0
}

// source reads its source.
func source(f *link.Frame, i *Interface) netip.Addr {
	ip := f.Head[i.header.Len():]
	return netip.AddrFrom4([4]byte(ip[12:16]))
}

// dropInterface forgets what waits for i's neighbours.
func (q *pendingQueue) dropInterface(i *Interface) {
	for e := q.order.Front(); e != nil; {
		next := e.Next()
		if p := e.Value.(*parked); p.meta.iface == i {
			q.order.Remove(e)
			q.bytes -= p.cost()
			i.s.stats.Pending.Dropped++
		}
		e = next
	}
	for n := range q.waiting {
		if n.iface == i {
			delete(q.waiting, n)
		}
	}
	for n := range q.early {
		if n.iface == i {
			delete(q.early, n)
		}
	}
}
