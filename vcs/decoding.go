package vcs

import "fmt"

// Decoding reads decoded objects from an ObjectReader, without a cache. So the
// functions DiffTrees, MergeBases and IsAncestor work on packs, archives and
// proofs, too.
type Decoding struct{ ObjectReader }

// ReadTree implements TreeReader. The zero ID is the empty tree.
func (d Decoding) ReadTree(id ID) (*Tree, error) {
	if id.IsZero() || id == EmptyTree {
		return &Tree{}, nil
	}
	content, err := readKind(d.ObjectReader, id, KindTree)
	if err != nil {
		return nil, err
	}
	t, err := ParseTree(content)
	if err != nil {
		return nil, fmt.Errorf("tree %v: %w", id, err)
	}
	return t, nil
}

// ReadCommit implements CommitReader.
func (d Decoding) ReadCommit(id ID) (*Commit, error) {
	content, err := readKind(d.ObjectReader, id, KindCommit)
	if err != nil {
		return nil, err
	}
	c, err := ParseCommit(content)
	if err != nil {
		return nil, fmt.Errorf("commit %v: %w", id, err)
	}
	c.ID = id
	return c, nil
}

// SnapshotFrom returns the map at a commit as an ObjectReader holds it: a pack,
// an archive, or a Proof, which then proves what the snapshot says. Of the
// configuration only the Layout and the Codec are used.
func SnapshotFrom[K comparable, V any](r ObjectReader, cfg Config[K, V], commit ID) (*Snapshot[K, V], error) {
	view, err := New(nil, cfg)
	if err != nil {
		return nil, err
	}
	src := Decoding{r}
	c, err := src.ReadCommit(commit)
	if err != nil {
		return nil, err
	}
	return &Snapshot[K, V]{r: view, src: src, commit: commit, tree: c.Tree}, nil
}
