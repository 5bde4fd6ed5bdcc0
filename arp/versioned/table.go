package versioned

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// Names of branches. Short-lived ones are folders of these names: query/…,
// expire/…, pin/….
const (
	Primary = "primary"
	Learn   = "learn"
)

// Config configures a Table. The zero value works.
type Config struct {
	// Node names this node in entries and as the author of commits; "node" when
	// empty. Domain completes its e-mail address, NODE@DOMAIN; "arpeggio" when
	// empty.
	Node, Domain string
	// Branch is the branch that the Table is; Primary when empty. There is one
	// Table for a branch at a time.
	Branch string
	// Ring bounds the changes that wait for a commit, 16384. Beyond it they are
	// folded by key.
	Ring int
	// KeepBranches is how many finished short-lived branches stay before the
	// oldest is pruned, 32; negative: none. Their commits stay, as parents of
	// merges.
	KeepBranches int
	// MaxWork bounds the pieces of work that have a branch of their own at one
	// time, 64. Beyond it outcomes are committed with what is learned.
	MaxWork int
	// FoldRefused is how long a claim that was refused is not committed again,
	// but counted, 10 s.
	FoldRefused time.Duration
	// Noise bounds what others can make the Table write.
	Noise Noise
	// Wording chooses the subjects of commits.
	Wording Wording
	// SkipDamaged makes Open skip files that are no entries, with a warning,
	// instead of failing.
	SkipDamaged bool
	// Committed is told of each commit that rests on a frame, once it is made;
	// c is valid during the call. It may be called from several goroutines at
	// once, and commits wait for it.
	Committed func(id vcs.ID, c *arp.Change)
	// Clock gives the time of commits that no change has given one; time.Now
	// when nil.
	Clock func() time.Time
	// Logger hears of damaged entries and failed writes; nil discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	def := func(s *string, d string) {
		if *s = Clean(*s); *s == "" {
			*s = d
		}
	}
	def(&c.Node, "node")
	def(&c.Domain, "arpeggio")
	def(&c.Branch, Primary)
	if c.Ring <= 0 {
		c.Ring = 16384
	}
	if c.KeepBranches == 0 {
		c.KeepBranches = 32
	}
	if c.MaxWork == 0 {
		c.MaxWork = 64
	}
	if c.FoldRefused == 0 {
		c.FoldRefused = 10 * time.Second
	}
	c.Noise = c.Noise.withDefaults()
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Repo is the kind of repository that a Table lives in.
type Repo = vcs.Repo[arp.Key, Entry]

// NewRepo returns the typed view of a store that holds a Table.
func NewRepo(s *vcs.Store) (*Repo, error) {
	return vcs.New(s, vcs.Config[arp.Key, Entry]{Layout: Layout{}, Codec: Codec{}, Merge: Merge})
}

// Table is an arp.Table (and Recorder, Tracker, Lister, Watcher) on a branch of
// a repository. It is safe for concurrent use, also by several Services.
type Table struct {
	cfg  Config
	repo *Repo

	mu       sync.RWMutex
	live     map[arp.Key]Entry
	queue    ring
	refused  map[refusal]*repeat
	gates    map[origin]*gate
	timer    *time.Timer // calls ring at alarm; nil until it is needed
	alarm    time.Time   // zero: not set
	watchers map[int]func(arp.Key, arp.Binding, bool)
	watchID  int
	closed   bool
	stats    Stats
	gen      uint64         // raised by each Sync
	busy     map[uint64]int // items that are queued or being committed, by gen
	syncs    []barrier      // Syncs that wait

	ctx    context.Context // ends when writers must give up
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1: the queue is not empty
	stop   chan struct{} // closed by Close
	// closing is when Close was called; read only after stop was closed.
	closing time.Time
	ended   sync.WaitGroup

	follow   *vcs.Watcher
	followed chan struct{} // closed when the follower has ended

	prune pruner
	pause func(point string) // tests interleave the writers here
}

// Stats counts what a Table has done since Open.
type Stats struct {
	Commits uint64        // commits with a change or a record
	Delay   arp.Durations // of these, from the change on
	Merges  uint64        // merges with two parents
	Forward uint64        // merges that were fast-forwards
	Folded  uint64        // changes that share a commit with others, or were only counted by one
	// TurnedAway counts new addresses that are not in the record, because of
	// Config.Noise. The commits of a flood tell of them.
	TurnedAway uint64
	// Lost counts records (refusals, conflicts, failed queries) that found the
	// ring full. The next commit says how many they were.
	Lost    uint64
	Foreign uint64 // bindings taken over from elsewhere
	Damaged uint64 // files that are no entries
	Failed  uint64 // commits that could not be made
	Queued  int    // now
}

// Open returns the Table that lives in a store. An empty repository gets its
// first commit, the initial empty cache. Work that a crash has left on a
// branch is merged first. The error wraps ErrEntry (through vcs.ErrDecode) when
// the head holds files that are no entries, and then nothing was changed: go
// back to an older commit, or set Config.SkipDamaged.
//
// The store stays the caller's: close it after the Table.
func Open(ctx context.Context, s *vcs.Store, cfg Config) (*Table, error) {
	return open(ctx, s, cfg, func(string) {})
}

func open(ctx context.Context, s *vcs.Store, cfg Config, pause func(string)) (*Table, error) {
	repo, err := NewRepo(s)
	if err != nil {
		return nil, err
	}
	t := &Table{
		cfg: cfg.withDefaults(), repo: repo,
		live: make(map[arp.Key]Entry), refused: make(map[refusal]*repeat), gates: make(map[origin]*gate),
		watchers: make(map[int]func(arp.Key, arp.Binding, bool)), busy: make(map[uint64]int),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	t.queue.max = t.cfg.Ring
	t.prune = pruner{keep: t.cfg.KeepBranches}
	t.pause = pause
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.follow, t.followed = repo.WatchBranch(t.cfg.Branch), make(chan struct{})
	if err := t.load(ctx); err != nil {
		t.follow.Close()
		t.cancel()
		return nil, fmt.Errorf("versioned: open %s: %w", t.cfg.Branch, err)
	}
	t.start()
	return t, nil
}

// load reads the head into memory, making the first commit if there is none.
func (t *Table) load(ctx context.Context) error {
	head, err := t.repo.Head(t.cfg.Branch)
	if errors.Is(err, vcs.ErrNotFound) {
		_, err = t.repo.Commit(ctx, t.cfg.Branch, vcs.ID{}, nil, t.info(t.cfg.Wording.initial(), time.Time{}, true))
		return err
	}
	if err != nil {
		return err
	}
	if err := t.check(head); err != nil {
		return err
	}
	if head, err = t.recover(ctx, head); err != nil {
		return err
	}
	for d, err := range t.repo.Diff(vcs.ID{}, head) {
		if err != nil {
			t.damaged(d.Path, err)
		} else if d.New.Present {
			t.live[d.Key] = d.New.Value
		}
	}
	return nil
}

// check refuses a head with damaged entries, unless those are to be skipped.
func (t *Table) check(head vcs.ID) error {
	if t.cfg.SkipDamaged {
		return nil
	}
	for _, err := range t.repo.Diff(vcs.ID{}, head) {
		if err != nil {
			return fmt.Errorf("at %s: %w", head.Short(), err)
		}
	}
	return nil
}

func (t *Table) damaged(path string, err error) {
	t.stats.Damaged++
	t.cfg.Logger.Warn("versioned: a file is no entry and is ignored", "path", path, "err", err)
}

// Get implements arp.Table. A pin holds on the node that made it only.
func (t *Table) Get(k arp.Key) (arp.Binding, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e, ok := t.live[k]
	return t.binding(e), ok && e.State != Expired
}

func (t *Table) binding(e Entry) arp.Binding {
	return arp.Binding{MAC: e.MAC, Static: t.pinned(e), Since: time.Unix(e.FirstSeen, 0)}
}

// pinned reports whether an entry is a pin of this node.
func (t *Table) pinned(e Entry) bool { return e.State == Static && e.Node == t.cfg.Node }

// Put implements arp.Table.
func (t *Table) Put(c arp.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.live[c.Key]
	if e, changed := put(old, &c, t.cfg.Node); changed {
		t.write(&c, e, known)
	}
}

// Expire implements arp.Table.
func (t *Table) Expire(c arp.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.live[c.Key]
	if e, changed := expire(old, &c, t.cfg.Node); changed {
		t.write(&c, e, known)
	}
}

// write takes a new entry over and queues it; mu is held.
func (t *Table) write(c *arp.Change, e Entry, known bool) {
	g, v := t.admit(c, true, known)
	if v != turnAway {
		t.live[c.Key] = e
	}
	switch {
	case v == commitAlone:
		t.push(item{kind: itemWrite, change: *c, entry: e})
	case !t.closed:
		t.fold(g, c, v)
		if v == commitFold {
			w := held{e, known}
			if old, ok := g.flood.kept[c.Key]; ok {
				w.known = old.known
			}
			g.flood.kept[c.Key] = w
		}
	}
}

// push queues an item; mu is held.
func (t *Table) push(it item) {
	if t.closed {
		return
	}
	before, lost := t.queue.len(), t.queue.lost
	it.gen, it.queued = t.gen, time.Now()
	t.queue.push(it)
	switch {
	case t.queue.lost > lost:
		t.stats.Lost++
	case t.queue.len() == before:
		t.stats.Folded++
	default:
		t.busy[it.gen]++
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// All implements arp.Lister with a snapshot.
func (t *Table) All() iter.Seq2[arp.Key, arp.Binding] {
	rows := t.Entries()
	return func(yield func(arp.Key, arp.Binding) bool) {
		for _, r := range rows {
			if r.Entry.State != Expired && !yield(r.Key, t.binding(r.Entry)) {
				return
			}
		}
	}
}

// Watch implements arp.Watcher.
func (t *Table) Watch(changed func(arp.Key, arp.Binding, bool)) (stop func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchID++
	id := t.watchID
	t.watchers[id] = changed
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.watchers, id)
	}
}

// Repo returns the repository.
func (t *Table) Repo() *Repo { return t.repo }

// Stats returns the counters.
func (t *Table) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.stats
	s.Queued = t.queue.len()
	return s
}

// Row is one entry with its key.
type Row struct {
	Key   arp.Key
	Entry Entry
}

// Entries returns all entries, expired ones included, sorted by domain, VLAN
// and address.
func (t *Table) Entries() []Row {
	t.mu.RLock()
	rows := make([]Row, 0, len(t.live))
	for k, e := range t.live {
		rows = append(rows, Row{k, e})
	}
	t.mu.RUnlock()
	slices.SortFunc(rows, func(a, b Row) int { return CompareKeys(a.Key, b.Key) })
	return rows
}
