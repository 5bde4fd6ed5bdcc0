package observer

import (
	"cmp"
	"iter"
	"log/slog"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
)

// maxSeenRows bounds what is read of a seen index.
const maxSeenRows = 2_000_000

// load reads what the branch holds, with the times and counts of the seen index
// where it has them.
func (o *Observer) load() {
	o.recorded = o.cfg.Journal.Latest()
	var seen map[arp.Key][]versioned.SeenOwner
	if o.cfg.Index != "" {
		var err error
		if seen, err = versioned.LoadSeen(o.cfg.Index, maxSeenRows); err != nil {
			o.cfg.Logger.Warn("last-seen times and frame counts of earlier runs are lost in part; the history is whole", "err", err)
		}
		o.index = newIndex(o.cfg.Index, o.cfg.Logger)
	}
	o.unseeded = make(map[string][]observe.Known)
	for k, e := range o.cfg.Journal.All() {
		o.unseeded[k.Domain] = append(o.unseeded[k.Domain], known(k, &e, seen[k]))
	}
}

// seed tells the engine what the branch holds of a domain, oldest first. What
// the engine has no place for is as if it had not been seen yet.
func (o *Observer) seed(domain string) {
	rows := o.unseeded[domain]
	delete(o.unseeded, domain)
	slices.SortFunc(rows, func(a, b observe.Known) int {
		return cmp.Or(a.Owners[0].First.Compare(b.Owners[0].First), versioned.CompareKeys(a.Key, b.Key))
	})
	left := 0
	for _, k := range rows {
		if err := o.engine.Seed(k); err != nil {
			left++
			o.cfg.Logger.Debug("not continued", "err", err)
		}
	}
	if left > 0 {
		o.cfg.Logger.Warn("some addresses of the history are taken for new ones when they are seen", "addresses", left)
	}
}

// all yields what is known: to the engine, and of domains that it does not
// know.
func (o *Observer) all() iter.Seq[observe.Known] {
	return func(yield func(observe.Known) bool) {
		for k := range o.engine.All() {
			if !yield(k) {
				return
			}
		}
		for _, rows := range o.unseeded {
			for _, k := range rows {
				if !yield(k) {
					return
				}
			}
		}
	}
}

// known joins what the history and the seen index tell about an address. The
// history decides who holds it.
func known(k arp.Key, e *versioned.Entry, seen []versioned.SeenOwner) observe.Known {
	first := time.Unix(e.FirstSeen, 0)
	out := observe.Known{Key: k, Held: e.State != versioned.Expired}
	add := func(own observe.Owner) {
		for _, s := range seen {
			if s.MAC == own.MAC {
				own.First, own.Last, own.Frames = s.First, s.Last, s.Frames
			}
		}
		out.Owners = append(out.Owners, own)
	}
	add(observe.Owner{MAC: e.MAC, First: first, Last: first, Frames: 1})
	for _, m := range e.Earlier {
		if !m.IsZero() {
			add(observe.Owner{MAC: m, First: first, Last: first, Frames: 1})
		}
	}
	return out
}

// How often the seen index is saved: not more often than every few seconds, and
// not so often that it takes more than a fiftieth of the time.
const (
	indexEvery = 5 * time.Second
	indexShare = 50
)

// index saves what the engine knows beside the history. A nil index saves
// nothing.
type index struct {
	file *versioned.SeenIndex
	log  *slog.Logger
	next time.Time
}

func newIndex(path string, log *slog.Logger) *index {
	return &index{file: versioned.OpenSeenIndex(path), log: log, next: time.Now().Add(indexEvery)}
}

// save saves what was seen since the last time, when it is time to, or now.
func (x *index) save(o *Observer, now bool) {
	if x == nil {
		return
	}
	start := time.Now()
	if !now && start.Before(x.next) {
		return
	}
	if err := x.file.Save(seenRows(o.engine.Dirty()), seenRows(o.all())); err != nil {
		x.log.Warn("the seen index could not be written; it is tried again", "err", err)
	}
	took := time.Since(start)
	x.next = start.Add(took + max(indexEvery, took*indexShare))
}

func (x *index) close(o *Observer) {
	if x == nil {
		return
	}
	x.save(o, true)
	if err := x.file.Close(); err != nil {
		x.log.Warn("the seen index is not complete", "err", err)
	}
}

// seenRows converts what the engine knows.
func seenRows(all iter.Seq[observe.Known]) iter.Seq[versioned.Seen] {
	return func(yield func(versioned.Seen) bool) {
		var owners []versioned.SeenOwner
		for k := range all {
			owners = owners[:0]
			for _, o := range k.Owners {
				owners = append(owners, versioned.SeenOwner(o))
			}
			if !yield(versioned.Seen{Key: k.Key, Owners: owners}) {
				return
			}
		}
	}
}
