package gitremote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"arpeggio/vcs"
)

var (
	_ vcs.Backend      = (*Dir)(nil)
	_ vcs.ObjectReader = (*Dir)(nil)
	_ vcs.RefReader    = (*Dir)(nil)
)

// stateRef keeps what a vcs.Backend remembers besides refs and objects: a chain
// of commits, one for each batch with log records, whose first one holds the
// checkpoint. It moves with the same rename as all other refs.
const stateRef = "refs/arpeggio/log"

// Names in the trees of that chain.
const (
	recordsName    = "records"
	checkpointName = "checkpoint"
)

// Load implements vcs.Backend.
func (d *Dir) Load(ctx context.Context) (vcs.State, error) {
	refs, err := d.Refs()
	if err != nil {
		return vcs.State{}, err
	}
	st := vcs.State{Refs: slices.Clone(refs)}
	chain, checkpoint, err := d.loadChain(ctx)
	if err != nil {
		return vcs.State{}, fmt.Errorf("gitremote: load %s: %w", stateRef, err)
	}
	st.Checkpoint = checkpoint
	st.Log = func(yield func([]byte, error) bool) {
		for _, id := range chain {
			for rec, err := range d.records(id) {
				if !yield(rec, err) || err != nil {
					return
				}
			}
		}
	}
	return st, nil
}

// loadChain returns the blobs of records, oldest first, and the checkpoint.
func (d *Dir) loadChain(ctx context.Context) (chain []vcs.ID, checkpoint []byte, err error) {
	refs, err := readRefs(d.path)
	if err != nil {
		return nil, nil, err
	}
	for tip := refMap(refs)[stateRef]; !tip.IsZero(); {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		c, err := readCommit(d, tip)
		if err != nil {
			return nil, nil, err
		}
		_, content, err := d.ReadObject(c.Tree)
		if err != nil {
			return nil, nil, err
		}
		tree, err := vcs.ParseTree(content)
		if err != nil {
			return nil, nil, err
		}
		if e, ok := tree.Find(recordsName); ok {
			chain = append(chain, e.ID)
		}
		if e, ok := tree.Find(checkpointName); ok {
			if _, checkpoint, err = d.ReadObject(e.ID); err != nil {
				return nil, nil, err
			}
			break
		}
		if len(c.Parents) == 0 {
			break
		}
		tip = c.Parents[0]
	}
	slices.Reverse(chain)
	return chain, checkpoint, nil
}

// records yields the log records of one blob: each four bytes of length, most
// significant first, and the record.
func (d *Dir) records(id vcs.ID) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		_, b, err := d.ReadObject(id)
		if err != nil {
			yield(nil, err)
			return
		}
		for len(b) > 0 {
			if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
				yield(nil, fmt.Errorf("%w: log records in %s", vcs.ErrCorrupt, id))
				return
			}
			n := binary.BigEndian.Uint32(b)
			if !yield(b[4:4+n:4+n], nil) {
				return
			}
			b = b[4+n:]
		}
	}
}

// Apply implements vcs.Backend: one pack and one rename of packed-refs, both
// synced. A Dir of OpenDir takes the writers' lock here and holds it until Close.
func (d *Dir) Apply(ctx context.Context, b *vcs.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.lock(); err != nil {
		return err
	}
	old, err := readRefs(d.path)
	if err != nil {
		return err
	}
	at := refMap(old)
	for _, u := range b.Refs {
		if at[u.Name] != u.Old {
			return fmt.Errorf("%w: %s is at %s, not at %s", vcs.ErrRefMoved, u.Name, at[u.Name], u.Old)
		}
		if u.Name == stateRef {
			return fmt.Errorf("%w: %s is reserved", vcs.ErrBadRefName, u.Name)
		}
	}
	var objects objectList
	if b.Objects != nil {
		for o := range b.Objects {
			objects.add(o)
		}
	}
	refs := slices.Clone(old)
	for _, u := range b.Refs {
		refs = setRef(refs, u.Name, u.New)
	}
	if len(b.Log) > 0 || b.Checkpoint != nil {
		state, err := objects.addState(b, at[stateRef])
		if err != nil {
			return err
		}
		refs = setRef(refs, stateRef, state)
	}
	if _, err := d.apply(old, change{
		refs:  refs,
		trust: trustAll,
		write: func(w io.Writer, have vcs.ObjectReader, _ []vcs.Ref) error { return objects.encode(w, have) },
	}); err != nil && !errors.Is(err, errUnmerged) { // the batch is in, whether packs were merged or not
		return fmt.Errorf("gitremote: apply: %w", err)
	}
	return nil
}

func setRef(refs []vcs.Ref, name string, id vcs.ID) []vcs.Ref {
	refs = slices.DeleteFunc(refs, func(r vcs.Ref) bool { return r.Name == name })
	if !id.IsZero() {
		refs = append(refs, vcs.Ref{Name: name, Target: id})
		sortRefs(refs)
	}
	return refs
}

// lock takes the writers' lock until Close.
func (d *Dir) lock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("%w: %s", vcs.ErrClosed, d.path)
	}
	if d.unlock != nil {
		return nil
	}
	unlock, err := lockDir(d.path)
	if err != nil {
		return err
	}
	if err := removeLeftovers(d.path); err != nil {
		unlock()
		return err
	}
	d.unlock = unlock
	return nil
}

// addState adds the objects of one more link of the chain and returns its
// commit. A checkpoint starts the chain anew.
func (l *objectList) addState(b *vcs.Batch, previous vcs.ID) (vcs.ID, error) {
	var records []byte
	for _, r := range b.Log {
		records = append(binary.BigEndian.AppendUint32(records, uint32(len(r))), r...)
	}
	entries := []vcs.TreeEntry{{Name: recordsName, Mode: vcs.ModeFile, ID: l.put(vcs.KindBlob, records)}}
	who := vcs.Signature{Name: "arpeggio", Email: "arpeggio@localhost", When: time.Unix(0, 0).UTC()}
	c := vcs.Commit{Author: who, Committer: who, Message: fmt.Sprintf("log: %d records\n", len(b.Log))}
	if b.Checkpoint != nil {
		entries = append(entries, vcs.TreeEntry{Name: checkpointName, Mode: vcs.ModeFile, ID: l.put(vcs.KindBlob, slices.Clone(b.Checkpoint))})
	} else if !previous.IsZero() {
		c.Parents = []vcs.ID{previous}
	}
	tree, err := vcs.NewTree(entries)
	if err != nil {
		return vcs.ID{}, err
	}
	c.Tree = l.put(vcs.KindTree, tree.Content())
	return l.put(vcs.KindCommit, c.Encode(nil)), nil
}
