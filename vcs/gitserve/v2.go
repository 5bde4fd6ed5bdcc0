package gitserve

import (
	"errors"
	"io"
	"strings"
)

// v2Command is one request of protocol v2: at most one of its arguments is set,
// neither for the empty request that clients send to probe the server.
type v2Command struct {
	lsRefs *lsRefsArgs
	fetch  *fetchArgs
}

// maxCapabilityLines bounds what precedes the arguments of a v2 request.
const maxCapabilityLines = 64

// parseV2 reads gitprotocol-v2(5), "Command Request".
func (h *Handler) parseV2(in *pktReader) (v2Command, error) {
	var cmd v2Command
	var arg func(string) error
	for n := 0; ; n++ {
		kind, line, err := in.next()
		if err != nil {
			if errors.Is(err, io.EOF) && n == 0 {
				return cmd, nil
			}
			return cmd, endOfInput(err)
		}
		if kind == pktFlush || kind == pktDelim {
			if arg == nil && n > 0 {
				return cmd, refuse(reasonSyntax, "no command requested")
			}
			if kind == pktFlush {
				return cmd, nil
			}
			break
		}
		if kind != pktData {
			return cmd, refuse(reasonSyntax, "unexpected response-end packet in a request")
		}
		if n == maxCapabilityLines {
			return cmd, refuse(reasonLimit, "more than %d capabilities in one request", maxCapabilityLines)
		}
		key, value, _ := strings.Cut(string(line), "=")
		switch key {
		case "command":
			if arg != nil {
				return cmd, refuse(reasonSyntax, "command '%s' requested after another command", value)
			}
			switch value {
			case "ls-refs":
				cmd.lsRefs = new(lsRefsArgs)
				arg = cmd.lsRefs.parse
			case "fetch":
				cmd.fetch = h.newFetchArgs()
				arg = cmd.fetch.parseV2
			default:
				return cmd, refuse(reasonSyntax, "invalid command '%s'", value)
			}
		case "object-format":
			if value != "sha1" {
				return cmd, refuse(reasonSyntax, "mismatched object format: server sha1; client %s", value)
			}
		case "agent", "server-option", "session-id":
		default:
			return cmd, refuse(reasonSyntax, "unknown capability '%s'", line)
		}
	}
	if arg == nil {
		return cmd, refuse(reasonSyntax, "no command requested")
	}
	for {
		kind, line, err := in.next()
		if err != nil {
			return cmd, endOfInput(err)
		}
		switch kind {
		case pktFlush:
			return cmd, nil
		case pktData:
			if err := arg(string(line)); err != nil {
				return cmd, err
			}
		default:
			return cmd, refuse(reasonSyntax, "expected flush after %s arguments", cmd.name())
		}
	}
}

func (c v2Command) name() string {
	if c.fetch != nil {
		return "fetch"
	}
	return "ls-refs"
}

// endOfInput words the end of a request that should have gone on.
func endOfInput(err error) error {
	if errors.Is(err, io.EOF) {
		return refuse(reasonFraming, "the remote end hung up unexpectedly")
	}
	return err
}
