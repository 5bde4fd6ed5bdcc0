package badger

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
)

// Under writtenKey are the heads as a store left them that was closed, as under
// verifiedKey those that Open has verified. The state that was kept lies under
// stateMark and the number of a chunk.
const (
	writtenKey = "w"
	stateMark  = 's'
)

func stateKey(i uint32) []byte { return binary.BigEndian.AppendUint32([]byte{stateMark}, i) }

// KeepState implements vcs.StateKeeper. What it writes counts for the next Open
// only where this one has found no damage.
func (b *Backend) KeepState(heads []vcs.Ref, state []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.readOnly || !b.report.OK() || b.roomFor(int64(2*len(state))) != nil {
		return nil
	}
	list := appendHeads(nil, heads)
	if state == nil && bytes.Equal(list, b.written) {
		return nil
	}
	w := &spill{db: b.db}
	defer w.discard()
	if state != nil {
		if err := b.writeState(w, state); err != nil {
			return err
		}
	}
	err := w.set([]byte(writtenKey), list)
	if err == nil {
		err = w.commit()
	}
	if err == nil {
		b.written = list
	}
	return err
}

// writeState replaces the chunks of the state. One that is torn is none.
func (b *Backend) writeState(w *spill, state []byte) error {
	n := uint32(0)
	for part := range slices.Chunk(state, chunk) {
		if err := w.set(stateKey(n), part); err != nil {
			return err
		}
		n++
	}
	var old [][]byte
	err := b.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{stateMark}})
		defer it.Close()
		for it.Seek(stateKey(n)); it.Valid(); it.Next() {
			old = append(old, it.Item().KeyCopy(nil))
		}
		return nil
	})
	for _, k := range old {
		if err == nil {
			err = w.delete(k)
		}
	}
	return err
}

// readState joins the chunks of the state.
func readState(txn *badger.Txn) (state []byte, err error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{stateMark}, PrefetchValues: true, PrefetchSize: 4})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		part, err := it.Item().ValueCopy(nil)
		if err != nil {
			return nil, err
		}
		state = append(state, part...)
	}
	return state, nil
}
