package vcs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// Proof holds the objects that show what commits hold, to somebody who has no
// store but trusts a commit's id: each object is looked up by its hash, starting
// from that id. So a proof either answers as the store would or not at all,
// whoever wrote it, as long as SHA-1 holds: one who can choose both of two
// colliding contents could prove either.
//
// A Proof is an ObjectReader. With SnapshotFrom, DiffTrees or MergeBases it
// proves the answers of whatever ProveReads recorded: a folder's list, a
// difference, a common ancestor. It is safe for concurrent use.
//
// Git hashes a folder as one, so a proof holds whole folders: for one key of a
// hundred thousand, in a layout of folders of sixteen, about 3 kB.
type Proof struct {
	objs  []Object
	index map[ID]int
}

// Prove proves what a commit holds at some paths: the file's content, or that
// there is none.
func Prove(r ObjectReader, commit ID, paths ...string) (*Proof, error) {
	return ProveReads(r, func(r ObjectReader) error {
		src := Decoding{r}
		c, err := src.ReadCommit(commit)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if _, _, err := readFile(src, c.Tree, path); err != nil {
				return err
			}
		}
		return nil
	})
}

// ProveReads returns a proof with all objects that read asked the reader for.
// Reading the same from the proof gives the same answers.
func ProveReads(r ObjectReader, read func(ObjectReader) error) (*Proof, error) {
	rec := recorder{r: r, p: &Proof{index: make(map[ID]int)}}
	if err := read(&rec); err != nil {
		return nil, err
	}
	return rec.p, nil
}

// recorder keeps what is read through it.
type recorder struct {
	r  ObjectReader
	mu sync.Mutex
	p  *Proof
}

func (rec *recorder) ReadObject(id ID) (Kind, []byte, error) {
	kind, content, err := rec.r.ReadObject(id)
	if err != nil {
		return kind, content, err
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if _, ok := rec.p.index[id]; !ok {
		if have := HashObject(kind, content); have != id {
			return 0, nil, fmt.Errorf("%w: %v hashes to %v", ErrCorrupt, id, have)
		}
		rec.p.add(Object{id, kind, content})
	}
	return kind, content, nil
}

func (p *Proof) add(o Object) {
	p.index[o.ID] = len(p.objs)
	p.objs = append(p.objs, o)
}

// Verify returns what a commit holds at a path: a file's content, or that there
// is no file. The error wraps ErrProof when the proof does not show it.
func (p *Proof) Verify(commit ID, path string) (content []byte, present bool, err error) {
	src := Decoding{p}
	c, err := src.ReadCommit(commit)
	if err == nil {
		content, present, err = readFile(src, c.Tree, path)
	}
	if err != nil {
		return nil, false, proofError(fmt.Errorf("of %.120q at %v: %w", path, commit, err))
	}
	return content, present, nil
}

// readFile returns the file at a path below a tree.
func readFile(src source, tree ID, path string) (content []byte, present bool, err error) {
	e, ok, err := statPath(src, tree, path)
	if err != nil || !ok || e.Mode.Kind() != KindBlob {
		return nil, false, err
	}
	content, err = readKind(src, e.ID, KindBlob)
	return content, err == nil, err
}

func proofError(err error) error {
	if errors.Is(err, ErrProof) {
		return err
	}
	return fmt.Errorf("%w %w", ErrProof, err)
}

// ReadObject implements ObjectReader. The error for an object that the proof
// lacks wraps ErrProof and ErrNotFound.
func (p *Proof) ReadObject(id ID) (Kind, []byte, error) {
	if i, ok := p.index[id]; ok {
		return p.objs[i].Kind, p.objs[i].Content, nil
	}
	return 0, nil, fmt.Errorf("%w: %w: %v", ErrProof, ErrNotFound, id)
}

// Len returns the number of objects.
func (p *Proof) Len() int { return len(p.objs) }

// proofMagic begins an encoded proof: a name and the version of the format.
const proofMagic = "vcsproof\x01"

// Encode appends the proof's binary form: for each object, in the order in which
// they were read, its size times four plus its kind less one as an unsigned
// varint, and its content. Ids are not written: they are the contents' hashes.
func (p *Proof) Encode(b []byte) []byte {
	b = append(b, proofMagic...)
	for _, o := range p.objs {
		b = binary.AppendUvarint(b, uint64(len(o.Content))<<2|uint64(o.Kind-1))
		b = append(b, o.Content...)
	}
	return b
}

// ParseProof decodes what Encode wrote, and keeps b. It hashes each object and
// checks its form as git fsck --strict does; the error wraps ErrProof. What the
// proof is worth only Verify says.
func ParseProof(b []byte) (*Proof, error) {
	if len(b) < len(proofMagic) || string(b[:len(proofMagic)]) != proofMagic {
		return nil, fmt.Errorf("%w: not a proof of version %d", ErrProof, proofMagic[len(proofMagic)-1])
	}
	p := &Proof{index: make(map[ID]int)}
	for b = b[len(proofMagic):]; len(b) > 0; {
		head, n := binary.Uvarint(b)
		size := head >> 2
		if n <= 0 || n > 1 && b[n-1] == 0 || size > uint64(len(b)-n) {
			return nil, fmt.Errorf("%w: object %d is cut off or its size is malformed", ErrProof, p.Len())
		}
		kind, content := Kind(head&3+1), b[n:n+int(size):n+int(size)]
		if err := CheckObject(kind, content); err != nil {
			return nil, fmt.Errorf("%w: object %d: %w", ErrProof, p.Len(), err)
		}
		id := HashObject(kind, content)
		if _, twice := p.index[id]; twice {
			return nil, fmt.Errorf("%w: object %v occurs twice", ErrProof, id)
		}
		p.add(Object{id, kind, content})
		b = b[n+int(size):]
	}
	return p, nil
}

// Prove proves what a commit holds for some keys.
func (r *Repo[K, V]) Prove(commit ID, keys ...K) (*Proof, error) {
	paths := make([]string, len(keys))
	for i, k := range keys {
		paths[i] = r.cfg.Layout.Path(k)
	}
	return Prove(r.s, commit, paths...)
}

// VerifyKey returns the value that a proof shows a commit to hold for a key, or
// its absence. Of the configuration only the Layout and the Codec are used, and
// they are believed. The error wraps ErrProof, or ErrDecode when what is proved
// is a file that the codec refuses.
func VerifyKey[K comparable, V any](p *Proof, cfg Config[K, V], commit ID, k K) (Opt[V], error) {
	snap, err := SnapshotFrom(p, cfg, commit)
	if err == nil {
		var o Opt[V]
		if o.Value, o.Present, err = snap.Get(k); err == nil {
			return o, nil
		}
	}
	if !errors.Is(err, ErrConfig) && !errors.Is(err, ErrDecode) {
		err = proofError(err)
	}
	return None[V](), err
}
