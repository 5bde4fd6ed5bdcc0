package vcs

import "slices"

// nodePool finds the trees and blobs of the heads by their ids. New nodes wait
// in a list and are put in their places when somebody looks; when there are too
// many of them, or of old ones, the pool is filled anew from the heads.
type nodePool struct {
	m     map[ID]*node
	fresh []*node
	live  int  // size when it was filled
	stale bool // fresh nodes were left out
	whole bool // all states of the heads were put in
}

// add takes nodes in, which do not change any more.
func (p *nodePool) add(made []*node) {
	if p.stale {
		return
	}
	if p.fresh = append(p.fresh, made...); len(p.fresh) > p.live/2+4096 {
		*p = nodePool{live: p.live, stale: true}
	}
}

// get returns the node of an id.
func (p *nodePool) get(id ID) *node {
	if len(p.fresh) > 0 {
		if p.m == nil {
			p.m = make(map[ID]*node, len(p.fresh))
		}
		for _, n := range p.fresh {
			if n.known {
				p.m[n.id] = n
			}
		}
		p.fresh = nil
	}
	return p.m[id]
}

// full reports whether it is time to fill the pool anew.
func (p *nodePool) full() bool { return p.stale || len(p.m) > 2*p.live+8192 }

// adopt puts what the heads lead to into the pool, when a store is opened. What
// cannot be read is left to whoever asks for it.
func (l *oplog) adopt(refs []Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range refs {
		l.heads[r.Name] = r.Target
	}
	l.adoptHeads()
}

// adoptHeads fills the pool, with states that have to be made perhaps.
func (l *oplog) adoptHeads() {
	l.sweep(func(num uint32) *node {
		root, err := l.state(num)
		if err != nil {
			return nil
		}
		return root
	})
}

// adoptAgain puts all that the heads lead to into the pool, with states that have to
// be made perhaps, and more states. It reports false when the heads' are there: what
// heads have come to since is in commits that are looked through.
func (l *oplog) adoptAgain(more []*node) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pool.whole && !l.pool.full() {
		return false
	}
	l.adoptHeads()
	for _, root := range more {
		l.pool.putState(root)
	}
	l.pool.whole = true
	return true
}

// putState puts a state into the place where only whole ones are.
func (p *nodePool) putState(root *node) {
	root.each(func(n *node) bool {
		if n.mode == ModeSubmodule {
			return false
		}
		have := p.m[n.id]
		p.m[n.id] = n
		return have != n
	})
}

// pooled returns the node of an id if it is in the pool.
func (l *oplog) pooled(id ID) *node {
	if l.pool.full() {
		l.sweep(l.states.get)
	}
	return l.pool.get(id)
}

// sweep fills the pool anew with what the heads lead to. What else was in it can
// be made again.
func (l *oplog) sweep(state func(num uint32) *node) {
	pool := nodePool{m: make(map[ID]*node, l.pool.live+l.pool.live/8)}
	for _, num := range l.headNumbers() {
		root := state(num)
		if root == nil {
			root = l.pooledState(num)
		}
		if root != nil {
			pool.putState(root)
		}
	}
	pool.live = len(pool.m)
	l.pool = pool
}

// pooledState returns the state of a commit whose tree is in the pool.
func (l *oplog) pooledState(num uint32) *node {
	v, i, err := l.at(num)
	if err != nil {
		return nil
	}
	root := l.pool.get(v.tree(i))
	if root == nil || root.dir == nil {
		return nil
	}
	return root
}

// headNumbers returns the numbers of the commits that refs point to, each once
// and in order. Those that cannot be read are left out. However many refs there
// are, it looks through a segment once.
func (l *oplog) headNumbers() (nums []uint32) {
	var rest []ID
	for _, id := range l.heads {
		if num, ok := l.met(id); ok {
			nums = append(nums, num)
		} else {
			rest = append(rest, id)
		}
	}
	for k := len(l.segs) - 1; k >= 0 && len(rest) > 0; k-- {
		s := l.segs[k]
		if !slices.ContainsFunc(rest, func(id ID) bool { return filterHas(s.raw[s.filter:], id) }) {
			continue
		}
		v, err := l.view(s)
		if err == nil {
			err = l.allIDs(v)
		}
		if err != nil {
			continue
		}
		rest = slices.DeleteFunc(rest, func(id ID) bool {
			i, ok := v.index[id]
			if ok {
				nums = append(nums, s.first+i)
			}
			return ok
		})
	}
	slices.Sort(nums)
	return slices.Compact(nums)
}
