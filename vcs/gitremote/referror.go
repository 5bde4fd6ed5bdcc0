package gitremote

import (
	"fmt"
	"slices"

	"arpeggio/vcs"
)

// RefError says why one ref was not changed.
type RefError struct {
	// Ref is the full name of the ref that was to change: the remote's in a
	// push, the store's in a fetch.
	Ref string
	// Reason is a short line in git's words: "non-fast-forward", "stale info",
	// "hook declined".
	Reason string
	// Remote: these are the remote's words.
	Remote bool
	// Err is vcs.ErrNotFastForward, vcs.ErrRefMoved, ErrRemoteRejected or
	// another sentinel that fits.
	Err error
}

// Error implements error.
func (e *RefError) Error() string {
	who := "rejected"
	if e.Remote {
		who = "remote rejected"
	}
	return fmt.Sprintf("%s: %s (%s)", e.Ref, who, e.Reason)
}

// Unwrap returns Err.
func (e *RefError) Unwrap() error { return e.Err }

// RejectedError is ErrRejected with the refs that were not changed.
type RejectedError struct {
	Remote string // its URL, without a password
	Refs   []*RefError
}

// Error names the first ref and says how many more there are.
func (e *RejectedError) Error() string {
	text := fmt.Sprintf("%s: %s", e.Remote, e.Refs[0])
	if n := len(e.Refs) - 1; n > 0 {
		text = fmt.Sprintf("%s and %d more", text, n)
	}
	return text
}

// Unwrap returns ErrRejected and the errors of the refs.
func (e *RejectedError) Unwrap() []error {
	errs := []error{ErrRejected}
	for _, r := range e.Refs {
		errs = append(errs, r)
	}
	return errs
}

// rejected gathers what went wrong with refs; nil when nothing did.
func rejected(remote string, refs []*RefError) error {
	refs = slices.DeleteFunc(refs, func(e *RefError) bool { return e == nil })
	if len(refs) == 0 {
		return nil
	}
	return &RejectedError{remote, refs}
}

// Reasons, in git's words.
const (
	reasonNotForward  = "non-fast-forward"
	reasonFetchFirst  = "fetch first"
	reasonStale       = "stale info"
	reasonExists      = "already exists"
	reasonClobber     = "would clobber existing tag"
	reasonAtomic      = "atomic push failed"
	reasonNoReport    = "remote failed to report status"
	reasonNoSuchRef   = "remote ref does not exist"
	reasonPrivate     = "the ref belongs to the store"
	reasonUnpack      = "unpacker error"
	reasonTwice       = "it is updated twice"
	reasonNoDeletions = "remote does not support deleting refs"
)

// notForward is the error of a move that would lose commits.
func notForward(ref, reason string) *RefError {
	return &RefError{Ref: ref, Reason: reason, Err: vcs.ErrNotFastForward}
}
