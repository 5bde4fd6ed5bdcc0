package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Errors of an export.
var (
	// ErrGuestStuck is what waiting ends with when nothing comes and the guest does
	// not answer a ping either.
	ErrGuestStuck = errors.New("control: the guest does not answer")
	// ErrExportMissing is what waiting ends with when the guest says that all has
	// gone out, and nothing comes.
	ErrExportMissing = errors.New("control: the guest says that it has sent all, and it has not come")
)

// Export asks for bulk data and copies it to w, returning the number of octets
// after length and hash are verified; data may have reached w before an error
// is known. Exports run one after the other. Waiting ends with ctx, with the
// guest's refusal, and with ErrGuestStuck or ErrExportMissing; what still comes of
// the export is then read and thrown away, so that later ones find the port in order.
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
	t := h.begin(w)
	if err := h.send(Message{Type: TypeExport, ID: t.id, Export: &what}); err != nil {
		h.finish(t)
		return 0, err
	}
	go func() { // also when the asker has left: the next one has to wait
		if err := h.await(context.Background(), t.over, t); err != nil {
			t.end(err)
		}
		h.finish(t)
	}()
	select {
	case <-t.over:
		return t.leave()
	case <-ctx.Done():
		n, _ := t.leave()
		return n, context.Cause(ctx)
	}
}

// begin makes the one transfer that is under way. The caller has the token of
// exporting.
func (h *Host) begin(w io.Writer) *transfer {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nextID++
	t := &transfer{id: h.nextID, w: w, over: make(chan struct{})}
	h.transfer = t
	if h.exportEnd != nil {
		t.end(h.exportEnd)
	}
	return t
}

// finish lets the next transfer begin.
func (h *Host) finish(t *transfer) {
	h.mu.Lock()
	h.transfer = nil
	h.mu.Unlock()
	h.exporting <- struct{}{}
}

// of returns the transfer with an id, or else one that wants nothing.
func (h *Host) of(id uint64) *transfer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.transfer != nil && h.transfer.id == id {
		return h.transfer
	}
	return &transfer{id: id, over: make(chan struct{})}
}

// readExports reads the export port, one stream after the other, until one is
// damaged: then nobody knows where the next one begins.
func (h *Host) readExports() {
	for {
		id, err := readHead(h.export)
		if err == nil {
			t := h.of(id)
			_, err = readBody(t, h.export)
			t.streamed(err)
		}
		if err == nil || errors.Is(err, ErrStreamAborted) {
			continue
		}
		h.export.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.exportEnd = fmt.Errorf("the export port is closed: %w", err)
		if h.transfer != nil {
			h.transfer.end(h.exportEnd)
		}
		return
	}
}

// silence is how long nothing may come before the guest is asked whether it
// lives, and how long its answer may take.
const silence = 15 * time.Second

// await waits for c, as long as ctx allows and the guest lives: it moves t, or
// answers. A nil t never moves. Once the guest has said its last word of t, only
// moving counts.
func (h *Host) await(ctx context.Context, c <-chan struct{}, t *transfer) error {
	tick := time.NewTicker(silence)
	defer tick.Stop()
	for before := int64(0); ; {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if t != nil {
			now, missing := t.progress()
			if now != before {
				before = now
				continue
			}
			if missing != nil {
				return missing
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
