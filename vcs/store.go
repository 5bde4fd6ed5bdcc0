package vcs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// StoreConfig configures a Store. The zero value works.
type StoreConfig struct {
	// Head is the branch that a clone checks out. Default "primary".
	Head string
	// Logger hears of failed background writes. Nil discards.
	Logger *slog.Logger
	// FlushDelay is how long a group commit waits for company before its
	// Apply starts: at most, and by default, 10 ms. Negative means not at all.
	FlushDelay time.Duration
	// CacheBytes bounds the cache of decoded trees and commits. Default 8 MiB.
	CacheBytes int
	// MaxPending bounds the bytes of objects that wait for the backend. Beyond
	// it, writes wait for a backend that works and fail with ErrBacklog for one
	// that fails. Default 16 MiB.
	MaxPending int
	// Retention bounds the history. The zero value does not.
	Retention Retention
}

// MaxFlushDelay is the longest that a change waits before its sync starts.
const MaxFlushDelay = 10 * time.Millisecond

func (c *StoreConfig) fill() error {
	if c.Head == "" {
		c.Head = "primary"
	}
	if err := CheckRefName(BranchRef(c.Head)); err != nil {
		return fmt.Errorf("%w: Head: %w", ErrConfig, err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.FlushDelay == 0 || c.FlushDelay > MaxFlushDelay {
		c.FlushDelay = MaxFlushDelay
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = 8 << 20
	}
	if c.MaxPending <= 0 {
		c.MaxPending = 16 << 20
	}
	return c.Retention.fill()
}

// Store is the untyped half of a repository: refs and objects over a Backend,
// with group commit and watches. Servers (Git over HTTP, snapshots) use it; keys
// and values are added by Repo.
//
// A change is visible to every reader as soon as the call that made it returns,
// and durable when a later Sync returns. Changes become durable in the order in
// which they were made, so what survives a crash is a prefix. When the backend
// fails, the store goes on in memory, keeps what is unsaved in order, tries
// again, and says so through Sync, Close and, when MaxPending is reached,
// through ErrBacklog.
//
// A Store is safe for concurrent use.
type Store struct {
	cfg     StoreConfig
	backend Backend
	objects ObjectReader
	log     *logs    // nil when the backend stores all objects; then it is objects too
	natives *natives // of a log
	cache   cache
	work    workTrees // of a log
	epochs  *epochTable
	keeping turn         // an epoch is ended, put away or dropped
	drops   atomic.Int64 // how often epochs were dropped

	mu       sync.RWMutex
	refs     map[string]ID
	folders  map[string]int // how many refs are below each
	queue    []*group       // unsaved batches, oldest first; the last one is open
	pending  int            // bytes of objects and notes in queue
	watchers map[*Watcher]struct{}
	waiters  []waiter
	room     chan struct{} // closed when the flusher gets on; nil when nobody waits for that
	held     chan struct{} // closed when writers may go on; nil when they may
	tight    chan struct{} // the same, while the log is too large
	seq      uint64        // of the newest group
	// published counts what writers have put into the queue.
	published uint64
	saved     uint64 // newest group that is durable
	saveErr   error  // of the last Apply; nil after a success
	closed    bool
	ended     bool // not even the keeper adds to the queue: the flusher is about to end

	finding turn // of whoever goes through all of history for objects

	wake   chan struct{} // something is unsaved
	urgent chan struct{} // somebody waits for it
	stop   chan struct{}
	done   chan struct{} // the flusher has ended

	due      chan struct{}   // a bound is reached
	keepCtx  context.Context // of the keeper
	stopKeep context.CancelFunc
	kept     chan struct{} // the keeper has ended
}

// OpenStore loads the backend's refs and starts a store on it. The store owns
// the backend from then on, also when OpenStore fails, and closes it.
func OpenStore(ctx context.Context, b Backend, cfg StoreConfig) (*Store, error) {
	s := &Store{cfg: cfg, backend: b}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.keepCtx, s.stopKeep = keep, stop
	if err := s.open(ctx); err != nil {
		stop()
		return nil, errors.Join(err, b.Close())
	}
	go s.flusher()
	if s.cfg.Retention.bounded() {
		go s.keeper(keep)
	} else {
		close(s.kept)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := s.cfg.fill(); err != nil {
		return err
	}
	objects, ok := s.backend.(ObjectReader)
	if !ok {
		return fmt.Errorf("%w: backend %T keeps no objects and no reader recomputes them", ErrConfig, s.backend)
	}
	st, err := s.backend.Load(ctx)
	if err != nil {
		return fmt.Errorf("vcs: load: %w", err)
	}
	s.objects = objects
	if k, ok := s.backend.(LogKeeper); ok && k.KeepsLog() {
		s.natives = newNatives(objects)
		if s.log, ok = st.Opened.(*logs); !ok {
			if s.log, err = loadLog(ctx, st, objects); err != nil {
				return err
			}
		}
		s.log.readFrom(s.natives)
		if s.log.damage != nil {
			s.cfg.Logger.Error("vcs: a part of the history is lost", "err", s.log.damage)
		}
		s.log.current().adopt(st.Refs)
		s.objects = s.log
	}
	s.refs = make(map[string]ID, len(st.Refs))
	for _, r := range st.Refs {
		s.refs[r.Name] = r.Target
		s.countFolders(r.Name, 1)
	}
	s.cache.max = s.cfg.CacheBytes
	s.loadEpochs()
	if err := s.keepState(false); err != nil {
		s.cfg.Logger.Warn("vcs: the next opening takes longer", "err", err)
	}
	s.watchers = make(map[*Watcher]struct{})
	s.finding = newTurn()
	s.keeping = newTurn()
	s.wake = make(chan struct{}, 1)
	s.urgent = make(chan struct{}, 1)
	s.stop = make(chan struct{})
	s.done = make(chan struct{})
	s.due = make(chan struct{}, 1)
	s.kept = make(chan struct{})
	return nil
}

// Close makes everything durable, ends all watchers and closes the backend. The
// error says what could not be saved: what was written, or what makes the next
// opening short. Later calls return nil.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	for w := range s.watchers {
		w.end()
	}
	clear(s.watchers)
	s.mu.Unlock()
	s.stopKeep()
	<-s.kept // what it had done, such as an archive, is recorded
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	s.mu.RLock()
	err := s.saveErr
	s.mu.RUnlock()
	if err != nil {
		err = fmt.Errorf("vcs: close: unsaved changes are lost: %w", err)
	} else if err = s.keepState(true); err != nil {
		err = fmt.Errorf("vcs: close: all is saved, but the next opening takes longer: %w", err)
	}
	return errors.Join(err, s.backend.Close())
}

// ReadObject implements ObjectReader over saved and unsaved objects. Of an object
// that an operation log made long ago somebody must have seen the commit; else
// FindObjects finds it.
func (s *Store) ReadObject(id ID) (Kind, []byte, error) {
	if o, ok := s.queued(id); ok {
		return o.Kind, o.Content, nil
	}
	if content, ok := s.epochs.object(id); ok {
		return KindCommit, content, nil
	}
	if s.log != nil {
		return s.readLog(id)
	}
	return s.objects.ReadObject(id)
}

// ReadAtHand implements BulkReader.
func (s *Store) ReadAtHand(ids []ID, found []Object) {
	if s.log != nil {
		s.log.current().atHand(ids, found)
	}
}

// queued returns an object that is not saved yet.
func (s *Store) queued(id ID) (Object, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := len(s.queue) - 1; i >= 0; i-- {
		if o, ok := s.queue[i].object(id); ok {
			return o, true
		}
	}
	return Object{}, false
}

// ReadTree returns the decoded tree, from the cache when it is there.
func (s *Store) ReadTree(id ID) (*Tree, error) {
	if t, ok := s.cache.tree(id); ok {
		return t, nil
	}
	var t *Tree
	if s.log != nil {
		t = s.log.current().tree(id)
	}
	if t == nil {
		var err error
		if t, err = loadTree(s, id); err != nil {
			return nil, err
		}
	}
	s.cache.addTree(id, t)
	return t, nil
}

// ReadCommit returns the decoded commit, which must not be modified, from the
// cache when it is there.
func (s *Store) ReadCommit(id ID) (*Commit, error) {
	if c, ok := s.cache.commit(id); ok {
		return c, nil
	}
	c, err := loadCommit(s, id)
	if err == nil {
		s.cache.addCommit(id, c)
	}
	return c, err
}

func readKind(r ObjectReader, id ID, want Kind) ([]byte, error) {
	kind, content, err := r.ReadObject(id)
	if err != nil {
		return nil, err
	}
	if kind != want {
		return nil, fmt.Errorf("%w: %v is a %v, not a %v", ErrWrongKind, id, kind, want)
	}
	return content, nil
}

func loadTree(r ObjectReader, id ID) (*Tree, error) {
	if id == EmptyTree {
		return &Tree{}, nil
	}
	content, err := readKind(r, id, KindTree)
	if err != nil {
		return nil, err
	}
	t, err := ParseTree(content)
	if err != nil {
		return nil, fmt.Errorf("tree %v: %w", id, err)
	}
	return t, nil
}

func loadCommit(r ObjectReader, id ID) (*Commit, error) {
	content, err := readKind(r, id, KindCommit)
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
