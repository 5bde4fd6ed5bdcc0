package gitserve

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// v0Caps are the capabilities of protocol v0 and v1 that a client chose
// (gitprotocol-capabilities(5)).
type v0Caps struct {
	multiAck ackMode
	noDone   bool
	sideband int // payload of a side-band packet, 0: none
	filter   bool
	wantOnly bool // the request ends after its want section
}

type ackMode uint8

const (
	ackSingle ackMode = iota
	ackMulti
	ackDetailed
)

// v0Capabilities is what the server offers; symref is added per snapshot.
const v0Capabilities = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since " +
	"deepen-not deepen-relative no-progress include-tag multi_ack_detailed no-done filter " +
	"allow-tip-sha1-in-want allow-reachable-sha1-in-want object-format=sha1"

// parseV0 reads gitprotocol-pack(5), "Packfile Negotiation", as it comes in one
// stateless request: wants, flush, then the haves up to a flush, "done" or the
// end.
func (h *Handler) parseV0(in *pktReader) (*fetchArgs, v0Caps, error) {
	args, caps := h.newFetchArgs(), v0Caps{}
	for first := true; ; first = false {
		kind, line, err := in.next()
		if err != nil {
			if errors.Is(err, io.EOF) && first {
				return args, caps, nil
			}
			return args, caps, endOfInput(err)
		}
		if kind == pktFlush {
			break
		}
		if kind != pktData {
			return args, caps, refuse(reasonSyntax, "unexpected delimiter packet in a request of protocol v0")
		}
		if err := parseWantSection(args, &caps, string(line), first); err != nil {
			return args, caps, err
		}
	}
	for caps.wantOnly = true; ; caps.wantOnly = false {
		kind, line, err := in.next()
		if errors.Is(err, io.EOF) {
			return args, caps, nil
		}
		if err != nil {
			return args, caps, err
		}
		if kind != pktData || string(line) == "done" {
			args.done = kind == pktData
			caps.wantOnly = false
			return args, caps, nil
		}
		value, ok := strings.CutPrefix(string(line), "have ")
		if !ok {
			return args, caps, refuse(reasonSyntax, "git upload-pack: expected SHA1 list, got '%s'", line)
		}
		if err := args.have(value, string(line)); err != nil {
			return args, caps, err
		}
	}
}

func parseWantSection(args *fetchArgs, caps *v0Caps, line string, first bool) error {
	if value, ok := strings.CutPrefix(line, "want "); ok {
		id, list, found := strings.Cut(value, " ")
		if found {
			if !first {
				return refuse(reasonSyntax, "git upload-pack: protocol error, expected to get sha, not '%s'", line)
			}
			if err := caps.parse(args, list); err != nil {
				return err
			}
		}
		return args.want(id, line)
	}
	ok, err := args.parseCommon(line)
	if err != nil {
		return err
	}
	if !ok {
		return refuse(reasonSyntax, "git upload-pack: protocol error, expected to get sha, not '%s'", line)
	}
	if args.filter.kind != filterNone && !caps.filter {
		return refuse(reasonFilter, "git upload-pack: filtering capability not negotiated")
	}
	return nil
}

func (c *v0Caps) parse(args *fetchArgs, list string) error {
	has := strings.Fields(list)
	on := func(name string) bool { return slices.Contains(has, name) }
	switch {
	case on("multi_ack_detailed"):
		c.multiAck = ackDetailed
	case on("multi_ack"):
		c.multiAck = ackMulti
	}
	switch {
	case on("side-band-64k"):
		c.sideband = maxPayload - 1
	case on("side-band"):
		c.sideband = 1000 - pktHeader - 1
	}
	c.noDone = on("no-done")
	c.filter = on("filter")
	args.thinPack = on("thin-pack")
	args.ofsDelta = on("ofs-delta")
	args.noProgress = on("no-progress")
	args.includeTag = on("include-tag")
	args.deepen.relative = on("deepen-relative")
	for _, f := range has {
		if v, ok := strings.CutPrefix(f, "object-format="); ok && v != "sha1" {
			return refuse(reasonSyntax, "mismatched object format: server sha1; client %s", v)
		}
	}
	return nil
}
