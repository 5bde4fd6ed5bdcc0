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
	acts := s.buffer()
	acts = s.engine.Drain(acts)
	for i := range acts {
		s.notify(&acts[i])
	}
	s.order.Lock()
	s.mu.Unlock()
	for i := range acts {
		s.record(&acts[i])
	}
	s.order.Unlock()

	var frame [PacketLen]byte
	for i := range acts {
		if a := &acts[i]; a.Kind == ActSend {
			if err := s.transmit(a.Dst, ethernet.TypeARP, a.Packet.AppendTo(frame[:0])); err != nil {
				s.cfg.Logger.Debug("arp: send", "to", a.Dst, "err", err)
			}
		}
	}
	s.mu.Lock()
	clear(acts)
	s.acts = append(s.acts, acts[:0])
	s.mu.Unlock()
	s.poke()
}

// buffer returns a free buffer for actions; mu is held.
func (s *Service) buffer() []Action {
	if n := len(s.acts); n > 0 {
		b := s.acts[n-1]
		s.acts = s.acts[:n-1]
		return b
	}
	return nil
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
	case ActConflict:
		addr, mac := a.Addr, a.MAC
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

// record tells the Table; order is held, mu is not.
func (s *Service) record(a *Action) {
	switch a.Kind {
	case ActPut:
		s.cfg.Table.Put(a.Change)
	case ActExpire:
		s.cfg.Table.Expire(a.Change)
	case ActRecord:
		if r, ok := s.cfg.Table.(Recorder); ok {
			r.Record(a.Change)
		}
	case ActBegin:
		if t, ok := s.cfg.Table.(Tracker); ok {
			t.Begin(a.Work)
		}
	case ActEnd:
		if t, ok := s.cfg.Table.(Tracker); ok {
			t.End(a.Work, a.Outcome)
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
