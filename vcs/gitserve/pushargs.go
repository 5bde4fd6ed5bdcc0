package gitserve

import (
	"errors"
	"io"
	"slices"
	"strings"

	"arpeggio/vcs"
)

// pushCapabilities is what receive-pack offers (gitprotocol-capabilities(5)).
const pushCapabilities = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1"

// pushArgs is what precedes the pack of a push.
type pushArgs struct {
	updates  []vcs.RefUpdate
	shallow  map[vcs.ID]bool // where the client's history ends
	report   bool
	atomic   bool
	sideband bool
}

// hasPack reports whether a pack follows: with anything but deletions.
func (a *pushArgs) hasPack() bool {
	return slices.ContainsFunc(a.updates, func(u vcs.RefUpdate) bool { return !u.New.IsZero() })
}

// parsePush reads gitprotocol-pack(5), "Reference Update Request and Packfile
// Transfer", up to the flush. No updates means a lone flush, which clients send
// to probe the server.
func (h *Handler) parsePush(in *pktReader) (*pushArgs, error) {
	a := &pushArgs{shallow: map[vcs.ID]bool{}}
	for n := 0; ; n++ {
		kind, line, err := in.next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return a, nil
		case err != nil:
			return a, endOfInput(err)
		case kind == pktFlush:
			return a, nil
		case kind != pktData:
			return a, refuse(reasonSyntax, "unexpected delimiter packet in a push")
		}
		text := string(line)
		if hex, ok := strings.CutPrefix(text, "shallow "); ok {
			id, err := vcs.ParseID(hex)
			if err != nil {
				return a, refuse(reasonSyntax, "protocol error: expected shallow sha, got '%.80s'", hex)
			}
			if len(a.shallow) == h.cfg.MaxHaves {
				return a, refuse(reasonLimit, "more than %d 'shallow' lines", h.cfg.MaxHaves)
			}
			a.shallow[id] = true
			continue
		}
		text, caps, found := strings.Cut(text, "\x00")
		if found && len(a.updates) == 0 {
			if err := a.parseCaps(caps); err != nil {
				return a, err
			}
		}
		u, ok := parseUpdate(text)
		if !ok {
			return a, refuse(reasonSyntax, "protocol error: expected old/new/ref, got '%.200s'", text)
		}
		if len(a.updates) == h.cfg.Push.MaxUpdates {
			return a, refuse(reasonLimit, "more than %d refs in one push", h.cfg.Push.MaxUpdates)
		}
		a.updates = append(a.updates, u)
	}
}

func (a *pushArgs) parseCaps(list string) error {
	for _, c := range strings.Fields(list) {
		switch c {
		case "report-status", "report-status-v2":
			a.report = true
		case "atomic":
			a.atomic = true
		case "side-band-64k":
			a.sideband = true
		}
		if v, ok := strings.CutPrefix(c, "object-format="); ok && v != "sha1" {
			return refuse(reasonSyntax, "mismatched object format: server sha1; client %s", v)
		}
	}
	return nil
}

func parseUpdate(line string) (u vcs.RefUpdate, ok bool) {
	f := strings.SplitN(line, " ", 3)
	if len(f) < 3 || f[2] == "" || strings.ContainsFunc(f[2], func(c rune) bool { return c < ' ' }) {
		return u, false // what could not be named in the report either
	}
	var err1, err2 error
	u.Name = f[2]
	u.Old, err1 = vcs.ParseID(f[0])
	u.New, err2 = vcs.ParseID(f[1])
	return u, err1 == nil && err2 == nil
}
