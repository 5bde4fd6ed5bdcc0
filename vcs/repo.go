package vcs

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
)

// Repo is a versioned map from K to V on a Store. Several Repos of different
// types may share one store. It is safe for concurrent use by many writers.
type Repo[K comparable, V any] struct {
	s    *Store
	cfg  Config[K, V]
	raw  bool // the codec is that of strings as they are
	last atomic.Pointer[signers]
	ref  atomic.Pointer[string] // of the last branch that was committed to
}

// Open opens a store on the backend and a repository on the store. Close it.
// The backend belongs to the store, also when Open fails.
func Open[K comparable, V any](ctx context.Context, b Backend, cfg Config[K, V]) (*Repo[K, V], error) {
	s, err := OpenStore(ctx, b, cfg.StoreConfig)
	if err != nil {
		return nil, err
	}
	r, err := New(s, cfg)
	if err != nil {
		s.Close()
		return nil, err
	}
	return r, nil
}

// New returns a typed view of a store. The error wraps ErrConfig.
func New[K comparable, V any](s *Store, cfg Config[K, V]) (*Repo[K, V], error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	_, raw := any(cfg.Codec).(Raw[string])
	return &Repo[K, V]{s: s, cfg: cfg, raw: raw}, nil
}

// Store returns the store underneath: raw objects, refs, watches.
func (r *Repo[K, V]) Store() *Store { return r.s }

// Sync is Store.Sync.
func (r *Repo[K, V]) Sync(ctx context.Context) error { return r.s.Sync(ctx) }

// Close is Store.Close.
func (r *Repo[K, V]) Close() error { return r.s.Close() }

// Branch is a branch's short name and its head commit.
type Branch struct {
	Name string
	Head ID
}

// Branches returns all branches, sorted by name.
func (r *Repo[K, V]) Branches() []Branch {
	refs, _ := r.s.Refs() // a Store's own list cannot fail
	var out []Branch
	for _, ref := range refs {
		if name, ok := strings.CutPrefix(ref.Name, branchPrefix); ok {
			out = append(out, Branch{name, ref.Target})
		}
	}
	return out
}

// Head returns a branch's head; the error wraps ErrNotFound.
func (r *Repo[K, V]) Head(branch string) (ID, error) {
	id, ok := r.s.Ref(BranchRef(branch))
	if !ok {
		return ID{}, fmt.Errorf("%w: branch %s", ErrNotFound, branch)
	}
	return id, nil
}

// CreateBranch makes a branch that starts at a commit; the error wraps
// ErrRefMoved when there is a branch of that name.
func (r *Repo[K, V]) CreateBranch(ctx context.Context, branch string, at ID) error {
	return r.SetBranch(ctx, branch, ID{}, at)
}

// DeleteBranch removes a branch whose head is the expected one. Its commits
// stay.
func (r *Repo[K, V]) DeleteBranch(ctx context.Context, branch string, head ID) error {
	return r.SetBranch(ctx, branch, head, ID{})
}

// SetBranch moves a branch from one commit to any other, by compare-and-swap:
// a zero old creates it, a zero new deletes it.
func (r *Repo[K, V]) SetBranch(ctx context.Context, branch string, old, new ID) error {
	return r.s.UpdateRefs(ctx, []RefUpdate{{BranchRef(branch), old, new}})
}

// FastForward moves a branch to a descendant of its head, or creates it. It
// reports whether the branch moved; the error wraps ErrNotFastForward when to
// does not contain the head.
func (r *Repo[K, V]) FastForward(ctx context.Context, branch string, to ID) (moved bool, err error) {
	head, ok := r.s.Ref(BranchRef(branch))
	if ok {
		if head == to {
			return false, nil
		}
		if isAnc, err := r.s.IsAncestor(head, to); err != nil {
			return false, err
		} else if !isAnc {
			return false, fmt.Errorf("%w: %s from %v to %v", ErrNotFastForward, branch, head.Short(), to.Short())
		}
	}
	return true, r.SetBranch(ctx, branch, head, to)
}

// CreateTag makes refs/tags/NAME: an annotated tag object when the info has a
// message, else a lightweight one. It returns what the ref points to.
func (r *Repo[K, V]) CreateTag(ctx context.Context, name string, target ID, info CommitInfo) (ID, error) {
	id := target
	if info.Message != "" {
		kind, _, err := r.s.ReadObject(target)
		if err != nil {
			return ID{}, err
		}
		author, _, msg := r.sign(info)
		t := Tag{Target: target, Kind: kind, Name: name, Tagger: author, Message: msg}
		content := t.Encode(nil)
		id = HashObject(KindTag, content)
		if err := r.s.AddObjects(ctx, []Object{{id, KindTag, content}}); err != nil {
			return ID{}, err
		}
	}
	return id, r.s.UpdateRefs(ctx, []RefUpdate{{TagRef(name), ID{}, id}})
}

// sign fills in the defaults of a commit's people, time and message.
func (r *Repo[K, V]) sign(info CommitInfo) (author, committer Signature, msg string) {
	author, committer = info.Author, info.Committer
	if cleanIdent(author.Name) == "" && cleanIdent(author.Email) == "" {
		author = r.cfg.Author
	}
	if cleanIdent(committer.Name) == "" && cleanIdent(committer.Email) == "" {
		committer = r.cfg.Author
	}
	when := info.Time
	if when.IsZero() {
		when = r.cfg.Clock()
	}
	author.When, committer.When = when.UTC(), when.UTC()
	return author, committer, withNewline(info.Message)
}

func withNewline(msg string) string {
	if !strings.HasSuffix(msg, "\n") {
		msg += "\n"
	}
	return msg
}
