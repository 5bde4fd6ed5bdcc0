package vcs

import "errors"

// Sentinel errors; every error of this package wraps one of them or an error of
// the backend.
var (
	// ErrBadID: text that is not an object id.
	ErrBadID = errors.New("vcs: not an object id")
	// ErrNotFound: no object, ref or revision of that name.
	ErrNotFound = errors.New("vcs: object not found")
	// ErrCorrupt: an object that does not hash to its name.
	ErrCorrupt = errors.New("vcs: object is damaged")
	// ErrBadObject: content that git fsck --strict would refuse.
	ErrBadObject = errors.New("vcs: malformed object")
	// ErrWrongKind: an object of another kind than the caller needs.
	ErrWrongKind = errors.New("vcs: object is of another kind")
	// ErrBadRefName: a name that git check-ref-format refuses, or that would
	// be both a ref and a folder of refs.
	ErrBadRefName = errors.New("vcs: bad ref name")
	// ErrBadPath: a key whose path cannot stand in a Git tree.
	ErrBadPath = errors.New("vcs: bad path")
	// ErrRefMoved: compare-and-swap found another value than expected.
	ErrRefMoved = errors.New("vcs: ref moved")
	// ErrNotFastForward: the new head does not contain the old one.
	ErrNotFastForward = errors.New("vcs: not a fast-forward")
	// ErrConflict: a merge that the merge function could not settle.
	ErrConflict = errors.New("vcs: merge conflict")
	// ErrTestFailed: TestAndSet found another value than expected.
	ErrTestFailed = errors.New("vcs: value is not the expected one")
	// ErrDecode: a blob that the codec does not accept.
	ErrDecode = errors.New("vcs: value does not decode")
	// ErrBacklog: the backend fails and MaxPending is reached; the error also
	// wraps the backend's last one.
	ErrBacklog = errors.New("vcs: too much unsaved data")
	// ErrTooLarge: an object, a commit or a ref update above the documented
	// limits.
	ErrTooLarge = errors.New("vcs: too large")
	// ErrClosed: the store, or the watcher, was closed.
	ErrClosed = errors.New("vcs: closed")
	// ErrConfig: an open with a configuration that cannot work.
	ErrConfig = errors.New("vcs: bad configuration")
	// ErrArchiveFull: an Archiver that has no room for an epoch.
	ErrArchiveFull = errors.New("vcs: no room for the archive")
	// ErrReserved: a write to a ref that a store with epochs keeps by itself: the
	// branches under history/, refs/epochs/ and refs/replace/.
	ErrReserved = errors.New("vcs: the store keeps this ref by itself")
	// ErrLeft: an epoch that has left since Settled was asked.
	ErrLeft = errors.New("vcs: an epoch has left")
	// ErrProof: a proof that is malformed, or does not show what it is asked.
	ErrProof = errors.New("vcs: no proof")
)
