package guest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"arpeggio/internal/control"
)

// logForwarder sends log records to the host without ever waiting for it: what
// does not fit into its queue is dropped, and the next record that fits says
// how many were.
type logForwarder struct {
	guest *control.Guest
	queue chan control.Log
	done  chan struct{}

	mu      sync.Mutex
	dropped int
	closed  bool
}

func newLogForwarder(g *control.Guest) *logForwarder {
	f := &logForwarder{guest: g, queue: make(chan control.Log, 256), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for l := range f.queue {
			f.guest.Send(control.Message{Type: control.TypeLog, Log: &l}) // without a host, to nobody
		}
	}()
	return f
}

// close sends what is queued, for at most a second.
func (f *logForwarder) close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.closed = true
	close(f.queue)
	f.mu.Unlock()
	select {
	case <-f.done:
	case <-time.After(time.Second):
	}
}

func (f *logForwarder) put(l control.Log) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if f.dropped > 0 {
		l.Text = fmt.Sprintf("%s (%d records before this one were dropped)", l.Text, f.dropped)
	}
	select {
	case f.queue <- l:
		f.dropped = 0
	default:
		f.dropped++
	}
}

// handler returns a slog.Handler whose records go to the host as the text that
// slog's text format gives them, without time and level.
func (f *logForwarder) handler(opts *slog.HandlerOptions) slog.Handler {
	w := &recordWriter{}
	o := *opts
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return &forwardHandler{f: f, w: w, text: slog.NewTextHandler(w, &o), mu: &sync.Mutex{}}
}

// recordWriter keeps the one record that is being formatted.
type recordWriter struct{ strings.Builder }

type forwardHandler struct {
	f    *logForwarder
	text slog.Handler
	mu   *sync.Mutex // guards w while a record is formatted
	w    *recordWriter
}

func (h *forwardHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.text.Enabled(ctx, l)
}

func (h *forwardHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.w.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	const most = 8 << 10
	s := strings.TrimSuffix(h.w.String(), "\n")
	h.f.put(control.Log{Time: r.Time, Level: r.Level.String(), Text: s[:min(len(s), most)]})
	return nil
}

func (h *forwardHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return &forwardHandler{f: h.f, w: h.w, mu: h.mu, text: h.text.WithAttrs(a)}
}

func (h *forwardHandler) WithGroup(name string) slog.Handler {
	return &forwardHandler{f: h.f, w: h.w, mu: h.mu, text: h.text.WithGroup(name)}
}
