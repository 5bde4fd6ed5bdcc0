package vcs

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Head implements RefReader: the full name of the branch that a clone checks
// out, whether it exists or not.
func (s *Store) Head() string { return BranchRef(s.cfg.Head) }

// Refs implements RefReader: all refs, sorted by name, with those that the store
// makes from its epochs (refs/epochs/*, refs/replace/*).
func (s *Store) Refs() ([]Ref, error) {
	s.mu.RLock()
	_, made := s.epochs.snapshot()
	out := make([]Ref, 0, len(s.refs)+len(made))
	for name, id := range s.refs {
		if _, ok := s.epochs.ref(name); !ok {
			out = append(out, Ref{name, id})
		}
	}
	s.mu.RUnlock()
	out = append(out, made...)
	slices.SortFunc(out, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Ref returns the target of a full ref name; ok is false when there is none.
func (s *Store) Ref(name string) (id ID, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if id, ok = s.refs[name]; !ok {
		id, ok = s.epochs.ref(name)
	}
	return id, ok
}

// AddObjects adds objects that somebody else made. Each is parsed strictly and
// hashed; the error wraps ErrBadObject, or ErrCorrupt when a non-zero ID is not
// the hash, and then nothing was added. That what they refer to is present is
// the caller's to check. The store keeps the contents.
func (s *Store) AddObjects(ctx context.Context, objs []Object) error {
	checked, err := checkObjects(ctx, objs)
	if err != nil {
		return err
	}
	return s.publish(ctx, checked, nil, nil, true)
}

func checkObjects(ctx context.Context, objs []Object) ([]Object, error) {
	checked := make([]Object, len(objs))
	for i, o := range objs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := CheckObject(o.Kind, o.Content); err != nil {
			return nil, err
		}
		id := HashObject(o.Kind, o.Content)
		if !o.ID.IsZero() && o.ID != id {
			return nil, fmt.Errorf("%w: %v hashes to %v", ErrCorrupt, o.ID, id)
		}
		checked[i] = Object{id, o.Kind, o.Content}
	}
	return checked, nil
}

// MaxObject is the largest object that a store takes, in bytes of content.
const MaxObject = 512 << 10

// CheckObject parses content strictly, as git fsck --strict would, and reports
// objects beyond MaxObject with ErrTooLarge.
func CheckObject(k Kind, content []byte) (err error) {
	if len(content) > MaxObject {
		return fmt.Errorf("%w: %v of %d bytes (at most %d)", ErrTooLarge, k, len(content), MaxObject)
	}
	switch k {
	case KindCommit:
		_, err = ParseCommit(content)
	case KindTree:
		_, err = ParseTree(content)
	case KindTag:
		_, err = ParseTag(content)
	case KindBlob:
	default:
		err = fmt.Errorf("%w: unknown kind %d", ErrBadObject, k)
	}
	return err
}

// UpdateRefs changes refs by compare-and-swap, all of them or none, at most
// MaxBatchRefs/2 in one call. A new target must be present, and a commit when
// the ref is a branch; whether an update is a fast-forward is the caller's to
// check. The error wraps ErrRefMoved, ErrBadRefName, ErrNotFound or
// ErrWrongKind and names the ref.
func (s *Store) UpdateRefs(ctx context.Context, updates []RefUpdate) error {
	if len(updates) > groupRefs {
		return fmt.Errorf("%w: %d ref updates at once (at most %d)", ErrTooLarge, len(updates), groupRefs)
	}
	seen := make(map[string]bool, len(updates))
	for _, u := range updates {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := CheckRefName(u.Name); err != nil {
			return err
		}
		if seen[u.Name] {
			return fmt.Errorf("%w: %s is updated twice", ErrBadRefName, u.Name)
		}
		seen[u.Name] = true
		if u.New.IsZero() {
			continue
		}
		kind, _, err := s.ReadObject(u.New)
		if err != nil {
			return fmt.Errorf("ref %s: %w", u.Name, err)
		}
		if strings.HasPrefix(u.Name, branchPrefix) && kind != KindCommit {
			return fmt.Errorf("ref %s: %w: %v is a %v, not a commit", u.Name, ErrWrongKind, u.New, kind)
		}
	}
	return s.publish(ctx, nil, nil, updates, false)
}

// publish adds objects, or a note, and moves refs in one step and tells the
// watchers. Foreign objects are kept even if no commit leads to them.
func (s *Store) publish(ctx context.Context, objs []Object, n *note, updates []RefUpdate, foreign bool) error {
	left := s.left
	if n != nil {
		left = s.commitLeft // a work tree may be in the caller's hand
	}
	for {
		drops := s.drops.Load()
		if drops > 0 && s.log != nil {
			if err := noneLeft(unsure(objs, n, updates), left); err != nil {
				return err
			}
		}
		if ok, err := s.publishUnless(ctx, drops, objs, n, updates, foreign); ok || err != nil {
			return err
		}
	}
}

// publishUnless is publish unless epochs were dropped since there were so many
// drops.
func (s *Store) publishUnless(ctx context.Context, drops int64, objs []Object, n *note, updates []RefUpdate, foreign bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, ErrClosed
	}
	if n == nil {
		// Whoever made a note has waited before, without a work tree in hand.
		if err := s.waitForRoom(ctx); err != nil {
			return false, err
		}
	}
	if s.drops.Load() != drops {
		return false, nil
	}
	return true, s.publishNow(objs, n, updates, foreign)
}

// publishNow is publish for whoever holds the lock.
func (s *Store) publishNow(objs []Object, n *note, updates []RefUpdate, foreign bool) error {
	for _, u := range updates {
		if reserved(u.Name) && s.keepsEpochs() {
			return fmt.Errorf("%w: %s", ErrReserved, u.Name)
		}
		if have := s.refs[u.Name]; have != u.Old {
			return fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, u.Name, have, u.Old)
		}
	}
	if err := s.checkFolders(updates); err != nil {
		return err
	}
	if len(objs) == 0 && n == nil && !slices.ContainsFunc(updates, func(u RefUpdate) bool { return u.Old != u.New }) {
		return nil
	}
	s.published++
	g := s.openGroup()
	for _, o := range objs {
		s.pending += g.add(o, foreign)
	}
	if n != nil {
		s.pending += g.addNote(n)
	}
	for _, u := range updates {
		s.moveRef(g, u)
	}
	if g.bytes >= hurryBytes {
		signal(s.urgent)
	}
	signal(s.wake)
	return nil
}

// publishSeries adds notes, each on top of the one before, and moves a ref from
// head to the last of them. Whoever made them has waited for room. The error
// wraps ErrRefMoved when the ref is not at head.
func (s *Store) publishSeries(ref string, head ID, notes []note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch have := s.refs[ref]; {
	case s.closed:
		return ErrClosed
	case reserved(ref) && s.keepsEpochs():
		return fmt.Errorf("%w: %s", ErrReserved, ref)
	case have != head:
		return fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, ref, have, head)
	}
	s.published++
	full := false
	for i := range notes {
		g := s.openGroup()
		s.pending += g.addNote(&notes[i])
		full = full || g.bytes >= hurryBytes
		u := RefUpdate{ref, head, notes[i].id}
		g.update(u)
		for w := range s.watchers {
			w.push(Event{Ref: u.Name, Old: u.Old, New: u.New})
		}
		head = u.New
	}
	s.refs[ref] = head
	if full {
		signal(s.urgent)
	}
	signal(s.wake)
	return nil
}

// moveRef moves a ref and tells the watchers. The lock is held.
func (s *Store) moveRef(g *group, u RefUpdate) {
	if u.Old == u.New {
		return
	}
	g.update(u)
	if u.New.IsZero() {
		delete(s.refs, u.Name)
	} else {
		s.refs[u.Name] = u.New
	}
	switch {
	case u.Old.IsZero():
		s.countFolders(u.Name, 1)
	case u.New.IsZero():
		s.countFolders(u.Name, -1)
	}
	for w := range s.watchers {
		w.push(Event{Ref: u.Name, Old: u.Old, New: u.New})
	}
}

// awaitRoom is waitForRoom without the lock.
func (s *Store) awaitRoom(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waitForRoom(ctx)
}

// waitForRoom holds writers back while an epoch begins, while the log is much
// larger than its bound, and while more than MaxPending is unsaved. The lock is held, and given away while waiting.
func (s *Store) waitForRoom(ctx context.Context) error {
	for !s.closed && (s.held != nil || s.tight != nil || s.pending > s.cfg.MaxPending) {
		room := s.held
		if room == nil {
			room = s.tight
		}
		if room == nil {
			if s.saveErr != nil {
				return fmt.Errorf("%w: %d bytes: %w", ErrBacklog, s.pending, s.saveErr)
			}
			if s.room == nil {
				s.room = make(chan struct{})
			}
			room = s.room
			signal(s.urgent)
		}
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if s.closed {
		return ErrClosed
	}
	return nil
}

// countFolders counts a ref in the folders in which it is. The lock is held.
func (s *Store) countFolders(name string, n int) {
	if s.folders == nil {
		s.folders = make(map[string]int)
	}
	for i := range name {
		if name[i] != '/' {
			continue
		}
		if s.folders[name[:i]] += n; s.folders[name[:i]] == 0 {
			delete(s.folders, name[:i])
		}
	}
}

// checkFolders refuses refs that would be both a ref and a folder of refs,
// which a Git directory cannot hold. The lock is held.
func (s *Store) checkFolders(updates []RefUpdate) error {
	if !slices.ContainsFunc(updates, func(u RefUpdate) bool { return u.Old.IsZero() && !u.New.IsZero() }) {
		return nil
	}
	after := make(map[string]bool, len(updates)) // whether an updated ref exists
	for _, u := range updates {
		after[u.Name] = !u.New.IsZero()
	}
	exists := func(name string) bool {
		if is, ok := after[name]; ok {
			return is
		}
		_, ok := s.refs[name]
		return ok
	}
	for _, u := range updates {
		if !u.Old.IsZero() || u.New.IsZero() {
			continue
		}
		clash := func(other string) error {
			return fmt.Errorf("%w: %s and %s cannot both exist", ErrBadRefName, other, u.Name)
		}
		for i, c := range u.Name {
			if c == '/' && exists(u.Name[:i]) {
				return clash(u.Name[:i])
			}
		}
		folder := u.Name + "/"
		for name := range s.refs {
			if s.folders[u.Name] == 0 {
				break // as nearly always: nobody has to look
			}
			if strings.HasPrefix(name, folder) && exists(name) {
				return clash(name)
			}
		}
		for name, is := range after {
			if is && strings.HasPrefix(name, folder) {
				return clash(name)
			}
		}
	}
	return nil
}
