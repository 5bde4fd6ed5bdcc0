package versioned

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// Observation is one thing that an observer writes down.
type Observation struct {
	// Op says what becomes of the entry: OpLearned and OpMoved bind Key to MAC,
	// OpExpired ends its binding to Old. Any other is only told: the commit
	// changes no entry.
	Op       arp.ChangeOp
	Key      arp.Key       // invalid when it is about no address
	MAC, Old ethernet.Addr // who is seen; who held the address until then
	// Time is that of the frame. Commits have whole seconds, and a trailer the
	// rest. Stamp is for frames of a clock that has gone back: what it said; Time
	// is then the latest time before. Zero when the two are the same.
	Time      time.Time
	Stamp     time.Time
	Interface string
	Learned   string   // how the entry was learned: the kind of the frame
	Events    []string // types of events, for the trailers Arp-Event
	Rule      string   // the rule that let it in or kept it out
	Detail    string   // for people
	Count     int      // frames, stations or times that it stands for
	Frame     []byte   // the evidence
	// Subject is the first line of the commit; empty for the usual one of Op.
	Subject string
	// LastSeen and Frames say when Old was last seen as the owner of Key, and in
	// how many frames; zero when that is not known.
	LastSeen time.Time
	Frames   uint64
	// Folded puts it into the summary of its second: see Journal.
	Folded bool
}

// binds reports whether the observation is to change an entry.
func (o *Observation) binds() bool {
	return o.Op == arp.OpLearned || o.Op == arp.OpMoved || o.Op == arp.OpExpired || o.Op == arp.OpPinned
}

// JournalConfig configures a Journal. The zero value works.
type JournalConfig struct {
	// Node names the observer in entries and as the author of commits;
	// "observer" when empty. Domain completes its e-mail address, NODE@DOMAIN;
	// "arpeggio" when empty.
	Node, Domain string
	// Branch is where it writes; Primary when empty.
	Branch string
	// Index, when not nil, learns of what is written. It is the caller's to bring
	// up to date before and now and then, and to save.
	Index *RecordIndex
	// Logger hears of files that are no entries; nil discards.
	Logger *slog.Logger
}

// Journal is the record of an observer: one writer, one branch, one commit an
// observation, made before Write returns. What is committed depends on the
// observations and on nothing else: no clock, no batching, no order of a map.
// So a capture that is read twice gives equal commits, and a journal that is
// opened again goes on where it stopped.
//
// Observations of a flood are folded: those of one second of their own time
// become one commit, which holds all their entries, counts them, and has the
// first one's frame as evidence. It is made when a later second begins.
//
// An entry that the operator pinned stays; claims on it are only told. Pins come
// from Pin, or with the bindings of another tool, as observations with
// arp.OpPinned.
//
// A Journal is for one goroutine. Others may move the branch: what they did is
// taken over by the next Write.
type Journal struct {
	cfg     JournalConfig
	repo    *Repo
	who     vcs.Signature
	head    vcs.ID
	latest  time.Time // of the latest observation that was committed
	live    liveTable
	fold    foldedSecond
	text    []byte // room for messages
	changes []vcs.Change[arp.Key, Entry]
	stats   JournalStats
}

// JournalStats counts what a Journal did since it was opened.
type JournalStats struct {
	Commits   uint64 // made
	Folded    uint64 // observations that share a commit with others
	Unchanged uint64 // observations that had nothing to say
	Foreign   uint64 // moves of the branch by others that were taken over
	Damaged   uint64 // files that are no entries
	Entries   int    // now, expired ones included
}

// OpenJournal opens a journal on a branch of a store, which need not exist. The
// store stays the caller's: close it after the Journal.
func OpenJournal(ctx context.Context, s *vcs.Store, cfg JournalConfig) (*Journal, error) {
	c := Config{Node: cfg.Node, Domain: cfg.Domain, Branch: cfg.Branch, Logger: cfg.Logger}
	if Clean(c.Node) == "" {
		c.Node = "observer"
	}
	c = c.withDefaults()
	repo, err := NewRepo(s)
	if err != nil {
		return nil, err
	}
	j := &Journal{repo: repo, live: newLiveTable(), who: vcs.Signature{Name: c.Node, Email: c.Node + "@" + c.Domain}}
	j.cfg = JournalConfig{Node: c.Node, Domain: c.Domain, Branch: c.Branch, Index: cfg.Index, Logger: c.Logger}
	j.fold.reset()
	err = j.takeOver(ctx)
	if err == nil {
		j.latest, err = j.findLatest()
	}
	if err != nil {
		return nil, fmt.Errorf("versioned: open the journal on %s: %w", c.Branch, err)
	}
	return j, nil
}

// takeOver brings what is live to the branch's head.
func (j *Journal) takeOver(ctx context.Context) error {
	head, err := j.repo.Head(j.cfg.Branch)
	if errors.Is(err, vcs.ErrNotFound) {
		head, err = vcs.ID{}, vcs.CheckRefName(vcs.BranchRef(j.cfg.Branch))
	}
	if err != nil {
		return err
	}
	for d, err := range j.repo.Diff(j.head, head) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && d.Path == "":
			return err
		case err != nil:
			j.stats.Damaged++
			j.cfg.Logger.Warn("versioned: a file is no entry and is ignored", "path", d.Path, "err", err)
		case !d.New.Present:
			j.live.remove(d.Key)
		case j.fold.has(d.Key):
			mine, _ := j.live.get(d.Key)
			j.live.set(d.Key, Join(mine, d.New.Value))
		default:
			j.live.set(d.Key, d.New.Value)
		}
	}
	j.head = head
	return nil
}

// Write commits an observation and returns the commit. The id is zero when
// there is nothing to say, which is so when the entry holds already, or nothing is
// said to have become of it, and no event is named, and when the observation is folded into a commit to come. While the
// store takes no more, Write waits; it gives up when ctx ends. A write of
// another process is taken over first.
func (j *Journal) Write(ctx context.Context, o *Observation) (vcs.ID, error) {
	if _, err := j.Advance(ctx, o.own()); err != nil {
		return vcs.ID{}, err
	}
	if o.Folded {
		j.add(o)
		return vcs.ID{}, nil
	}
	return j.commit(ctx, o.Time, func() (string, bool) {
		changed := j.apply(o)
		if !changed && len(o.Events) == 0 && o.Subject == "" && (o.binds() || o.Op == arp.OpNone) {
			j.stats.Unchanged++
			return "", false
		}
		if changed {
			e, _ := j.live.get(o.Key)
			j.changes = append(j.changes, vcs.Change[arp.Key, Entry]{Key: o.Key, Value: vcs.Some(e)})
		}
		return j.message(o, changed), true
	})
}

// apply does to what is live what an observation says, and reports whether that
// changed an entry.
func (j *Journal) apply(o *Observation) bool {
	if !o.binds() || !o.Key.Addr.IsValid() {
		return false
	}
	have, _ := j.live.get(o.Key)
	if have.State == Static && o.Op != arp.OpPinned {
		return false
	}
	c := arp.Change{Op: o.Op, Key: o.Key, MAC: o.MAC, Old: o.Old, Time: o.Time, Interface: o.Interface}
	var next Entry
	var changed bool
	if o.Op == arp.OpExpired {
		next, changed = expire(have, &c, j.cfg.Node)
	} else if o.MAC.IsStation() {
		learned := Clean(o.Learned)
		if learned == "" {
			learned = "observed"
		}
		next, changed = putAs(have, &c, j.cfg.Node, learned)
	}
	if changed {
		j.live.set(o.Key, next)
	}
	return changed
}

// backlogPause is how long Write waits for a store that takes no more.
const backlogPause = 20 * time.Millisecond

// commit makes one commit. Prepare fills j.changes and returns the message; it is
// called again when somebody else has moved the branch.
func (j *Journal) commit(ctx context.Context, at time.Time, prepare func() (message string, ok bool)) (vcs.ID, error) {
	message, ok := prepare()
	for ok {
		info := vcs.CommitInfo{Author: j.who, Committer: j.who, Message: message, Time: at, AllowEmpty: true}
		id, err := j.repo.Commit(ctx, j.cfg.Branch, j.head, j.changes, info)
		switch {
		case err == nil:
			j.cfg.Index.note(j.head, id, message, at, j.changes)
			j.head, j.latest = id, at
			j.changes = j.changes[:0]
			j.stats.Commits++
			return id, nil
		case errors.Is(err, vcs.ErrRefMoved):
			keep := j.changes // they were made on what the other has not seen
			was := j.head
			if err := j.takeOver(ctx); err != nil {
				return vcs.ID{}, err
			}
			if !j.repo.Store().StandsFor(j.head, was) { // no epoch has begun
				j.stats.Foreign++
			}
			for i := range keep {
				c := &keep[i]
				if have, ok := j.live.get(c.Key); ok {
					c.Value.Value = j.over(have, c.Value.Value)
				}
				j.live.set(c.Key, c.Value.Value)
			}
		case errors.Is(err, vcs.ErrBacklog):
			select {
			case <-time.After(backlogPause):
			case <-ctx.Done():
				return vcs.ID{}, fmt.Errorf("versioned: journal: %w", err)
			}
		default:
			return vcs.ID{}, fmt.Errorf("versioned: journal: %w", err)
		}
	}
	j.changes = j.changes[:0]
	return vcs.ID{}, nil
}

// over returns an entry of ours as it is after one that somebody else has
// written meanwhile: a pin stays, anything else is older.
func (j *Journal) over(have, ours Entry) Entry {
	if have.State == Static {
		return have
	}
	if have.Clock >= ours.Clock {
		ours.Clock = have.Clock + 1
	}
	if !have.MAC.IsZero() && have.MAC != ours.MAC {
		ours.Earlier = succeed(have.Earlier, have.MAC, ours.MAC)
	}
	return ours
}

// Get returns the entry of a key, as of the last Write.
func (j *Journal) Get(k arp.Key) (Entry, bool) { return j.live.get(k) }

// All yields all entries, expired ones included, in no particular order.
func (j *Journal) All() iter.Seq2[arp.Key, Entry] { return j.live.all() }

// Head returns the last commit, zero when there is none.
func (j *Journal) Head() vcs.ID { return j.head }

// Branch returns the branch's name.
func (j *Journal) Branch() string { return j.cfg.Branch }

// Repo returns the repository.
func (j *Journal) Repo() *Repo { return j.repo }

// Stats returns the counters.
func (j *Journal) Stats() JournalStats {
	st := j.stats
	st.Entries = j.live.len()
	return st
}

// Sync returns when everything written before is durable. A folded second that
// has not ended is not written yet: see Flush.
func (j *Journal) Sync(ctx context.Context) error { return j.repo.Sync(ctx) }

// Close commits what is folded and makes everything durable.
func (j *Journal) Close(ctx context.Context) error {
	_, err := j.Flush(ctx)
	return errors.Join(err, j.repo.Sync(ctx))
}
