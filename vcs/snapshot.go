package vcs

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Snapshot is the map as one commit holds it. It never changes and is safe for
// concurrent use.
type Snapshot[K comparable, V any] struct {
	r      *Repo[K, V]
	src    source
	commit ID
	tree   ID
}

// Entry is a key with its value.
type Entry[K comparable, V any] struct {
	Key   K
	Value V
}

// source is where decoded trees and raw objects come from: a store, or the
// unpublished work of a transaction on top of it.
type source interface {
	ObjectReader
	ReadTree(id ID) (*Tree, error)
}

// At returns the map at a revision (see Resolve).
func (r *Repo[K, V]) At(rev string) (*Snapshot[K, V], error) {
	id, err := r.Resolve(rev)
	if err != nil {
		return nil, err
	}
	return r.AtCommit(id)
}

// AtCommit returns the map at a commit. The zero ID gives the empty map.
func (r *Repo[K, V]) AtCommit(id ID) (*Snapshot[K, V], error) {
	if id.IsZero() {
		return &Snapshot[K, V]{r: r, src: r.s, tree: EmptyTree}, nil
	}
	c, err := r.s.links(id)
	if err != nil {
		return nil, err
	}
	return &Snapshot[K, V]{r: r, src: r.s, commit: id, tree: c.Tree}, nil
}

// Commit returns the commit, zero for the empty map before the first one.
func (v *Snapshot[K, V]) Commit() ID { return v.commit }

// Tree returns the id of the root tree: two snapshots with equal ids hold equal
// maps.
func (v *Snapshot[K, V]) Tree() ID { return v.tree }

// Get returns the value of k; ok is false when k is absent. The error wraps
// ErrDecode when the value is there but the codec refuses it.
func (v *Snapshot[K, V]) Get(k K) (val V, ok bool, err error) {
	path := v.r.cfg.Layout.Path(k)
	if s, ok := v.src.(*Store); ok && !v.commit.IsZero() {
		f, ok, err := s.loggedFile(v.commit, path)
		if err != nil || ok && f.mode == 0 {
			return val, false, err
		}
		if ok {
			val, err = v.r.decodeContent(path, f.content)
			return val, err == nil, err
		}
	}
	e, ok, err := v.Stat(path)
	if err != nil || !ok || e.Mode.Kind() != KindBlob {
		return val, false, err
	}
	val, err = v.r.decode(v.src, path, e.ID)
	return val, err == nil, err
}

// Has reports whether k is present, without reading its value.
func (v *Snapshot[K, V]) Has(k K) (bool, error) {
	e, ok, err := v.Stat(v.r.cfg.Layout.Path(k))
	return ok && e.Mode.Kind() == KindBlob, err
}

// Stat returns the tree entry at a path; ok is false when there is none. The
// empty path is the root.
func (v *Snapshot[K, V]) Stat(path string) (e TreeEntry, ok bool, err error) {
	return statPath(v.src, v.tree, path)
}

// List returns the entries of one folder in Git's order, nil when there is no
// such folder. The empty path is the root.
func (v *Snapshot[K, V]) List(dir string) ([]TreeEntry, error) {
	e, ok, err := v.Stat(dir)
	if err != nil || !ok || !e.Mode.IsDir() {
		return nil, err
	}
	t, err := v.src.ReadTree(e.ID)
	if err != nil {
		return nil, err
	}
	out := make([]TreeEntry, t.Len())
	for i := range out {
		out[i] = t.Entry(i)
	}
	return out, nil
}

// All yields every key and value below a folder (the empty path: all of them)
// in the tree's order. Files that are no key's are skipped. An error is yielded
// with a zero entry, or with the key whose value does not decode, after which
// the iteration may go on.
func (v *Snapshot[K, V]) All(dir string) iter.Seq2[Entry[K, V], error] {
	return func(yield func(Entry[K, V], error) bool) {
		for f, err := range v.files(dir) {
			if err != nil {
				yield(Entry[K, V]{}, err)
				return
			}
			k, ok := v.r.cfg.Layout.Key(f.path)
			if !ok {
				continue
			}
			var val V
			if f.node != nil && f.node.data != nil {
				val, err = v.r.decodeContent(f.path, f.node.file())
			} else {
				val, err = v.r.decode(v.src, f.path, f.entry.ID)
			}
			if !yield(Entry[K, V]{k, val}, err) {
				return
			}
		}
	}
}

// Keys yields every key below a folder without reading the values.
func (v *Snapshot[K, V]) Keys(dir string) iter.Seq2[K, error] {
	return func(yield func(K, error) bool) {
		for f, err := range v.files(dir) {
			k, ok := v.r.cfg.Layout.Key(f.path)
			if (ok || err != nil) && !yield(k, err) {
				return
			}
		}
	}
}

// Map decodes the whole snapshot. It stops at the first error.
func (v *Snapshot[K, V]) Map() (map[K]V, error) {
	m := make(map[K]V)
	for e, err := range v.All("") {
		if err != nil {
			return nil, err
		}
		m[e.Key] = e.Value
	}
	return m, nil
}

type file struct {
	path  string
	entry TreeEntry
	node  *node // nil: to be read
}

func (v *Snapshot[K, V]) files(dir string) iter.Seq2[file, error] {
	return func(yield func(file, error) bool) {
		folder, err := v.state(dir)
		if err != nil {
			yield(file{}, err)
			return
		}
		if folder != nil {
			walkState(v.src, strings.Trim(dir, "/"), folder, 0, yield)
			return
		}
		e, ok, err := v.Stat(dir)
		if err != nil {
			yield(file{}, err)
			return
		}
		if !ok {
			return
		}
		if !e.Mode.IsDir() {
			if e.Mode.Kind() == KindBlob {
				yield(file{dir, e, nil}, nil)
			}
			return
		}
		walkFiles(v.src, strings.Trim(dir, "/"), e.ID, 0, yield)
	}
}

// state returns a folder of the commit's state, where an operation log has it: to
// go through a state of long ago folder by folder would be to make it again and
// again. It is nil where trees are read.
func (v *Snapshot[K, V]) state(dir string) (*node, error) {
	s, ok := v.src.(*Store)
	if !ok || s.log == nil || v.commit.IsZero() {
		return nil, nil
	}
	n, err := s.rootOf(v.commit)
	if errors.Is(err, errNoState) || errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for rest := strings.Trim(dir, "/"); rest != ""; {
		var name string
		name, rest = cutPath(rest)
		i, ok := n.dir.find(name, true)
		if !ok || n.dir.kids[i] == nil || n.dir.kids[i].dir == nil {
			return nil, nil
		}
		n = n.dir.kids[i]
	}
	return n, nil
}

// walkState is walkFiles for what is at hand.
func walkState(src source, dir string, n *node, depth int, yield func(file, error) bool) bool {
	if depth > maxDepth {
		yield(file{}, fmt.Errorf("folder %q: %w: deeper than %d folders", dir, ErrBadPath, maxDepth))
		return false
	}
	for i := range n.dir.Len() {
		e, kid := n.dir.Entry(i), n.dir.kids[i]
		path := join(dir, e.Name)
		switch e.Mode.Kind() {
		case KindTree:
			on := kid != nil && kid.dir != nil
			if on && !walkState(src, path, kid, depth+1, yield) || !on && !walkFiles(src, path, e.ID, depth+1, yield) {
				return false
			}
		case KindBlob:
			if !yield(file{path, e, kid}, nil) {
				return false
			}
		}
	}
	return true
}

// files yields the blobs of a tree, in order.
func files(src source, tree ID) iter.Seq2[file, error] {
	return func(yield func(file, error) bool) { walkFiles(src, "", tree, 0, yield) }
}

// walkFiles yields the blobs below a tree, in order; false means stop.
func walkFiles(src source, dir string, tree ID, depth int, yield func(file, error) bool) bool {
	t, err := src.ReadTree(tree)
	if err == nil && depth > maxDepth {
		err = fmt.Errorf("%w: deeper than %d folders", ErrBadPath, maxDepth)
	}
	if err != nil {
		yield(file{}, fmt.Errorf("folder %q: %w", dir, err))
		return false
	}
	for i := range t.Len() {
		e := t.Entry(i)
		path := join(dir, e.Name)
		switch e.Mode.Kind() {
		case KindTree:
			if !walkFiles(src, path, e.ID, depth+1, yield) {
				return false
			}
		case KindBlob:
			if !yield(file{path, e, nil}, nil) {
				return false
			}
		}
	}
	return true
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// statPath walks from a root tree along a path.
func statPath(src source, tree ID, path string) (TreeEntry, bool, error) {
	e := TreeEntry{Mode: ModeDir, ID: tree}
	path = strings.Trim(path, "/")
	for path != "" {
		name, rest, _ := strings.Cut(path, "/")
		if !e.Mode.IsDir() {
			return TreeEntry{}, false, nil
		}
		t, err := src.ReadTree(e.ID)
		if err != nil {
			return TreeEntry{}, false, err
		}
		var ok bool
		if e, ok = t.Find(name); !ok {
			return TreeEntry{}, false, nil
		}
		path = rest
	}
	return e, true, nil
}

// decode reads the value in a blob.
func (r *Repo[K, V]) decode(src ObjectReader, path string, blob ID) (V, error) {
	var zero V
	content, err := readKind(src, blob, KindBlob)
	if err != nil {
		return zero, fmt.Errorf("%s: %w", path, err)
	}
	return r.decodeContent(path, content)
}

// decodeContent reads the value in a blob's content.
func (r *Repo[K, V]) decodeContent(path string, content []byte) (V, error) {
	v, err := r.cfg.Codec.Decode(content)
	if err != nil {
		var zero V
		return zero, fmt.Errorf("%s: %w", path, errors.Join(ErrDecode, err))
	}
	return v, nil
}
