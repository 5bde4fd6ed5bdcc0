package packfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"arpeggio/vcs"
)

// TellsChanges reports whether WriteCommitGraph can be used.
func (s *Set) TellsChanges() bool { return s.adds != nil && s.adds.TellsChanges() }

// WriteCommitGraph is the function of that name for the commits of a set whose
// repository tells what each of them changed: no object is read, and held for each
// are about 20 bytes, with some 70 in the scratch. The error wraps
// errors.ErrUnsupported when the repository does not tell.
func (s *Set) WriteCommitGraph(ctx context.Context, w io.Writer, scratch Scratch) error {
	if s.adds == nil {
		return fmt.Errorf("packfile: commit-graph of a set that was selected by walking: %w", errors.ErrUnsupported)
	}
	if scratch == nil {
		scratch = new(memory)
	}
	if n := s.adds.Commits(); n > graphMax {
		return fmt.Errorf("%w: %d commits in a commit-graph", ErrLimit, n)
	}
	f := newGraphFeed(ctx, s.r, scratch)
	if err := s.adds.Changes(ctx, f.add); err != nil {
		return err
	}
	return f.finish(w)
}

// graphFeed makes a commit-graph of commits that come one after the other,
// parents before children and some of them twice. A commit's number is its place
// in that order; the file has them in the order of their names.
type graphFeed struct {
	ctx  context.Context
	r    vcs.ObjectReader
	diff changes // for commits whose changes are not told
	runs graphRuns
	last vcs.ID // the newest commit

	rest   map[uint32][]vcs.ID // parents of commits that are not the only child of the one before
	wanted map[vcs.ID]uint32   // the numbers of those parents, graphNone until known

	dates pieces[uint64] // by number
	place pieces[uint32] // by number, in the file
	level pieces[uint32] // by place: generation number of version 1
	late  pieces[uint32] // by place: corrected commit date less date, as the GDA2 chunk has it
	far   []uint64       // of late, what does not fit into 31 bits

	fanout  [256]uint32
	n       int    // commits, each once
	edges   int    // parents of octopuses after the first
	filters uint64 // bytes of all filters
}

func newGraphFeed(ctx context.Context, r vcs.ObjectReader, scratch Scratch) *graphFeed {
	return &graphFeed{
		ctx: ctx, r: r, diff: changes{r: r}, runs: graphRuns{scratch: scratch},
		rest: make(map[uint32][]vcs.ID), wanted: make(map[vcs.ID]uint32),
	}
}

// finish writes the file when all commits are there.
func (f *graphFeed) finish(w io.Writer) error {
	f.diff = changes{}
	err := f.runs.done()
	if err == nil {
		err = f.number()
	}
	if err == nil {
		err = f.settle()
	}
	if err != nil {
		return err
	}
	return f.write(w)
}

// add takes in a commit.
func (f *graphFeed) add(c *vcs.CommitChange) error {
	k := uint32(f.dates.n)
	r := graphRecord{id: c.ID, tree: c.Tree, number: k, date: uint64(max(c.Time, 0)) & (1<<34 - 1)}
	f.dates.push(r.date)
	if len(c.Parents) != 1 || k == 0 || c.Parents[0] != f.last {
		f.rest[k] = slices.Clone(c.Parents)
		for _, p := range c.Parents {
			f.wanted[p] = graphNone
		}
	}
	f.last = c.ID
	if c.Unknown {
		if err := f.between(c); err != nil {
			return fmt.Errorf("commit %v: %w", c.ID, err)
		}
		return f.runs.add(r, f.diff.filter)
	}
	f.diff.reset()
	for _, path := range c.Paths {
		if !f.diff.file(path) {
			break
		}
	}
	return f.runs.add(r, f.diff.filter)
}

// between compares a commit's tree with its first parent's.
func (f *graphFeed) between(c *vcs.CommitChange) error {
	var old vcs.ID
	if len(c.Parents) > 0 {
		p, err := readLinks(f.r, c.Parents[0])
		if err != nil {
			return err
		}
		old = p.tree
	}
	return f.diff.between(old, c.Tree)
}

// number gives each commit its place in the file. One that came twice goes by its
// first number.
func (f *graphFeed) number() error {
	f.place = makePieces[uint32](f.dates.n)
	err := f.runs.each(func(r *graphRecord) error {
		if !r.again {
			if f.n%1024 == 0 {
				if err := f.ctx.Err(); err != nil {
					return err
				}
			}
			f.n++
			f.fanout[r.id[0]]++
			f.filters += uint64(len(r.filter))
			if _, ok := f.wanted[r.id]; ok {
				f.wanted[r.id] = r.number
			}
		}
		*f.place.at(int(r.number)) = uint32(f.n - 1)
		return nil
	})
	for i := range 255 {
		f.fanout[i+1] += f.fanout[i]
	}
	return err
}

// parents visits the numbers of a commit's parents and returns how many there are.
func (f *graphFeed) parents(k uint32, visit func(i int, parent uint32)) (n int) {
	rest, ok := f.rest[k]
	if !ok {
		visit(0, k-1)
		return 1
	}
	for i, p := range rest {
		visit(i, f.wanted[p])
	}
	return len(rest)
}

// settle computes the generation numbers: the longest way to a commit without
// parents (version 1), and the date, but later than every parent's (version 2).
func (f *graphFeed) settle() error {
	f.level, f.late = makePieces[uint32](f.n), makePieces[uint32](f.n)
	for k := range uint32(f.dates.n) {
		if k%1024 == 0 {
			if err := f.ctx.Err(); err != nil {
				return err
			}
		}
		own := int(*f.place.at(int(k)))
		if *f.level.at(own) != 0 {
			continue // the commit came before
		}
		level, date, known := uint32(0), uint64(0), true
		n := f.parents(k, func(_ int, p uint32) {
			if p >= k { // graphNone, too
				known = false
				return
			}
			at := int(*f.place.at(int(p)))
			level, date = max(level, *f.level.at(at)), max(date, *f.dates.at(int(p))+f.lateness(at))
		})
		if !known {
			return f.missing(k)
		}
		if n > 2 {
			f.edges += n - 1
		}
		*f.level.at(own) = min(level, generationMax-1) + 1
		if own, now := f.late.at(own), *f.dates.at(int(k)); now == 0 || now <= date {
			if *own = uint32(date + 1 - now); date+1-now >= graphMore {
				*own = graphMore | uint32(len(f.far))
				f.far = append(f.far, date+1-now)
			}
		}
	}
	f.dates = pieces[uint64]{}
	return nil
}

// lateness returns how much later the corrected date of the commit at a place is.
func (f *graphFeed) lateness(at int) uint64 {
	if l := *f.late.at(at); l&graphMore == 0 {
		return uint64(l)
	} else {
		return f.far[l&^graphMore]
	}
}

// missing says which parent of a commit did not come before it.
func (f *graphFeed) missing(k uint32) error {
	out := &MissingError{}
	for _, p := range f.rest[k] {
		if f.wanted[p] >= k {
			out.ID = p
			break
		}
	}
	err := f.runs.each(func(r *graphRecord) error {
		if r.number == k {
			out.From = r.id
		}
		return nil
	})
	return errors.Join(err, out)
}
