package packfile

import (
	"errors"
	"fmt"

	"arpeggio/vcs"
)

// What Index and Check refuse. The words after the prefix are those of git
// index-pack where git has words for it.
var (
	// ErrSignature: the input does not begin like a pack.
	ErrSignature = errors.New("packfile: pack signature mismatch")
	// ErrVersion: a pack of another version than 2 and 3.
	ErrVersion = errors.New("packfile: pack version unsupported")
	// ErrTruncated: the input ends before the pack does.
	ErrTruncated = errors.New("packfile: early EOF")
	// ErrInflate: an object that is not zlib data or not as long as it says.
	ErrInflate = errors.New("packfile: serious inflate inconsistency")
	// ErrType: an entry of an unknown type, or with an impossible size.
	ErrType = errors.New("packfile: unknown object type")
	// ErrDelta: a delta that cannot be applied, or whose base lies outside.
	ErrDelta = errors.New("packfile: failed to apply delta")
	// ErrUnresolved: deltas whose base neither the pack nor the reader has.
	ErrUnresolved = errors.New("packfile: unresolved deltas")
	// ErrChecksum: the pack does not match its trailing checksum.
	ErrChecksum = errors.New("packfile: pack is corrupted (SHA1 mismatch)")
	// ErrTrailing: the input goes on after the pack.
	ErrTrailing = errors.New("packfile: pack has junk at the end")
	// ErrDuplicate: one object twice in a pack.
	ErrDuplicate = errors.New("packfile: pack has a duplicate object")
	// ErrCollision: an object made to collide with another of the same name, or
	// one that differs from the one of that name that is there already.
	ErrCollision = errors.New("packfile: SHA1 COLLISION FOUND")
	// ErrLimit: a pack beyond the Limits.
	ErrLimit = errors.New("packfile: pack exceeds maximum allowed size")
	// ErrMissing: an object that the pack's objects name is nowhere. It comes as
	// a *MissingError.
	ErrMissing = errors.New("packfile: missing necessary objects")
)

// MissingError says which object is missing and which one of the pack names it.
// It wraps ErrMissing.
type MissingError struct {
	ID   vcs.ID
	From vcs.ID // zero: the one that was asked for is missing itself
}

// Error implements error.
func (e *MissingError) Error() string {
	if e.From.IsZero() {
		return fmt.Sprintf("%v: %v", ErrMissing, e.ID)
	}
	return fmt.Sprintf("%v: %v, which %v names", ErrMissing, e.ID, e.From)
}

// Unwrap returns ErrMissing.
func (e *MissingError) Unwrap() error { return ErrMissing }
