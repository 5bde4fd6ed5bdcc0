package vcs

// nodeCache keeps nodes that were read, in two generations of at most maxRecall.
type nodeCache struct{ young, old map[ID]*node }

const maxRecall = 16 << 10

func (c *nodeCache) add(n *node) {
	if c.young == nil || len(c.young) >= maxRecall {
		c.old, c.young = c.young, make(map[ID]*node)
	}
	c.young[n.id] = n
}

func (c *nodeCache) get(id ID) *node {
	if n := c.young[id]; n != nil {
		return n
	}
	n := c.old[id]
	if n != nil {
		c.add(n)
	}
	return n
}

// stateCache keeps states of commits, the least recently used go first. A state
// costs as many units as commits lie between it and the state that it was made
// from.
type stateCache struct {
	m     map[uint32]*cachedState
	used  uint64
	total int
}

type cachedState struct {
	root *node
	cost int
	used uint64
}

const maxStates, maxStateCost = 96, 48 << 10

func (c *stateCache) get(num uint32) *node {
	s := c.m[num]
	if s == nil {
		return nil
	}
	c.used++
	s.used = c.used
	return s.root
}

func (c *stateCache) add(num uint32, root *node, cost int) {
	if c.m == nil {
		c.m = make(map[uint32]*cachedState)
	}
	c.used++
	if s := c.m[num]; s != nil {
		s.used = c.used
		return
	}
	c.m[num] = &cachedState{root, cost, c.used}
	c.total += cost
	for len(c.m) > 1 && (len(c.m) > maxStates || c.total > maxStateCost) {
		var victim uint32
		oldest := c.used
		for k, s := range c.m {
			if s.used < oldest {
				oldest, victim = s.used, k
			}
		}
		c.drop(victim)
	}
}

func (c *stateCache) drop(num uint32) {
	if s := c.m[num]; s != nil {
		c.total -= s.cost
		delete(c.m, num)
	}
}
