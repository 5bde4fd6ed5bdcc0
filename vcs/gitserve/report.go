package gitserve

import (
	"bytes"
	"strings"

	"arpeggio/vcs"
)

// result is what became of one ref.
type result struct {
	update  vcs.RefUpdate
	kind    UpdateKind
	refusal *Refusal // nil: it was updated, or is to be
}

// report writes gitprotocol-pack(5), "Report Status", and before it what the
// user is to read.
func (p *push) report(out *pktWriter) {
	p.count()
	if p.args.sideband {
		for _, text := range p.messages {
			out.band(2, []byte(firstLine(text)+"\n"))
		}
	}
	if p.args.report {
		if !p.args.sideband {
			p.writeReport(out)
			return
		}
		var b bytes.Buffer
		p.writeReport(newPktWriter(&b))
		for b.Len() > 0 {
			out.band(1, b.Next(maxPayload-1))
		}
	}
	out.flush()
}

func (p *push) writeReport(out *pktWriter) {
	unpack := "ok"
	if p.unpack != "" {
		unpack = firstLine(p.unpack)
	}
	out.linef("unpack %s\n", unpack)
	for _, r := range p.results {
		if r.refusal == nil {
			out.linef("ok %s\n", r.update.Name)
		} else {
			out.linef("ng %s %s\n", r.update.Name, firstLine(r.refusal.Reason))
		}
	}
	out.flush()
}

// refuse settles one ref.
func (p *push) refuse(r *result, why *Refusal) {
	r.refusal = why
	if why.Message != "" {
		p.messages = append(p.messages, "error: "+why.Message)
	}
}

// refuseAll settles the refs that are not settled yet.
func (p *push) refuseAll(reason, counted string) {
	for i := range p.results {
		if r := &p.results[i]; r.refusal == nil {
			r.refusal = &Refusal{Reason: reason, counted: counted}
		}
	}
}

// count adds up.
func (p *push) count() {
	p.h.count(func(s *Stats) {
		changed := uint64(0)
		for _, r := range p.results {
			switch {
			case r.refusal == nil && r.update.Old != r.update.New:
				changed++
			case r.refusal != nil && r.refusal.counted != "":
				s.Refused[r.refusal.counted]++
			}
		}
		s.Updates += changed
		if changed > 0 {
			s.Pushes++
		}
		s.Received += uint64(p.stored)
	})
	var done []string
	for _, r := range p.results {
		if r.refusal == nil {
			done = append(done, r.update.Name+" "+r.kind.String())
		}
	}
	if len(done) > 0 {
		p.h.cfg.Logger.Info("git push", "client", p.grant.Name, "refs", strings.Join(done, ", "), "objects", p.stored)
	}
}
