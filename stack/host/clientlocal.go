package host

import (
	"context"
	"net/netip"
	"time"
)

// linkLocalAfter is how many DISCOVERs nobody answers before the interface gets a
// link-local address: with RFC 2131's times, 12 s.
const linkLocalAfter = 3

// localRetry is how long no link-local address is looked for after there was none,
// or none that could be used (RFC 3927 §2.2.1, RATE_LIMIT_INTERVAL).
const localRetry = time.Minute

// localSearch is a search for a link-local address beside DHCP: the stations that
// claim what it tries decide how long it takes.
type localSearch struct {
	cancel context.CancelFunc
	found  chan localFound // capacity 1
	vain   bool            // cancelled: the result does not count
}

type localFound struct {
	addr netip.Prefix
	err  error
}

// seekLocal starts, ends and reaps the search, as what the engine knows demands. It
// does not wait.
func (c *DHCPClient) seekLocal(ctx context.Context, now time.Time) {
	e := c.engine
	wanted := c.cfg.LinkLocal != nil && e.lease.IsZero() && !c.local.IsValid() && e.alone >= linkLocalAfter
	if s := c.search; s != nil {
		if !wanted || ctx.Err() != nil {
			s.vain = true
			s.cancel()
		}
		select {
		case f := <-s.found:
			s.cancel()
			c.search = nil
			c.takeLocal(s, f, now)
		default:
		}
		return
	}
	if !wanted || now.Before(c.localNext) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &localSearch{cancel: cancel, found: make(chan localFound, 1)}
	c.search = s
	go func() {
		a, err := c.cfg.LinkLocal(ctx)
		s.found <- localFound{a, err}
		c.look.set()
	}()
}

// takeLocal uses what a search has found.
func (c *DHCPClient) takeLocal(s *localSearch, f localFound, now time.Time) {
	switch {
	case s.vain:
	case f.err != nil:
		c.log.Warn("no link-local address", "err", f.err)
		c.localNext = now.Add(localRetry)
	default:
		c.local = f.addr
	}
}

// endSearch ends a search and waits for its end.
func (c *DHCPClient) endSearch() {
	if s := c.search; s != nil {
		s.cancel()
		<-s.found
		c.search = nil
	}
}
