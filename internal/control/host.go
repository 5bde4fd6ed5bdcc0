package control

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// ErrGuestGone is returned by Host's methods when the guest's end of the
// control port was closed: the machine stopped or died.
var ErrGuestGone = errors.New("control: the guest is gone")

// FatalError is a guest's reason for giving up.
type FatalError struct{ Fatal }

func (e *FatalError) Error() string {
	if e.Remedy == "" {
		return "guest: " + e.Message
	}
	return "guest: " + e.Message + "; " + e.Remedy
}

// HostConfig configures a Host. The zero value works.
type HostConfig struct {
	// OnLog receives the guest's log records, one at a time, from the goroutine
	// that reads the port; it must not call back into the Host.
	OnLog func(Log)
	// OnNoted receives what the guest has noted of its frames, likewise. A nil one
	// discards it.
	OnNoted func(Noted)
}

// Host is the host's side of the conversation with one guest. Its methods may
// be called from any goroutine.
type Host struct {
	conn   *Conn
	export io.ReadWriteCloser
	cfg    HostConfig

	exporting chan struct{} // holds one token: one export is under way

	hello, ready, stopped, gone event

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan Message
	greet   Hello
	up      Ready
	fatal   *FatalError

	transfer  *transfer // the export that is under way
	exportEnd error     // why the export port is read no more
}

// event is a channel that is closed once.
type event struct {
	once sync.Once
	c    chan struct{}
}

func (e *event) fire() { e.once.Do(func() { close(e.c) }) }

// NewHost starts the conversation over the control port. Both streams belong to
// the Host; export may be nil when the machine has no export port.
func NewHost(control, export io.ReadWriteCloser, cfg HostConfig) *Host {
	h := &Host{
		conn: NewConn(control), export: export, cfg: cfg,
		exporting: make(chan struct{}, 1),
		waiting:   map[uint64]chan Message{},
	}
	h.exporting <- struct{}{}
	for _, e := range []*event{&h.hello, &h.ready, &h.stopped, &h.gone} {
		e.c = make(chan struct{})
	}
	go h.read()
	if export != nil {
		go h.readExports()
	}
	return h
}

func (h *Host) read() {
	defer h.gone.fire()
	for {
		m, err := h.conn.Receive()
		if err != nil {
			return
		}
		h.take(m)
	}
}

func (h *Host) take(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch m.Type {
	case TypeHello:
		h.greet = *m.Hello
		h.hello.fire()
	case TypeReady:
		h.up = *m.Ready
		h.ready.fire()
	case TypeFatal:
		if h.fatal == nil {
			h.fatal = &FatalError{*m.Fatal}
		}
		h.hello.fire()
		h.ready.fire()
	case TypeStopped:
		h.stopped.fire()
	case TypeLog:
		if h.cfg.OnLog != nil {
			h.cfg.OnLog(*m.Log)
		}
	case TypeNoted:
		if h.cfg.OnNoted != nil {
			h.cfg.OnNoted(*m.Noted)
		}
	case TypeExported:
		if h.transfer != nil && h.transfer.id == m.ID {
			h.transfer.answered(m.Exported)
		}
	case TypeHealth:
		if c, ok := h.waiting[m.ID]; ok {
			delete(h.waiting, m.ID)
			c <- m // buffered, one answer per request
		}
	}
}

// wait blocks for e; a guest that is gone ends it too, unless e came first.
func (h *Host) wait(ctx context.Context, e *event) error {
	select {
	case <-e.c:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.gone.c:
		select {
		case <-e.c:
		default:
			return ErrGuestGone
		}
	}
	return nil
}

// WaitHello waits for the guest's first message. It returns a *FatalError when
// that is the reason for giving up, and ErrGuestGone when there will be none.
func (h *Host) WaitHello(ctx context.Context) (Hello, error) {
	if err := h.wait(ctx, &h.hello); err != nil {
		return Hello{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fatal != nil {
		return h.greet, h.fatal
	}
	return h.greet, nil
}

// WaitReady waits until the guest serves; errors as for WaitHello.
func (h *Host) WaitReady(ctx context.Context) (Ready, error) {
	if err := h.wait(ctx, &h.ready); err != nil {
		return Ready{}, err
	}
	if err := h.Fatal(); err != nil {
		return Ready{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up, nil
}

// Fatal returns the guest's *FatalError if it has sent one, else nil.
func (h *Host) Fatal() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fatal == nil {
		return nil
	}
	return h.fatal
}

// Give hands the guest a text by name; see Guest.Given. It must fit into a line
// with its name (MaxLine, less what JSON adds).
func (h *Host) Give(name, text string) error {
	return h.send(Message{Type: TypeGive, Give: &Give{Name: name, Text: text}})
}

// Ping asks for the guest's health.
func (h *Host) Ping(ctx context.Context) (Health, error) {
	id, answer := h.expect()
	defer h.forget(id)
	if err := h.send(Message{Type: TypePing, ID: id}); err != nil {
		return Health{}, err
	}
	m, err := h.answer(ctx, answer)
	if err != nil {
		return Health{}, err
	}
	if m.Health == nil {
		return Health{}, ErrNoBody
	}
	return *m.Health, nil
}

// Stop asks the guest to stop and waits until it says so or is gone. The
// machine powers off soon after; waiting for that is its owner's.
func (h *Host) Stop(ctx context.Context, reason string) error {
	if err := h.send(Message{Type: TypeStop, Stop: &Stop{Reason: reason}}); err != nil {
		return err
	}
	if err := h.wait(ctx, &h.stopped); err != nil && !errors.Is(err, ErrGuestGone) {
		return err
	}
	return nil
}

// Counters returns what was received and refused.
func (h *Host) Counters() Counters { return h.conn.Counters() }

// Close ends the conversation.
func (h *Host) Close() error {
	err := h.conn.Close()
	if h.export != nil {
		err = errors.Join(err, h.export.Close())
	}
	return err
}

// sendLimit is how long either side waits for the other one to read.
const sendLimit = 5 * time.Second

// send writes m without waiting for ever for a guest that is stuck: ErrGuestStuck.
func (h *Host) send(m Message) error {
	select {
	case <-h.gone.c:
		return ErrGuestGone
	default:
	}
	if d, ok := h.conn.rw.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := d.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
			return ErrGuestGone
		}
	}
	err := h.conn.Send(m)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrGuestStuck
	}
	return err
}

func (h *Host) expect() (uint64, chan Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nextID++
	c := make(chan Message, 1)
	h.waiting[h.nextID] = c
	return h.nextID, c
}

func (h *Host) forget(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, id)
}

func (h *Host) answer(ctx context.Context, c chan Message) (Message, error) {
	select {
	case m := <-c:
		return m, nil
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	case <-h.gone.c:
		select {
		case m := <-c:
			return m, nil
		default:
			return Message{}, ErrGuestGone
		}
	}
}
