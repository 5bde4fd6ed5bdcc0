package vcs

import (
	"context"
	"time"
)

// Epoch is a stretch of a store's history. The commits that begin one are
// parentless, or have only each other as parents, and stand for commits of the
// epoch before: so that what is older can leave the store while every id that
// is younger stays. Epochs are numbered from 1.
type Epoch struct {
	Number   int
	State    EpochState
	Began    time.Time // time of its newest root; of its oldest commit for the first epoch
	Ended    time.Time // zero for the current one
	Commits  int       // without roots and carried branches
	LogBytes int64     // what it takes of the log; 0 when it is no longer there
	// Roots are the commits that begin the epoch, each with the commit of the
	// epoch before that it stands for. The first epoch has its oldest commit,
	// which stands for none, once it has ended and where that can be told.
	Roots []EpochRoot
	// Heads are the refs as they were when the epoch ended, sorted by name; the
	// store's refs for the current one.
	Heads []Ref
	// Archive is where the epoch was put; its zero value says nowhere yet.
	Archive Receipt
	// Reason says why an epoch was lost, in words.
	Reason string
	// Through is not 0 where the oldest lost epochs are summed up: Number to
	// Through. Commits and LogBytes are those of all of them, and their roots and
	// heads are forgotten.
	Through int

	losses []lossCount // of a sum, what Reason says
}

// Count returns how many epochs it is: one, if it is not a sum.
func (e *Epoch) Count() int {
	if e.Through == 0 {
		return 1
	}
	return e.Through - e.Number + 1
}

// EpochState is where an epoch is.
type EpochState int

// States of an epoch.
const (
	EpochCurrent  EpochState = iota // it is being written
	EpochLive                       // it has ended and is still in the store
	EpochArchived                   // it has left the store; its archive has it
	EpochLost                       // it has left the store and no archive has it
)

// String returns the state in one word.
func (s EpochState) String() string {
	switch s {
	case EpochCurrent:
		return "current"
	case EpochLive:
		return "live"
	case EpochArchived:
		return "archived"
	}
	return "lost"
}

// EpochRoot is a commit that begins an epoch and the one that it stands for.
// Replacement is the commit that `git replace --graft ROOT OLD` makes, whose
// only parents are the old commit and the root's own.
type EpochRoot struct {
	Ref              string // a branch that was at Old, "" for a common ancestor of some
	Root, Old        ID
	Replacement      ID
	ReplacementBytes []byte // the content of that commit

	apart bool // Old has left, although the epoch before is here
}

// EpochReader is the ability of a repository whose history is cut into epochs;
// a Store has it.
type EpochReader interface {
	// Epochs returns all epochs that the repository knows of, oldest first.
	Epochs() []Epoch
}

// Source is what a bundle, a snapshot or an archive is made of.
type Source interface {
	ObjectReader
	RefReader
}

// Archiver keeps ended epochs outside of a store: in a directory, on a remote.
// A Store calls it from one goroutine.
type Archiver interface {
	// Archive puts an epoch away and returns when it is durable. The source has
	// the epoch's Heads as its refs, and all that they lead to. It may be called
	// again for an epoch, after a crash or an error, and then does it again or
	// finds it done. An error that wraps ErrArchiveFull says that there was no
	// room.
	Archive(ctx context.Context, e Epoch, src Source) (Receipt, error)
	// Missing returns the epochs among some archived ones that the archiver no
	// longer has, because it, or somebody else, made room.
	Missing(ctx context.Context, archived []Epoch) ([]int, error)
	// OpenEpoch reads an epoch that was archived. The error wraps ErrNotFound
	// when it is not there, and errors.ErrUnsupported when this archiver does not
	// read.
	OpenEpoch(ctx context.Context, e Epoch) (ObjectReader, error)
}

// ArchiveFitter is the ability of an Archiver to tell whether an epoch fits
// beside those that it has. A store that has one archives an epoch as soon as it
// has ended only then, and otherwise when it is about to leave: what the store has
// is not to take the place of what it has not.
type ArchiveFitter interface {
	Fits(ctx context.Context, e Epoch) (bool, error)
}

// Receipt names an archive.
type Receipt struct {
	Name   string // such as "epoch-000001.bundle", or a URL and a ref
	SHA256 [32]byte
	Bytes  int64
}

// Retention bounds what a store keeps. A limit of zero is none; without a limit
// the history is one epoch, and grows.
type Retention struct {
	// MaxBytes bounds the log, MaxCommits its commits, MaxAge the age of the
	// oldest one.
	MaxBytes   int64
	MaxCommits int
	MaxAge     time.Duration
	// Epochs is how many the bound holds: the store drops a whole one at a
	// time, and has between Epochs-1 and Epochs of them. Default 4, at least 2.
	Epochs int
	// Archive gets each epoch when it has ended. Nil: epochs are lost when they
	// are dropped, and that is recorded.
	Archive Archiver
	// Keep, when not nil, is asked about each file at the beginning of an epoch;
	// those that it does not want, such as tombstones that everybody has seen,
	// are not in the new epoch's trees.
	Keep func(path string, content []byte) bool
	// Author makes the store's own commits: roots, ledger, chains. Its zero value
	// is "vcs <vcs@localhost>"; its When is ignored.
	Author Signature
	// Chains are the branches that keep one commit a period of what falls out of
	// the store. Nil: DefaultChains. An empty slice: none. All of them together
	// take about a quarter of an epoch of the log at most, the one with the
	// longest period first: what there is no room for is kept at longer periods,
	// or not. A backend of objects knows no such bound.
	Chains []Chain
}

// Chain is a branch that holds the state of the head branch at the end of each
// period in which it changed.
type Chain struct {
	Branch string        // such as "history/minute"
	Period time.Duration // at least a second
	Limit  int           // commits that are kept; the oldest leave with an epoch
}

// DefaultChains keep a week of minutes, a quarter of hours and ten years of
// days.
func DefaultChains() []Chain {
	return []Chain{
		{"history/minute", time.Minute, 7 * 24 * 60},
		{"history/hour", time.Hour, 92 * 24},
		{"history/day", 24 * time.Hour, 3660},
	}
}

// Trailers of the commits that the store makes by itself.
const (
	TrailerEpoch    = "Epoch"          // the number of the epoch that a root begins
	TrailerPrevious = "Epoch-Previous" // the commit that a root stands for
	TrailerArchive  = "Epoch-Archive"  // where the epoch before is, or will be
)

// LedgerBranch is the branch on which the store records what became of each
// epoch: one file for each, changed by a commit whenever its state does, and one
// for the oldest ones that are lost.
const LedgerBranch = "history/epochs"
