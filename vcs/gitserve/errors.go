package gitserve

import (
	"errors"
	"fmt"
)

// requestError is a request that the protocol or a limit forbids. Its text goes
// to the client in an ERR packet, worded as stock git words it where git has a
// word for it.
type requestError struct {
	reason string // key of Stats.Refused
	text   string
}

func (e *requestError) Error() string { return e.text }

func refuse(reason, format string, args ...any) error {
	return &requestError{reason: reason, text: fmt.Sprintf(format, args...)}
}

// Reasons under which Stats counts refused requests.
const (
	reasonMethod   = "method"
	reasonType     = "content-type"
	reasonEncoding = "content-encoding"
	reasonPath     = "path"
	reasonService  = "service"
	reasonDumb     = "dumb-protocol"
	reasonWrite    = "write"
	reasonFraming  = "pkt-line"
	reasonSyntax   = "syntax"
	reasonLimit    = "limit"
	reasonWant     = "unknown-want"
	reasonShallow  = "shallow"
	reasonFilter   = "filter"
	reasonEpoch    = "old-epoch"

	// Of pushes; the last five count refs, not requests.
	reasonAuth    = "unauthorized"
	reasonPack    = "pack"
	reasonMissing = "missing-objects"
	reasonRefName = "ref-name"
	reasonStale   = "stale"
	reasonPolicy  = "policy"
	reasonAtomic  = "atomic"
)

// asRequestError turns errors of the request's framing into request errors.
func asRequestError(err error) (*requestError, bool) {
	var re *requestError
	if errors.As(err, &re) {
		return re, true
	}
	if errors.Is(err, errPktFraming) {
		return &requestError{reason: reasonFraming, text: err.Error()}, true
	}
	return nil, false
}
