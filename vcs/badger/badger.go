package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

	mu       sync.Mutex // one Apply at a time
	readOnly bool       // the disk was full when it was opened
	meta     meta
	tail     []uint64         // numbers of the newest log records, ascending, as far as they are known
	opened   vcs.ObjectReader // of the log as Open left it, for the first Load
	written  []byte           // heads that the last store to be closed has left
	pruned   meta             // as it was when the last prune had ended; zero before the first
	closed   bool
	rw       sync.RWMutex // Close waits for readers
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
	b := &Backend{dir: dir, cfg: cfg, minFree: minFree(dir, cfg.MinFree)}
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
		b.readOnly = b.room() != nil
	} else if err := b.roomFor(2 * cfg.memTable); err != nil {
		return nil, err
	}
	if b.db, err = cfg.openFiles(dir, b.readOnly); err != nil {
		return nil, err
	}
	if err := b.recover(ctx, found); err != nil {
		return nil, errors.Join(err, b.db.Close())
	}
	if !b.readOnly {
		if err := writeFormat(dir); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// openFiles opens a directory's files.
func (cfg *Config) openFiles(dir string, readOnly bool) (*badger.DB, error) {
	if !readOnly { // or badger makes nothing
		if err := prepare(dir); err != nil {
			return nil, err
		}
	}
	db, err := badger.Open(cfg.options(dir, readOnly))
	if err != nil {
		return nil, openError(dir, err)
	}
	return db, nil
}

// options are badger's, for small machines.
func (cfg *Config) options(dir string, readOnly bool) badger.Options {
	return badger.DefaultOptions(dir).
		WithReadOnly(readOnly).
		WithExternalMagic(magic | version).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(cfg.memTable).WithNumMemtables(1).
		WithNumLevelZeroTables(1).WithNumLevelZeroTablesStall(2).
		WithNumCompactors(2). // zero or at least two, says badger
		// Tables go from level zero to the last one at once up to this size, so
		// that what was deleted leaves with the next compaction.
		WithBaseTableSize(1 << 20).WithBaseLevelSize(64 << 20).
		WithValueThreshold(min(valueThreshold, cfg.memTable/7)).WithValueLogFileSize(1 << 20).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		// A compaction that meets a block with a bad checksum drops the rest of
		// its table. Without the check the damaged value stays where it is, its
		// neighbours live, and the object's hash tells.
		WithChecksumVerificationMode(options.NoVerification).
		WithMetricsEnabled(false).
		WithLogger(logger{cfg.Logger})
}

// Report returns what Open found.
func (b *Backend) Report() vcs.Report { return b.report }

// Aside returns the names of the folders in the directory that keep damaged
// files as they were, each with a README, set aside by this Open or an earlier
// one. Delete a folder when it is of no more use.
func (b *Backend) Aside() []string {
	entries, _ := os.ReadDir(b.dir) // it was readable a moment ago
	var names []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), asidePrefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// Close implements vcs.Backend. On a full disk it leaves the directory as a crash
// would, with all that was acknowledged, and open until the process ends; the
// error wraps ErrNoSpace.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rw.Lock()
	defer b.rw.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if err := b.roomFor(2 * b.cfg.memTable); err != nil && !b.readOnly {
		return fmt.Errorf("badger: close %s: nothing is lost, but it stays locked: %w", b.dir, err)
	}
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("badger: close %s: %w", b.dir, err)
	}
	return nil
}

// writable makes sure that there is room to write, and opens a directory for
// writing that was opened when its disk was full. The lock is held.
func (b *Backend) writable() error {
	if err := b.room(); err != nil || !b.readOnly {
		return err
	}
	b.rw.Lock()
	defer b.rw.Unlock()
	err := b.db.Close()
	if err != nil {
		err = openError(b.dir, err)
	} else {
		b.db, err = b.cfg.openFiles(b.dir, false)
	}
	if err != nil {
		b.closed = true
		return err
	}
	b.readOnly = false
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
	st := vcs.State{Opened: b.opened}
	b.opened = nil
	b.mu.Unlock()
	err := b.view(func(txn *badger.Txn) (err error) {
		if st.Refs, err = readRefs(txn); err != nil {
			return err
		}
		if st.Kept, err = readState(txn); err != nil {
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

// KeepsLog implements vcs.LogKeeper.
func (b *Backend) KeepsLog() bool { return true }

// Dir returns the directory.
func (b *Backend) Dir() string { return b.dir }
