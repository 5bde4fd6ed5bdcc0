package vcs

import "sync"

// cache keeps decoded trees and commits, bounded by bytes. It holds two
// generations: when the young one has half the budget it becomes the old one
// and the old one is dropped; a hit in the old one moves the value to the young.
// So anything used again within half a budget of other values stays.
type cache struct {
	mu         sync.Mutex
	max        int
	size       int // of young
	young, old map[ID]cached
}

type cached struct {
	tree   *Tree
	commit *Commit
	size   int
}

func (c *cache) get(id ID) cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[id]; ok {
		return v
	}
	v, ok := c.old[id]
	if ok {
		c.put(id, v)
	}
	return v
}

func (c *cache) put(id ID, v cached) {
	if c.young == nil {
		c.young = make(map[ID]cached, len(c.old)) // about as many again
	}
	if _, ok := c.young[id]; ok {
		return
	}
	c.young[id] = v
	c.size += v.size
	if c.size > c.max/2 {
		c.old, c.young, c.size = c.young, nil, 0
	}
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old, c.size = nil, nil, 0
}

func (c *cache) tree(id ID) (*Tree, bool) {
	v := c.get(id)
	return v.tree, v.tree != nil
}

func (c *cache) commit(id ID) (*Commit, bool) {
	v := c.get(id)
	return v.commit, v.commit != nil
}

func (c *cache) addTree(id ID, t *Tree) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(id, cached{tree: t, size: 128 + len(t.raw) + 4*len(t.off)})
}

func (c *cache) addCommit(id ID, x *Commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(id, cached{commit: x, size: 384 + len(x.Message) + 20*len(x.Parents)})
}
