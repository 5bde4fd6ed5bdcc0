package gitserve

import (
	"errors"
	"slices"
	"sync"
	"time"

	"arpeggio/vcs"
)

// leaseEvery is how far apart two leases begin: clients that are told of refs in
// between share one.
const leaseEvery = 10 * time.Second

// leases keep what clients were told of readable for the requests that follow.
// Smart HTTP has no connection that would: a clone lists the refs in one request
// and asks for their commits in the next, and an epoch may leave in between. A
// lease is a pin of the repository. It costs nothing while no epoch leaves, and
// what it can hold is bounded by vcs.MaxHeldEpochs and vcs.MaxHeldFor.
type leases struct {
	grace time.Duration // not positive: none are given

	mu   sync.Mutex
	list []*lease // newest last
}

// lease is one of them. It ends when its timer has run out and nobody reads.
type lease struct {
	pin   *vcs.Pin
	began time.Time
	timer *time.Timer
	users int
	over  bool
}

// give begins a lease, or prolongs the newest one when that is new. It is called
// before refs are listed.
func (l *leases) give(repo Repository) {
	p, ok := repo.(vcs.Pinner)
	if !ok || l.grace <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.list); n > 0 && time.Since(l.list[n-1].began) < min(leaseEvery, l.grace/2) {
		l.list[n-1].timer.Reset(l.grace)
		return
	}
	x := &lease{pin: p.Pin(), began: time.Now()}
	x.timer = time.AfterFunc(l.grace, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		x.over = true
		l.list = slices.DeleteFunc(l.list, func(y *lease) bool { return y == x })
		x.settle()
	})
	l.list = append(l.list, x)
}

// settle lets the pin go when nobody needs it any more. The lock is held.
func (x *lease) settle() {
	if x.over && x.users == 0 {
		x.pin.Release()
	}
}

// find returns a view, until release, of the newest lease under which all of some
// objects can be read, and prolongs it: the client may need further requests. It
// returns nil when there is none.
func (l *leases) find(ids []vcs.ID) (objects vcs.ObjectReader, release func()) {
	l.mu.Lock()
	list := slices.Clone(l.list)
	for _, x := range list {
		x.users++
	}
	l.mu.Unlock()
	done := func(x *lease) {
		l.mu.Lock()
		defer l.mu.Unlock()
		x.users--
		x.settle()
	}
	var found *lease
	for _, x := range slices.Backward(list) {
		missing := func(id vcs.ID) bool {
			_, _, err := x.pin.ReadObject(id)
			return errors.Is(err, vcs.ErrNotFound)
		}
		if found == nil && !slices.ContainsFunc(ids, missing) {
			found = x
			continue
		}
		done(x)
	}
	if found == nil {
		return nil, nil
	}
	l.mu.Lock()
	if !found.over {
		found.timer.Reset(l.grace)
	}
	l.mu.Unlock()
	return found.pin, func() { done(found) }
}
