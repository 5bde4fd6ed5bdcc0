package vcs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
)

// frozen returns a view of the log as it is now, for one goroutine, which shares
// the segments and nothing that changes.
func (l *oplog) frozen() *oplog {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	f := newOplog(l.native)
	f.segs = append(f.segs, l.segs...)
	f.n, f.keys = l.n, l.keys[:len(l.keys):len(l.keys)]
	return f
}

// haveAll reports whether each of some commits is in one of some logs.
func haveAll(all []*oplog, ids []ID) (bool, error) {
	for _, id := range ids {
		found := false
		for _, l := range all {
			var err error
			if found, err = l.has(id); found || err != nil {
				if err != nil {
					return false, err
				}
				break
			}
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

// stretch is the part of some additions that one log holds.
type stretch struct {
	log      *oplog // a private view
	read     objectSource
	progress func(int)
	selected bitset // commits, by number
	branched bitset // those of which not only the next commit is a child
	commits  int
	changes  int  // of files, in these commits
	twins    bool // some commits may be equal
	partial  bool // some known commits are in this log
}

// checkEvery is how often a walk asks whether it is still wanted, in commits.
const checkEvery = 256

// choose marks the commits that tips lead to and known ones do not, and returns
// the tips and the parents that are not in the log. Commits are numbered after
// their parents, so going down the numbers meets each one after all that lead to
// it.
func (a *stretch) choose(ctx context.Context, tips, known []ID) (rest []ID, err error) {
	l := a.log
	want, have := newBitset(l.n), newBitset(l.n)
	live := 0 // see down
	top := uint32(0)
	for _, id := range known {
		num, ok, err := l.find(id)
		if err != nil {
			return nil, err
		}
		if ok {
			have.set(num)
			top = max(top, num+1)
			a.twins, a.partial = true, true
		}
	}
	for _, id := range tips {
		num, ok, err := l.find(id)
		if err != nil {
			return nil, err
		}
		if !ok {
			rest = append(rest, id)
			continue
		}
		if !want.has(num) && !have.has(num) {
			live++
		}
		want.set(num)
		top = max(top, num+1)
	}
	more, err := a.down(ctx, want, have, live, top)
	return append(rest, more...), err
}

// chooseAll marks all commits of the log.
func (a *stretch) chooseAll(ctx context.Context) error {
	want := newBitset(a.log.n)
	n := 0
	for _, s := range a.log.segs {
		for i := range s.n {
			want.set(s.first + i)
			n++
		}
	}
	_, err := a.down(ctx, want, newBitset(a.log.n), n, a.log.n)
	return err
}

// down marks what commits that are wanted lead to and those that are had do not.
// Live is how many are wanted, not had, and still to be gone through; all of them
// are below top. It returns the parents that are not in the log.
func (a *stretch) down(ctx context.Context, want, have bitset, live int, top uint32) (rest []ID, err error) {
	l := a.log
	a.branched = newBitset(l.n)
	var bases []uint32
	c := cursor{log: l}
	beside := siblings{newSeen(0), maphash.MakeSeed()}
	for num := top; live > 0 && num > 0; {
		num--
		if num%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		had := have.has(num)
		if !had && !want.has(num) {
			continue
		}
		v, i, err := c.at(num)
		if err != nil {
			return nil, err
		}
		if !had {
			live--
			a.changes += v.countChanges(i)
		}
		if rec := v.rec(i); !had && rec.based && rec.parent != noParent {
			// What it shares with its base is only said there.
			bases = append(bases, rec.parent)
			a.branched.set(rec.parent)
		}
		parents, err := v.parentsOf(i)
		if err != nil {
			return nil, err
		}
		if !had && !a.twins && (len(parents) == 0 || parents[0].num+1 != num || a.branched.has(parents[0].num)) {
			a.twins = beside.add(parents, v.tree(i))
		}
		for k, p := range parents {
			switch {
			case had && !p.native:
				if want.has(p.num) && !have.has(p.num) {
					live--
				}
				have.set(p.num)
			case had:
			case p.native:
				rest = append(rest, p.id)
			default:
				if !want.has(p.num) && !have.has(p.num) {
					live++
				}
				want.set(p.num)
				if k == 0 && p.num+1 != num {
					a.branched.set(p.num)
				}
			}
		}
	}
	for _, num := range bases {
		if !want.has(num) && !have.has(num) {
			return nil, fmt.Errorf("vcs: additions: %w of a branch that is told by another one", errors.ErrUnsupported)
		}
	}
	for i := range want {
		want[i] &^= have[i]
	}
	a.selected = want
	a.commits = want.len()
	return rest, nil
}

// siblings notices commits that may be equal: ones of equal trees whose first
// parents, if they are not equal commits themselves, are the same.
type siblings struct {
	seen *seen
	seed maphash.Seed
}

func (s siblings) add(parents []logParent, tree ID) bool {
	if len(parents) > 0 {
		binary.LittleEndian.PutUint32(tree[:], binary.LittleEndian.Uint32(tree[:])^(parents[0].num+1))
	}
	return s.seen.add(maphash.Bytes(s.seed, tree[:]))
}

// countChanges returns how many files a commit changed.
func (v *segView) countChanges(i uint32) int {
	rec := v.rec(i)
	if rec.flags&flagList == 0 {
		return 1
	}
	return (&byteReader{b: v.raw[rec.keys:v.segment.ops]}).count(1)
}

// cursor goes through a log and keeps the segment where it is.
type cursor struct {
	log *oplog
	v   *segView
}

func (c *cursor) at(num uint32) (*segView, uint32, error) {
	if c.v == nil || num < c.v.first || num-c.v.first >= c.v.n {
		s, ok := c.log.segmentOf(num)
		if !ok {
			return nil, 0, fmt.Errorf("%w: log: commit %d is missing", ErrCorrupt, num)
		}
		v, err := s.view()
		if err != nil {
			return nil, 0, err
		}
		c.v = v
	}
	return c.v, num - c.v.first, nil
}

// eachCommit visits the commits, those of one segment newest first, and the
// newest segment first.
func (a *stretch) eachCommit(ctx context.Context, visit func(Object) error) error {
	var contents []byte // of a segment's commits
	var ends []int
	for k := len(a.log.segs) - 1; k >= 0; k-- {
		s := a.log.segs[k]
		if !a.selected.any(s.first, s.n) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := s.view()
		if err != nil {
			return err
		}
		contents, ends = contents[:0], append(ends[:0], 0)
		for i := range s.n {
			if contents, err = a.log.appendCommit(contents, v, i); err != nil {
				return err
			}
			v.rec(i).id = HashObject(KindCommit, contents[ends[i]:])
			ends = append(ends, len(contents))
			if i%anchorEvery == 0 && v.rec(i).id != v.anchor(i) {
				return fmt.Errorf("%w: log: commit %d hashes to %v, not to %v", ErrCorrupt, v.first+i, v.rec(i).id, v.anchor(i))
			}
		}
		for i := s.n; i > 0; {
			i--
			if a.selected.has(s.first + i) {
				if err := visit(Object{v.rec(i).id, KindCommit, contents[ends[i]:ends[i+1]]}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// any reports whether one of n numbers from first on is in the set.
func (b bitset) any(first, n uint32) bool {
	for i := first; i < first+n; {
		if i%64 == 0 && first+n-i >= 64 {
			if b[i/64] != 0 {
				return true
			}
			i += 64
			continue
		}
		if b.has(i) {
			return true
		}
		i++
	}
	return false
}
