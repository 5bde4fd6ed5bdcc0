package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of a Guest.
var (
	// ErrNoExport is what an export without a handler answers.
	ErrNoExport = errors.New("control: this guest has nothing to export")
	// ErrHostStuck is returned while nobody at the host's end reads.
	ErrHostStuck = errors.New("control: the host does not read")
	// ErrLeftBehind is ErrHostStuck for a message that goes out when the host reads
	// again.
	ErrLeftBehind = fmt.Errorf("%w: the message waits for it", ErrHostStuck)
	// ErrHostGone is what waiting for something of the host ends with when there
	// is none, or no more.
	ErrHostGone = errors.New("control: the host is gone")
)

// GuestConfig configures a Guest.
type GuestConfig struct {
	// Stop is called, from the goroutine that reads the port, when the host asks
	// the guest to stop. Required.
	Stop func(reason string)
}

// Guest is the guest's side of the conversation. Its methods may be called from
// any goroutine, and on a nil *Guest, which talks to nobody.
type Guest struct {
	conn   *Conn
	export io.ReadWriteCloser
	cfg    GuestConfig
	start  time.Time

	stuck   atomic.Int32 // messages that were left behind
	exports chan Message // requests for the one goroutine that streams

	mu       sync.Mutex
	health   func() map[string]int64
	exporter func(Export, io.Writer) error
	given    map[string]string
	more     chan struct{} // closed, and made anew, when something was given
	gone     chan struct{} // closed when the host will say no more
}

// NewGuest starts the conversation over the guest's ports, which then belong to
// the Guest; export may be nil.
func NewGuest(control, export io.ReadWriteCloser, cfg GuestConfig) *Guest {
	g := &Guest{conn: NewConn(control), export: export, cfg: cfg, start: time.Now(), exports: make(chan Message, 4),
		given: make(map[string]string), more: make(chan struct{}), gone: make(chan struct{})}
	go g.read()
	go g.stream()
	return g
}

// HandleHealth sets what a ping's answer counts.
func (g *Guest) HandleHealth(f func() map[string]int64) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.health = f
}

// HandleExport sets what writes an export's octets. It is called for one
// request at a time.
func (g *Guest) HandleExport(f func(what Export, w io.Writer) error) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exporter = f
}

// Given waits for a text that the host gives, and returns it once: it is forgotten
// here. The error is that of the context, or ErrHostGone.
func (g *Guest) Given(ctx context.Context, name string) (string, error) {
	if g == nil {
		return "", ErrHostGone
	}
	for {
		g.mu.Lock()
		text, ok := g.given[name]
		delete(g.given, name)
		more := g.more
		g.mu.Unlock()
		if ok {
			return text, nil
		}
		select {
		case <-more:
		case <-g.gone:
			return "", ErrHostGone
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// maxGiven bounds the texts that wait for Given.
const maxGiven = 16

func (g *Guest) take(gift *Give) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, have := g.given[gift.Name]; !have && len(g.given) == maxGiven {
		return
	}
	g.given[gift.Name] = gift.Text
	close(g.more)
	g.more = make(chan struct{})
}

// Hello sends the first message.
func (g *Guest) Hello(version string) error {
	return g.Send(Message{Type: TypeHello, Hello: &Hello{Protocol: Protocol, Version: version, Time: time.Now()}})
}

// Send sends any message. A host that does not read must not keep the guest from
// serving or from stopping: after five seconds the message is left behind
// (ErrLeftBehind), and while it is stuck all others are refused at once
// (ErrHostStuck).
func (g *Guest) Send(m Message) error {
	if g == nil {
		return nil
	}
	if g.stuck.Load() > 0 {
		return ErrHostStuck
	}
	sent := make(chan error, 1)
	go func() {
		sent <- g.conn.Send(m)
	}()
	t := time.NewTimer(sendLimit)
	defer t.Stop()
	select {
	case err := <-sent:
		return err
	case <-t.C:
		g.stuck.Add(1)
		go func() {
			<-sent
			g.stuck.Add(-1)
		}()
		return ErrLeftBehind
	}
}

// Close ends the conversation.
func (g *Guest) Close() error {
	if g == nil {
		return nil
	}
	err := g.conn.Close()
	if g.export != nil {
		err = errors.Join(err, g.export.Close())
	}
	return err
}

func (g *Guest) read() {
	defer close(g.exports)
	defer close(g.gone)
	for {
		m, err := g.conn.Receive()
		if err != nil {
			return // the host is gone; the guest serves on
		}
		switch m.Type {
		case TypeStop:
			reason := ""
			if m.Stop != nil {
				reason = m.Stop.Reason
			}
			g.cfg.Stop(reason)
		case TypeGive:
			g.take(m.Give)
		case TypePing:
			g.pong(m.ID)
		case TypeExport:
			select {
			case g.exports <- m:
			default: // the host sends one at a time; a crowd is refused
				g.exported(m.ID, 0, errors.New("too many exports at once"))
			}
		}
	}
}

func (g *Guest) pong(id uint64) {
	g.mu.Lock()
	f := g.health
	g.mu.Unlock()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	h := &Health{Uptime: time.Since(g.start), Memory: mem.HeapInuse + mem.StackInuse}
	if f != nil {
		h.Counters = f()
	}
	g.Send(Message{Type: TypeHealth, ID: id, Health: h}) // a broken port ends read
}

func (g *Guest) stream() {
	for m := range g.exports {
		g.mu.Lock()
		f := g.exporter
		g.mu.Unlock()
		if g.export == nil {
			g.exported(m.ID, 0, ErrNoExport)
			continue
		}
		n, err := WriteStream(g.export, m.ID, func(w io.Writer) error {
			if f == nil {
				return ErrNoExport
			}
			return f(*m.Export, w)
		})
		g.exported(m.ID, n, err)
	}
}

func (g *Guest) exported(id uint64, n int64, err error) {
	e := &Exported{Size: n}
	if err != nil {
		e.Error = err.Error()
	}
	g.Send(Message{Type: TypeExported, ID: id, Exported: e}) // a broken port ends read
}
