package vcs

import "slices"

// adopt puts what the heads lead to into the pool, when a store is opened. What
// cannot be read is left to whoever asks for it.
func (l *oplog) adopt(refs []Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range refs {
		l.heads[r.Name] = r.Target
	}
	l.sweep(func(num uint32) *node {
		root, err := l.state(num)
		if err != nil {
			return nil
		}
		return root
	})
}

// sweep fills the pool anew with what the heads lead to. What else was in it can
// be made again.
func (l *oplog) sweep(state func(num uint32) *node) {
	nums := make([]uint32, 0, len(l.heads))
	for _, id := range l.heads {
		if num, ok, err := l.find(id); err == nil && ok {
			nums = append(nums, num)
		}
	}
	slices.Sort(nums)
	pool := make(map[ID]*node, l.live+l.live/8)
	seen := make(map[*node]bool)
	for _, num := range slices.Compact(nums) {
		if root := state(num); root != nil {
			root.mark(pool, seen)
		}
	}
	l.pool, l.live = pool, len(pool)
}

// mark puts all that is loaded of a state into a pool.
func (n *node) mark(pool map[ID]*node, seen map[*node]bool) {
	if n.lazy || !n.known || n.mode == ModeSubmodule {
		return
	}
	pool[n.id] = n
	if !n.mode.IsDir() || seen[n] {
		return
	}
	seen[n] = true
	for _, k := range n.kids {
		k.mark(pool, seen)
	}
}
