package vcs

import (
	"errors"
	"slices"
)

// epochDAG is the part of history that matters at the end of an epoch: what
// leads from some heads down to where the epoch began. Commits of the log are
// known by number and cost no object; others are read.
type epochDAG struct {
	s      *Store
	l      *oplog // the log of the epoch; nil when the backend stores objects
	grafts bool   // go on from roots to what they stand for, through older epochs

	nodes   map[ID]int32 // commits that are not in l
	num     map[uint32]int32
	ids     []ID // zero for commits of l, until somebody asks
	nums    []uint32
	parents [][]int32
	ends    bool // some commit without parents is not a root of the epoch
}

const notInLog = ^uint32(0)

// reach returns the nodes of some commits with all behind them.
func (d *epochDAG) reach(heads []ID) ([]int32, error) {
	d.nodes, d.num = make(map[ID]int32), make(map[uint32]int32)
	out := make([]int32, len(heads))
	var todo []int32
	var err error
	for i, id := range heads {
		if out[i], err = d.node(id, &todo); err != nil {
			return nil, err
		}
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if err := d.expand(at, &todo); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// node returns the node of a commit, a new one if need be, which is then to be
// expanded.
func (d *epochDAG) node(id ID, todo *[]int32) (int32, error) {
	if n, ok := d.nodes[id]; ok {
		return n, nil
	}
	num, ok, err := uint32(notInLog), false, error(nil)
	if d.l != nil {
		d.l.mu.Lock()
		num, ok, err = d.l.find(id)
		d.l.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
	if ok {
		return d.numbered(num, todo), nil
	}
	n := d.add(id, notInLog, todo)
	d.nodes[id] = n
	return n, nil
}

func (d *epochDAG) numbered(num uint32, todo *[]int32) int32 {
	n, ok := d.num[num]
	if !ok {
		n = d.add(ID{}, num, todo)
		d.num[num] = n
	}
	return n
}

func (d *epochDAG) add(id ID, num uint32, todo *[]int32) int32 {
	n := int32(len(d.ids))
	d.ids, d.nums, d.parents = append(d.ids, id), append(d.nums, num), append(d.parents, nil)
	*todo = append(*todo, n)
	return n
}

// expand finds a node's parents.
func (d *epochDAG) expand(at int32, todo *[]int32) error {
	if num := d.nums[at]; num != notInLog {
		d.l.mu.Lock()
		v, i, err := d.l.at(num)
		var parents []logParent
		if err == nil {
			parents, err = v.parentsOf(i)
		}
		if err == nil && len(parents) == 0 {
			d.ids[at], err = d.l.idOf(v, i)
		}
		d.l.mu.Unlock()
		if err != nil {
			return err
		}
		if len(parents) > 0 {
			for _, p := range parents {
				var n int32
				if !p.native {
					n = d.numbered(p.num, todo)
				} else if n, err = d.node(p.id, todo); err != nil {
					return err
				}
				d.parents[at] = append(d.parents[at], n)
			}
			return nil
		}
	}
	id := d.ids[at]
	c, err := d.s.ReadCommit(id)
	if errors.Is(err, ErrNotFound) {
		return nil // a history that was given to us with an end
	}
	if err != nil {
		return err
	}
	next := c.Parents
	if g, ok := d.s.epochs.graft(id); ok {
		if d.grafts {
			next = g
		}
	} else if len(next) == 0 {
		d.ends = true
	}
	for _, p := range next {
		n, err := d.node(p, todo)
		if err != nil {
			return err
		}
		d.parents[at] = append(d.parents[at], n)
	}
	return nil
}

// id returns the commit of a node.
func (d *epochDAG) id(n int32) (ID, error) {
	if !d.ids[n].IsZero() {
		return d.ids[n], nil
	}
	d.l.mu.Lock()
	defer d.l.mu.Unlock()
	v, i, err := d.l.at(d.nums[n])
	if err == nil {
		d.ids[n], err = d.l.idOf(v, i)
	}
	return d.ids[n], err
}

// childrenFirst returns all nodes, each before its parents.
func (d *epochDAG) childrenFirst() []int32 {
	children := make([]int32, len(d.parents))
	for _, ps := range d.parents {
		for _, p := range ps {
			children[p]++
		}
	}
	order := make([]int32, 0, len(d.parents))
	for n, c := range children {
		if c == 0 {
			order = append(order, int32(n))
		}
	}
	for i := 0; i < len(order); i++ {
		for _, p := range d.parents[order[i]] {
			if children[p]--; children[p] == 0 {
				order = append(order, p)
			}
		}
	}
	return order
}

// maxSkeleton bounds the commits, besides the heads, that get roots. Beyond it
// the oldest common ancestors are left behind, which only merges of merge bases
// of merge bases would have met.
const maxSkeleton = 1024

// skeleton is a set of commits with all their lowest common ancestors, those of
// these, and so on, children first, and of each the nearest ancestors in the set.
type skeleton struct {
	ids     []ID
	parents [][]int // positions in ids, higher than the commit's own
}

// skeleton returns that of some heads. A commit is a lowest common ancestor of
// two members if no child of it is an ancestor of all members of which it is
// one itself; so members are found on one walk, and each counts from then on.
func (d *epochDAG) skeleton(heads []int32) (skeleton, error) {
	var out skeleton
	isHead := make(map[int32]bool, len(heads))
	for _, h := range heads {
		isHead[h] = true
	}
	sets := newBitSets()
	under := make([]int32, len(d.parents)) // the set of members that a node is an ancestor of
	alone := make([]bool, len(d.parents))  // no child has that same set
	extra := 0
	for _, n := range d.childrenFirst() {
		member := isHead[n]
		if !member && alone[n] && extra < maxSkeleton {
			member = true
			extra++
		}
		if member {
			k := len(out.ids)
			id, err := d.id(n)
			if err != nil {
				return out, err
			}
			out.ids, out.parents = append(out.ids, id), append(out.parents, nil)
			for _, m := range sets.members(under[n]) {
				out.parents[m] = append(out.parents[m], k)
			}
			under[n] = sets.union(under[n], sets.single(k))
		}
		for _, p := range d.parents[n] {
			both := sets.union(under[p], under[n])
			switch both {
			case under[n]:
				alone[p] = false
			case under[p]:
			default:
				alone[p] = true
			}
			under[p] = both
		}
	}
	out.reduce()
	return out, nil
}

// reduce leaves of each commit's ancestors the nearest: an ancestor of another
// one stands behind that one.
func (k *skeleton) reduce() {
	words := len(k.ids)/64 + 1
	behind := make([]uint64, len(k.ids)*words) // all ancestors of each
	of := func(i int) []uint64 { return behind[i*words : (i+1)*words] }
	for i := len(k.ids) - 1; i >= 0; i-- {
		mine := of(i)
		k.parents[i] = slices.DeleteFunc(k.parents[i], func(p int) bool {
			if mine[p/64]&(1<<(p%64)) != 0 {
				return true
			}
			mine[p/64] |= 1 << (p % 64)
			for w, bits := range of(p) {
				mine[w] |= bits
			}
			return false
		})
	}
}

// bitSets numbers sets of small numbers: 0 is the empty one.
type bitSets struct {
	list   [][]uint64
	number map[string]int32
	unions map[[2]int32]int32
}

func newBitSets() *bitSets {
	return &bitSets{list: [][]uint64{nil}, number: map[string]int32{"": 0}, unions: make(map[[2]int32]int32)}
}

func (b *bitSets) intern(set []uint64) int32 {
	key := make([]byte, 0, 8*len(set))
	for _, w := range set {
		for range 8 {
			key = append(key, byte(w))
			w >>= 8
		}
	}
	n, ok := b.number[string(key)]
	if !ok {
		n = int32(len(b.list))
		b.list = append(b.list, set)
		b.number[string(key)] = n
	}
	return n
}

func (b *bitSets) single(k int) int32 {
	set := make([]uint64, k/64+1)
	set[k/64] = 1 << (k % 64)
	return b.intern(set)
}

func (b *bitSets) union(x, y int32) int32 {
	if x == y || y == 0 {
		return x
	}
	if x == 0 {
		return y
	}
	key := [2]int32{min(x, y), max(x, y)}
	n, ok := b.unions[key]
	if !ok {
		long, short := b.list[x], b.list[y]
		if len(long) < len(short) {
			long, short = short, long
		}
		set := slices.Clone(long)
		for i, w := range short {
			set[i] |= w
		}
		n = b.intern(set)
		b.unions[key] = n
	}
	return n
}

func (b *bitSets) members(x int32) (out []int) {
	for i, w := range b.list[x] {
		for k := range 64 {
			if w&(1<<k) != 0 {
				out = append(out, 64*i+k)
			}
		}
	}
	return out
}
