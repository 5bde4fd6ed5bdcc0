package socketagent

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"arpeggio/stack"
)

// Config configures an Agent. Stack is required and stays the caller's.
type Config struct {
	Stack  *stack.Stack
	Logger *slog.Logger // hears of connections that break the format; nil discards
}

// Agent executes socket calls on one stack.
type Agent struct {
	stack  *stack.Stack
	log    *slog.Logger
	events chan struct{} // readiness may have changed somewhere
	done   chan struct{} // closed by Close
	work   sync.WaitGroup

	mu       sync.Mutex
	table    table
	sessions map[net.Conn]struct{}
	changed  chan struct{} // closed and replaced at each event
	closed   bool
}

// New returns an agent without descriptors.
func New(cfg Config) *Agent {
	a := &Agent{
		stack: cfg.Stack, log: cfg.Logger,
		events: make(chan struct{}, 1), done: make(chan struct{}), changed: make(chan struct{}),
		table: newTable(), sessions: map[net.Conn]struct{}{},
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.work.Go(a.pump)
	return a
}

// pump passes events on to all who wait.
func (a *Agent) pump() {
	for {
		select {
		case <-a.done:
			return
		case <-a.events:
			a.mu.Lock()
			close(a.changed)
			a.changed = make(chan struct{})
			a.mu.Unlock()
		}
	}
}

// Serve executes the calls that come over connections to ln until Close, and
// then returns nil. It closes ln.
func (a *Agent) Serve(ln net.Listener) error {
	defer ln.Close()
	defer a.onClose(func() { ln.Close() })()
	for {
		c, err := ln.Accept()
		if err != nil {
			if a.isClosed() {
				return nil
			}
			return err
		}
		a.mu.Lock()
		if a.closed {
			a.mu.Unlock()
			c.Close()
			return nil
		}
		a.sessions[c] = struct{}{}
		a.work.Go(func() { a.session(c) })
		a.mu.Unlock()
	}
}

// onClose has f called when the agent closes; the returned function takes that
// back.
func (a *Agent) onClose(f func()) (stop func()) {
	over := make(chan struct{})
	a.work.Go(func() {
		select {
		case <-a.done:
			f()
		case <-over:
		}
	})
	return func() { close(over) }
}

func (a *Agent) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}

// Close ends all sessions and aborts and closes all descriptors. It is
// idempotent.
func (a *Agent) Close() error {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.done)
	}
	for c := range a.sessions {
		c.Close()
	}
	a.mu.Unlock()
	a.reset() // which ends a close that lingers
	a.work.Wait()
	a.reset() // what was made meanwhile
	return nil
}

// session executes the calls of one connection. It reads ahead by one request,
// to notice when a client that waits for an answer has gone.
func (a *Agent) session(c net.Conn) {
	gone, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	requests := make(chan request)
	a.work.Go(func() {
		defer close(gone)
		for {
			q, err := readRequest(c)
			if err != nil {
				if err != io.EOF && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
					a.log.Warn("socket agent: connection ended", "error", err)
				}
				return
			}
			select {
			case requests <- q:
			case <-over:
				return
			}
		}
	})
	defer func() {
		c.Close()
		a.mu.Lock()
		delete(a.sessions, c)
		a.mu.Unlock()
	}()
	for {
		select {
		case q := <-requests:
			if writeReply(c, a.execute(q, gone)) != nil {
				return
			}
		case <-gone:
			return
		case <-a.done:
			return
		}
	}
}

// wait calls try until it succeeds or fails otherwise than with EAGAIN, until
// limit is over (EAGAIN) or the client is gone. No limit is below zero; at zero
// it tries once.
func (a *Agent) wait(gone <-chan struct{}, limit time.Duration, try func() error) error {
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		if err := try(); limit == 0 || !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		select {
		case <-changed:
		case <-over:
			return try()
		case <-gone:
			return syscall.EINTR
		case <-a.done:
			return syscall.EINTR
		}
	}
}
