package arp

import (
	"time"

	"arpeggio/stack/ethernet"
)

// run carries out what the engine wants done. It is called with mu held and
// returns with mu released.
func (s *Service) run() {
	if len(s.engine.out) == 0 {
		d := s.engine.Deadline()
		wake := len(s.callbacks) > 0 || !d.IsZero() && (s.armed.IsZero() || d.Before(s.armed))
		s.mu.Unlock()
		if wake {
			s.poke()
		}
		return
	}
	b := s.batch()
	b.acts = s.engine.Drain(b.acts)
	for i := range b.acts {
		s.notify(&b.acts[i])
		s.news.add(&b.acts[i])
	}
	if s.telling {
		for s.telling && len(s.news.acts) > maxNews {
			s.told.Wait()
		}
	} else {
		s.tell()
	}
	s.mu.Unlock()

	for i := range b.acts {
		if a := &b.acts[i]; a.Kind == ActSend {
			if err := s.transmit(a.Dst, ethernet.TypeARP, a.Packet.AppendTo(b.frame[:0])); err != nil {
				s.cfg.Logger.Debug("arp: send", "to", a.Dst, "err", err)
			}
		}
	}
	s.mu.Lock()
	clear(b.acts)
	b.acts = b.acts[:0]
	s.free = append(s.free, b)
	s.mu.Unlock()
	s.poke()
}

// batch is what one call of run works with, kept for the next one.
type batch struct {
	acts  []Action
	frame [PacketLen]byte
}

// batch returns a free batch; mu is held.
func (s *Service) batch() *batch {
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	return new(batch)
}

// notify turns what people wait for into callbacks; mu is held.
func (s *Service) notify(a *Action) {
	switch a.Kind {
	case ActResolved, ActFailed:
		addr, mac, err := a.Addr, a.MAC, a.Err
		for _, done := range s.waiters[addr] {
			s.later(func() { done(addr, mac, err) })
		}
		delete(s.waiters, addr)
	case ActFree:
		s.checked(a.Addr, ethernet.Addr{})
	case ActConflict:
		addr, mac := a.Addr, a.MAC
		if s.checked(addr, mac) {
			return
		}
		if f := s.conflicts[addr]; f != nil {
			s.later(func() { f(addr, mac) })
		}
		s.later(func() { s.cfg.Logger.Warn("arp: own address is claimed by another station", "addr", addr, "mac", mac) })
	case ActOwned:
		if c := s.owned[a.Addr]; c != nil {
			close(c)
			delete(s.owned, a.Addr)
		}
	}
}

// later queues a callback for the goroutine; mu is held.
func (s *Service) later(f func()) { s.callbacks = append(s.callbacks, f) }

// poke makes the goroutine look at the callbacks and the deadline.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// loop is the goroutine: it calls back, polls the engine when its deadline
// falls due, and sleeps.
func (s *Service) loop() {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		calls := s.callbacks
		s.callbacks = nil
		var deadline time.Time
		if !s.closed {
			s.engine.Poll(time.Now())
			deadline = s.engine.Deadline()
			s.armed = deadline
			s.run()
		} else {
			s.mu.Unlock()
		}
		for _, f := range calls {
			f()
		}
		if len(calls) > 0 {
			continue // they may have queued more
		}
		if deadline.IsZero() {
			timer.Reset(time.Hour)
		} else {
			timer.Reset(time.Until(deadline))
		}
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.stop:
			s.drain()
			return
		}
	}
}

// drain makes the last callbacks after Close.
func (s *Service) drain() {
	s.mu.Lock()
	calls := s.callbacks
	s.callbacks = nil
	s.mu.Unlock()
	for _, f := range calls {
		f()
	}
}
