package kernelneigh

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/stack/ethernet"
)

// Errors that a resolution ends with.
var (
	// ErrNoAnswer: the kernel asked and nobody answered.
	ErrNoAnswer = errors.New("kernelneigh: no answer")
	// ErrNotNeighbor: no single IPv4 station can have the address.
	ErrNotNeighbor = errors.New("kernelneigh: not the IPv4 address of a station")
	// ErrClosed: the Resolver was closed.
	ErrClosed = errors.New("kernelneigh: closed")
)

// look is how often the kernel is asked how far it is while somebody waits, and
// giveUp how long: it asks three times, a second apart, by default.
const (
	look   = 10 * time.Millisecond
	giveUp = 10 * time.Second
)

// Resolver asks the kernel's neighbour table of one interface. It is safe for
// concurrent use.
type Resolver struct {
	index int

	mu      sync.Mutex
	conn    *conn // nil after Close
	waiters map[netip.Addr]*waiting
	polling bool
	ended   sync.WaitGroup
}

type waiting struct {
	since time.Time
	done  []func(netip.Addr, ethernet.Addr, error)
}

// Open returns the Resolver of an interface in the network namespace of the
// calling thread. It needs CAP_NET_ADMIN there, to make the kernel ask.
func Open(name string) (*Resolver, error) {
	index, err := indexOf(name)
	if err != nil {
		return nil, err
	}
	c, err := dial()
	if err != nil {
		return nil, err
	}
	return &Resolver{index: index, conn: c, waiters: make(map[netip.Addr]*waiting)}, nil
}

// indexOf asks the kernel for an interface's number, by a socket, since package
// net would look in the namespace of whatever thread it runs on.
func indexOf(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("kernelneigh: open a socket: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("kernelneigh: interface %q: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, fmt.Errorf("kernelneigh: interface %q: %w", name, err)
	}
	return int(req.Uint32()), nil
}

// Resolve implements stack.Resolver with a question to the kernel, which answers
// at once. When its table has no address to send to, the kernel is made to ask
// the network, and done called when it has decided.
func (r *Resolver) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	fail := func(err error) (ethernet.Addr, bool) {
		go done(a, ethernet.Addr{}, err)
		return ethernet.Addr{}, false
	}
	if !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		return fail(ErrNotNeighbor)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return fail(ErrClosed)
	}
	n, err := r.conn.get(r.index, a)
	known := err == nil && n.state&usable != 0
	if known && n.state&unix.NUD_STALE == 0 {
		return n.mac, true
	}
	// A stale entry in use is one that the kernel should confirm.
	if err := r.conn.use(r.index, a); err != nil && !known {
		return fail(err)
	}
	if known {
		return n.mac, true
	}
	w := r.waiters[a]
	if w == nil {
		w = &waiting{since: time.Now()}
		r.waiters[a] = w
	}
	w.done = append(w.done, done)
	if !r.polling {
		r.polling = true
		r.ended.Go(r.poll)
	}
	return ethernet.Addr{}, false
}

// poll asks the kernel about what is waited for until nothing is.
func (r *Resolver) poll() {
	for {
		time.Sleep(look)
		r.mu.Lock()
		var calls []func()
		for a, w := range r.waiters {
			mac, err := r.decide(a, w)
			if err == nil && mac.IsZero() {
				continue
			}
			delete(r.waiters, a)
			for _, done := range w.done {
				calls = append(calls, func() { done(a, mac, err) })
			}
		}
		r.polling = len(r.waiters) > 0
		polling := r.polling
		r.mu.Unlock()
		for _, f := range calls {
			f()
		}
		if !polling {
			return
		}
	}
}

// decide returns what has become of a question; neither address nor error means
// that the kernel still waits. mu is held.
func (r *Resolver) decide(a netip.Addr, w *waiting) (ethernet.Addr, error) {
	if r.conn == nil {
		return ethernet.Addr{}, ErrClosed
	}
	n, err := r.conn.get(r.index, a)
	switch {
	case err == nil && n.state&usable != 0:
		return n.mac, nil
	case err == nil && n.state&unix.NUD_FAILED != 0, time.Since(w.since) > giveUp:
		return ethernet.Addr{}, ErrNoAnswer
	case err != nil && !errors.Is(err, unix.ENOENT):
		return ethernet.Addr{}, err
	}
	return ethernet.Addr{}, nil
}

// Close ends the resolutions under way with ErrClosed. It is idempotent, and not
// to be called from a callback.
func (r *Resolver) Close() error {
	r.mu.Lock()
	c := r.conn
	r.conn = nil
	r.mu.Unlock()
	r.ended.Wait()
	if c == nil {
		return nil
	}
	return unix.Close(c.fd)
}
