package badger

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
)

// Apply implements vcs.Backend.
func (b *Backend) Apply(ctx context.Context, batch *vcs.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if len(batch.Refs) > vcs.MaxBatchRefs {
		return fmt.Errorf("badger: %w: %d ref updates (at most %d)", vcs.ErrTooLarge, len(batch.Refs), vcs.MaxBatchRefs)
	}
	if batch.Fold < 0 || batch.Drop < 0 || batch.Checkpoint != nil && batch.Fold+batch.Drop > 0 {
		return fmt.Errorf("badger: %w: a batch with checkpoint: %t drops %d and folds %d log records", vcs.ErrCorrupt, batch.Checkpoint != nil, batch.Drop, batch.Fold)
	}
	if err := b.writable(); err != nil {
		return err
	}
	w := &spill{db: b.db}
	m, err := b.write(w, batch)
	if err == nil {
		err = w.commit()
	}
	w.discard()
	if err != nil {
		return fmt.Errorf("badger: apply to %s: %w", b.dir, err)
	}
	b.tail = b.tailAfter(batch, m)
	b.meta, b.opened = m, nil
	if m.LogStart != b.pruned.LogStart || m.Checkpoint != b.pruned.Checkpoint {
		// The batch is in; what could not be deleted goes with the next one or
		// at the next Open.
		if err := b.prune(); err != nil {
			b.cfg.Logger.Warn("badger: old log records stay for now", "err", err)
		}
	}
	return nil
}

// write puts a batch into transactions of which the last one, not yet
// committed, holds the refs and the meta record.
func (b *Backend) write(w *spill, batch *vcs.Batch) (meta, error) {
	m := b.meta
	if err := b.checkRefs(batch.Refs); err != nil {
		return m, err
	}
	folded, start, err := b.leaving(batch.Fold, batch.Drop)
	if err != nil {
		return m, err
	}
	m.LogStart = start
	if batch.Objects != nil {
		for o := range batch.Objects {
			v := append(append(make([]byte, 0, 1+len(o.Content)), byte(o.Kind)), o.Content...)
			if len(v) >= valueThreshold {
				return m, fmt.Errorf("%w: object %v of %d bytes", vcs.ErrTooLarge, o.ID, len(o.Content))
			}
			if err := w.set(objectKey(o.ID), v); err != nil {
				return m, err
			}
		}
	}
	for _, id := range batch.Forget {
		if err := w.delete(objectKey(id)); err != nil {
			return m, err
		}
	}
	if batch.Checkpoint != nil {
		m.LogStart = m.LogEnd
		m.Checkpoint++
		m.Chunks = 0
		for rest := batch.Checkpoint; len(rest) > 0; m.Chunks++ {
			n := min(len(rest), chunk)
			if err := w.set(chunkKey(m.Checkpoint, m.Chunks), rest[:n:n]); err != nil {
				return m, err
			}
			rest = rest[n:]
		}
	}
	for _, rec := range batch.Log {
		if len(rec) > vcs.MaxRecord {
			return m, fmt.Errorf("%w: log record of %d bytes (at most %d)", vcs.ErrTooLarge, len(rec), vcs.MaxRecord)
		}
		if err := w.set(logKey(m.LogEnd), rec); err != nil {
			return m, err
		}
		m.LogEnd++
	}
	return m, b.writeLast(w, batch.Refs, folded, m)
}

// maxTail is about how many log records are known by number, more than a store
// folds at once.
const maxTail = 128

// tailAfter returns the numbers of the newest log records after a batch, as far as
// they are known.
func (b *Backend) tailAfter(batch *vcs.Batch, m meta) []uint64 {
	tail := b.tail[:max(len(b.tail)-batch.Fold, 0)]
	if batch.Checkpoint != nil {
		tail = tail[:0]
	}
	for n := b.meta.LogEnd; n < m.LogEnd; n++ {
		tail = append(tail, n)
	}
	gone := max(len(tail)-maxTail, 0)
	for gone < len(tail) && tail[gone] < m.LogStart {
		gone++
	}
	return append(tail[:0], tail[gone:]...)
}

// leaving returns the keys of the newest log records, which are folded, and the
// number from which records count when the oldest are dropped.
func (b *Backend) leaving(fold, drop int) (folded [][]byte, start uint64, err error) {
	start = b.meta.LogStart
	if drop == 0 && fold <= len(b.tail) { // as nearly always: an iterator would copy the records, too
		for _, n := range b.tail[len(b.tail)-fold:] {
			folded = append(folded, logKey(n))
		}
		return folded, start, nil
	}
	err = b.db.View(func(txn *badger.Txn) error {
		first, end := string(logKey(b.meta.LogStart)), string(logKey(b.meta.LogEnd))
		it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
		defer it.Close()
		for it.Seek([]byte(end)); len(folded) < fold && it.ValidForPrefix([]byte{logMark}); it.Next() {
			k := it.Item().KeyCopy(nil)
			if string(k) < first {
				break
			}
			if string(k) < end {
				folded = append(folded, k)
			}
		}
		if len(folded) < fold {
			return fmt.Errorf("%w: folds %d of %d log records", vcs.ErrCorrupt, fold, len(folded))
		}
		if fold > 0 {
			end = string(folded[fold-1])
		}
		it2 := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{logMark}})
		defer it2.Close()
		n := 0
		for it2.Seek([]byte(first)); n < drop && it2.Valid() && string(it2.Item().Key()) < end; it2.Next() {
			start = logSeq(it2.Item().Key()) + 1
			n++
		}
		if n < drop {
			return fmt.Errorf("%w: drops %d of %d log records", vcs.ErrCorrupt, drop, n)
		}
		return nil
	})
	return folded, start, err
}

// writeLast adds what makes the batch count, all of it to one transaction.
func (b *Backend) writeLast(w *spill, updates []vcs.RefUpdate, folded [][]byte, m meta) error {
	size := int64(len(metaKey) + metaLen)
	for _, u := range updates {
		size += int64(len(u.Name) + len(u.New))
	}
	size += int64(len(folded) * len(logKey(0)))
	if err := w.reserve(size, int64(len(updates)+len(folded)+1)); err != nil {
		return err
	}
	for _, k := range folded {
		if err := w.txn.Delete(k); err != nil {
			return err
		}
	}
	for _, u := range updates {
		var err error
		if u.New.IsZero() {
			err = w.txn.Delete(refKey(u.Name))
		} else {
			err = w.txn.Set(refKey(u.Name), u.New[:])
		}
		if err != nil {
			return err
		}
	}
	if m == b.meta {
		return nil
	}
	return w.txn.Set([]byte(metaKey), m.encode())
}

func (b *Backend) checkRefs(updates []vcs.RefUpdate) error {
	return b.db.View(func(txn *badger.Txn) error {
		for _, u := range updates {
			v, err := getOptional(txn, refKey(u.Name))
			if err != nil {
				return err
			}
			var have vcs.ID
			copy(have[:], v)
			if have != u.Old {
				return fmt.Errorf("%w: %s is at %v, not at %v", vcs.ErrRefMoved, u.Name, have, u.Old)
			}
		}
		return nil
	})
}

// prune deletes log records and checkpoint chunks that no longer count and were
// not deleted yet, and, after a crash, chunks of a checkpoint whose batch was
// never finished.
func (b *Backend) prune() error {
	var dead [][]byte
	err := b.db.View(func(txn *badger.Txn) error {
		scan := func(mark byte, from []byte, live func(key []byte) bool) {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{mark}})
			defer it.Close()
			for it.Seek(from); it.Valid() && !live(it.Item().Key()); it.Next() {
				dead = append(dead, it.Item().KeyCopy(nil))
			}
		}
		start, first := string(logKey(b.meta.LogStart)), string(chunkKey(b.meta.Checkpoint, 0))
		scan(logMark, logKey(b.pruned.LogStart), func(k []byte) bool { return string(k) >= start })
		scan(chunkMark, chunkKey(b.pruned.Checkpoint, 0), func(k []byte) bool { return string(k) >= first })
		scan(chunkMark, chunkKey(b.meta.Checkpoint, b.meta.Chunks), func([]byte) bool { return false })
		return nil
	})
	w := &spill{db: b.db}
	defer w.discard()
	for _, k := range dead {
		if err == nil {
			err = w.delete(k)
		}
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		return fmt.Errorf("badger: prune %s: %w", b.dir, err)
	}
	b.pruned = b.meta
	return nil
}

// spill is a transaction that commits and starts anew when it is full.
type spill struct {
	db    *badger.DB
	txn   *badger.Txn
	size  int64 // of txn, by a generous estimate
	count int64
}

// perEntry is more than what badger counts for an entry besides key and value.
const perEntry = 32

// reserve makes room for more entries in one transaction.
func (w *spill) reserve(size, count int64) error {
	size += count * perEntry
	if w.txn != nil && (w.size+size >= w.db.MaxBatchSize() || w.count+count+1 >= w.db.MaxBatchCount()) {
		if err := w.commit(); err != nil {
			return err
		}
	}
	if w.txn == nil {
		w.txn, w.size, w.count = w.db.NewTransaction(true), 0, 0
	}
	w.size += size
	w.count += count
	return nil
}

func (w *spill) set(key, value []byte) error {
	if err := w.reserve(int64(len(key)+len(value)), 1); err != nil {
		return err
	}
	return w.txn.Set(key, value)
}

func (w *spill) delete(key []byte) error {
	if err := w.reserve(int64(len(key)), 1); err != nil {
		return err
	}
	return w.txn.Delete(key)
}

func (w *spill) commit() error {
	if w.txn == nil {
		return nil
	}
	txn := w.txn
	w.txn = nil
	return txn.Commit()
}

func (w *spill) discard() {
	if w.txn != nil {
		w.txn.Discard()
		w.txn = nil
	}
}
