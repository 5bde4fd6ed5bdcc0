package arptest

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

// Lookup is all that package stack requires of a resolver.
type Lookup interface {
	Resolve(addr netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (mac ethernet.Addr, ok bool)
}

// Neighborhood is a resolver and the network that it is to be judged on.
type Neighborhood struct {
	Lookup
	Known    map[netip.Addr]ethernet.Addr // stations that are there
	Unknown  []netip.Addr                 // addresses that nobody has
	Patience time.Duration                // until an unknown one must have failed
}

// TestLookup checks the contract of Lookup, and nothing that only ARP does: a
// fixed map and another system's neighbour table pass it as well. open is called
// for each case.
func TestLookup(t *testing.T, open func(t *testing.T) Neighborhood) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Neighborhood)
	}{
		{"known_is_found", lookupKnown},
		{"unknown_fails_once", lookupUnknown},
		{"done_is_never_called_inside", lookupInside},
		{"done_may_look_up_again", lookupAgain},
		{"many_at_once", lookupMany},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

type found struct {
	mac ethernet.Addr
	err error
}

var errTwice = errors.New("called back twice")

// look resolves a and waits for the answer.
func (n Neighborhood) look(t *testing.T, a netip.Addr) found {
	t.Helper()
	answers := make(chan found, 2)
	if mac, ok := n.Resolve(a, func(b netip.Addr, mac ethernet.Addr, err error) {
		if a != b {
			t.Errorf("asked for %v, called back for %v", a, b)
		}
		answers <- found{mac, err}
	}); ok {
		answers <- found{mac, nil}
	}
	select {
	case f := <-answers:
		select {
		case <-answers:
			return found{err: errTwice}
		case <-time.After(20 * time.Millisecond):
			return f
		}
	case <-time.After(n.Patience):
		t.Errorf("%v: no answer within %v", a, n.Patience)
		return found{err: errors.New("no answer")}
	}
}

func lookupKnown(t *testing.T, n Neighborhood) {
	for range 2 {
		for a, mac := range n.Known {
			if f := n.look(t, a); f.err != nil || f.mac != mac {
				t.Errorf("%v: %v, %v; want %v", a, f.mac, f.err, mac)
			}
		}
	}
}

func lookupUnknown(t *testing.T, n Neighborhood) {
	for _, a := range n.Unknown {
		if f := n.look(t, a); f.err == nil || f.err == errTwice {
			t.Errorf("%v: %v, %v; want one error", a, f.mac, f.err)
		}
	}
}

func lookupInside(t *testing.T, n Neighborhood) {
	for _, a := range append(n.Unknown, netip.MustParseAddr("0.0.0.0")) {
		returned, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(returned)
			n.Resolve(a, func(netip.Addr, ethernet.Addr, error) {
				<-returned // for ever, when Resolve waits for this
				close(over)
			})
		}()
		select {
		case <-over:
		case <-time.After(n.Patience):
			select {
			case <-returned:
				t.Errorf("%v: no answer within %v", a, n.Patience)
			default:
				t.Fatalf("%v: Resolve waits for its own callback", a)
			}
		}
	}
}

func lookupAgain(t *testing.T, n Neighborhood) {
	for _, a := range n.Unknown {
		for b, mac := range n.Known {
			over := make(chan found, 1)
			n.Resolve(a, func(netip.Addr, ethernet.Addr, error) {
				if got, ok := n.Resolve(b, func(_ netip.Addr, got ethernet.Addr, err error) { over <- found{got, err} }); ok {
					over <- found{got, nil}
				}
			})
			select {
			case f := <-over:
				if f.err != nil || f.mac != mac {
					t.Errorf("%v from the callback of %v: %v, %v", b, a, f.mac, f.err)
				}
			case <-time.After(2 * n.Patience):
				t.Errorf("%v from the callback of %v: no answer", b, a)
			}
			return
		}
	}
}

func lookupMany(t *testing.T, n Neighborhood) {
	var all sync.WaitGroup
	for range 16 {
		for a, mac := range n.Known {
			all.Go(func() {
				if f := n.look(t, a); f.err != nil || f.mac != mac {
					t.Errorf("%v: %v, %v; want %v", a, f.mac, f.err, mac)
				}
			})
		}
		for _, a := range n.Unknown {
			all.Go(func() {
				if f := n.look(t, a); f.err == nil || f.err == errTwice {
					t.Errorf("%v: %v, %v; want one error", a, f.mac, f.err)
				}
			})
		}
	}
	all.Wait()
}
