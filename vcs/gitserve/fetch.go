package gitserve

import (
	"context"
	"errors"
	"fmt"

	"arpeggio/vcs"
)

// fetch is one fetch request being answered.
type fetch struct {
	args     *fetchArgs
	graph    *graph
	refs     *refSnapshot
	out      *pktWriter
	flusher  interface{ Flush() error }
	sideband int // payload of a side-band packet, 0: none
	epochs   *epochs
	cut      map[vcs.ID]bool
	extra    []vcs.ID // wants that deepening adds
}

// start checks the wants and finds out what is common.
func (f *fetch) start() (*negotiation, error) {
	for _, id := range f.args.wants {
		if f.refs.byID[id] {
			continue
		}
		// Not a tip now, but perhaps when the client saw it; and a client of a
		// partial clone asks for blobs and trees by name.
		_, _, err := f.graph.objects.ReadObject(id)
		if errors.Is(err, vcs.ErrNotFound) && f.epochs != nil {
			return nil, refuse(reasonWant, "upload-pack: not our ref %s: it was never here, or has left with an old epoch"+
				" since you were told of it; then run the same command again", id)
		}
		if errors.Is(err, vcs.ErrNotFound) {
			return nil, refuse(reasonWant, "upload-pack: not our ref %s", id)
		}
		if err != nil {
			return nil, fmt.Errorf("gitserve: want %s: %w", id, err)
		}
	}
	return newNegotiation(f.graph, f.epochs, f.args.wants)
}

// deepen works out the shallow boundaries of the reply.
func (f *fetch) deepen(n *negotiation) (*shallowPlan, error) {
	plan, err := planShallow(f.graph, f.refs, f.args, n.wants)
	if err != nil {
		return nil, err
	}
	f.cut, f.extra = plan.cut, plan.wants
	return plan, nil
}

func (p *shallowPlan) write(out *pktWriter) {
	for _, id := range p.shallow {
		out.linef("shallow %s\n", id)
	}
	for _, id := range p.unshallow {
		out.linef("unshallow %s\n", id)
	}
}

// fetchV2 answers gitprotocol-v2(5), "fetch".
func (h *Handler) fetchV2(ctx context.Context, f *fetch) error {
	if len(f.args.wants) == 0 && !f.args.waitForDone {
		return nil
	}
	n, err := f.start()
	if err != nil {
		return err
	}
	for _, id := range f.args.haves {
		if _, err := n.have(id); err != nil {
			return err
		}
	}
	if len(f.args.haves) > 0 && !f.args.done {
		ready := false
		if !f.args.waitForDone {
			if ready, err = n.enough(); err != nil {
				return err
			}
		}
		f.out.linef("acknowledgments\n")
		if len(n.common) == 0 {
			f.out.linef("NAK\n")
		}
		for _, id := range n.common {
			f.out.linef("ACK %s\n", id)
		}
		if !ready {
			f.out.flush()
			return nil
		}
		f.out.linef("ready\n")
		f.out.delim()
	}
	if err := f.checkEpochs(n); err != nil {
		return err
	}
	if f.args.wantsShallow() {
		plan, err := f.deepen(n)
		if err != nil {
			return err
		}
		if f.args.deepen.asked() {
			f.out.linef("shallow-info\n")
			plan.write(f.out)
			f.out.delim()
		}
	}
	f.out.linef("packfile\n")
	return h.sendPack(ctx, f, n.common)
}

// fetchV0 answers gitprotocol-pack(5), "Packfile Negotiation", as far as one
// stateless request takes it.
func (h *Handler) fetchV0(ctx context.Context, f *fetch, caps v0Caps) error {
	n, err := f.start()
	if err != nil {
		return err
	}
	if f.args.wantsShallow() {
		plan, err := f.deepen(n)
		if err != nil {
			return err
		}
		if f.args.deepen.asked() {
			plan.write(f.out)
			f.out.flush()
		}
	}
	if caps.wantOnly {
		// A deepening client reads the boundaries first and comes back.
		return f.out.err
	}
	var last vcs.ID
	for _, id := range f.args.haves {
		known, err := n.have(id)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		last = id
		switch {
		case caps.multiAck == ackDetailed:
			f.out.linef("ACK %s common\n", id)
		case caps.multiAck == ackMulti:
			f.out.linef("ACK %s continue\n", id)
		case len(n.common) == 1:
			f.out.linef("ACK %s\n", id)
		}
	}
	if f.args.done {
		if err := f.checkEpochs(n); err != nil {
			return err
		}
		switch {
		case len(n.common) == 0:
			f.out.linef("NAK\n")
		case caps.multiAck != ackSingle:
			f.out.linef("ACK %s\n", last)
		}
		return h.sendPack(ctx, f, n.common)
	}
	ready := false
	if caps.multiAck == ackDetailed {
		if ready, err = n.enough(); err != nil {
			return err
		}
	}
	if ready {
		f.out.linef("ACK %s ready\n", last)
	}
	if len(n.common) == 0 || caps.multiAck != ackSingle {
		f.out.linef("NAK\n")
	}
	if ready && caps.noDone {
		f.out.linef("ACK %s\n", last)
		return h.sendPack(ctx, f, n.common)
	}
	return f.out.err
}
