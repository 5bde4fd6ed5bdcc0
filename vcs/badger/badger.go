package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"arpeggio/vcs"
)

// Config configures Open. The zero value works.
type Config struct {
	// Logger hears what recovery found and what badger says. Nil discards.
	Logger *slog.Logger
	// VerifyAll checks the whole chain of commits on open, not only what is
	// newer than the last verified state.
	VerifyAll bool
	// MinFree is the free space, in bytes, below which Apply fails with
	// ErrNoSpace. Default 48 MiB, or an eighth of a disk that is smaller than
	// 384 MiB; negative turns the check off.
	MinFree int64

	memTable int64 // for tests, whose stores are small; values must be smaller, too
}

// Sizes, chosen for machines with little memory (27 MB resident measured after
// 20,000 commits, against 240 MB with badger's defaults). A value must be under
// valueThreshold to stay in the LSM tree, and the threshold under 15 % of a
// memtable.
const (
	memTable       = 8 << 20
	valueThreshold = 1 << 20
	chunk          = 64 << 10 // of a checkpoint
)

// Backend is a directory. It implements vcs.Backend and vcs.ObjectReader and is
// safe for concurrent use.
type Backend struct {
	db      *badger.DB
	dir     string
	cfg     Config
	report  vcs.Report
	minFree int64

	mu     sync.Mutex // one Apply at a time
	meta   meta
	pruned meta // as it was when the last prune had ended; zero before the first
	closed bool
	rw     sync.RWMutex // Close waits for readers
}

// Open opens a directory, or makes an empty one into a backend. It brings it to
// the last batch that was applied, and checks what the refs lead to (see
// vcs.Verify). Damaged or missing objects are no error: Report has them, the
// log says so, and the rest is readable.
//
// The error wraps ErrForeign, ErrNewer, ErrLocked or ErrDamaged and names the
// remedy. Open never deletes or overwrites what it does not know.
func Open(ctx context.Context, dir string, cfg Config) (*Backend, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.memTable == 0 {
		cfg.memTable = memTable
	}
	if err := inspect(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("badger: %w", err)
	}
	found, err := repairFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range found.notes {
		cfg.Logger.Warn("badger: repaired", "dir", dir, "note", n)
	}
	db, err := badger.Open(badger.DefaultOptions(dir).
		WithExternalMagic(magic | version).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(cfg.memTable).WithNumMemtables(1).
		WithNumLevelZeroTables(1).WithNumLevelZeroTablesStall(2).
		WithNumCompactors(2). // zero or at least two, says badger
		WithBaseTableSize(1 << 20).WithBaseLevelSize(64 << 20).
		WithValueThreshold(min(valueThreshold, cfg.memTable/7)).WithValueLogFileSize(1 << 20).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		// A compaction that meets a block with a bad checksum drops the rest of
		// its table. Without the check the damaged value stays where it is, its
		// neighbours live, and the object's hash tells.
		WithChecksumVerificationMode(options.NoVerification).
		WithMetricsEnabled(false).
		WithLogger(logger{cfg.Logger}))
	if err != nil {
		return nil, openError(dir, err)
	}
	b := &Backend{db: db, dir: dir, cfg: cfg, minFree: minFree(dir, cfg.MinFree)}
	if err := b.recover(ctx, found); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := writeFormat(dir); err != nil { // what remains readable on a full disk matters more
		cfg.Logger.Warn("badger: no FORMAT file", "dir", dir, "err", err)
	}
	return b, nil
}

// Report returns what Open found.
func (b *Backend) Report() vcs.Report { return b.report }

// Close implements vcs.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rw.Lock()
	defer b.rw.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("badger: close %s: %w", b.dir, err)
	}
	return nil
}

// view runs a read transaction.
func (b *Backend) view(fn func(*badger.Txn) error) (err error) {
	b.rw.RLock()
	defer b.rw.RUnlock()
	if b.closed {
		return ErrClosed
	}
	defer func() { // badger panics on some damaged tables
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s: %v", ErrDamaged, b.dir, p)
		}
	}()
	return b.db.View(fn)
}

// ReadObject implements vcs.ObjectReader, for objects that the log does not
// tell.
func (b *Backend) ReadObject(id vcs.ID) (kind vcs.Kind, content []byte, err error) {
	err = b.view(func(txn *badger.Txn) error {
		it, err := txn.Get(objectKey(id))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
		}
		var v []byte
		if err == nil {
			v, err = it.ValueCopy(nil)
		}
		if err != nil {
			return fmt.Errorf("%w: %v: %w", vcs.ErrCorrupt, id, err)
		}
		if len(v) > 0 {
			kind, content = vcs.Kind(v[0]), v[1:]
		}
		if vcs.HashObject(kind, content) != id {
			return fmt.Errorf("%w: %v does not hash to its name", vcs.ErrCorrupt, id)
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return kind, content, nil
}

// Load implements vcs.Backend.
func (b *Backend) Load(ctx context.Context) (vcs.State, error) {
	b.mu.Lock()
	m := b.meta
	b.mu.Unlock()
	var st vcs.State
	err := b.view(func(txn *badger.Txn) (err error) {
		if st.Refs, err = readRefs(txn); err != nil {
			return err
		}
		st.Checkpoint, err = m.checkpoint(txn)
		return err
	})
	if err != nil {
		return st, fmt.Errorf("badger: load %s: %w", b.dir, err)
	}
	st.Log = func(yield func([]byte, error) bool) {
		var keys [][]byte
		err := b.view(func(txn *badger.Txn) error {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{logMark}})
			defer it.Close()
			end := string(logKey(m.LogEnd))
			for it.Seek(logKey(m.LogStart)); it.Valid() && string(it.Item().Key()) < end; it.Next() {
				keys = append(keys, it.Item().KeyCopy(nil))
			}
			return nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("badger: log of %s: %w", b.dir, err))
			return
		}
		for _, k := range keys {
			var rec []byte
			err := b.view(func(txn *badger.Txn) (err error) {
				rec, err = get(txn, k)
				return err
			})
			if err != nil {
				yield(nil, fmt.Errorf("badger: log record %x: %w", k[1:], err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
	return st, ctx.Err()
}

// recover reads the meta record, verifies what the refs lead to, and remembers
// the verified heads.
func (b *Backend) recover(ctx context.Context, found *repair) error {
	var refs []vcs.Ref
	var vouched []byte
	err := b.view(func(txn *badger.Txn) (err error) {
		if b.meta, err = readMeta(txn); err != nil {
			return err
		}
		if vouched, err = getOptional(txn, []byte(verifiedKey)); err != nil {
			return err
		}
		refs, err = readRefs(txn)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, b.dir, err)
	}
	known := make(map[vcs.ID]bool)
	for ids := vouched; len(ids) >= len(vcs.ID{}) && !b.cfg.VerifyAll; ids = ids[len(vcs.ID{}):] {
		known[vcs.ID(ids[:len(vcs.ID{})])] = true
	}
	st, err := b.Load(ctx)
	if err != nil {
		return err
	}
	objects, err := vcs.OpenLog(ctx, st, b)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, b.dir, err)
	}
	if b.report, err = vcs.Verify(ctx, objects, refs, func(id vcs.ID) bool { return known[id] }); err != nil {
		return err
	}
	b.report.Notes = found.notes
	b.report.Problems = append(found.damage, b.report.Problems...)
	for _, p := range b.report.Problems {
		b.cfg.Logger.Error("badger: damaged object", "dir", b.dir, "problem", p.String())
	}
	b.cfg.Logger.Info("badger: opened", "dir", b.dir, "report", b.report.String())
	if err := b.prune(); err != nil {
		return err
	}
	if !b.report.OK() {
		return nil
	}
	var heads []byte
	for _, r := range refs {
		if id, err := vcs.PeelCommit(objects, r.Target); err == nil && len(heads) < valueThreshold/2 {
			heads = append(heads, id[:]...)
		}
	}
	if slices.Equal(heads, vouched) {
		return nil
	}
	if b.room() != nil {
		return nil // a full disk can be read all the same
	}
	err = b.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(verifiedKey), heads) })
	if err != nil {
		return fmt.Errorf("badger: %s: %w", b.dir, err)
	}
	return nil
}

// KeepsLog implements vcs.LogKeeper.
func (b *Backend) KeepsLog() bool { return true }

// Dir returns the directory.
func (b *Backend) Dir() string { return b.dir }
