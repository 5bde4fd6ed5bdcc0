package observe

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Owner is a MAC that holds or held an address.
type Owner struct {
	MAC         ethernet.Addr
	First, Last time.Time // when it was first and last seen with the address
	Frames      uint64    // in how many frames
}

// Known is what an Engine knows about an address. A restart hands it back with
// Engine.Seed.
type Known struct {
	Key    arp.Key
	Held   bool    // Owners[0] holds the address; false when it has expired
	Owners []Owner // newest first, without repetitions
}

// ErrSeed is wrapped by the errors of Seed.
var ErrSeed = errors.New("observe: cannot continue with this address")

// Seed makes the engine know k, as after a restart, before the first Input. It
// makes no record. MACs beyond Config.MaxMACs are dropped. The error wraps
// ErrSeed: for a domain of no interface, an address that is no station's, no
// owners, owners that are no stations or stand there twice, an address that is
// known already, or no room.
func (e *Engine) Seed(k Known) error {
	bad := func(why string) error { return fmt.Errorf("%w: %v: %s", ErrSeed, k.Key, why) }
	d := slices.IndexFunc(e.domains, func(d *domain) bool { return d.name == k.Key.Domain })
	a := k.Key.Addr.Unmap()
	switch {
	case d < 0:
		return bad("no interface has its domain")
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast():
		return bad("not the address of a station")
	case len(k.Owners) == 0:
		return bad("no owner")
	}
	for i, o := range k.Owners {
		if !o.MAC.IsStation() || slices.ContainsFunc(k.Owners[:i], func(p Owner) bool { return p.MAC == o.MAC }) {
			return bad("bad owner " + o.MAC.String())
		}
	}
	key := keyOf(segment(uint64(d), k.Key.VLAN), a)
	if e.entries.get(key) != nil {
		return bad("known already")
	}
	st, _ := e.station(key.seg, k.Owners[0].MAC)
	en := e.enter(key, st)
	if en == nil {
		e.leave(st)
		return bad("no room")
	}
	for i, o := range k.Owners[:min(len(k.Owners), e.cfg.MaxMACs)] {
		own := owner{o.MAC, o.Frames, nano(o.First), nano(o.Last)}
		if i == 0 {
			en.cur = own
		} else {
			en.extra().past = append(en.extra().past, own)
		}
	}
	en.confirmed = en.cur.last-en.cur.first >= int64(e.cfg.ConfirmAfter)
	if k.Held {
		en.bind(st)
		e.watch(en)
	}
	return nil
}

// known describes en. Of a binding that a policy kept from the one who spoke
// last, the holder comes first.
func (e *Engine) known(en *entry) Known {
	k := Known{Key: e.key(en.key), Held: en.holder != nil, Owners: make([]Owner, 0, 1+len(en.past()))}
	add := func(o *owner) {
		k.Owners = append(k.Owners, Owner{o.mac, stamp(o.first), stamp(o.last), o.frames})
	}
	var holder *owner
	if en.holder != nil && !en.agree {
		if holder = en.owner(en.holder.mac()); holder != nil {
			add(holder)
		}
	}
	add(&en.cur)
	past := en.past()
	for i := range past {
		if o := &past[i]; o != holder {
			add(o)
		}
	}
	return k
}

// Lookup returns what is known about an address, and false when it is not
// known.
func (e *Engine) Lookup(k arp.Key) (Known, bool) {
	d := slices.IndexFunc(e.domains, func(d *domain) bool { return d.name == k.Domain })
	if d < 0 || !k.Addr.IsValid() {
		return Known{}, false
	}
	en := e.entries.get(keyOf(segment(uint64(d), k.VLAN), k.Addr))
	if en == nil {
		return Known{}, false
	}
	return e.known(en), true
}

// All yields every address that is known, in an order that depends on the
// frames only. The engine must not be used meanwhile.
func (e *Engine) All() iter.Seq[Known] {
	return func(yield func(Known) bool) {
		for i, c := range e.chunks {
			for j := range c[:min(len(c), e.usedEntries-i*len(c))] {
				if c[j].alive && !yield(e.known(&c[j])) {
					return
				}
			}
		}
	}
}

// Dirty yields the addresses that were seen or expired since the last Dirty that
// was not broken off, for an index of last-seen times and frame counts. The
// engine must not be used meanwhile.
func (e *Engine) Dirty() iter.Seq[Known] {
	return func(yield func(Known) bool) {
		for _, en := range e.dirty {
			if en.alive && !yield(e.known(en)) {
				return
			}
		}
		for _, en := range e.dirty {
			en.dirty = false
		}
		clear(e.dirty)
		e.dirty = e.dirty[:0]
	}
}
