package vcs

import (
	"context"
	"fmt"
	"math/bits"
)

// unplaced is the mark of an object that may be somewhere among the additions.
type unplaced struct{}

// visitor is told of an object that a commit made, of its digest, and whether a
// part of it was new. It returns the object's mark, and whether it is new itself.
type visitor func(a *Addition, sum uint64, newPart bool) (mark any, isNew bool, err error)

// replay makes the trees and blobs of the chosen commits, oldest first.
type replay struct {
	*stretch
	visit   visitor
	digest  digester
	touched []before
	changes changeReader
	states  savedStates
	owner   *owner
	add     Addition
	num     uint32 // of the commit at hand
}

// savedStates are the states of commits from which a branch goes off. They are
// given up when many commits have gone by, and read from the store if somebody
// needs them after all.
type savedStates struct {
	root  map[uint32]*version
	order []uint32
}

const maxSavedDistance = 2048

func (s *savedStates) add(num uint32, root *version) {
	if s.root == nil {
		s.root = make(map[uint32]*version)
	}
	s.root[num] = root
	s.order = append(s.order, num)
	for s.order[0]+maxSavedDistance < num {
		delete(s.root, s.order[0])
		s.order = s.order[1:]
	}
}

func (r *replay) run(ctx context.Context) error {
	var root *version // state of the commit last
	last := uint32(noParent)
	c := cursor{log: r.log}
	done := 0
	for k, w := range r.selected {
		for ; w != 0; w &= w - 1 {
			num := uint32(k*64) + uint32(bits.TrailingZeros64(w))
			if done++; done%checkEvery == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				r.progress(done)
			}
			v, i, err := c.at(num)
			if err != nil {
				return err
			}
			p := v.rec(i).parent
			switch saved := r.states.root[p]; {
			case p != noParent && p == last && !r.branched.has(p):
			case p != noParent && p == last:
				r.owner = new(owner)
			case saved != nil:
				root, r.owner = saved, new(owner)
			default:
				r.owner = new(owner)
				if root, err = r.start(v, i); err != nil {
					return err
				}
			}
			r.num = num
			if root, err = r.commit(v, i, root); err != nil {
				return err
			}
			last = num
			if r.branched.has(num) {
				r.states.add(num, root)
			}
		}
	}
	return nil
}

// start returns the state of a commit's first parent: nothing, or what the store
// holds.
func (r *replay) start(v *segView, i uint32) (*version, error) {
	parents, base, err := v.parentsAndBase(i)
	if err != nil {
		return nil, err
	}
	if base != nil && *base != noParent {
		return r.base(*base)
	}
	if len(parents) == 0 || base != nil {
		return r.create(ModeDir), nil
	}
	if r.digest.mode == digestTold {
		return nil, errNotTold
	}
	p := parents[0]
	if !p.native && p.num >= v.first {
		if p.id, err = r.log.idOf(v, p.num-v.first); err != nil {
			return nil, err
		}
	}
	c, err := loadCommit(readFunc(r.read), p.id)
	if err != nil {
		return nil, err
	}
	root := &version{mode: ModeDir, id: c.Tree, unread: true}
	if p.native || r.selected.has(p.num) {
		root.mark = unplaced{}
	}
	return root, nil
}

// base is start for a commit that is told by another one than its parent.
func (r *replay) base(num uint32) (*version, error) {
	if r.digest.mode == digestTold {
		return nil, errNotTold
	}
	s, ok := r.log.segmentOf(num)
	if !ok {
		return nil, fmt.Errorf("%w: log: commit %d is missing", ErrCorrupt, num)
	}
	root := &version{mode: ModeDir, id: s.tree(num - s.first), unread: true}
	if r.selected.has(num) {
		root.mark = unplaced{}
	}
	return root, nil
}

type readFunc objectSource

func (f readFunc) ReadObject(id ID) (Kind, []byte, error) { return f(id) }

// maxTouched is for how many files and folders room is kept.
const maxTouched = 1024

// commit makes the state of a commit out of its first parent's and visits what
// is new.
func (r *replay) commit(v *segView, i uint32, root *version) (*version, error) {
	x := &r.changes
	x.log = r.log
	x.begin(v, i)
	err := v.eachChange(i, func(c viewChange) error {
		path, err := x.next(c)
		if err == nil {
			root, err = r.with(root, path, x)
		}
		return err
	})
	if err == nil && root.touch != 0 {
		_, err = r.settle(root)
	}
	clear(r.touched)
	if r.touched = r.touched[:0]; cap(r.touched) > maxTouched {
		r.touched = nil
	}
	if want := v.tree(i); err == nil && root.id != want && !r.digest.only {
		err = fmt.Errorf("%w: log: the tree of commit %d hashes to %v, not to %v", ErrCorrupt, v.first+i, root.id, want)
	}
	return root, err
}
