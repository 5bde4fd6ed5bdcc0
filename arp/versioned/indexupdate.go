package versioned

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"arpeggio/vcs"
)

// Update brings the index to a head of the store: it reads the commits that came
// since, whoever made them and however the branch got there, all of them the first
// time, and drops those that the store or the branch has no more. It saves nothing.
// After an error the index may know less than before.
func (x *RecordIndex) Update(ctx context.Context, s *vcs.Store, head vcs.ID) error {
	for left := 3; ; left-- {
		err := x.update(ctx, s, head)
		if err == nil {
			return nil
		}
		if !errors.Is(err, vcs.ErrNotFound) || left == 0 {
			return fmt.Errorf("versioned: index of the record up to %v: %w", head.Short(), err)
		}
		// An epoch has left meanwhile.
	}
}

func (x *RecordIndex) update(ctx context.Context, s *vcs.Store, head vcs.ID) error {
	x.seal()
	if err := x.check(ctx, s); err != nil {
		x.reset()
		return err
	}
	if x.Head() == head {
		return nil
	}
	news, err := x.walk(ctx, s, head)
	if err != nil {
		return err
	}
	err = eachRow(ctx, s, news, x.push)
	if err != nil {
		x.reset() // without the rows above, the last one may be no end of a log
	}
	return err
}

// eachRow makes rows of commits that are newest first, and hands them on oldest
// first.
func eachRow(ctx context.Context, s *vcs.Store, news []fresh, add func(indexRow)) error {
	for i, f := range slices.Backward(news) {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c := f.commit
		if c == nil {
			var err error
			s.Locate(f.id, time.Unix(f.unix, 0), vcs.ID{})
			if c, err = s.ReadJoined(f.id); err != nil {
				return err
			}
		}
		r, err := rowOf(s, c)
		if err != nil {
			return err
		}
		r.flags |= f.flags
		add(r)
	}
	return nil
}

// fresh is a commit that the index has not yet.
type fresh struct {
	id     vcs.ID
	unix   int64
	flags  byte
	commit *vcs.Commit // nil: to be read again
}

// maxFresh bounds the commits that are kept until it is their turn.
const maxFresh = 4096

// walk goes back from a head, in the order of a log, to a row of the index below
// which nothing is new. It drops the rows above that one, and returns what is to
// come in their place, newest first.
func (x *RecordIndex) walk(ctx context.Context, s *vcs.Store, head vcs.ID) (out []fresh, err error) {
	c, err := s.ReadJoined(head)
	if err != nil {
		return nil, err
	}
	seen := map[vcs.ID]bool{head: true}
	q := logQueue{{c, c.Committer.When.Unix(), 0}}
	ended := false // a commit without parents is above: what follows may be below it
	for n := 1; len(q) > 0; {
		alone := len(q) == 1 && !ended
		at := heap.Pop(&q).(logItem)
		if alone {
			if b, row, ok := x.place(at.c.ID, at.unix); ok && b.flags(row)&rowCut != 0 {
				x.cut(b.start + uint64(row) + 1)
				return out, nil
			}
			clear(seen) // whoever leads back to what was seen is above
			seen[at.c.ID] = true
		}
		f := fresh{id: at.c.ID, unix: at.unix}
		if alone {
			f.flags |= rowCut
		}
		if len(out) < maxFresh {
			f.commit = at.c
		}
		ended = ended || len(at.c.Parents) == 0
		for _, id := range at.c.Parents {
			if seen[id] {
				continue
			}
			seen[id] = true
			p, err := s.ReadJoined(id)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			unix := p.Committer.When.Unix()
			if unix > at.unix {
				f.flags |= rowSkew
			}
			heap.Push(&q, logItem{p, unix, n})
			n++
		}
		out = append(out, f)
	}
	x.reset() // it has nothing of this history
	return out, nil
}

// logQueue is a heap: newest commit first, equal times in the order of arrival.
type logQueue []logItem

type logItem struct {
	c    *vcs.Commit
	unix int64
	seq  int
}

func (q logQueue) Len() int { return len(q) }
func (q logQueue) Less(i, j int) bool {
	return q[i].unix > q[j].unix || q[i].unix == q[j].unix && q[i].seq < q[j].seq
}
func (q logQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *logQueue) Push(x any)   { *q = append(*q, x.(logItem)) }
func (q *logQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
