package vcs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// Change sets a key, or removes it when Value is absent.
type Change[K comparable, V any] struct {
	Key   K
	Value Opt[V]
}

// Commit applies changes on top of a branch whose head is expected to be head
// (zero: the branch does not exist yet and is created with a parentless commit)
// and moves the branch there. Later changes of one key win over earlier ones.
// It returns the new head, or the old one when nothing changed and the info does
// not allow empty commits. The error wraps ErrRefMoved when the branch is not at
// head: then nothing happened.
//
// The commit is visible at once and durable after a Sync.
func (r *Repo[K, V]) Commit(ctx context.Context, branch string, head ID, changes []Change[K, V], info CommitInfo) (ID, error) {
	if err := ctx.Err(); err != nil {
		return ID{}, err
	}
	ref := r.branchRef(branch)
	have, ok := r.s.Ref(ref)
	if !ok {
		if err := CheckRefName(ref); err != nil {
			return ID{}, err
		}
	}
	if have != head {
		return ID{}, fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, ref, have, head)
	}
	d, err := r.prepare(ctx, head, ref, changes, &info)
	if r.s.leftBehind(err, ref, head) {
		have, _ = r.s.Ref(ref)
		return ID{}, fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, ref, have, head)
	}
	if err != nil || d.id == head {
		return d.id, err
	}
	err = r.s.publishDraft(ctx, &d, []RefUpdate{{ref, head, d.id}})
	r.s.release(&d)
	return d.id, err
}

// branchRef is BranchRef; the name of the last one is at hand.
func (r *Repo[K, V]) branchRef(branch string) string {
	if ref := r.ref.Load(); ref != nil && (*ref)[len(branchPrefix):] == branch {
		return *ref
	}
	ref := BranchRef(branch)
	r.ref.Store(&ref)
	return ref
}

// draft is a commit in the making: on a work tree, or as objects.
type draft struct {
	id   ID
	w    *workTree // locked until release, with the note; nil for objects
	objs *scratch
}

// prepare makes the commit of some changes, unpublished. The id is head when
// there is nothing to commit, or after an error, and then there is nothing to
// release. If a ref is named, its moving away from head ends the wait for
// others who commit there.
func (r *Repo[K, V]) prepare(ctx context.Context, head ID, ref string, changes []Change[K, V], info *CommitInfo) (draft, error) {
	var one [1]edit
	edits := one[:0]
	if len(changes) > 1 {
		edits = make([]edit, 0, len(changes))
	}
	for i := range changes {
		e := edit{path: r.cfg.Layout.Path(changes[i].Key)}
		if v := &changes[i].Value; v.Present {
			var err error
			if e.content, err = r.encode(e.path, v.Value); err != nil {
				return draft{}, err
			}
			e.mode, e.id = ModeFile, HashObject(KindBlob, e.content)
		}
		edits = append(edits, e)
	}
	if r.s.log != nil {
		d, err := r.prepareWork(ctx, head, ref, edits, info)
		if !errors.Is(err, errNoState) {
			return d, err
		}
	}
	base, err := r.AtCommit(head)
	if err != nil {
		return draft{}, err
	}
	for _, e := range edits {
		if err := checkPath(e.path); err != nil {
			return draft{}, err
		}
	}
	w := newScratch(r.s)
	tree, err := w.editTree(base.tree, edits)
	if err != nil {
		return draft{}, err
	}
	if tree == base.tree && !info.AllowEmpty {
		return draft{id: head}, nil
	}
	var parents []ID
	if !head.IsZero() {
		parents = []ID{head}
	}
	id, err := r.putCommit(w, tree, parents, *info)
	return draft{id: id, objs: w}, err
}

// prepareWork is prepare on the work tree of the head.
func (r *Repo[K, V]) prepareWork(ctx context.Context, head ID, ref string, edits []edit, info *CommitInfo) (d draft, err error) {
	if err := r.s.awaitRoom(ctx); err != nil {
		return d, err
	}
	w, err := r.s.workAt(head, ref)
	if err != nil {
		return d, err
	}
	before := w.root.id
	n := &w.note
	*n = note{}
	if n.changes, err = w.apply(lastEdits(edits)); err != nil {
		r.s.keep(w)
		return d, err
	}
	if w.root.id == before && !info.AllowEmpty {
		r.s.keep(w)
		return draft{id: head}, nil
	}
	n.tree = w.root.id
	if !head.IsZero() {
		n.parents = room(&w.parents, 1, 16)
		n.parents[0] = head
	}
	if _, err := r.writeNote(n, w.time, info, &w.room); err != nil {
		w.undo(n.changes)
		r.s.keep(w)
		return d, err
	}
	return draft{id: n.id, w: w}, nil
}

// publishDraft publishes a commit with ref updates. When that fails it may be
// tried again with others.
func (s *Store) publishDraft(ctx context.Context, d *draft, updates []RefUpdate) error {
	if d.w == nil {
		return s.publishWork(ctx, d.objs, updates)
	}
	n := &d.w.note
	err := s.publish(ctx, nil, n, updates, false)
	if err == nil {
		d.w.head, d.w.time, d.w.seq = d.id, n.time, n.seq
	}
	return err
}

// release gives the work tree back, as it was if the commit is not published.
func (s *Store) release(d *draft) {
	if d.w == nil {
		return
	}
	if d.w.head != d.id {
		d.w.undo(d.w.note.changes)
	}
	d.w.note = note{}
	s.keep(d.w)
}

func (r *Repo[K, V]) encode(path string, v V) ([]byte, error) {
	var b []byte
	if text, ok := any(v).(string); ok && r.raw {
		b = unsafe.Slice(unsafe.StringData(text), len(text)) // contents never change
	} else {
		var err error
		if b, err = r.cfg.Codec.Encode(v); err != nil {
			return nil, fmt.Errorf("%s: encode: %w", path, err)
		}
	}
	if len(b) > MaxObject {
		return nil, fmt.Errorf("%s: %w: value of %d bytes (at most %d)", path, ErrTooLarge, len(b), MaxObject)
	}
	return b, nil
}

// putCommit adds a commit object to the work. Its time is not before its
// parents'.
func (r *Repo[K, V]) putCommit(w *scratch, tree ID, parents []ID, info CommitInfo) (ID, error) {
	var after int64
	for _, p := range parents {
		pc, err := r.s.links(p)
		if err != nil {
			return ID{}, err
		}
		after = max(after, pc.Time().Unix())
	}
	return r.putCommitAfter(w, tree, parents, info, after)
}

// putCommitAfter is putCommit where the parents' times are known.
func (r *Repo[K, V]) putCommitAfter(w *scratch, tree ID, parents []ID, info CommitInfo, after int64) (ID, error) {
	if tree == EmptyTree {
		w.putTree(&Tree{})
	}
	if !strings.HasSuffix(info.Message, "\n") {
		info.Message += "\n" // or the room would be for more than one
	}
	n := &note{tree: tree, parents: parents}
	content, err := r.writeNote(n, after, &info, &noteRoom{text: make([]byte, 0, 512)})
	if err != nil {
		return ID{}, err
	}
	w.putAs(n.id, KindCommit, content)
	w.note = n
	return n.id, nil
}

// publishWork publishes a scratch with ref updates: its commit as a note, or its
// objects, whose trees are kept in the cache, where the next commit looks for
// them.
func (s *Store) publishWork(ctx context.Context, w *scratch, updates []RefUpdate) error {
	if s.log != nil && w.note != nil {
		err := s.publishTree(ctx, w, updates)
		if !errors.Is(err, errNoState) && !errors.Is(err, errUnfit) {
			return err
		}
	}
	if err := s.publish(ctx, w.objs, nil, updates, false); err != nil {
		return err
	}
	for id, t := range w.trees {
		s.cache.addTree(id, t)
	}
	return nil
}

// publishTree publishes a scratch's commit as a note of what it changes.
func (s *Store) publishTree(ctx context.Context, w *scratch, updates []RefUpdate) error {
	if err := s.awaitRoom(ctx); err != nil {
		return err
	}
	n, now := w.note, w.merged
	if now.root == nil {
		var err error
		if now, err = s.stateOf(w); err != nil {
			return err
		}
	}
	n.changes = now.changes
	if err := s.publish(ctx, nil, n, updates, false); err != nil {
		return err
	}
	t := &workTree{}
	if len(n.parents) > 0 {
		if at := s.work.find(n.parents[0]); at != nil {
			t = at
		}
	}
	t.mu.Lock()
	if t.dead || !t.head.IsZero() && t.head != n.parents[0] {
		t.mu.Unlock()
		t = &workTree{}
		t.mu.Lock()
	}
	if t.own != nil {
		s.freeze(t)
	}
	t.head, t.time, t.seq, t.root, t.load = n.id, n.time, n.seq, now.root, s.log.native.load
	t.own = now.own
	s.keep(t)
	return nil
}

// stateOf makes the state of a scratch's commit out of those of its parents.
func (s *Store) stateOf(w *scratch) (mergedState, error) {
	var roots []*node
	for i, p := range w.note.parents {
		root, err := s.rootOf(p)
		if err == nil {
			roots = append(roots, root)
		} else if i == 0 {
			return mergedState{}, err
		}
	}
	if len(roots) == 0 {
		roots = append(roots, newFolder(nil))
	}
	d := stateDiff{load: objectSource(w.ReadObject).load, tree: w.ReadTree}
	root, err := d.folder("", w.note.tree, roots[0], roots[1:], 0)
	sortChanges(d.changes)
	return mergedState{root, &owner{collect: true, marks: true, made: d.made}, d.changes}, err
}

// writeNote makes the commit of a note whose tree and parents are set, and
// returns the object's content, which lies in the room. Its time is not before
// after.
func (r *Repo[K, V]) writeNote(n *note, after int64, info *CommitInfo, room *noteRoom) ([]byte, error) {
	p := r.signers(info)
	when := info.Time
	if when.IsZero() {
		when = r.cfg.Clock()
	}
	if len(info.Message) >= MaxObject {
		return nil, fmt.Errorf("%w: commit with a message of %d bytes (at most %d)", ErrTooLarge, len(info.Message), MaxObject)
	}
	n.time, n.who, n.message = max(when.Unix(), after), p.who, room.line(info.Message)
	b := appendCommitHead(append(room.text[:0], noHead[:]...), n.tree, n.parents)
	b = append(b, p.author...)
	at := len(b)
	b = appendWhen(b, n.time)
	date := b[at:]
	b = append(append(b, p.committer...), date...)
	b = appendMessage(append(b, '\n'), n.message)
	if len(b)-headRoom > MaxObject {
		return nil, fmt.Errorf("%w: commit of %d bytes (at most %d)", ErrTooLarge, len(b)-headRoom, MaxObject)
	}
	n.id, b = sha1Behind(KindCommit, b)
	if cap(b) <= roomChunk { // a long one is not kept
		room.text = b
	}
	return b[headRoom:len(b):len(b)], nil
}

// appendWhen ends the line of a signature at a time in UTC.
func appendWhen(b []byte, seconds int64) []byte {
	return append(strconv.AppendInt(b, max(seconds, 0), 10), " +0000\n"...)
}

// signers are the people of a commit, as its header holds them up to the time.
type signers struct {
	info              CommitInfo // whose people they are
	author, committer string
	who               string
}

// signers returns the people of a commit; those of the last one are at hand.
func (r *Repo[K, V]) signers(info *CommitInfo) *signers {
	same := func(a, b *Signature) bool { return a.Name == b.Name && a.Email == b.Email }
	if p := r.last.Load(); p != nil && same(&p.info.Author, &info.Author) && same(&p.info.Committer, &info.Committer) {
		return p
	}
	var c Commit
	c.Author, c.Committer, _ = r.sign(*info)
	p := &signers{info: *info, author: "author " + c.Author.String() + " ", committer: "committer " + c.Committer.String() + " ", who: people(&c)}
	r.last.Store(p)
	return p
}
