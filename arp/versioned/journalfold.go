package versioned

import (
	"context"
	"strconv"
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// maxLeft is how many former owners a summary names with their last sighting,
// beyond which they are counted: the message has to stay readable and small.
const maxLeft = 1000

// foldedSecond is what a flood brought within one second.
type foldedSecond struct {
	second  int64 // Unix, by the frames' own clock
	first   Observation
	last    time.Time
	events  []string
	keys    []arp.Key // whose entries changed, in the order of their first change
	known   map[arp.Key]struct{}
	learned int
	moved   int
	expired int
	told    int
	count   int
	left    []byte // trailers
	lefts   int
	pending bool
}

func (f *foldedSecond) reset() {
	*f = foldedSecond{keys: f.keys[:0], events: f.events[:0], left: f.left[:0], known: f.known}
	if f.known == nil || len(f.known) > 1<<16 {
		f.known = make(map[arp.Key]struct{})
		f.keys = nil
	}
	clear(f.known)
}

func (f *foldedSecond) has(k arp.Key) bool {
	_, ok := f.known[k]
	return ok
}

// add takes an observation into the summary of its second.
func (j *Journal) add(o *Observation) {
	f := &j.fold
	if !f.pending {
		f.pending, f.second, f.first = true, o.own().Unix(), *o
		f.first.Frame = append([]byte(nil), o.Frame...)
	}
	changed := j.apply(o)
	switch {
	case !changed:
		f.told++
	case o.Op == arp.OpLearned:
		f.learned++
	case o.Op == arp.OpMoved:
		f.moved++
	default:
		f.expired++
	}
	if changed && !f.has(o.Key) {
		f.known[o.Key] = struct{}{}
		f.keys = append(f.keys, o.Key)
	}
	if changed && !o.Old.IsZero() && !o.LastSeen.IsZero() {
		if f.lefts++; f.lefts <= maxLeft {
			f.left = appendLeft(f.left, o)
		}
	}
	for _, e := range o.Events {
		f.event(e)
	}
	f.count += max(o.Count, 1)
	f.last = o.Time
	j.stats.Folded++
}

// event notes a type of event, once.
func (f *foldedSecond) event(e string) {
	for _, have := range f.events {
		if have == e {
			return
		}
	}
	f.events = append(f.events, e)
}

// Advance says that everything before a time was written: folded observations of
// an earlier second are committed. The id is zero when there are none. Write
// does the same, with the time of its observation. Where a clock has gone back it
// is what that clock says, as Observation.Stamp, and Flush comes first.
func (j *Journal) Advance(ctx context.Context, now time.Time) (vcs.ID, error) {
	if !j.fold.pending || now.Unix() <= j.fold.second {
		return vcs.ID{}, nil
	}
	return j.Flush(ctx)
}

// Pending returns the second of folded observations that are not committed yet.
func (j *Journal) Pending() (second time.Time, ok bool) {
	return time.Unix(j.fold.second, 0), j.fold.pending
}

// Flush commits what is folded. The id is zero when nothing is.
func (j *Journal) Flush(ctx context.Context) (vcs.ID, error) {
	if !j.fold.pending {
		return vcs.ID{}, nil
	}
	id, err := j.commit(ctx, j.fold.last, func() (string, bool) {
		for _, k := range j.fold.keys {
			e, _ := j.live.get(k)
			j.changes = append(j.changes, vcs.Change[arp.Key, Entry]{Key: k, Value: vcs.Some(e)})
		}
		return j.summary(), true
	})
	if err == nil {
		j.fold.reset()
	}
	return id, err
}

// summary returns the message of a folded second.
func (j *Journal) summary() string {
	f := &j.fold
	b := append(j.text[:0], "arp: flood: "...)
	sep := ""
	part := func(n int, one, many string) {
		if n == 0 {
			return
		}
		b = append(b, sep...)
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, ' ')
		if n == 1 {
			b = append(b, one...)
		} else {
			b = append(b, many...)
		}
		sep = ", "
	}
	part(f.learned, "new station", "new stations")
	part(f.moved, "move", "moves")
	part(f.expired, "expiry", "expiries")
	part(f.told, "claim", "claims")
	b = append(b, '\n', '\n')
	b = trailer(b, TrailerCause, CauseFlood)
	for _, e := range f.events {
		b = trailer(b, TrailerEvent, e)
	}
	b = trailer(b, TrailerCount, strconv.Itoa(f.count))
	b = j.evidence(b, &f.first)
	b = appendTime(b, TrailerTime, f.last)
	b = appendTime(b, TrailerStamp, f.first.Stamp)
	b = append(b, f.left...)
	if more := f.lefts - maxLeft; more > 0 {
		b = trailer(b, TrailerLeftMore, strconv.Itoa(more))
	}
	j.text = b
	return string(b)
}
