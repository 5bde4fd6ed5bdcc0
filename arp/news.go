package arp

import "net/netip"

// news is what the Table has not been told yet.
type news struct {
	acts  []Action               // in the engine's order
	bound map[netip.Addr]Binding // what they leave of each address; zero: nothing
}

// add takes an action if it concerns the Table.
func (n *news) add(a *Action) {
	switch a.Kind {
	case ActPut:
		c := &a.Change
		n.bound[c.Key.Addr] = Binding{MAC: c.MAC, Static: c.Op == OpPinned, Since: c.Time}
	case ActExpire:
		n.bound[a.Change.Key.Addr] = Binding{}
	case ActRecord, ActBegin, ActEnd:
	default:
		return
	}
	n.acts = append(n.acts, *a)
}

// forget makes n empty, and keeps its room.
func (n *news) forget() {
	for i := range n.acts {
		delete(n.bound, n.acts[i].Change.Key.Addr)
	}
	clear(n.acts)
	n.acts = n.acts[:0]
}

// maxNews bounds what waits for a Table that is slow. Beyond it whoever brings
// more waits too, without the lock.
const maxNews = 4096

// tell hands the news to the Table, one goroutine at a time, so that it hears
// of the changes in their order. It is called with mu held, gives it up
// meanwhile, and returns with mu held and nothing left.
func (s *Service) tell() {
	s.telling = true
	for len(s.news.acts) > 0 {
		s.news, s.underway = s.underway, s.news
		s.mu.Unlock()
		for i := range s.underway.acts {
			s.record(&s.underway.acts[i])
		}
		s.mu.Lock()
		s.underway.forget()
		s.told.Broadcast()
	}
	s.telling = false
	s.told.Broadcast()
}

// binding returns what the Table says of an address, or will say once it has been
// told the news. mu is held, and given up while the Table is asked.
func (s *Service) binding(addr netip.Addr) (Binding, bool) {
	for _, n := range [...]*news{s.news, s.underway} {
		if b, ok := n.bound[addr]; ok {
			return b, b != (Binding{})
		}
	}
	k := s.engine.key(addr)
	s.mu.Unlock()
	b, ok := s.cfg.Table.Get(k)
	s.mu.Lock()
	return b, ok
}

// record tells the Table; mu is not held.
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
