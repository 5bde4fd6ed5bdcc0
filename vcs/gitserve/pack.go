package gitserve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// Side-band channels (gitprotocol-pack(5), "Packfile Data").
const (
	bandPack     = 1
	bandProgress = 2
	bandError    = 3
)

// errPackBroken marks a failure after the pack had begun: no ERR packet fits
// into the reply any more.
var errPackBroken = errors.New("gitserve: pack broke off")

// sendPack selects, writes and counts the pack that ends a fetch.
func (h *Handler) sendPack(ctx context.Context, f *fetch, common []vcs.ID) error {
	p := &packSender{fetch: f, last: time.Now()}
	p.flush() // the client gets ready for a pack meanwhile
	sel := packfile.Selection{
		Wants:     append(f.args.wants[:len(f.args.wants):len(f.args.wants)], f.extra...),
		Haves:     common,
		OmitBlobs: f.args.filter.kind != filterNone,
		BlobLimit: f.args.filter.limit,
		Progress:  p.alive,
	}
	if len(f.cut) > 0 {
		sel.Cut = func(id vcs.ID) bool { return f.cut[id] }
	}
	set, err := packfile.Select(ctx, f.graph.objects, sel)
	if err == nil && f.args.includeTag {
		err = f.addTags(set)
	}
	if err == nil {
		p.progress("Enumerating objects: %d, done.\n", set.Len())
		p.begun = true
		// Behind a cut are folders without a version before: hardly anything else.
		_, err = set.Write(p, packfile.Options{RefDeltas: !f.args.ofsDelta, Thin: f.args.thinPack, PlainTrees: len(f.cut) > 0})
	}
	if err == nil {
		p.progress("Total %d, done.\n", set.Len())
	}
	if err != nil {
		if f.sideband > 0 {
			f.out.band(bandError, []byte("the pack could not be completed; the server's log says why\n"))
			f.out.flush()
		}
		return fmt.Errorf("%w: %w", errPackBroken, err)
	}
	if f.sideband > 0 {
		f.out.flush()
	}
	if f.out.err == nil {
		h.count(func(s *Stats) {
			s.Fetches++
			s.Objects += uint64(set.Len())
			s.PackBytes += p.bytes
		})
	}
	return f.out.err
}

// addTags adds the annotated tags that point to selected objects
// (gitprotocol-capabilities(5), "include-tag").
func (f *fetch) addTags(set *packfile.Set) error {
	for _, r := range f.refs.refs {
		target, ok, err := peel(f.graph.objects, r)
		if err != nil {
			return err
		}
		if !ok || !set.Has(target) {
			continue
		}
		for id := r.Target; id != target; {
			if err := set.Add(id); err != nil {
				return err
			}
			_, content, err := f.graph.objects.ReadObject(id)
			if err != nil {
				return err
			}
			if id, err = tagTarget(content); err != nil {
				return err
			}
		}
	}
	return nil
}

// packSender is the writer of the pack: side-band packets or, for clients
// without side-band, bare bytes.
type packSender struct {
	*fetch
	begun bool // the pack speaks for itself now, from another goroutine
	bytes uint64
	last  time.Time // when the client last heard of us
}

func (p *packSender) Write(b []byte) (int, error) {
	n := len(b)
	p.bytes += uint64(n)
	if p.sideband == 0 {
		p.out.raw(b)
	}
	for p.sideband > 0 && len(b) > 0 {
		k := min(len(b), p.sideband)
		p.out.band(bandPack, b[:k])
		b = b[k:]
	}
	if p.out.err != nil {
		return 0, p.out.err
	}
	return n, nil
}

// progress tells the person at the client, who sees it behind "remote: ".
func (p *packSender) progress(format string, args ...any) {
	if p.sideband == 0 || p.args.noProgress {
		return
	}
	p.out.band(bandProgress, fmt.Appendf(nil, format, args...))
	p.flush()
}

func (p *packSender) flush() {
	if err := p.flusher.Flush(); err != nil && p.out.err == nil && !errors.Is(err, errors.ErrUnsupported) {
		p.out.err = err
	}
}

// Signs of life while objects are selected: how often progress is shown, and
// how often a client that wants none gets an empty packet, as from stock git.
const (
	progressEvery  = time.Second
	keepAliveEvery = 5 * time.Second
)

// alive shows signs of life during a long selection.
func (p *packSender) alive(n int) {
	if p.sideband == 0 || p.begun {
		return
	}
	every := progressEvery
	if p.args.noProgress {
		every = keepAliveEvery
	}
	now := time.Now()
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	if p.args.noProgress {
		p.out.band(bandPack, nil)
		p.flush()
		return
	}
	p.progress("Reading history: %d\r", n)
}
