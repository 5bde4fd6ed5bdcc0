package vcs

import "bytes"

// treeRef is what an entry says of a name; zero is none.
type treeRef struct {
	mode Mode
	id   ID
}

func (r treeRef) entry(name string) TreeEntry {
	if r.id.IsZero() {
		return TreeEntry{}
	}
	return TreeEntry{name, r.mode, r.id}
}

// sides holds what the base, ours and theirs have of a name.
type sides [3]treeRef

// threeWay settles a name by its ids alone; ok is false when both sides changed
// it differently.
func (s *sides) threeWay() (r treeRef, ok bool) {
	switch {
	case s[1] == s[2], s[0] == s[2]:
		return s[1], true
	case s[0] == s[1]:
		return s[2], true
	}
	return treeRef{}, false
}

// mergeWalk goes through three trees together, name by name in Git's order. It
// passes over the entries that are equal in all of them. A name that is a file in
// one tree and a folder in another one comes twice, as a file first.
type mergeWalk struct {
	at     [3]treeCursor
	name   []byte
	folder bool   // it is the name of a folder
	has    sides  // what the trees have of it, as files or as folders
	ours   []byte // our entry; nil when has[1] is zero
	here   [3]bool
	late   []lateFolder
}

// lateFolder is what becomes of a folder that was merged together with the files
// of its name. They nest, for between a/b and a/b/ are names that start with b.
type lateFolder struct {
	name []byte
	now  treeRef
}

func (w *mergeWalk) open(trees *[3]*Tree) {
	for i, t := range trees {
		w.at[i].open(t)
	}
}

// next goes to the next name; false when there is none.
func (w *mergeWalk) next() bool {
	base, ours, theirs := &w.at[0], &w.at[1], &w.at[2]
	for i, here := range w.here {
		if here {
			w.at[i].next()
		}
	}
	for ours.entry != nil && bytes.Equal(ours.entry, base.entry) && bytes.Equal(ours.entry, theirs.entry) {
		base.next()
		ours.next()
		theirs.next()
	}
	first := ours.entry
	w.here = [3]bool{1: first != nil}
	for _, i := range [2]int{0, 2} {
		e := w.at[i].entry
		if e == nil {
			continue
		}
		switch c := compareEntries(e, first); {
		case c < 0:
			first = e
			w.here = [3]bool{}
			fallthrough
		case c == 0:
			w.here[i] = true
		}
	}
	if first == nil {
		return false
	}
	w.name, w.folder = entryName(first), entryIsFolder(first)
	w.has, w.ours = sides{}, nil
	for i, here := range w.here {
		if here {
			w.has[i] = refOf(w.at[i].entry)
		}
	}
	if w.here[1] {
		w.ours = ours.entry
	}
	return true
}

func refOf(e []byte) treeRef { return treeRef{entryMode(e), entryID(e)} }

// folders returns the folders that are ahead of the file's name at hand.
func (w *mergeWalk) folders() (s sides, found bool) {
	for i, here := range w.here {
		if here {
			continue // a tree has a name once
		}
		if e := w.at[i].folderAhead(w.name); e != nil {
			s[i], found = refOf(e), true
		}
	}
	return s, found
}

// settle says what becomes of the folders ahead.
func (w *mergeWalk) settle(now treeRef) { w.late = append(w.late, lateFolder{w.name, now}) }

// settled returns what becomes of the folder at hand, if that was said.
func (w *mergeWalk) settled() (now treeRef, ok bool) {
	n := len(w.late) - 1
	if n < 0 || !bytes.Equal(w.late[n].name, w.name) {
		return treeRef{}, false
	}
	now = w.late[n].now
	w.late = w.late[:n]
	return now, true
}
