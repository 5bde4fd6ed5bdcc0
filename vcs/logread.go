package vcs

import (
	"bytes"
	"errors"
	"fmt"
)

// searched reads an object of history of which nobody has seen the commit. The
// lock is held, and given away in between.
func (l *oplog) searched(id ID) (Kind, []byte, error) {
	if err := l.scan(id); err != nil {
		return 0, nil, err
	}
	return l.history(id)
}

// known reads an object that can be told without going through history. The lock
// is held.
func (l *oplog) known(id ID) (Kind, []byte, error) {
	kind, content, err := l.near(id)
	if !errors.Is(err, ErrNotFound) {
		return kind, content, err
	}
	num, ok, err := l.find(id)
	if err != nil {
		return 0, nil, err
	}
	if ok {
		return l.commitObject(id, num)
	}
	return 0, nil, fmt.Errorf("%w: %v", ErrNotFound, id)
}

// near reads an object that is at hand, or of which somebody has seen the
// commit. The lock is held.
func (l *oplog) near(id ID) (Kind, []byte, error) {
	if n := l.pooled(id); n != nil {
		return l.serve(n, false)
	}
	if n := l.recall.get(id); n != nil {
		return l.serve(n, true)
	}
	if num, ok := l.met(id); ok {
		return l.commitObject(id, num)
	}
	return l.history(id)
}

// atHand reads those of some objects that are among the heads'.
func (l *oplog) atHand(ids []ID, found []Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range ids {
		if n := l.pooled(id); n != nil {
			found[i] = Object{id, n.mode.Kind(), n.content()}
		}
	}
}

// tree returns a decoded tree of the heads, nil when it is not at hand.
func (l *oplog) tree(id ID) *Tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.pool.get(id)
	if n == nil || n.dir == nil {
		return nil
	}
	t := n.dir.Tree // without what hangs on the node
	return &t
}

// commitObject makes a commit.
func (l *oplog) commitObject(id ID, num uint32) (Kind, []byte, error) {
	v, i, err := l.at(num)
	if err != nil {
		return 0, nil, err
	}
	content, err := l.commitContent(v, i)
	if err != nil {
		return 0, nil, err
	}
	if HashObject(KindCommit, content) != id {
		return 0, nil, fmt.Errorf("%w: %v: the log makes another commit of it", ErrCorrupt, id)
	}
	l.hint(v.tree(i), num)
	return KindCommit, content, l.expect(v, i)
}

// expect remembers where the parents of a commit are: who reads it reads them
// next.
func (l *oplog) expect(v *segView, i uint32) error {
	parents, err := v.parentsOf(i)
	for _, p := range parents {
		if !p.native && p.num >= v.first && v.has(p.num-v.first) {
			p.id = v.rec(p.num - v.first).id
		}
		if !p.native && !p.id.IsZero() {
			l.remember(p.id, p.num)
		}
	}
	return err
}

// hint remembers where an object is.
func (l *oplog) hint(id ID, num uint32) {
	if l.hints.add(id, num) {
		l.scanned = 0
	}
}

// serve returns what a node stands for. The entries of a folder of history are
// likely to be asked for next.
func (l *oplog) serve(n *node, history bool) (Kind, []byte, error) {
	if history && n.dir != nil {
		for _, k := range n.dir.kids {
			if k != nil && l.pool.get(k.id) == nil {
				l.recall.add(k)
			}
		}
	}
	return n.mode.Kind(), n.content(), nil
}

// history reads a tree or blob of which somebody has seen the commit.
func (l *oplog) history(id ID) (Kind, []byte, error) {
	num, ok := l.hints.get(id)
	if ok {
		root, err := l.state(num)
		if err != nil {
			return 0, nil, err
		}
		if err := l.notice(num, root); err != nil {
			return 0, nil, err
		}
		if n := l.recall.get(id); n != nil {
			return l.serve(n, true)
		}
	}
	return 0, nil, fmt.Errorf("%w: %v", ErrNotFound, id)
}

// notice puts what a commit made, and what it replaced, within reach.
func (l *oplog) notice(num uint32, root *node) error {
	v, i, err := l.at(num)
	if err != nil {
		return err
	}
	var before *node
	if p := v.rec(i).parent; p != noParent {
		before = l.states.get(p)
	}
	l.recall.add(root)
	return v.eachChange(i, func(c viewChange) error {
		path, err := l.key(c.key)
		if err != nil {
			return err
		}
		for k, n := range []*node{root, before} {
			if n == nil {
				continue
			}
			err := n.along(path, l.native.load, func(x *node) {
				l.recall.add(x)
				if k == 0 {
					l.hint(x.id, num)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *oplog) key(num uint32) (string, error) {
	if num >= uint32(len(l.keys)) || l.keys[num] == "" {
		return "", fmt.Errorf("%w: log: unknown key %d", ErrCorrupt, num)
	}
	return l.keys[num], nil
}

// along visits the nodes on a path, as far as there are any.
func (n *node) along(path string, load loader, visit func(*node)) error {
	for {
		visit(n)
		if path == "" || !n.mode.IsDir() {
			return nil
		}
		var name string
		name, path = cutPath(path)
		i, ok := n.dir.find(name, path != "")
		if !ok {
			return nil
		}
		var err error
		if n, err = n.dir.kid(i, load); err != nil {
			return err
		}
	}
}

// maxScan bounds the commits in which an object is looked for that nobody has
// seen a commit of.
const maxScan = 150_000

// scan goes once through what history has not been looked at, newest maxScan
// commits at most, and remembers what is where. It gives the lock away between
// segments.
func (l *oplog) scan(id ID) error {
	if l.n > l.most {
		l.scanned = max(l.scanned, l.n-l.most)
	}
	for l.scanned < l.n {
		s, ok := l.segmentOf(l.scanned)
		if !ok {
			return nil // the damage was reported
		}
		for num := l.scanned; num < s.first+s.n; num++ {
			root, err := l.state(num)
			if err == nil {
				l.hint(root.id, num)
				err = l.notice(num, root)
			}
			if err != nil {
				return err
			}
			l.scanned = num + 1
		}
		if _, ok := l.hints.get(id); ok {
			return nil
		}
		l.mu.Unlock()
		l.mu.Lock()
	}
	return nil
}

// state returns the state of a commit, with all ids known and checked against
// the commit's tree.
func (l *oplog) state(num uint32) (*node, error) {
	if root := l.states.get(num); root != nil {
		return root, nil
	}
	root, chain, err := l.nearest(num)
	if err != nil {
		return nil, err
	}
	o := &owner{collect: len(chain) < 64}
	every := max(4096, len(chain)/6)
	since := 0
	// What begins with nothing may hold everything: branches of it are to share
	// its state, not to make it anew each.
	first := len(chain)
	if len(root.dir.kids) == 0 {
		first--
	}
	for k := len(chain) - 1; k >= 0; k-- {
		v, i, err := l.at(chain[k])
		if err == nil {
			root, err = l.apply(v, i, root, o)
		}
		if err != nil {
			return nil, err
		}
		if since++; since < every && k > 0 && k != first {
			continue
		}
		root.hash()
		for _, n := range o.made {
			if n.known {
				l.recall.add(n)
			}
		}
		o.made = nil // or each of its nodes would keep all others
		if want := v.tree(i); root.id != want {
			return nil, fmt.Errorf("%w: log: the tree of commit %d hashes to %v, not to %v", ErrCorrupt, chain[k], root.id, want)
		}
		l.states.add(chain[k], root, since)
		o, since = &owner{collect: o.collect}, 0
	}
	return root, nil
}

// nearest goes back along first parents to a state that is at hand. The chain
// holds the commits behind it, the asked one first.
func (l *oplog) nearest(num uint32) (root *node, chain []uint32, err error) {
	for {
		if root := l.states.get(num); root != nil {
			return root, chain, nil
		}
		v, i, err := l.at(num)
		if err != nil {
			return nil, nil, err
		}
		if root := l.pooledState(num); root != nil {
			return root, chain, nil
		}
		if root := l.readStored(num); root != nil {
			return root, chain, nil
		}
		chain = append(chain, num)
		if num = v.rec(i).parent; num != noParent {
			continue
		}
		if v.rec(i).based {
			return newFolder(nil), chain, nil
		}
		parents, err := v.parentsOf(i)
		if err != nil || len(parents) == 0 {
			return newFolder(nil), chain, err
		}
		kind, content, err := l.native(parents[0].id)
		if err != nil {
			return nil, nil, err
		}
		c, err := ParseCommit(content)
		if kind != KindCommit || err != nil {
			return nil, nil, fmt.Errorf("%w: %v is not a commit", ErrCorrupt, parents[0].id)
		}
		root, err = l.native.load(ModeDir, c.Tree)
		return root, chain, err
	}
}

// apply makes the state of a commit out of its first parent's. Ids stay
// unknown.
func (l *oplog) apply(v *segView, i uint32, root *node, o *owner) (*node, error) {
	x := changeReader{log: l, view: v, i: i}
	err := v.eachChange(i, func(c viewChange) error {
		path, err := x.next(c)
		if err != nil {
			return err
		}
		root, err = root.with(path, o, l.native.load, leafFunc(func(old *node) (*node, error) {
			switch c.kind {
			case changeRemove:
				return nil, nil
			case changeLink:
				return &node{mode: ModeSubmodule, id: c.link, known: true}, nil
			}
			content, err := x.content(fileOf(old))
			return newFile(c.mode, content, o), err
		}))
		return err
	})
	return root, err
}

// changeReader makes the files that a commit changed, one after the other.
type changeReader struct {
	log    *oplog
	view   *segView
	i      uint32
	change viewChange // the one at hand
	text   textContext
	said   cutText // the commit's message
	known  bool    // it is
	made   []byte  // room for a content
}

// begin goes to a commit.
func (x *changeReader) begin(v *segView, i uint32) {
	x.view, x.i, x.known, x.text.message = v, i, false, nil
}

// next goes to a change and returns its path.
func (x *changeReader) next(c viewChange) (path string, err error) {
	path, err = x.log.key(c.key)
	x.change = c
	x.text.leaf = leafName(path)
	return path, err
}

// content makes the file out of what it was.
func (x *changeReader) content(old []byte) ([]byte, error) {
	v, rec := x.view, x.view.rec(x.i)
	p := v.programs[x.change.prog]
	if !x.known && p.usesMessage() && rec.flags&flagRaw == 0 {
		text, err := v.messageOf(x.i, x.log.keys)
		if err != nil {
			return nil, err
		}
		x.said.set(text)
		x.text.message, x.known = &x.said, true
	}
	x.text.time = rec.time
	x.text.old.set(string(old))
	r := byteReader{b: x.change.args}
	x.made = x.text.render(x.made[:0], p, &r)
	return bytes.Clone(x.made), r.err
}

// usesMessage reports whether a value's program refers to the message.
func (p program) usesMessage() bool {
	for i := range p {
		if p[i].code == opWord {
			return true
		}
	}
	return false
}
