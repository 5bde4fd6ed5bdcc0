package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrGuestStuck is what waiting for an export ends with when nothing comes and
// the guest does not answer a ping either.
var ErrGuestStuck = errors.New("control: the guest does not answer")

// Export asks for bulk data and copies it to w, returning the number of octets
// after length and hash are verified; data may have reached w before an error
// is known. Exports run one after the other. Waiting ends with ctx, and with
// ErrGuestStuck; what still comes of the export is then read and thrown away, so
// that later ones find the port in order.
func (h *Host) Export(ctx context.Context, what Export, w io.Writer) (int64, error) {
	n, err := h.exportTo(ctx, what, w)
	if err != nil {
		err = fmt.Errorf("control: export of %s: %w", what.What, err)
	}
	return n, err
}

func (h *Host) exportTo(ctx context.Context, what Export, w io.Writer) (int64, error) {
	if h.export == nil {
		return 0, errors.New("this machine has no export port")
	}
	if err := h.await(ctx, h.exporting, nil); err != nil {
		return 0, fmt.Errorf("waiting for the one before: %w", err)
	}
	id, answer := h.expect()
	defer h.forget(id)
	if err := h.send(Message{Type: TypeExport, ID: id, Export: &what}); err != nil {
		h.exporting <- struct{}{}
		return 0, err
	}
	t := &transfer{w: w}
	done := make(chan struct{}, 1)
	var err error
	go func() {
		if _, err = ReadStream(t, h.export, id); err != nil && !errors.Is(err, ErrStreamAborted) {
			h.export.Close() // nobody knows where the next one begins
		}
		h.exporting <- struct{}{}
		done <- struct{}{}
	}()
	if err := h.await(ctx, done, t.total); err != nil {
		n, _ := t.leave()
		return n, err
	}
	n, werr := t.leave()
	switch {
	case err != nil && !errors.Is(err, ErrStreamAborted):
		return n, err
	case werr != nil:
		return n, werr
	}
	m, aerr := h.answer(ctx, answer)
	switch {
	case aerr != nil:
		return n, aerr
	case m.Exported != nil && m.Exported.Error != "":
		return n, errors.New("guest: " + m.Exported.Error)
	}
	return n, err
}

// silence is how long nothing may come before the guest is asked whether it
// lives, and how long its answer may take.
const silence = 15 * time.Second

// await waits for c, as long as ctx allows and the guest lives: it moves what
// moved counts, or answers. A nil moved never does.
func (h *Host) await(ctx context.Context, c <-chan struct{}, moved func() int64) error {
	t := time.NewTicker(silence)
	defer t.Stop()
	for before := int64(0); ; {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
		if moved != nil {
			if now := moved(); now != before {
				before = now
				continue
			}
		}
		pctx, cancel := context.WithTimeoutCause(ctx, silence, ErrGuestStuck)
		_, err := h.Ping(pctx)
		cancel()
		if err != nil {
			select {
			case <-c:
				return nil
			default:
				return err
			}
		}
	}
}

// transfer is where the octets of an export go, until whoever asked leaves. It
// never fails, so that a stream is read to its end.
type transfer struct {
	mu  sync.Mutex
	w   io.Writer // nil: nobody wants them
	n   int64     // octets that have come
	out int64     // octets that w has taken
	err error     // of w
}

func (t *transfer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += int64(len(p))
	if t.w != nil && t.err == nil {
		var n int
		n, t.err = t.w.Write(p)
		t.out += int64(n)
	}
	return len(p), nil
}

// total returns how many octets have come.
func (t *transfer) total() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// leave ends the writing to w, and returns what it got and its error.
func (t *transfer) leave() (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w = nil
	return t.out, t.err
}
