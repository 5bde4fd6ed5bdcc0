package vcs

import (
	"errors"
	"fmt"
	"time"
)

// Config says how a repository's keys and values lie in Git. For K = string the
// zero Layout is Paths, for V = string or []byte the zero Codec is Raw; for
// other types they must be set. Everything else has a working default.
type Config[K comparable, V any] struct {
	Layout Layout[K]
	Codec  Codec[V]
	// Merge settles a key that both sides of a merge changed. Nil makes every
	// such key a conflict.
	Merge MergeFunc[K, V]
	// Author is the default author and committer of commits. Its zero value
	// is "vcs <vcs@localhost>".
	Author Signature
	// Clock is asked for the time of a commit that names none. Default time.Now.
	Clock func() time.Time
	// StoreConfig is that of the store that Open makes; New ignores it.
	StoreConfig
}

// Layout maps keys to slash-separated paths in the tree and back.
type Layout[K comparable] interface {
	// Path returns the file of k. Different keys have different paths, and no
	// key's path is a folder on another's.
	Path(k K) string
	// Key is the inverse; ok is false for a path that is no key's, which typed
	// reads skip and merges treat as an opaque file.
	Key(path string) (k K, ok bool)
}

// Codec maps values to file contents and back. Encode is deterministic: equal
// values have equal bytes. Decode does not keep b, and must accept whatever
// Encode made; it refuses anything else with an error.
type Codec[V any] interface {
	Encode(v V) ([]byte, error)
	Decode(b []byte) (V, error)
}

// Opt is a value that may be absent.
type Opt[V any] struct {
	Value   V
	Present bool
}

// Some returns a present value.
func Some[V any](v V) Opt[V] { return Opt[V]{v, true} }

// None returns the absent value.
func None[V any]() Opt[V] { return Opt[V]{} }

// MergeFunc settles one key of a three-way merge: base is the value of the
// common ancestor (absent when there is none, or when several common ancestors
// conflict), ours that of the branch merged into, theirs the other's. The
// result may be absent, which removes the key. It is not asked about a key to
// which both sides gave equal bytes: that is one change, also for a counter. An error that wraps ErrConflict
// makes the key a conflict; any other error ends the merge.
//
// Nodes that merge each other's branches all reach equal trees, whatever they
// merge first, when the values form a join-semilattice (a total order, say), the
// result is the join of ours and theirs, and every write is later than what its
// writer saw. Package vcstest checks that (TestMerge).
type MergeFunc[K comparable, V any] func(key K, base, ours, theirs Opt[V]) (Opt[V], error)

// Paths is the Layout of keys that are paths.
type Paths struct{}

// Path returns k.
func (Paths) Path(k string) string { return k }

// Key returns the path.
func (Paths) Key(path string) (string, bool) { return path, true }

// Raw is the Codec of values that are their files' bytes. A Repo with Raw[string]
// keeps strings as they are and does not copy them.
type Raw[V ~string | ~[]byte] struct{}

// Encode returns a copy of v.
func (Raw[V]) Encode(v V) ([]byte, error) { return append([]byte(nil), v...), nil }

// Decode returns a copy of b.
func (Raw[V]) Decode(b []byte) (V, error) { return V(append([]byte(nil), b...)), nil }

func (c *Config[K, V]) fill() error {
	if c.Layout == nil {
		c.Layout, _ = any(Paths{}).(Layout[K])
	}
	if c.Codec == nil {
		if c.Codec, _ = any(Raw[string]{}).(Codec[V]); c.Codec == nil {
			c.Codec, _ = any(Raw[[]byte]{}).(Codec[V])
		}
	}
	var k K
	var v V
	switch {
	case c.Layout == nil:
		return fmt.Errorf("%w: no Layout for keys of type %T", ErrConfig, k)
	case c.Codec == nil:
		return fmt.Errorf("%w: no Codec for values of type %T", ErrConfig, v)
	}
	if c.Merge == nil {
		c.Merge = func(K, Opt[V], Opt[V], Opt[V]) (Opt[V], error) { return Opt[V]{}, ErrConflict }
	}
	if cleanIdent(c.Author.Name) == "" && cleanIdent(c.Author.Email) == "" {
		c.Author = Signature{Name: "vcs", Email: "vcs@localhost"}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return nil
}

// CommitInfo describes a commit to be made. The zero value works.
type CommitInfo struct {
	// Author is who made the change; its zero value is the Config's Author.
	// Its When is ignored in favour of Time.
	Author Signature
	// Committer is who records it; its zero value is the Config's Author.
	Committer Signature
	// Message is the subject and, after a blank line, the body. A missing final
	// newline is added.
	Message string
	// Time of the change; zero asks the Config's Clock. A time before the
	// parents' is raised to theirs, so that time never goes backwards along a
	// branch. Recorded in whole seconds UTC.
	Time time.Time
	// AllowEmpty makes a commit even when it changes nothing.
	AllowEmpty bool
}

// isConflict reports whether a MergeFunc's error means "conflict".
func isConflict(err error) bool { return errors.Is(err, ErrConflict) }
