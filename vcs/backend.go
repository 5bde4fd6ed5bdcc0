package vcs

import (
	"context"
	"iter"
)

// Backend keeps a store's refs and log. It is the durability seam: nobody asks
// it for an object by name. A backend that also implements ObjectReader stores
// objects natively and is read through that; one that does not keeps only the
// log, and somebody else recomputes the objects from it.
//
// A Store calls Load once, then Apply from one goroutine at a time, then Close.
// Package vcstest holds the suite that states this contract as tests.
type Backend interface {
	// Load returns what earlier Applies have made durable.
	Load(ctx context.Context) (State, error)
	// Apply makes the whole batch durable, or nothing of it, and returns when
	// that is so. It returns an error that wraps ErrRefMoved when a ref does
	// not hold the expected old value. After any other error the batch may or
	// may not have been applied; the caller finds out with Load. The batch and
	// the object contents must not be modified and must not be kept, except for
	// contents, which are immutable.
	Apply(ctx context.Context, b *Batch) error
	// Close releases the backend. It does not have to make anything durable.
	Close() error
}

// State is what a backend remembers.
type State struct {
	Refs       []Ref  // sorted by name
	Checkpoint []byte // the newest one; nil when there was none
	// Opened is what OpenLog made of this very state, when the backend has needed
	// that itself, to check what it holds. The store that asked takes it over
	// instead of reading the log again; the backend must forget it. Who changes
	// the Log of another backend's state sets it to nil.
	Opened ObjectReader
	// Kept is what a StateKeeper was given last; nil when there is none.
	Kept []byte
	// Log yields, in order, the records applied since that checkpoint,
	// including those of the batch that carried it. It may be ranged over more
	// than once until the next Apply.
	Log iter.Seq2[[]byte, error]
}

// Batch is one group commit.
type Batch struct {
	// Refs are compare-and-swap updates, each name at most once and at most
	// MaxBatchRefs of them.
	Refs []RefUpdate
	// Log records are appended in order. A record is opaque to the backend and
	// at most MaxRecord bytes long. It never changes and may be kept.
	Log [][]byte
	// Fold says how many of the newest records go first: the new ones take
	// their place. There are that many since the checkpoint. Only a LogKeeper
	// is asked to fold and to drop.
	Fold int
	// Drop says how many of the oldest records go, those of epochs that the
	// store no longer keeps. There are at least that many and Fold more; a
	// backend that keeps the log and has fewer refuses the batch. What Load
	// returns afterwards begins with the next record. The backend gives the
	// room back soon, not necessarily in this call.
	Drop int
	// Checkpoint, when not nil, replaces the older checkpoint and drops the
	// records before this batch. Fold and Drop are zero then.
	Checkpoint []byte
	// Objects yields the objects that the batch adds, parts before wholes
	// (blobs, trees, then the commit). Backends that do not store objects never
	// call it. It may be ranged over more than once. Storing an object whose
	// batch then fails is harmless.
	Objects iter.Seq[Object]
	// Forget names objects that nothing leads to any more; those that are not
	// there are no error. Only an ObjectLister is asked. They may go even if the
	// batch fails.
	Forget []ID
}

// LogKeeper is the ability of a backend that wants a store's commits as log
// records, a few bytes each, and not as objects. Batch.Objects then yields only
// what the log cannot tell: objects that somebody else made. The backend
// implements ObjectReader for those, and for what it held before.
type LogKeeper interface {
	// KeepsLog reports whether the backend wants that. It is asked once.
	KeepsLog() bool
}

// StateKeeper is the ability of a LogKeeper to keep what makes the next opening
// short. All of it can be had from the log, too, and is checked before it is used:
// it may be lost, or be older than the log, or damaged.
type StateKeeper interface {
	// KeepState is called by a store that is closed, after the last Apply, and by
	// one that was opened. Heads are the commits of the refs, all of which have
	// been applied. State, which may be nil for what was kept before, is the state
	// of one of them.
	KeepState(heads []Ref, state []byte) error
}

// ObjectLister is the ability of a LogKeeper to list the objects that it keeps
// beside the log, and to delete some of them (Batch.Forget): so what somebody
// else made leaves the store when its history does.
type ObjectLister interface {
	// Objects yields the ids of these objects, in any order. One that is added
	// or deleted meanwhile may be among them or not. Apply may be called before
	// the iteration ends.
	Objects() iter.Seq2[ID, error]
}

// Limits of one batch.
const (
	MaxBatchRefs = 2048
	MaxRecord    = 64 << 10
)
