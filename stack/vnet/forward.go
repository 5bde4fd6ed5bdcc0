package vnet

import (
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// The functions of this file run with s.mu held.

// enter takes one frame from the station at p.
func (s *Switch) enter(p *Port, f *link.Frame, now time.Time) {
	if f.Len() < ethernet.HeaderLen {
		p.tx.Dropped[DropMalformed]++
		return
	}
	if p.down {
		p.tx.Dropped[DropDown]++
		return
	}
	if p.in.perfect(now) {
		s.forward(p, f, 0, now)
		return
	}
	err := s.seg.Segment(f, 0, func(b []byte) { s.ingress(p, b, now) })
	if err != nil {
		p.tx.Dropped[DropMalformed]++
	}
}

// ingress sends a finished frame over the impaired cable from p.
func (s *Switch) ingress(p *Port, b []byte, now time.Time) {
	fate := p.in.decide(now, len(b), headerLen(b), p.rand)
	if fate.drop != none {
		p.tx.Dropped[fate.drop]++
		return
	}
	p.tx.suffered(&fate)
	b = fate.apply(b, p.rand)
	for range fate.copies() {
		if !fate.at.After(now) {
			s.forward(p, &link.Frame{Head: b}, fate.tail, now)
			continue
		}
		if !s.flight.push(packet{at: fate.at, from: p, tail: fate.tail, buf: append(s.pool.get(len(b)), b...)}) {
			p.tx.Dropped[DropQueue]++
		}
	}
	s.arm(now)
}

// arm sets the timer to when the first delayed frame enters the switch.
func (s *Switch) arm(now time.Time) {
	next := s.flight.next()
	if next.IsZero() || s.closed || (!s.armed.IsZero() && !next.Before(s.armed)) {
		return
	}
	s.armed = next
	if s.timer == nil {
		s.timer = time.AfterFunc(next.Sub(now), s.tick)
	} else {
		s.timer.Reset(next.Sub(now))
	}
}

// tick is the timer's function; unlike the others here it takes the lock.
func (s *Switch) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.armed = time.Time{}
	s.advance(now)
	s.arm(now)
}

// advance lets the delayed frames that are due by now enter the switch.
func (s *Switch) advance(now time.Time) {
	for s.flight.due(now) {
		p := s.flight.pop()
		if p.from.down || p.from.gone {
			p.from.tx.Dropped[DropDown]++
		} else {
			s.forward(p.from, &link.Frame{Head: p.buf}, p.tail, p.at)
		}
		s.pool.release(p.buf)
	}
}

// forward learns where f came from and delivers it. The last tail octets of f
// are trailing ones, which no MTU counts.
func (s *Switch) forward(src *Port, f *link.Frame, tail int, now time.Time) {
	src.tx.passed(f.Len())
	flat := f.Head
	if len(f.Payload) > 0 && (len(s.monitors) > 0 || len(flat) < ethernet.MaxHeaderLen) {
		s.flat = f.AppendTo(s.flat[:0])
		flat = s.flat
	}
	for _, m := range s.monitors {
		m.fn(src.info.Name, flat, now)
	}
	h, _, _ := ethernet.Parse(flat) // any frame with two addresses will do
	s.table.learn(station{h.VLAN(), h.Src}, src, now)
	if dst := s.table.find(station{h.VLAN(), h.Dst}, now); dst != nil {
		switch {
		case dst == src:
			src.tx.Dropped[DropFiltered]++
		case dst.group != src.group:
			src.tx.Dropped[DropPartition]++
		default:
			s.deliver(dst, src, f, h.Len(), tail, now)
		}
		return
	}
	for _, dst := range s.ports {
		if dst != src && dst.group == src.group {
			s.deliver(dst, src, f, h.Len(), tail, now)
		}
	}
}

// deliver sends f to dst, finishing it in software where dst or its cable
// needs that.
func (s *Switch) deliver(dst, src *Port, f *link.Frame, header, tail int, now time.Time) {
	if dst.down {
		dst.count(func(c *Counters) { c.Dropped[DropDown]++ })
		return
	}
	perfect := dst.out.perfect(now)
	var need link.Caps
	switch {
	case f.GSO.Type == link.GSOTCP4:
		need = link.CapTSO4 | link.CapTxChecksum
	case f.GSO.Type == link.GSOTCP6:
		need = link.CapTSO6 | link.CapTxChecksum
	case f.Csum.State == link.CsumPartial:
		need = link.CapTxChecksum
	}
	if need == 0 || perfect && dst.takes.Has(need) {
		s.egress(dst, src, f, header, tail, now)
		return
	}
	err := s.seg.Segment(f, 0, func(b []byte) {
		s.egress(dst, src, &link.Frame{Head: b}, header, tail, now)
	})
	if err != nil {
		dst.count(func(c *Counters) { c.Dropped[DropMalformed]++ })
	}
}

// egress sends f over the cable to dst's station.
func (s *Switch) egress(dst, src *Port, f *link.Frame, header, tail int, now time.Time) {
	size := f.Len()
	packetLen := size - header - tail
	if f.GSO.Type != link.GSONone {
		packetLen = min(packetLen, int(f.GSO.HdrLen)-header+int(f.GSO.Size))
	}
	r := dst.streams[src]
	if r == nil {
		r = s.random(dst.info.Name, src.info.Name)
		dst.streams[src] = r
	}
	var fate fate
	perfect := dst.out.perfect(now)
	if packetLen > dst.info.MTU {
		fate.drop = DropTooBig
	} else {
		fate = dst.out.decide(now, size, header, r)
	}
	dst.mu.Lock()
	defer dst.mu.Unlock()
	if fate.drop != none {
		dst.rx.Dropped[fate.drop]++
		return
	}
	dst.rx.suffered(&fate)
	p := packet{at: fate.at, gso: f.GSO}
	if perfect { // else the verdict may no longer hold
		p.csum = f.Csum
	}
	p.buf = fate.apply(f.AppendTo(dst.q.pool.get(size+fate.tail)), r)
	var second packet
	if fate.twice {
		second = p
		second.buf = append(dst.q.pool.get(len(p.buf)), p.buf...)
	}
	dst.q.put(p, now, &dst.rx)
	if fate.twice {
		dst.q.put(second, now, &dst.rx)
	}
	dst.ring()
}

func headerLen(b []byte) int {
	h, _, _ := ethernet.Parse(b)
	return h.Len()
}
