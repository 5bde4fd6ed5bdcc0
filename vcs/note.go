package vcs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// note is a commit that was made here and is not saved: what it changed. Its
// trees are made when somebody asks for one before the log has it.
type note struct {
	id, tree ID
	parents  []ID
	time     int64
	who      string // see people
	message  string
	changes  []leafChange
	at       int    // so many objects of its group come before it
	seq      uint64 // of the group, once it is in one
}

// size returns about how many bytes a note keeps from being freed, and how many
// of those are said for the first time.
func (n *note) size() (size, content int) {
	size, content = 256+len(n.message), len(n.message)
	for i := range n.changes {
		c := &n.changes[i]
		now := len(fileOf(c.now))
		size += 112 + len(c.path) + len(fileOf(c.old)) + now
		content += now
	}
	return size, content
}

// content makes the commit object's content.
func (n *note) content() []byte {
	c := Commit{Tree: n.tree, Parents: n.parents, Message: n.message}
	c.Author, c.Committer = splitPeople(n.who, n.time)
	return c.Encode(make([]byte, 0, 512))
}

// noteRoom is room for the texts of notes.
type noteRoom struct {
	text  []byte // the object's, used again for the next one
	lines []byte // messages, which notes keep
}

const roomChunk = 16 << 10

// line returns a message with its newline.
func (r *noteRoom) line(msg string) string {
	if strings.HasSuffix(msg, "\n") {
		return msg
	}
	n := len(msg) + 1
	if n > roomChunk/4 {
		return msg + "\n"
	}
	if cap(r.lines)-len(r.lines) < n {
		r.lines = make([]byte, 0, roomChunk)
	}
	from := len(r.lines)
	r.lines = append(append(r.lines, msg...), '\n')
	return unsafe.String(&r.lines[from], n) // never written again
}

// noteIndex finds the objects of a group's notes. It is filled when somebody
// looks, first with the commits, and with all objects when that is not enough.
type noteIndex struct {
	making  sync.Mutex // whoever makes trees; taken before a log's lock
	mu      sync.Mutex // of what follows; a log's lock may be held
	commits map[ID]int
	made    int // notes whose trees are there
	roots   map[ID]*node
	nodes   map[ID]*node
}

func (x *noteIndex) commit(notes []note, id ID) (*note, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.commits == nil {
		x.commits = make(map[ID]int)
	}
	for i := len(x.commits); i < len(notes); i++ {
		x.commits[notes[i].id] = i
	}
	i, ok := x.commits[id]
	if !ok || i >= len(notes) {
		return nil, false
	}
	return &notes[i], true
}

// make makes the trees of all notes. Before returns the state of a commit that
// is older than the group.
func (x *noteIndex) make(notes []note, load loader, before func(ID) (*node, error)) error {
	x.making.Lock()
	defer x.making.Unlock()
	for i := x.madeSoFar(); i < len(notes); i++ {
		n := &notes[i]
		var parent ID
		if len(n.parents) > 0 {
			parent = n.parents[0]
		}
		root := x.root(parent)
		if root == nil {
			var err error
			if root, err = before(parent); err != nil {
				return err
			}
		}
		w := workTree{root: root, own: &owner{collect: true}, load: load}
		for _, c := range n.changes {
			if err := w.edit(editTo(c.path, c.now)); err != nil {
				return err
			}
		}
		if w.root.hash() != n.tree {
			return fmt.Errorf("%w: the tree of commit %v hashes to %v, not to %v", ErrCorrupt, n.id, w.root.id, n.tree)
		}
		x.add(n.id, &w)
	}
	return nil
}

func (x *noteIndex) madeSoFar() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.made
}

// add takes the state of the next note in.
func (x *noteIndex) add(commit ID, w *workTree) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.roots == nil {
		x.roots, x.nodes = make(map[ID]*node), make(map[ID]*node)
	}
	x.roots[commit] = w.root
	for _, m := range append(w.own.made, w.root) {
		if m.known {
			x.nodes[m.id] = m
		}
	}
	w.own.made = nil
	x.made++
}

// unsavedNotes returns the groups that hold notes, oldest first.
func (s *Store) unsavedNotes() []noteGroup {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []noteGroup
	for _, g := range s.queue {
		if len(g.notes) > 0 {
			out = append(out, noteGroup{g, g.notes})
		}
	}
	return out
}

type noteGroup struct {
	g     *group
	notes []note
}

// unsavedCommit returns a note.
func (s *Store) unsavedCommit(id ID) (*note, bool) {
	groups := s.unsavedNotes()
	for i := len(groups) - 1; i >= 0; i-- {
		if n, ok := groups[i].g.noted.commit(groups[i].notes, id); ok {
			return n, true
		}
	}
	return nil, false
}

// isUnsaved reports whether a commit waits to be saved.
func (s *Store) isUnsaved(id ID) bool {
	if _, ok := s.unsavedCommit(id); ok {
		return true
	}
	_, ok := s.queued(id)
	return ok
}

// makeUnsaved makes the trees of all notes, or of those in the groups up to one.
// That takes some kilobytes for each of them.
func (s *Store) makeUnsaved(last *group) error {
	for groups := s.unsavedNotes(); ; {
		err := s.makeNotes(groups, last)
		if !errors.Is(err, errNoState) && !errors.Is(err, ErrNotFound) {
			return err
		}
		// The first of them has been saved meanwhile, perhaps, and what it stands
		// on has left with its epoch.
		now := s.unsavedNotes()
		if len(now) > 0 && len(groups) > 0 && now[0].g == groups[0].g {
			return err
		}
		groups = now
	}
}

func (s *Store) makeNotes(groups []noteGroup, last *group) error {
	for i, x := range groups {
		if last != nil && x.g.seq > last.seq {
			break
		}
		err := x.g.noted.make(x.notes, s.log.native.load, func(id ID) (*node, error) {
			for _, older := range groups[:i] {
				if root := older.g.noted.root(id); root != nil {
					return root, nil
				}
			}
			if id.IsZero() {
				return s.rootOf(id)
			}
			if root := s.work.frozenAt(id); root != nil {
				return root, nil // the root of an epoch, perhaps
			}
			return s.log.root(id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *noteIndex) root(id ID) *node {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.roots[id]
}

// unsavedRoot returns the state of a note; nil when the commit is none.
func (s *Store) unsavedRoot(id ID) (*node, error) {
	if _, ok := s.unsavedCommit(id); !ok {
		return nil, nil
	}
	if err := s.makeUnsaved(nil); err != nil {
		return nil, err
	}
	for _, x := range s.unsavedNotes() {
		if root := x.g.noted.root(id); root != nil {
			return root, nil
		}
	}
	return nil, nil
}

// unsavedNode returns a tree or blob that a note made.
func (s *Store) unsavedNode(id ID) (*node, error) {
	if err := s.makeUnsaved(nil); err != nil {
		return nil, err
	}
	for _, x := range s.unsavedNotes() {
		x.g.noted.mu.Lock()
		n := x.g.noted.nodes[id]
		x.g.noted.mu.Unlock()
		if n != nil {
			return n, nil
		}
	}
	return nil, nil
}

// readLog reads an object of a store that keeps a log: at hand first, then what
// takes longer.
func (s *Store) readLog(id ID) (Kind, []byte, error) {
	if n, ok := s.unsavedCommit(id); ok {
		return KindCommit, n.content(), nil
	}
	kind, content, err := s.log.near(id)
	if !errors.Is(err, ErrNotFound) {
		return kind, content, err
	}
	s.collect(1)
	kind, content, err = s.log.known(id)
	if !errors.Is(err, ErrNotFound) {
		return kind, content, err
	}
	n, err := s.unsavedNode(id)
	switch {
	case err != nil:
		return 0, nil, err
	case n != nil:
		return n.mode.Kind(), n.content(), nil
	}
	kind, content, err = s.log.ReadObject(id)
	// What a head has had for long is in no commit that anybody has seen of late,
	// and the pool may have been emptied.
	if errors.Is(err, ErrNotFound) && s.log.current().adoptAgain(s.newestUnsaved()) {
		return s.log.near(id)
	}
	return kind, content, err
}

// newestUnsaved returns the states of the heads that are not saved, as far as they
// have been made.
func (s *Store) newestUnsaved() (roots []*node) {
	heads := s.targets()
	for _, x := range s.unsavedNotes() {
		x.g.noted.mu.Lock()
		for id, root := range x.g.noted.roots {
			if heads[id] {
				roots = append(roots, root)
			}
		}
		x.g.noted.mu.Unlock()
	}
	return roots
}

// A group of many notes leaves the work trees as they are, until they hold many
// nodes, or as many as a part of the keys: copies cost more than going through as
// many records, should somebody look into the past. Whoever reads freezes them
// anyway.
const (
	manyNotes = 256
	manyNodes = 8192
	manyPart  = 16
)

// stage turns a group into records of the log.
func (s *Store) stage(g *group) (*stagedLog, error) {
	changed := 1
	if g.epoch == nil && len(g.notes) > manyNotes {
		changed = max(manyNodes, s.log.current().keyCount()/manyPart)
	}
	s.collect(changed)
	src := unsaved{s: s, g: g, frozen: make(map[ID]*node)}
	var frozen, saved []stagedState
	s.work.mu.Lock()
	for id, f := range s.work.frozen {
		x := stagedState{id: id, root: f.root, cost: f.cost}
		if f.seq <= g.seq {
			frozen = append(frozen, x)
		}
		if f.seq < g.seq {
			saved = append(saved, x)
		}
		src.frozen[id] = f.root
	}
	s.work.mu.Unlock()
	if slices.ContainsFunc(g.objs, func(o Object) bool { return o.Kind == KindCommit }) {
		// Somebody else's commits may be children of notes. Those of groups
		// before are in the log, and those of later ones came later.
		if err := s.makeUnsaved(g); err != nil {
			return nil, err
		}
	}
	st, err := s.log.stage(g, frozen, src)
	if err == nil {
		s.work.saved(saved) // known to the log by now, or kept natively
	}
	if err == nil && g.epoch != nil {
		s.work.saved(s.log.inLog(frozen))
	}
	return st, err
}

// unsaved reads what the log does not have yet, the group that is being saved
// first, and trees that are at hand anyway.
type unsaved struct {
	s      *Store
	g      *group
	frozen map[ID]*node
}

// ReadObject implements ObjectReader.
func (u unsaved) ReadObject(id ID) (Kind, []byte, error) {
	o, ok := u.g.object(id)
	if !ok {
		o, ok = u.s.queued(id)
	}
	if ok {
		return o.Kind, o.Content, nil
	}
	u.g.noted.mu.Lock()
	n := u.g.noted.nodes[id]
	u.g.noted.mu.Unlock()
	if n != nil {
		return n.mode.Kind(), n.content(), nil
	}
	return 0, nil, fmt.Errorf("%w: %v", ErrNotFound, id)
}

// ReadTree implements TreeReader.
func (u unsaved) ReadTree(id ID) (*Tree, error) {
	if t, ok := u.s.cache.tree(id); ok {
		return t, nil
	}
	return loadTree(u, id)
}

func (u unsaved) root(commit ID) *node {
	if root := u.frozen[commit]; root != nil {
		return root
	}
	return u.g.noted.root(commit)
}
