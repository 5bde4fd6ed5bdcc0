package arp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
)

func discard(ethernet.Addr, ethernet.EtherType, []byte) error { return nil }

func TestServiceLookupHitAllocatesNothing(t *testing.T) {
	s := NewService(Config{})
	defer s.Close()
	s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
	if err := s.Pin(aIP, aMAC); err != nil {
		t.Fatal(err)
	}
	done := func(netip.Addr, ethernet.Addr, error) { t.Error("called") }
	if n := testing.AllocsPerRun(100, func() {
		if mac, ok := s.Resolve(aIP, done); !ok || mac != aMAC {
			t.Fatal("no hit")
		}
		s.Confirm(aIP)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// recording is a Table whose every method notes what was called.
type recording struct {
	*MemTable
	mu    sync.Mutex
	heard []ChangeOp
	begun map[uint64]bool
	t     *testing.T
}

func (r *recording) note(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, c.Op)
	if c.Work != 0 && !r.begun[c.Work] {
		r.t.Errorf("%v of work %d, which was not begun or is over", c.Op, c.Work)
	}
}
func (r *recording) Put(c Change)    { r.note(c); r.MemTable.Put(c) }
func (r *recording) Expire(c Change) { r.note(c); r.MemTable.Expire(c) }
func (r *recording) Record(c Change) { r.note(c) }
func (r *recording) Begin(w Work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun[w.ID] || w.ID == 0 {
		r.t.Errorf("work %d begun twice", w.ID)
	}
	r.begun[w.ID] = true
}
func (r *recording) End(w Work, _ Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun[w.ID] {
		r.t.Errorf("work %d ended without a beginning", w.ID)
	}
	delete(r.begun, w.ID)
}

// Many goroutines at once: the Table hears everything in the engine's order, so
// that at the end it holds what the cache holds, and all work has ended.
func TestServiceUnderConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := &recording{MemTable: NewMemTable(), begun: map[uint64]bool{}, t: t}
		s := NewService(Config{Table: tab, Learn: LearnAlways, Move: MoveCompat, ExpireAfter: 5 * time.Second})
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
		s.AddressAdded(netip.PrefixFrom(meIP, 16), nil)
		var all sync.WaitGroup
		var calls sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range 300 {
					ip := ipOf((g*7 + i) % 20)
					switch i % 4 {
					case 0:
						calls.Add(1)
						if _, ok := s.Resolve(ip, func(netip.Addr, ethernet.Addr, error) { calls.Done() }); ok {
							calls.Done()
						}
					case 1:
						p := announcement(ethernet.Addr{2, byte(g), byte(i)}, ip)
						s.HandleFrame(ethernet.Header{Dst: ethernet.Broadcast, Src: p.SenderMAC, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Time{})
					case 2:
						s.Confirm(ip)
					case 3:
						s.Neighbors()
						time.Sleep(50 * time.Millisecond)
					}
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for _, n := range s.Neighbors() {
			if b, ok := tab.Get(Key{Domain: DefaultDomain, Addr: n.Addr}); n.State != StateFailed && n.State != StateIncomplete && (!ok || b.MAC != n.MAC) {
				t.Errorf("the cache has %v at %v, the Table %v, %v", n.Addr, n.MAC, b.MAC, ok)
			}
		}
		s.Close()
		calls.Wait() // each callback came, exactly once
		if len(tab.begun) != 0 {
			t.Errorf("%d pieces of work never ended", len(tab.begun))
		}
		if len(tab.heard) < 100 {
			t.Errorf("only %d changes", len(tab.heard))
		}
	})
}

// An entry that was evicted is remembered by the Table: it comes back without a
// question, and a claim against it is a claim against a live binding.
func TestEvictedBindingIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := NewMemTable()
		s := NewService(Config{Table: tab, Capacity: 4})
		var sent []Packet
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, func(_ ethernet.Addr, _ ethernet.EtherType, b []byte) error {
			p, err := Parse(b)
			sent = append(sent, p)
			return err
		})
		s.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		tab.Put(Change{Op: OpLearned, Key: Key{Domain: DefaultDomain, Addr: aIP}, MAC: aMAC, Time: time.Now()})
		sent = nil
		p := announcement(xMAC, aIP)
		s.HandleFrame(ethernet.Header{Dst: ethernet.Broadcast, Src: xMAC, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Now())
		if len(sent) != 1 || sent[0].TargetIP != aIP {
			t.Errorf("the claim was not verified: %+v", sent)
		}
		if mac, ok := s.Resolve(aIP, nil); !ok || mac != aMAC {
			t.Errorf("resolved %v, %v", mac, ok)
		}
		s.Close()
	})
}

// What is switched off stays off in the engine of a Service.
func TestServiceKeepsWhatIsOff(t *testing.T) {
	s := NewService(Config{ProbeWait: -1, FailedTime: -1})
	defer s.Close()
	s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
	if c := s.engine.cfg; c.ProbeWait != 0 || c.FailedTime != 0 || c.ProbeMin != time.Second {
		t.Errorf("waits of %v before the first probe and %v after a failure", c.ProbeWait, c.FailedTime)
	}
}

func TestWaitAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewService(Config{Probe: true})
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
		start := time.Now()
		s.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
		if err := s.WaitAddress(t.Context(), meIP); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 4*time.Second || d > 7*time.Second {
			t.Errorf("probed for %v, RFC 5227 §1.1 makes it 4 to 7 s", d)
		}
		if got := s.Addresses(); len(got) != 1 || got[0].Addr() != meIP {
			t.Errorf("addresses: %v", got)
		}
		if err := s.WaitAddress(t.Context(), meIP); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.WaitAddress(ctx, aIP); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an address that was never added: %v", err)
		}
		s.Close()
		if err := s.Pin(aIP, aMAC); err != ErrClosed {
			t.Errorf("Pin after Close: %v", err)
		}
	})
}

// slow is a Table during whose Get something else happens.
type slow struct {
	*MemTable
	meanwhile func()
}

func (s slow) Get(k Key) (Binding, bool) {
	s.meanwhile()
	return s.MemTable.Get(k)
}

// A Resolve that is overtaken by Close calls back too.
func TestResolveOvertakenByClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *Service
		s = NewService(Config{Table: slow{NewMemTable(), func() { s.Close() }}})
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
		errs := make(chan error, 1)
		s.Resolve(aIP, func(_ netip.Addr, _ ethernet.Addr, err error) { errs <- err })
		if err := <-errs; err != ErrClosed {
			t.Error(err)
		}
	})
}

// busy is a Table whose Put takes its time.
type busy struct {
	*recording
	done chan struct{} // closed: no longer
}

func (b busy) Put(c Change) {
	<-b.done
	b.recording.Put(c)
}

// A claim against a binding that the Table has yet to be told of, and that the cache
// has forgotten, is a claim all the same.
func TestClaimBeforeTheTableKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := busy{&recording{MemTable: NewMemTable(), begun: map[uint64]bool{}, t: t}, make(chan struct{})}
		s := NewService(Config{Table: tab})
		defer s.Close()
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
		s.AddressAdded(netip.PrefixFrom(meIP, 24), nil)
		hear := func(mac ethernet.Addr) {
			p := Packet{OpReply, mac, aIP, meMAC, meIP}
			s.HandleFrame(ethernet.Header{Dst: meMAC, Src: mac, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Time{})
		}
		got := make(chan ethernet.Addr, 1)
		s.Resolve(aIP, func(_ netip.Addr, mac ethernet.Addr, _ error) { got <- mac })
		go hear(aMAC)
		if mac := <-got; mac != aMAC {
			t.Fatal(mac)
		}
		s.Flush()
		hear(xMAC)
		hear(aMAC)
		close(tab.done)
		synctest.Wait()
		if n := s.Stats().Refused; n != 1 || !slices.Equal(tab.heard, []ChangeOp{OpLearned, OpRefused}) {
			t.Errorf("%d refused, the Table heard of %v", n, tab.heard)
		}
		if b, ok := tab.Get(Key{Domain: DefaultDomain, Addr: aIP}); !ok || b.MAC != aMAC {
			t.Errorf("the Table has %v", b.MAC)
		}
	})
}
