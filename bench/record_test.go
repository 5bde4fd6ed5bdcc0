package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/internal/history"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

const (
	recordChanges   = 1_000_000
	recordAddresses = 20_000
	recordAsked     = 200 // times each question
	recordTables    = 20  // old tables
	recordStep      = 30 * time.Second
	recordPage      = 50 // rows of an answer
)

// record: questions to a record of a million changes, each anew in a repository
// that is open and has its index.
func record(ctx context.Context, b *board) {
	b.section(fmt.Sprintf("Questions to a record of %s changes of %s addresses, store opened, index read",
		Number(recordChanges), Number(recordAddresses)))
	dir, err := os.MkdirTemp("", "bench-record-")
	if err != nil {
		b.fail("disk", err)
		return
	}
	defer os.RemoveAll(dir)
	if err := b.record(ctx, dir, recordChanges, recordAddresses, recordAsked); err != nil {
		b.fail("questions", err)
	}
}

// recordBegan is the time of the first change.
var recordBegan = time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC)

func recordAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 9 + byte(i>>16), byte(i >> 8), byte(i)})
}

// writeRecord makes a record as an observer does: addresses that are new, that
// move to another station, and events that change nothing.
func writeRecord(ctx context.Context, s *vcs.Store, rng *rand.Rand, changes, addresses int) error {
	j, err := versioned.OpenJournal(ctx, s, versioned.JournalConfig{})
	if err != nil {
		return err
	}
	owner := make([]ethernet.Addr, addresses)
	for i := range changes {
		who := rng.IntN(addresses)
		n := rng.IntN(4 * addresses)
		o := versioned.Observation{Op: arp.OpLearned, Key: arp.Key{Domain: "lan", Addr: recordAddr(who)}, Time: recordBegan.Add(time.Duration(i) * recordStep),
			MAC: ethernet.Addr{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}, Interface: "eth0", Learned: "request", Frame: make([]byte, 42), Events: []string{"new-station"}}
		if old := owner[who]; !old.IsZero() {
			o.Op, o.Old, o.LastSeen, o.Frames, o.Events[0] = arp.OpMoved, old, o.Time.Add(-time.Second), 3, "changed"
		}
		switch {
		case i%1000 == 999:
			o.Op, o.Events = arp.OpRefused, []string{"spoof"}
		default:
			owner[who] = o.MAC
		}
		if _, err := j.Write(ctx, &o); err != nil {
			return err
		}
	}
	return j.Close(ctx)
}

func (b *board) record(ctx context.Context, dir string, changes, addresses, asked int) error {
	db, file := filepath.Join(dir, "store"), filepath.Join(dir, "arp-index")
	rng := rand.New(rand.NewPCG(5, 5))
	open := func() (*vcs.Store, error) {
		back, err := badger.Open(ctx, db, badger.Config{MinFree: -1})
		if err != nil {
			return nil, err
		}
		return vcs.OpenStore(ctx, back, vcs.StoreConfig{CacheBytes: 32 << 20})
	}
	s, err := open()
	if err != nil {
		return err
	}
	if err := errors.Join(writeRecord(ctx, s, rng, changes, addresses), s.Close()); err != nil {
		return err
	}
	start := time.Now()
	if s, err = open(); err != nil {
		return err
	}
	defer s.Close()
	b.add(Row{Name: "open the store, which checks itself", Value: time.Since(start).Seconds(), Unit: "s"})
	q := &questioner{s: s, rng: rng, span: time.Duration(changes) * recordStep, addresses: addresses}
	head, err := s.Resolve("HEAD")
	if err != nil {
		return err
	}
	if q.head, err = s.ReadCommit(head); err != nil {
		return err
	}
	x := versioned.OpenRecordIndex(file)
	start = time.Now()
	if err := errors.Join(x.Update(ctx, s, head), x.Save()); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	b.add(Row{Name: "make the index, once", Value: time.Since(start).Seconds(), Unit: "s",
		Note: fmt.Sprintf("%.1f octets a change", float64(info.Size())/float64(changes))})
	start = time.Now()
	q.index = versioned.OpenRecordIndex(file)
	if err := q.index.Update(ctx, s, head); err != nil {
		return err
	}
	b.add(Row{Name: "read the index", Value: time.Since(start).Seconds() * 1000, Unit: "ms"})
	for _, question := range q.questions(ctx) {
		if err := b.ask(question.name, question.ask, asked, AtMost(10)); err != nil {
			return fmt.Errorf("%s: %w", question.name, err)
		}
	}
	return b.tables(ctx, q, filepath.Join(dir, "arp-states"), min(asked, recordTables))
}

// tables takes the time of old tables, which are as large as the network.
func (b *board) tables(ctx context.Context, q *questioner, file string, asked int) error {
	start := time.Now()
	if err := versioned.OldStates(ctx, q.s, q.head.ID, file); err != nil {
		return err
	}
	size := int64(0)
	if info, err := os.Stat(file); err == nil {
		size = info.Size()
	}
	b.add(Row{Name: "make the file of old tables, once", Value: time.Since(start).Seconds(), Unit: "s", Note: Number(float64(size)) + " octets"})
	return b.ask("table TIME, any time", func() (int, error) { return q.table(ctx, file) }, asked, Bar{})
}

// ask takes the time of a question, which returns the rows of its answer.
func (b *board) ask(name string, ask func() (int, error), asked int, bar Bar) error {
	var took []time.Duration
	rows := 0
	for i := range asked + 1 {
		start := time.Now()
		n, err := ask()
		if err != nil {
			return err
		}
		if i > 0 { // the first one makes what the others find in memory
			took = append(took, time.Since(start))
			rows += n
		}
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	b.add(Row{Name: name, Value: ms(median(took)), Unit: "ms", Bar: bar, Note: fmt.Sprintf("median of %d; 19 of 20 within %.1f ms, 99 of 100 within %.1f ms, slowest %.1f ms; %.1f rows",
		asked, ms(took[len(took)*19/20]), ms(took[len(took)*99/100]), ms(took[len(took)-1]), float64(rows)/float64(asked))})
	return nil
}

// questioner asks random questions.
type questioner struct {
	s         *vcs.Store
	rng       *rand.Rand
	head      *vcs.Commit
	index     *versioned.RecordIndex
	span      time.Duration
	addresses int
}

type question struct {
	name string
	ask  func() (rows int, err error)
}

func (q *questioner) addr() netip.Addr { return recordAddr(q.rng.IntN(q.addresses)) }

func (q *questioner) time() time.Time {
	return recordBegan.Add(time.Duration(q.rng.Int64N(int64(q.span))))
}

func (q *questioner) mac() ethernet.Addr {
	n := q.rng.IntN(4 * q.addresses)
	return ethernet.Addr{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
}

func (q *questioner) questions(ctx context.Context) []question {
	return []question{
		{"at TIME IP, any time", func() (int, error) { return q.at(ctx, q.time()) }},
		{"at TIME IP, now", func() (int, error) { return q.at(ctx, recordBegan.Add(q.span)) }},
		{"log IP", func() (int, error) { return q.log(history.LogOptions{Specs: []history.Spec{{Addr: q.addr()}}}) }},
		{"log IP --mentions", func() (int, error) {
			return q.log(history.LogOptions{Specs: []history.Spec{{Addr: q.addr()}}, Mentions: true})
		}},
		{"log --mac MAC", func() (int, error) { return q.log(history.LogOptions{MACs: []ethernet.Addr{q.mac()}}) }},
		{"log --type spoof --since --until, a day", func() (int, error) {
			at := q.time()
			return q.log(history.LogOptions{Types: []string{"spoof"}, Since: at, Until: at.Add(24 * time.Hour)})
		}},
		{"log --type spoof --until, a page", func() (int, error) {
			return q.log(history.LogOptions{Types: []string{"spoof"}, Until: q.time(), Max: recordPage})
		}},
		{"log --until, a page", func() (int, error) { return q.log(history.LogOptions{Until: q.time(), Max: recordPage}) }},
		{"blame IP", func() (int, error) { return q.blame(ctx, q.head) }},
		{"blame IP TIME", func() (int, error) {
			c, err := q.heldAt()
			if err != nil {
				return 0, err
			}
			return q.blame(ctx, c)
		}},
		{"show COMMIT of any time, with its changes", q.show},
		{"diff T1..T2, five minutes of any time", q.diff},
	}
}

func (q *questioner) at(ctx context.Context, at time.Time) (int, error) {
	a, err := history.NewAsker(q.s, q.head, time.Minute, nil)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	a.Index = q.index
	k, _, err := a.Key(ctx, q.addr(), history.Networks{})
	if err != nil {
		return 0, err
	}
	_, err = a.At(ctx, k, at)
	return 1, err
}

func (q *questioner) log(opt history.LogOptions) (rows int, err error) {
	opt.From, opt.Index = []vcs.ID{q.head.ID}, q.index
	for _, err := range history.Log(q.s, opt) {
		if err != nil {
			return rows, err
		}
		rows++
	}
	return rows, nil
}

// heldAt is the commit of a random time.
func (q *questioner) heldAt() (*vcs.Commit, error) { return q.commitAt(q.time()) }

func (q *questioner) commitAt(at time.Time) (*vcs.Commit, error) {
	id, _, err := q.s.HeldAt(q.head.ID, at)
	if err != nil {
		return nil, err
	}
	return q.s.ReadCommit(id)
}

func (q *questioner) blame(ctx context.Context, c *vcs.Commit) (int, error) {
	found, err := history.Require(q.s, c, []history.Spec{{Addr: q.addr()}})
	if errors.Is(err, history.ErrUnknown) {
		return 0, nil // it was not there yet
	}
	if err != nil {
		return 0, err
	}
	lines, err := history.Blame(ctx, q.s, found[0].Path, c)
	return len(lines), err
}

// table is that of a random time. Those that were asked for before may be at hand.
func (q *questioner) table(ctx context.Context, file string) (rows int, err error) {
	c, err := q.heldAt()
	if err != nil {
		return 0, err
	}
	if err := versioned.OldStates(ctx, q.s, q.head.ID, file); err != nil {
		return 0, err
	}
	repo, err := versioned.NewRepo(q.s)
	if err != nil {
		return 0, err
	}
	snap, err := repo.AtCommit(c.ID)
	if err != nil {
		return 0, err
	}
	for _, err := range snap.All("") {
		if err != nil {
			return rows, err
		}
		rows++
	}
	return rows, nil
}

func (q *questioner) diff() (rows int, err error) {
	at := q.time()
	old, err := q.commitAt(at)
	if err != nil {
		return 0, err
	}
	now, err := q.commitAt(at.Add(10 * recordStep))
	if err != nil {
		return 0, err
	}
	for _, err := range history.Changes(q.s, old, now) {
		if err != nil {
			return rows, err
		}
		rows++
	}
	return rows, nil
}

func (q *questioner) show() (rows int, err error) {
	c, err := q.heldAt()
	if err != nil || len(c.Parents) == 0 {
		return 0, err
	}
	p, err := q.s.ReadCommit(c.Parents[0])
	if err != nil {
		return 0, err
	}
	for ch, err := range history.Changes(q.s, p, c) {
		if err != nil {
			return rows, err
		}
		for _, err := range history.Patch(q.s, ch) {
			if err != nil {
				return rows, err
			}
			rows++
		}
	}
	return rows, nil
}
