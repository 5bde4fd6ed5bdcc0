package gitserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"arpeggio/vcs"
)

// timed returns a writer whose every write must be done within WriteTimeout.
func (h *Handler) timed(w http.ResponseWriter) *timedWriter {
	return &timedWriter{w: w, ctl: http.NewResponseController(w), timeout: h.cfg.WriteTimeout}
}

type timedWriter struct {
	w       io.Writer
	ctl     *http.ResponseController
	timeout time.Duration
}

func (t *timedWriter) Write(p []byte) (int, error) {
	// Not every ResponseWriter has deadlines; then the http.Server's rule.
	_ = t.ctl.SetWriteDeadline(time.Now().Add(t.timeout))
	return t.w.Write(p)
}

func (t *timedWriter) Flush() error { return t.ctl.Flush() }

// cancelReader reads objects until the client is gone.
type cancelReader struct {
	ctx     context.Context
	objects vcs.ObjectReader
}

func (c *cancelReader) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, nil, err
	}
	return c.objects.ReadObject(id)
}

// ReadAtHand implements vcs.BulkReader for repositories that do.
func (c *cancelReader) ReadAtHand(ids []vcs.ID, found []vcs.Object) {
	if r, ok := c.objects.(vcs.BulkReader); ok && c.ctx.Err() == nil {
		r.ReadAtHand(ids, found)
	}
}

// Additions implements vcs.AdditionReader for repositories that do.
func (c *cancelReader) Additions(ctx context.Context, tips, known []vcs.ID, progress func(int)) (*vcs.Additions, error) {
	if r, ok := c.objects.(vcs.AdditionReader); ok {
		return r.Additions(ctx, tips, known, progress)
	}
	return nil, errors.ErrUnsupported
}

// pin returns a reader of the repository for the time of a request: what is there
// now stays readable until release, as far as the repository knows how.
func (h *Handler) pin() (repo vcs.ObjectReader, release func()) {
	if r, ok := h.cfg.Repository.(vcs.Pinner); ok {
		p := r.Pin()
		return p, p.Release
	}
	return h.cfg.Repository, func() {}
}

// withPin runs a fetch, when there is a slot for it, over a pin of the repository
// or, where what the client wants has left since it was told of it, over an
// earlier one.
func (h *Handler) withPin(ctx context.Context, f *fetch, now vcs.ObjectReader, run func() error) error {
	return withSlot(ctx, h.slots, func() error {
		repo := now
		for _, id := range f.args.wants {
			if f.refs.byID[id] {
				continue
			}
			if _, _, err := now.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
				continue
			}
			if earlier, release := h.leases.find(f.args.wants); earlier != nil {
				defer release()
				repo = earlier
			} else if finder, ok := now.(vcs.ObjectFinder); ok && f.args.filter.kind != filterNone {
				// A partial clone asks for what it has not by name, however old.
				if err := finder.FindObjects(ctx, f.args.wants...); err != nil {
					return fmt.Errorf("gitserve: look for what is wanted: %w", err)
				}
			}
			break
		}
		f.graph, f.epochs = newGraph(&cancelReader{ctx, repo}), newEpochs(h.cfg.Repository)
		return run()
	})
}

// answerV2 runs one command of protocol v2.
func (h *Handler) answerV2(w http.ResponseWriter, r *http.Request, cmd v2Command) {
	startReply(w, typeResult)
	if cmd.lsRefs == nil && cmd.fetch == nil {
		return
	}
	t := h.timed(w)
	out := newPktWriter(t)
	if cmd.lsRefs != nil {
		h.leases.give(h.cfg.Repository)
	}
	repo, release := h.pin()
	defer release()
	objects := &cancelReader{r.Context(), repo}
	s, err := takeSnapshot(h.cfg.Repository)
	switch {
	case err != nil:
	case cmd.lsRefs != nil:
		if err = lsRefs(out, objects, s, cmd.lsRefs); err == nil {
			h.count(func(s *Stats) { s.LsRefs++ })
		}
	default:
		f := &fetch{args: cmd.fetch, refs: s, out: out, flusher: t, sideband: maxPayload - 1}
		err = h.withPin(r.Context(), f, repo, func() error { return h.fetchV2(r.Context(), f) })
	}
	h.finish(r.Context(), out, err)
}

// answerV0 runs one request of protocol v0 or v1.
func (h *Handler) answerV0(w http.ResponseWriter, r *http.Request, args *fetchArgs, caps v0Caps) {
	startReply(w, typeResult)
	if len(args.wants) == 0 {
		return
	}
	t := h.timed(w)
	out := newPktWriter(t)
	repo, release := h.pin()
	defer release()
	s, err := takeSnapshot(h.cfg.Repository)
	if err == nil {
		f := &fetch{args: args, refs: s, out: out, flusher: t, sideband: caps.sideband}
		err = h.withPin(r.Context(), f, repo, func() error { return h.fetchV0(r.Context(), f, caps) })
	}
	h.finish(r.Context(), out, err)
}

// withSlot runs f when slots has room.
func withSlot(ctx context.Context, slots chan struct{}, f func() error) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}
