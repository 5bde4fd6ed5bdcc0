package vcs

// CommitReader reads decoded commits; a Store is one.
type CommitReader interface {
	ReadCommit(id ID) (*Commit, error)
}

// IsAncestor reports whether a is b or an ancestor of b.
func (s *Store) IsAncestor(a, b ID) (bool, error) { return IsAncestor(s, a, b) }

// MergeBases is the function MergeBases over the store.
func (s *Store) MergeBases(a, b ID) ([]ID, error) { return MergeBases(s, []ID{a}, []ID{b}) }

// MergeBases returns all lowest common ancestors of two commits, as git
// merge-base --all, sorted by id.
func (r *Repo[K, V]) MergeBases(a, b ID) ([]ID, error) { return r.s.MergeBases(a, b) }
